"""A site: which resource answers a request, and what is answered before any resource is asked."""

import os

from flashpy.http.coding import SUFFIXES
from flashpy.http.request import KNOWN_METHODS, Request
from flashpy.http.response import FieldList, Response, fixed
from flashpy.http.target import hidden
from flashpy.job.kinds import Runner
from flashpy.now import Now
from flashpy.resource.answer import Answer
from flashpy.resource.caches import Caches
from flashpy.resource.errors import ErrorPages
from flashpy.resource.files import Files
from flashpy.resource.root import Root, absolute
from flashpy.settings import Config, SiteSection

_ALLOW: FieldList = ((b"Allow", b"GET, HEAD, OPTIONS"),)


class Site:
    """Answers everything that comes to a server: faults, methods, files."""

    __slots__ = ("_caches", "_errors", "_files", "_options")

    def __init__(self, config: Config, runner: Runner, now: Now) -> None:
        extra: FieldList = (
            (b"Server", b"flashpy"),
            *((name.encode(), value.encode("latin-1")) for name, value in config.site.headers.items()),
        )
        self._errors = ErrorPages(extra)
        self._options = fixed(204, (*extra, *_ALLOW))
        self._caches = Caches(config.cache)
        self._files = Files(_root(config.site, extra), self._caches, runner, now, self._errors, config.limits.ranges)

    def answer(self, request: Request, client: str) -> Answer:
        """The answer to a request of this client (its address), or the job that is needed first."""
        if request.plain:
            return self._files.answer(request, request.path)
        if request.fault:
            return self._errors.answer(request, request.fault)
        method = request.method
        if method in (b"GET", b"HEAD"):
            return self._files.answer(request, request.path)
        if method == b"OPTIONS":
            return self._options  # of "*" as of any file: the methods are the same for all (RFC 9110, 9.3.7)
        if method in KNOWN_METHODS:
            return self._errors.answer(request, 405, _ALLOW)
        return self._errors.answer(request, 501)

    def failure(self, request: Request, status: int = 500) -> Response:
        """The answer when a request cannot be answered as it should."""
        return self._errors.answer(request, status)

    def snapshot(self) -> dict[str, object]:
        """How full the caches are."""
        return self._caches.snapshot()


def _root(site: SiteSection, extra: FieldList) -> Root:
    return Root(
        absolute(site.root, *site.allowed_roots),
        index_names=tuple(os.fsencode(name) for name in site.index),
        suffixes=tuple(SUFFIXES[coding.encode()] for coding in site.precompressed),
        hidden=(lambda path: False) if site.dotfiles else hidden,
        fields=lambda asked, served, media_type: extra,
    )
