"""A site: from a request to the resource that answers, and what is said before and after it is asked.

What depends on the client, the time or a credential is judged for each request, before any answer that is prepared;
all else is bound when an entry of a cache is made. A site that asks nothing of the kind answers a plain request by one
look into the cache.

A path is judged under every name that may answer for it, and where another path is led to (by a rewrite, or as the
fallback) that one is judged too: so there is no way round a guard.
"""

import os
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from flashpy.access.attempts import Attempts
from flashpy.access.guard import Answered, Guard, judge
from flashpy.http.coding import SUFFIXES
from flashpy.http.request import KNOWN_METHODS, Block, Request, RequestLine
from flashpy.http.response import FieldList, Head, Response, fixed
from flashpy.http.target import quote_path, quote_query
from flashpy.job.kinds import List, Outcome, Result, Runner, Verify, Walk
from flashpy.now import Now
from flashpy.resource.answer import Answer, Pending, then
from flashpy.resource.caches import Caches
from flashpy.resource.errors import ErrorPages
from flashpy.resource.files import Files
from flashpy.resource.listing import Listings
from flashpy.resource.root import Root, absolute
from flashpy.routing.pages import is_navigation
from flashpy.routing.redirects import Gone, Redirected, Route
from flashpy.routing.slash import Try
from flashpy.settings import LimitsSection, SiteSection
from flashpy.site.plan import SERVER, plan

_ALLOW: FieldList = ((b"Allow", b"GET, HEAD, OPTIONS"),)
_ORIGIN = b"origin"


class _Asking(NamedTuple):
    """A request, the address of the client, and the guards that have let it through."""

    request: Request
    client: str
    passed: tuple[Guard, ...] = ()


