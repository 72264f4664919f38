"""Counters and histograms: plain integers, read through ``Server.metrics()``."""

from bisect import bisect_left, insort
from typing import NamedTuple

from flashpy.histogram import Histogram

STALL_BOUNDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Upper bounds of the stall histogram's buckets in seconds; below the first a stall is not worth the name."""


WORTH_A_WORD = 0.05
"""A stall of more than so many seconds is logged: clients feel it."""


WORST = 8
"""Stalls that are remembered with their causes."""


class Stall(NamedTuple):
    """How many seconds the loop was held, what was running then, and when it was (monotonic)."""

    seconds: float
    cause: str
    when: float


class Stalls:
    """How long single callbacks of the event loop kept all others waiting; only those of 2 ms and more are noted.

    The loop's own turns cannot be told apart from within: uvloop's clock is read anew at each call.
    """

    __slots__ = ("_worst", "buckets", "worst")

    def __init__(self) -> None:
        self.buckets = [0] * (len(STALL_BOUNDS) + 1)
        self.worst: list[Stall] = []  # the longest first
        self._worst: tuple[float, str] | None = None

    def note(self, began: float, seconds: float, cause: str) -> None:
        """A callback that began then (monotonic) has lasted so many seconds."""
        self.buckets[bisect_left(STALL_BOUNDS, seconds)] += 1
        insort(self.worst, Stall(seconds, cause, began), key=lambda stall: -stall.seconds)
        del self.worst[WORST:]
        if seconds > WORTH_A_WORD and (self._worst is None or seconds > self._worst[0]):
            self._worst = seconds, cause

    def worst_since(self) -> tuple[float, str] | None:
        """The longest stall since this was asked last, with its cause, if it was long enough to be spoken of."""
        worst, self._worst = self._worst, None
        return worst

    def snapshot(self) -> dict[str, float | int | str]:
        """Buckets by their upper bound in seconds (not cumulative), and the longest stall with its cause."""
        names = [f"le_{bound:g}" for bound in STALL_BOUNDS] + ["longer"]
        counts: dict[str, float | int | str] = dict(zip(names, self.buckets, strict=True))
        longest = self.worst[0] if self.worst else Stall(0.0, "", 0.0)
        return counts | {"longest": round(longest.seconds, 6), "longest_cause": longest.cause}


COUNTERS = {
    "requests": "Requests that were received.",
    "sent_bytes": "Bytes of answers that were given to the kernel.",
    "connections_accepted": "Connections that were accepted.",
    "requests_limited": "Requests of clients that asked too often, answered 429.",
    "connections_refused": "Connections over a limit, answered 503, or of a proxy that is not trusted.",
    "connections_shed": "Connections that were closed to make room for others.",
    "handshakes": "TLS handshakes that were finished.",
    "handshakes_failed": "TLS handshakes refused by either side, or no TLS at all.",
    "handshakes_resumed": "TLS handshakes finished with a session from before.",
    "timeouts": "Connections that were closed because they were late.",
    "truncated": "Answers broken off because a file had become shorter.",
    "faults": "Exceptions that reached a connection's barrier: bugs.",
    "descriptors_exhausted": "Times that descriptors were short, on accept or in a helper.",
    "helper_deaths": "Helper processes that died.",
    "jobs": "Jobs handed to helpers; equal ones in flight count once.",
    "jobs_cancelled": "Jobs dropped unbegun, because whoever wanted them had gone.",
    "jobs_late": "Jobs that somebody has waited for in vain for helpers.timeout.",
    "jobs_refused": "Codings and passwords refused, because too many waited or nobody could do them.",
    "residency_hits": "Windows of files that were resident.",
    "loads": "Windows of files that were not resident, and had to be loaded.",
    "loads_ahead": "Windows of files that were loaded before their turn.",
    "mispredictions": "Windows said to be resident whose sending took more than a millisecond all the same.",
}
"""What is counted, by the attribute of ``Metrics``."""


class Metrics:
    """Everything that one server counts. Attributes are added to in place, with no lock: one loop, one thread.


    ``statuses`` are the answers by status; ``hits`` how long those took that were at hand, and ``waits`` those that had
    to wait for a job: from when a request is read until its answer begins to leave.
    """

    requests: int
    sent_bytes: int
    connections_accepted: int
    requests_limited: int
    connections_refused: int
    connections_shed: int
    handshakes: int
    handshakes_failed: int
    handshakes_resumed: int
    timeouts: int
    truncated: int
    faults: int
    descriptors_exhausted: int
    helper_deaths: int
    jobs: int
    jobs_cancelled: int
    jobs_late: int
    jobs_refused: int
    residency_hits: int
    loads: int
    loads_ahead: int
    mispredictions: int

    __slots__ = (*COUNTERS, "hits", "stalls", "statuses", "waits")

    def __init__(self) -> None:
        for name in COUNTERS:
            setattr(self, name, 0)
        self.statuses = [0] * 600
        self.hits = Histogram()
        self.waits = Histogram()
        self.stalls = Stalls()

    def snapshot(self) -> dict[str, object]:
        """All counters by name; a copy. The histograms have the counts of their buckets (histogram.middle)."""
        return {name: getattr(self, name) for name in COUNTERS} | {
            "statuses": {status: count for status, count in enumerate(self.statuses) if count},
            "hits": self.hits.sparse(),
            "waits": self.waits.sparse(),
            "stalls": self.stalls.snapshot(),
        }
