"""A site: which resource answers a request, and what is answered before any resource is asked."""

from flashpy.http.request import KNOWN_METHODS, Request
from flashpy.http.response import FieldList, Response, fixed
from flashpy.job.kinds import Job, Result, Runner
from flashpy.now import Now
from flashpy.resource.errors import ErrorPages
from flashpy.resource.files import Files
from flashpy.settings import Config

_ALLOW: FieldList = ((b"Allow", b"GET, HEAD, OPTIONS"),)


class Site:
    """Answers everything that comes to a server: faults, methods, files."""

    __slots__ = ("_errors", "_options", "files")

    def __init__(self, config: Config, runner: Runner, now: Now) -> None:
        extra: FieldList = (
            (b"Server", b"flashpy"),
            *((name.encode(), value.encode("latin-1")) for name, value in config.site.headers.items()),
        )
        self._errors = ErrorPages(extra)
        self._options = fixed(204, (*extra, *_ALLOW))
        self.files = Files(config.site, config.cache, runner, now, self._errors, config.limits.ranges)

    def answer(self, request: Request, result: Result | None = None) -> Response | Job:
        """The answer to a request, or the job that is needed first (see resource.files)."""
        if request.plain or result is not None:
            return self.files.answer(request, result)
        if request.fault:
            return self._errors.answer(request, request.fault)
        method = request.method
        if method in (b"GET", b"HEAD"):
            return self.files.answer(request)
        if method == b"OPTIONS":
            return self._options  # of "*" as of any file: the methods are the same for all (RFC 9110, 9.3.7)
        if method in KNOWN_METHODS:
            return self._errors.answer(request, 405, _ALLOW)
        return self._errors.answer(request, 501)

    def failure(self, request: Request, status: int = 500) -> Response:
        """The answer when answering has failed by our own fault."""
        return self._errors.answer(request, status)
