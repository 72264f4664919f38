"""Server-Timing (the W3C's document of that name): what an answer has waited for, said in the answer itself.

Around all sites, which know nothing of it, and only where it is wanted: it tells strangers what is cached, and an
answer that says something of its own cannot be prepared for others.
"""

from collections.abc import Callable
from functools import partial

from flashpy.buffers import Slice
from flashpy.cache.residency import Residency
from flashpy.http.request import Request
from flashpy.http.response import Head, Response
from flashpy.job.kinds import Load, Result
from flashpy.now import Now
from flashpy.resource.answer import Answer, Pending
from flashpy.site.sites import Answering


class TimedSite:
    """Sites whose answers have a Server-Timing field (a site.sites.Answering):

    - ``queue``: milliseconds that its jobs have waited for a helper;
    - ``helper``: how long helpers have needed for them;
    - ``residency``: where the body comes from, ``memory`` (our own), ``resident`` (the page cache) or ``loaded`` (from
      the disk), and how long its first window has been waited for.
    """

    __slots__ = ("_now", "_residency", "_site")

    def __init__(self, site: Answering, residency: Residency, now: Now) -> None:
        self._site = site
        self._residency = residency
        self._now = now

    def answer(self, request: Request, client: str) -> Answer:
        """See Answering."""
        return self._timed(self._site.answer(request, client), 0.0, 0.0)

    def failure(self, request: Request, status: int = 500) -> Response:
        """See Answering."""
        return self._site.failure(request, status)

    def snapshot(self) -> dict[str, object]:
        """See Answering."""
        return self._site.snapshot()

    def _timed(self, answer: Answer, queued: float, took: float) -> Answer:
        """The answer with its times, whose jobs so far have waited and taken so many seconds."""
        if isinstance(answer, Response):
            return self._loaded(answer, partial(_said, answer, queued, took))
        return Pending(answer.job, partial(self._go_on, answer.go_on, queued, took))

    def _go_on(self, go_on: Callable[[Result], Answer], queued: float, took: float, result: Result) -> Answer:
        return self._timed(go_on(result), queued + result.queued, took + result.took)

    def _loaded(self, answer: Response, said: Callable[[str, float], Response]) -> Answer:
        """The answer, when the first window of its body is in memory: nothing can be said of it later."""
        first = answer.body[0] if answer.body else b""
        if not isinstance(first, Slice):
            return said("memory", 0.0)
        length = self._residency.to_load(first.file, first.offset, first.length)
        if self._residency.resident(first.file, first.offset, length, self._now.monotonic):
            return said("resident", 0.0)

        def loaded(result: Result) -> Response:
            self._residency.loaded(first.file, first.offset, length, self._now.monotonic)
            return said("loaded", result.queued + result.took)

        return Pending(Load(first.file, first.offset, length), loaded)


def _said(response: Response, queued: float, took: float, place: str, waited: float) -> Response:
    value = (
        f'queue;dur={1000 * queued:.3f}, helper;dur={1000 * took:.3f}, residency;dur={1000 * waited:.3f};desc="{place}"'
    )
    head = Head(response.head.status, (*response.head.fields, (b"Server-Timing", value.encode())))
    timed = Response(head, response.body, response.close)
    timed.flat = None  # it is good for one request: not worth being kept
    return timed