class Site:
    """Answers everything that comes for one site: faults, methods, access, routes, files, errors."""

    __slots__ = (
        "_access",
        "_caches",
        "_direct",
        "_errors",
        "_files",
        "_mounts",
        "_now",
        "_options",
        "_plan",
        "_refined",
        "_settings",
    )

    def __init__(
        self,
        settings: SiteSection,
        caches: Caches,
        limits: LimitsSection,
        runner: Runner,
        now: Now,
        attempts: Attempts,
        tag: bytes = b"",
    ) -> None:
        """``tag`` is what its keys in the pathname cache begin with.

        Raises:
            SettingError: a setting cannot be used.
        """
        self._settings = settings
        self._plan = made = plan(settings, attempts)
        self._caches = caches
        self._now = now
        self._errors = ErrorPages(made.fields)
        self._options = fixed(204, (*made.fields, *_ALLOW))
        self._access = made.access
        roots = _roots(settings, tag)
        files = [
            Files(
                root._replace(hidden=made.hidden, fields=self._fields_of),
                *(caches, runner, now, self._errors, limits.ranges),
                self._listings(root) if settings.listing else None,
            )
            for root in roots
        ]
        self._files = files[0]
        # The longest prefix first: it is the one that counts.
        self._mounts = sorted(
            ((root.prefix, each) for root, each in zip(roots[1:], files[1:], strict=True)), key=lambda m: -len(m[0])
        )
        self._refined = bool(made.routes or made.fallback or made.pages)
        self._direct = not (
            self._refined or made.access or self._mounts or made.slashes is not None or made.cors.per_request
        )

    def _listings(self, root: Root) -> Listings:
        dotfiles, hide = self._settings.dotfiles, self._plan.hide
        template = List(root.roots, b"/", dotfiles=dotfiles, hide=hide, prefix=root.prefix)
        if not self._settings.listing_archive:
            return Listings(template, self._errors)
        archive = Walk(root.roots, b"/", b"", dotfiles=dotfiles, hide=hide, prefix=root.prefix)
        return Listings(template, self._errors, archive, self._caches.settings.small_file, self._withheld)

    def _withheld(self, path: bytes) -> tuple[bytes, ...]:
        """What an archive of a directory must not have in it: nobody judges its files one by one. Who gets it has
        passed the guards of the directory."""
        return self._access.withheld(self._access.guards_for(path))

    def answer(self, request: Request, client: str) -> Answer:
        """See site.sites.Answering."""
        if self._direct and request.plain:
            return self._files.answer(request, request.path)
        if request.fault:
            return self._errors.answer(request, request.fault)
        method = request.method
        asking = _Asking(request, client)
        if method in (b"GET", b"HEAD"):
            answer = self._let_in(asking, request.path, self._routed)
        elif method == b"OPTIONS":
            return self._about(request)
        elif method in KNOWN_METHODS:
            answer = self._with_page(asking, self._errors.answer(request, 405, _ALLOW))
        else:
            answer = self._with_page(asking, self._errors.answer(request, 501))
        if self._plan.cors.per_request and (fields := self._plan.cors.fields_for(request.fields.get(_ORIGIN))):
            answer = then(answer, partial(_with_fields, fields))
        return answer

    def failure(self, request: Request, status: int = 500) -> Response:
        """See site.sites.Answering."""
        return self._errors.answer(request, status)

    def snapshot(self) -> dict[str, object]:
        """See site.sites.Answering."""
        return self._caches.snapshot()

    def _about(self, request: Request) -> Response:
        """OPTIONS, of "*" as of any file: the methods are the same for all (RFC 9110, 9.3.7). Or a preflight."""
        preflight = self._plan.cors.preflight(request)
        return self._options if preflight is None else fixed(204, (*SERVER, *preflight))

    # Who may ask

    def _let_in(self, asking: _Asking, path: bytes, go_on: Callable[[_Asking], Answer]) -> Answer:
        """Go on, if the guards of a path let the request through."""
        guards = self._guards_of(path)
        return self._judged(asking, guards, go_on) if guards else go_on(asking)

    def _guards_of(self, path: bytes) -> tuple[Guard, ...]:
        """The guards of a path, by all names under which it may be found."""
        return self._access.guards_for(*self._plan.names(path, self._settings.index)) if self._access else ()

    def _judged(
        self,
        asking: _Asking,
        guards: tuple[Guard, ...],
        go_on: Callable[[_Asking], Answer],
        answered: Answered | None = None,
    ) -> Answer:
        verdict = judge(guards, asking.request, asking.client, self._now, answered)
        if verdict is None:
            return go_on(asking._replace(passed=(*asking.passed, *guards)))
        if isinstance(verdict, Verify):
            return Pending(verdict, partial(self._verified, asking, guards, go_on, verdict))
        return self._with_page(asking, self._errors.answer(asking.request, verdict.status, verdict.fields))

    def _verified(
        self,
        asking: _Asking,
        guards: tuple[Guard, ...],
        go_on: Callable[[_Asking], Answer],
        asked: Verify,
        result: Result,
    ) -> Answer:
        if result.outcome not in (Outcome.PASSED, Outcome.REFUSED):
            status = 500 if result.outcome is Outcome.FAILED else 503
            return self._with_page(asking, self._errors.answer(asking.request, status))
        return self._judged(asking, guards, go_on, (asked, result.outcome is Outcome.PASSED))

    # Which resource answers

    def _routed(self, asking: _Asking) -> Answer:
        request, routes = asking.request, self._plan.routes
        route = routes.before(request.path, request.query, request.host) if routes else None
        if route is not None:
            return self._follow(asking, route)
        answer = self._at(request, request.path) if self._plan.slashes is None else self._tried(request)
        return then(answer, partial(self._unless_missing, asking)) if self._refined else answer

    def _tried(self, request: Request) -> Answer:
        """What the policy of slashes finds for the path that is asked for."""
        slashes, path = self._plan.slashes, request.path
        assert slashes is not None
        led = slashes.redirect(path)
        if led is not None:
            return self._lead(request, led)
        return then(self._at(request, path), partial(self._unless_found, request, slashes.tries(path), False))

    def _unless_found(self, request: Request, tries: tuple[Try, ...], is_directory: bool, response: Response) -> Answer:
        """The answer of the first try, if it found something; else that of the next."""
        status = response.head.status
        is_directory = is_directory or status == 301  # by which Files answers for a directory without its slash
        if status not in (301, 404):
            moved = tries[0].moved
            return response if moved is None or status >= 400 else self._lead(request, moved)
        if len(tries) > 1:
            return then(self._at(request, tries[1].path), partial(self._unless_found, request, tries[1:], is_directory))
        assert self._plan.slashes is not None
        if status == 404 and not is_directory:
            return response
        led = self._plan.slashes.directory(request.path) if not request.path.endswith(b"/") else None
        return self._errors.answer(request, 404) if led is None else self._lead(request, led)

    def _lead(self, request: Request, path: bytes) -> Response:
        """To another address of the site; a path only, so that no Host can be reflected (RFC 9110, 10.2.2)."""
        query = b"?" + quote_query(request.query) if request.query else b""
        return fixed(301, (*self._errors.extra, (b"Location", quote_path(path) + query)))

    def _at(self, request: Request, path: bytes) -> Answer:
        """What lies at a path."""
        address = request.path
        aspect = self._aspect(address, path) if path != address else b""
        for prefix, files in self._mounts:
            if path == prefix:
                return self._lead(request, path + b"/")
            if path.startswith(prefix) and path.startswith(b"/", len(prefix)):
                return files.answer(request, path[len(prefix) :], address, aspect)
        return self._files.answer(request, path, address, aspect)

    def _aspect(self, address: bytes, path: bytes) -> bytes:
        """What is said of an address, if it is not just what is said of the path that it leads to (Files.answer)."""
        aspect = self._aspect_of(address)
        return b"" if aspect == self._aspect_of(path) else b"\1" + aspect

    def _aspect_of(self, path: bytes) -> bytes:
        return b"%b%d" % (self._plan.rules.aspect(path), self._is_private(path))

    def _follow(self, asking: _Asking, route: Route) -> Answer:
        if isinstance(route, Redirected):
            return fixed(route.status, (*self._errors.extra, (b"Location", route.location)))
        request = asking.request
        if not isinstance(route, Gone) and route.status == 200:
            return self._instead(asking, route.path)
        error, with_page = self._errors.answer(request, route.status), partial(self._with_page, asking)
        return with_page(error) if isinstance(route, Gone) else self._page(asking, error, route.path, with_page)

    def _instead(self, asking: _Asking, path: bytes) -> Answer:
        """What lies at another path than the one that is asked for, if the request may have that."""
        return self._let_in(asking, path, partial(self._found_instead, path))

    def _found_instead(self, path: bytes, asking: _Asking) -> Answer:
        slashes = self._plan.slashes
        paths = (path,) if slashes is None else tuple(each.path for each in slashes.tries(path))
        return then(self._first_of(asking.request, paths), partial(self._with_page, asking))

    def _first_of(self, request: Request, paths: tuple[bytes, ...]) -> Answer:
        """What lies at the first of some paths where there is something."""
        answer = self._at(request, paths[0])
        return answer if len(paths) == 1 else then(answer, partial(self._or_else, request, paths[1:]))

    def _or_else(self, request: Request, paths: tuple[bytes, ...], response: Response) -> Answer:
        return self._first_of(request, paths) if response.head.status in (301, 404) else response

    def _unless_missing(self, asking: _Asking, response: Response) -> Answer:
        """Where there is no file, other rules have their turn."""
        if response.head.status != 404:
            return self._with_page(asking, response)
        request, routes, fallback = asking.request, self._plan.routes, self._plan.fallback
        route = routes.after(request.path, request.query, request.host) if routes else None
        if route is not None:
            return self._follow(asking, route)
        if fallback and is_navigation(request.fields.get(b"accept"), request.path, request.method):
            return self._instead(asking, fallback)
        return self._with_page(asking, response)

    # What is said of errors

    def _with_page(self, asking: _Asking, response: Response) -> Answer:
        """The site's own page for an error, if there is one."""
        status = response.head.status
        path = self._plan.pages.path(status) if status >= 400 and self._plan.pages else None
        return response if path is None else self._page(asking, response, path, _as_it_is)

    def _page(
        self, asking: _Asking, response: Response, path: bytes, otherwise: Callable[[Response], Answer]
    ) -> Answer:
        """The error with a file as its page. Otherwise, if that is not there, or behind a guard that has not let the
        request through (of the page that says "401" there must be an exception)."""
        guards = self._guards_of(path)
        if any(guard.fields and guard not in asking.passed for guard in guards):
            return otherwise(response)
        request = asking.request
        return then(self._at(_page_request(path), path), partial(_in_place_of, request, response, otherwise))

    # What is said with files

    def _fields_of(self, address: bytes, served: bytes, media_type: bytes) -> FieldList:
        """The fields of a file's answers; bound to an entry of the caches."""
        made = self._plan
        rules = made.private_rules if self._is_private(address) or self._is_private(served) else made.rules
        fields = rules.fields(address, served, media_type)
        if made.fallback and served == made.fallback:
            fields = (*fields, (b"Vary", b"Accept"))
        return (*SERVER, *fields, *made.cors.static)

    def _is_private(self, path: bytes) -> bool:
        """Whether not everybody may have what lies at a path."""
        return any(guard.fields for guard in self._guards_of(path))


