"""Why a request is answered as it is.

The answer is the real one: the site that the configuration describes is built and asked, and what it had looked for is
seen where it has it done (its runner). What the site has decided before that is found by asking the same compiled rules
(site.plan) the same questions.
"""

import os
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from flashpy.access.attempts import Attempts
from flashpy.access.guard import Refusal
from flashpy.arch.inline import do
from flashpy.cache.residency import PAGE, cached_pages
from flashpy.config import Config
from flashpy.http.framer import Fault
from flashpy.http.head import HeadReader
from flashpy.http.request import Request, faulty
from flashpy.http.response import Response
from flashpy.job.kinds import Check, Encode, Job, List, Outcome, Result, Translate, Verify, always
from flashpy.now import Now
from flashpy.resource.answer import Pending
from flashpy.routing.content_hash import has_content_hash
from flashpy.routing.globs import compile_globs
from flashpy.routing.hosts import Hosts
from flashpy.routing.redirects import Gone, Redirected, Route
from flashpy.routing.rules import Rule, Rules
from flashpy.settings import SiteSection
from flashpy.site.plan import Plan, plan
from flashpy.site.sites import Answering, answering

_CONDITIONS = (b"if-match", b"if-unmodified-since", b"if-none-match", b"if-modified-since", b"range", b"if-range")
_CONDITIONAL = frozenset({206, 304, 412, 416})


class Line(NamedTuple):
    """What there is to say about one thing."""

    about: str
    what: str


class Explanation(NamedTuple):
    """The request as it was read, the answer to it, and how it came about."""

    request: Request
    response: Response
    lines: list[Line]


class Observer:
    """Does jobs on the spot, and remembers them (a job.kinds.Runner)."""

    def __init__(self) -> None:
        self.done: list[tuple[Job, Result]] = []

    def run(self, job: Job, done: Callable[[Result], None], wanted: Callable[[], bool] = always) -> None:
        """See Runner."""
        result = do(job)
        self.done.append((job, result))
        done(result)


def explain(config: Config, head: bytes, client: str) -> Explanation:
    """Answer the request of a whole head, as from this client, and say why."""
    try:
        request = HeadReader(config.limits).read(head)
    except Fault as fault:
        request = faulty(fault.status, head.partition(b"\r\n")[0])
    now = Now(time.monotonic(), time.time())
    observer = Observer()
    site = answering(config, observer, now)
    response = _answer(site, observer, request, client)
    first, observer.done = observer.done, []
    _answer(site, observer, request, client)
    lines = [Line("request", _request(request))]
    if not request.fault:
        lines += _Reasons(config, request, client, now, response, first).lines()
    lines.append(Line("caches", _caches(first, observer.done)))
    return Explanation(request, response, lines)


def _answer(site: Answering, observer: Observer, request: Request, client: str) -> Response:
    answer = site.answer(request, client)
    while isinstance(answer, Pending):
        results: list[Result] = []
        observer.run(answer.job, results.append)
        answer = answer.go_on(results[0])
    return answer


def _request(request: Request) -> str:
    if request.fault:
        return f"it cannot be read, or is over a limit: {request.fault}"
    query = f" with the query {_text(request.query)}" if request.query else ""
    return f"{_text(request.method)} of {_text(request.path)}{query}, host {_text(request.host) or '(none)'}"


