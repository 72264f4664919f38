"""A site: from a request to the resource that answers, and what is said before and after it is asked.

What depends on the client, the time or a credential is judged for each request, before any answer that is prepared;
all else is bound when an entry of a cache is made. A site that asks nothing of the kind answers a plain request by one
look into the cache.
"""

import os
from functools import partial

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


class Site:
    """Answers everything that comes for one site: faults, methods, access, routes, files, errors."""

    __slots__ = (
        "_access",
        "_caches",
        "_direct",
        "_errors",
        "_fallback",
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
        self._fallback = settings.fallback.encode()
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
        self._refined = bool(made.routes or settings.fallback or made.pages)
        self._direct = not (
            self._refined or made.access or self._mounts or made.slashes is not None or made.cors.per_request
        )

    def _listings(self, root: Root) -> Listings:
        dotfiles, hide = self._settings.dotfiles, self._plan.hide
        template = List(root.roots, b"/", dotfiles=dotfiles, hide=hide, prefix=root.prefix)
        if not self._settings.listing_archive:
            return Listings(template, self._errors)
        # Nobody judges the files of an archive one by one: what somebody would have to judge is not in it.
        archive = Walk(root.roots, b"/", b"", dotfiles=dotfiles, hide=(*hide, *self._plan.guarded), prefix=root.prefix)
        return Listings(template, self._errors, archive, self._caches.settings.small_file)

    def answer(self, request: Request, client: str) -> Answer:
        """See site.sites.Answering."""
        if self._direct and request.plain:
            return self._files.answer(request, request.path)
        if request.fault:
            return self._errors.answer(request, request.fault)
        method = request.method
        if method in (b"GET", b"HEAD"):
            return self._answer(request, client)
        if method == b"OPTIONS":
            return self._about(request)
        if method in KNOWN_METHODS:
            return self._errors.answer(request, 405, _ALLOW)
        return self._errors.answer(request, 501)

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

    def _answer(self, request: Request, client: str) -> Answer:
        names = self._plan.names(request.path, self._settings.index) if self._access else ()
        guards = self._access.guards_for(*names)
        answer = self._judged(request, client, guards) if guards else self._routed(request)
        if self._refined:
            answer = then(answer, partial(self._with_page, request))
        if self._plan.cors.per_request and (fields := self._plan.cors.fields_for(request.fields.get(_ORIGIN))):
            answer = then(answer, partial(_with_fields, fields))
        return answer

    # Who may ask

    def _judged(
        self, request: Request, client: str, guards: tuple[Guard, ...], answered: Answered | None = None
    ) -> Answer:
        verdict = judge(guards, request, client, self._now, answered)
        if verdict is None:
            return self._routed(request)
        if isinstance(verdict, Verify):
            return Pending(verdict, partial(self._verified, request, client, guards, verdict))
        return self._errors.answer(request, verdict.status, verdict.fields)

    def _verified(
        self, request: Request, client: str, guards: tuple[Guard, ...], asked: Verify, result: Result
    ) -> Answer:
        if result.outcome not in (Outcome.PASSED, Outcome.REFUSED):
            return self._errors.answer(request, 500 if result.outcome is Outcome.FAILED else 503)
        return self._judged(request, client, guards, (asked, result.outcome is Outcome.PASSED))

    # Which resource answers

    def _routed(self, request: Request) -> Answer:
        routes, path = self._plan.routes, request.path
        route = routes.before(path, request.query, request.host) if routes else None
        if route is not None:
            return self._follow(request, route)
        answer = self._at(request, path) if self._plan.slashes is None else self._tried(request, path)
        return then(answer, partial(self._unless_missing, request)) if self._refined else answer

    def _tried(self, request: Request, path: bytes) -> Answer:
        """What the policy of slashes finds for a path."""
        slashes = self._plan.slashes
        assert slashes is not None
        led = slashes.redirect(path)
        if led is not None:
            return self._lead(request, led)
        tries = slashes.tries(path)
        return then(self._at(request, path), partial(self._unless_found, request, tries, False))

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
        led = self._plan.slashes.directory(request.path) if is_directory else None
        return response if led is None else self._lead(request, led)

    def _lead(self, request: Request, path: bytes) -> Response:
        """To another address of the site; a path only, so that no Host can be reflected (RFC 9110, 10.2.2)."""
        query = b"?" + quote_query(request.query) if request.query else b""
        return fixed(301, (*self._errors.extra, (b"Location", quote_path(path) + query)))

    def _at(self, request: Request, path: bytes) -> Answer:
        """What lies at a path."""
        for prefix, files in self._mounts:
            if path == prefix:
                return self._lead(request, path + b"/")
            if path.startswith(prefix) and path.startswith(b"/", len(prefix)):
                return files.answer(request, path[len(prefix) :])
        return self._files.answer(request, path)

    def _follow(self, request: Request, route: Route) -> Answer:
        if isinstance(route, Redirected):
            return fixed(route.status, (*self._errors.extra, (b"Location", route.location)))
        if isinstance(route, Gone):
            return self._errors.answer(request, route.status)
        if route.status == 200:
            return self._at(request, route.path)
        return self._page(request, self._errors.answer(request, route.status), route.path)

    def _unless_missing(self, request: Request, response: Response) -> Answer:
        """Where there is no file, other rules have their turn."""
        if response.head.status != 404:
            return response
        routes = self._plan.routes
        route = routes.after(request.path, request.query, request.host) if routes else None
        if route is not None:
            return self._follow(request, route)
        if self._fallback and is_navigation(request.fields.get(b"accept"), request.path, request.method):
            return self._at(request, self._fallback)
        return response

    # What is said of errors

    def _with_page(self, request: Request, response: Response) -> Answer:
        status = response.head.status
        if status < 400:
            return response
        path = self._plan.pages.path(status)
        return response if path is None else self._page(request, response, path)

    def _page(self, request: Request, response: Response, path: bytes) -> Answer:
        """The error with a file as its page; as it was, where there is none."""
        return then(self._at(_PAGE_REQUEST, path), partial(_in_place_of, request, response))

    def _fields_of(self, asked: bytes, served: bytes, media_type: bytes) -> FieldList:
        """The fields of a file's answers; bound to an entry of the caches."""
        made = self._plan
        fields = made.rules.fields(asked, served, media_type)
        if not any(name.lower() == b"cache-control" for name, _ in fields):
            for guard in made.access.guards_for(asked, served):
                fields = (*fields, *guard.fields)
                break
        if served == self._fallback:
            fields = (*fields, (b"Vary", b"Accept"))
        return (*SERVER, *fields, *made.cors.static)


_PAGE_REQUEST = Request(
    RequestLine(b"GET", b"/", b"/", b"", 1), Block({}, keep_alive=True, plain=False, has_body=False)
)
"""Asks for the whole of an error page, whatever the client has asked for."""


def _in_place_of(request: Request, response: Response, page: Response) -> Response:
    """An error whose content is that of a page; status and fields that say something of the error stay."""
    if page.head.status != 200:
        return response
    of_content = (b"content-type", b"content-length", b"content-language", b"content-encoding")
    kept = [field for field in response.head.fields if field[0].lower() not in of_content]
    described = [field for field in page.head.fields if field[0].lower() in of_content]
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