def _as_it_is(response: Response) -> Answer:
    return response


def _page_request(path: bytes) -> Request:
    """Asks for the whole of a page, whatever the client has asked for."""
    line = RequestLine(b"GET", path, path, b"", 1)
    return Request(line, Block({}, keep_alive=True, plain=False, has_body=False))


_OF_CONTENT = (b"content-type", b"content-length", b"content-language", b"content-encoding")


def _in_place_of(
    request: Request, response: Response, otherwise: Callable[[Response], Answer], page: Response
) -> Answer:
    """An error whose content is that of a page; status and fields that say something of the error stay."""
    if page.head.status != 200:
        return otherwise(response)
    kept = [field for field in response.head.fields if field[0].lower() not in _OF_CONTENT]
    described = [field for field in page.head.fields if field[0].lower() in _OF_CONTENT]
    body = page.body if request.method != b"HEAD" else ()
    return Response(Head(response.head.status, (*kept, *described)), body, response.close)


def _with_fields(fields: FieldList, response: Response) -> Response:
    head = response.head
    return Response(Head(head.status, (*head.fields, *fields)), response.body, response.close)


def _roots(settings: SiteSection, tag: bytes) -> list[Root]:
    """The root of a site, and then what is mounted there."""
    places = [(b"", (settings.root, *settings.allowed_roots))]
    places += [(mount.path.rstrip("/").encode(), (mount.root, *mount.allowed_roots)) for mount in settings.mount]
    return [
        Root(
            absolute(*roots),
            prefix=prefix,
            tag=tag if not number else b"%b+%d" % (tag, number),
            index_names=tuple(os.fsencode(name) for name in settings.index),
            suffixes=tuple(SUFFIXES[coding.encode()] for coding in settings.precompressed),
            digests=settings.etag == "content",
            keep=settings.keep_releases,
            encode=tuple(coding.encode() for coding in settings.encode),
            media_types={
                name.lstrip(".").lower().encode(): kind.encode() for name, kind in settings.media_types.items()
            },
        )
        for number, (prefix, roots) in enumerate(places)
    ]
