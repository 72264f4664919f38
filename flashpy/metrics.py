"""Counters and histograms: plain integers, read through ``Server.metrics()``."""

from bisect import bisect_left

STALL_BOUNDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Upper bounds of the stall histogram's buckets in seconds; below the first a stall is not worth the name."""


WORTH_A_WORD = 0.05
"""A stall of more than so many seconds is logged: clients feel it."""


class Stalls:
    """How long single iterations of the event loop kept all others waiting.

    Only iterations of 2 ms and more are noted: libuv's clock, from which an iteration's beginning is read, counts
    whole milliseconds. An iteration is noted once, with the longest delay seen in it and what was running then.
    """

    __slots__ = ("_bucket", "_iteration", "_worst", "buckets", "longest", "longest_cause")

    def __init__(self) -> None:
        self.buckets = [0] * (len(STALL_BOUNDS) + 1)
        self.longest = 0.0
        self.longest_cause = ""
        self._worst: tuple[float, str] | None = None
        self._iteration = 0.0
        self._bucket = 0

    def note(self, iteration: float, seconds: float, cause: str) -> None:
        """The iteration that began at ``iteration`` (loop time) has now lasted ``seconds``."""
        bucket = bisect_left(STALL_BOUNDS, seconds)
        if iteration == self._iteration:
            self.buckets[self._bucket] -= 1
        self._iteration, self._bucket = iteration, bucket
        self.buckets[bucket] += 1
        if seconds > self.longest:
            self.longest, self.longest_cause = seconds, cause
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
        return counts | {"longest": round(self.longest, 6), "longest_cause": self.longest_cause}


class Metrics:
    """Everything that one server counts. Attributes are added to in place, with no lock: one loop, one thread."""

    __slots__ = (
        "connections_accepted",
        "connections_refused",
        "connections_shed",
        "descriptors_exhausted",
        "faults",
        "handshakes",
        "handshakes_failed",
        "handshakes_resumed",
        "helper_deaths",
        "jobs",
        "jobs_cancelled",
        "jobs_late",
        "jobs_refused",
        "loads",
        "loads_ahead",
        "mispredictions",
        "requests",
        "requests_limited",
        "residency_hits",
        "stalls",
        "timeouts",
        "truncated",
    )

    def __init__(self) -> None:
        self.requests = 0
        self.requests_limited = 0  # of clients that asked too often, answered 429
        self.connections_accepted = 0
        self.connections_refused = 0  # over a limit, or no proxy that is trusted
        self.connections_shed = 0  # closed to make room for others
        self.descriptors_exhausted = 0  # EMFILE or ENFILE, on accept or in a helper
        self.faults = 0  # exceptions that reached a connection's barrier: bugs
        self.handshakes = 0  # of TLS, finished
        self.handshakes_failed = 0  # refused by either side, or no TLS at all
        self.handshakes_resumed = 0  # of those finished: with a session from before
        self.helper_deaths = 0
        self.jobs = 0  # handed to helpers; equal ones in flight count once
        self.jobs_cancelled = 0  # dropped unbegun, because whoever wanted them had gone
        self.jobs_late = 0  # waited for longer than helpers.timeout
        self.jobs_refused = 0  # codings and passwords, because too many waited or nobody could do them
        self.loads = 0  # windows that were not resident
        self.loads_ahead = 0  # windows that were loaded before their turn
        self.residency_hits = 0
        self.mispredictions = 0  # said resident, yet the send took over a millisecond
        self.timeouts = 0
        self.truncated = 0  # files that shrank while they were being sent
        self.stalls = Stalls()

    def snapshot(self) -> dict[str, object]:
        """All counters by name; a copy."""
        counts: dict[str, object] = {name: getattr(self, name) for name in sorted(self.__slots__)}
        return counts | {"stalls": self.stalls.snapshot()}