class _Reasons:
    """What led to an answer."""

    def __init__(
        self,
        config: Config,
        request: Request,
        client: str,
        now: Now,
        response: Response,
        jobs: list[tuple[Job, Result]],
    ) -> None:
        self._config = config
        self._request = request
        self._client = client
        self._now = now
        self._response = response
        self._jobs = jobs
        self._led = False  # by a route

    def lines(self) -> Iterator[Line]:
        """One thing after the other, in the order in which they were decided."""
        hosts = Hosts([(site.hosts, number) for number, site in enumerate(self._config.all_sites)])
        number = hosts.find(self._request.host)
        if number is None:
            yield Line("site", "none has this host")
            return
        site = self._config.all_sites[number]
        made = plan(site, Attempts())
        name = f"sites[{number - 1}]" if number else "site"
        yield Line("site", f"{name} ({', '.join(site.hosts) or 'all hosts'}), root {site.root}")
        if self._request.method not in (b"GET", b"HEAD"):
            return
        refused = False
        for line, refusal in self._access(site, made):
            refused = refused or refusal
            yield line
        if not refused:
            yield from self._routes(site, made)
        if not refused and self._response.head.status == 301 and not self._led:
            yield Line("address", "it has another: a directory, site.clean_urls or site.trailing_slash")
        yield from self._files(site, made)

    def _access(self, site: SiteSection, made: Plan) -> Iterator[tuple[Line, bool]]:
        """The tables that guard it, and whether they refuse it."""
        if not made.access:
            return
        patterns = [compile_globs(section.match, beneath=True) for section in site.access]
        verified = [result.outcome for job, result in self._jobs if isinstance(job, Verify)]
        names = made.names(self._request.path, site.index)
        for guard in made.access.guards_for(*names):
            name = next(name for name in names if made.access.guard_for(name) is guard)
            number = next(number for number, one in enumerate(patterns) if one and one.fullmatch(name))
            verdict = guard.judge(self._request, self._client, self._now)
            said, refused = "lets it through", False
            if isinstance(verdict, Refusal):
                said, refused = f"refuses it ({verdict.status}): {verdict.reason}", True
            elif isinstance(verdict, Verify):
                refused = Outcome.PASSED not in verified
                said = "refuses it: the password is wrong" if refused else "lets it through: the password is right"
            yield Line("access", f"access[{number}], by {_text(name)}, {said}"), refused
            if refused:
                return
        if not made.access.guards_for(*names):
            yield Line("access", "nothing guards it"), False

    def _routes(self, site: SiteSection, made: Plan) -> Iterator[Line]:
        asked = (self._request.path, self._request.query, self._request.host)
        route = made.routes.before(*asked)
        if route is None and any(result.outcome is Outcome.MISSING for _, result in self._jobs):
            route = made.routes.after(*asked)
        if route is not None:
            self._led = True
            section = site.route[route.rule]
            yield Line("route", f"route[{route.rule}] (from {section.source}): {_route(route)}")
        elif made.routes:
            yield Line("route", "no rule matches")

    def _files(self, site: SiteSection, made: Plan) -> Iterator[Line]:
        found = None
        for job, result in self._jobs:
            if isinstance(job, Translate):
                place = job.roots[0] + job.path + result.name
                outcome = result.outcome.name.lower().replace("_", " ")
                yield Line("looked for", f"{_text(place)}: {outcome}{_siblings(result)}")
                if result.outcome is Outcome.FILE:
                    found = place, result, _mounted(site, job.roots[0]) + job.path + result.name
            elif isinstance(job, List):
                yield Line("listed", _text(job.roots[0] + job.path))
        if made.hidden(self._request.path):
            yield Line("hidden", f"{_text(self._request.path)} (site.dotfiles, site.hide)")
        if found is None:
            return
        place, result, served = found
        assert result.identity is not None
        yield Line("file", f"{_text(place)}, {result.identity.size:,} bytes{_in_memory(place, result.identity.size)}")
        if site.fallback and served == site.fallback.encode() != self._request.path:
            yield Line("fallback", "site.fallback answers a navigation to what is no file")
        elif self._response.head.status >= 400:
            yield Line("error page", f"site.error_pages for {self._response.head.status}")
        yield from self._representation(site, made, served)

    def _representation(self, site: SiteSection, made: Plan, served: bytes) -> Iterator[Line]:
        fields = {name.lower(): value for name, value in self._response.head.fields}
        yield Line("coding", self._coding(site, fields.get(b"content-encoding")))
        media_type = fields.get(b"content-type", b"")
        for number, rule in enumerate(site.rule):
            one = Rules([Rule(rule.match, rule.types, rule.headers, rule.cache_control or None)], immutable=False)
            if said := one.fields(self._request.path, served, media_type):
                yield Line("rule", f"rule[{number}]: {', '.join(_text(name) for name, _ in said)}")
        if site.hashed_names and has_content_hash(served.rpartition(b"/")[2]):
            yield Line("hashed name", "site.hashed_names: it may be kept for a year, unless a rule says otherwise")
        if etag := fields.get(b"etag"):
            yield Line("validator", f"{_text(etag)} (site.etag: {site.etag})")
        if self._response.head.status in _CONDITIONAL:
            given = [name for name in _CONDITIONS if name in self._request.fields]
            yield Line("condition", ", ".join(f"{_text(name)}: {_text(self._request.fields[name])}" for name in given))

    def _coding(self, site: SiteSection, coding: bytes | None) -> str:
        accept = self._request.fields.get(b"accept-encoding")
        asked = "there is no Accept-Encoding" if accept is None else f"Accept-Encoding: {_text(accept)}"
        if coding is None:
            later = any(isinstance(job, Encode) for job, _ in self._jobs)
            return f"none; {asked}{'; the next request gets it coded' if later else ''}"
        made = any(isinstance(job, Encode) for job, _ in self._jobs)
        return f"{_text(coding)}, {'made by a helper (site.encode)' if made else 'as it is stored'}; {asked}"


def _route(route: Route) -> str:
    if isinstance(route, Redirected):
        return f"redirect ({route.status}) to {_text(route.location)}"
    return f"gone ({route.status})" if isinstance(route, Gone) else f"{_text(route.path)} with {route.status}"


def _siblings(result: Result) -> str:
    names = b", ".join(result.suffixes)
    return f", with {_text(names)} beside it" if names else ""


def _mounted(site: SiteSection, root: bytes) -> bytes:
    """Where a root is mounted."""
    for mount in site.mount:
        if os.fsencode(os.path.abspath(mount.root)) == root:
            return mount.path.rstrip("/").encode()
    return b""


def _in_memory(place: bytes, size: int) -> str:
    """How much of a file is in the page cache, where the kernel tells."""
    try:
        fd = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        pages = -(-size // PAGE)
        return f", {cached_pages(fd, 0, size)} of {pages} pages in memory" if pages else ""
    except OSError:
        return ""
    finally:
        os.close(fd)


def _caches(first: list[tuple[Job, Result]], then: list[tuple[Job, Result]]) -> str:
    """What a helper has to do for the first request, and for the next."""
    return f"the first request takes {_work(first)}, the next {_work(then)}"


def _work(done: list[tuple[Job, Result]]) -> str:
    names = {Check: "a look at it", Translate: "a look for it"}
    return ", ".join(names.get(type(job), type(job).__name__.lower()) for job, _ in done) or "no helper"


def _text(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")
