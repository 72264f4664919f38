"""Anticipatory scheduling (Iyer and Druschel, SOSP 2001): when a stream's request has been done and only others' wait,
it may pay to wait a moment for the stream's next one, because it will be close by, and the way to the others is long.

Disks tell nothing of positions here, so what the way costs is measured: how much longer a load takes that turns to
another stream than one that goes on with the same. A stream that reads ahead has its next request there in time: then
there is nothing to wait for, and it is enough to keep its requests together.
"""

from collections import OrderedDict

BUCKET = 0.0005
"""Seconds of a bucket of the histogram of think times."""
BUCKETS = 30
"""Beyond 15 ms nobody is waited for."""
MEMORY = 64
"""Think times after which those seen before count half."""
STREAMS = 256
"""Streams of which think times are kept."""
WEIGHT = 0.125
"""Of a new measurement in a decaying mean."""
LEAST_WAIT = 0.0001
"""Seconds below which waiting is not worth a timer."""
RUN = 8
"""Loads of one stream in a row, at most, while others wait."""


class Stream:
    """How long a reader takes from an answer to its next request: a histogram that forgets."""

    __slots__ = ("_counts", "_total", "since")

    def __init__(self) -> None:
        self._counts = [0.0] * (BUCKETS + 1)
        self._total = 0.0
        self.since: float | None = None  # when its last request was done, if it has asked for nothing since

    def note(self, think: float) -> None:
        """Take a think time in seconds into account."""
        self._counts[min(BUCKETS, int(think / BUCKET))] += 1
        self._total += 1
        if self._total >= MEMORY:
            self._counts = [count / 2 for count in self._counts]
            self._total /= 2

    def think(self, share: float) -> float:
        """The time in seconds within which such a share of the requests has come; infinite beyond the last bucket, and
        where nothing is known."""
        sum_so_far = 0.0
        for index, count in enumerate(self._counts[:BUCKETS]):
            sum_so_far += count
            if self._total and sum_so_far >= share * self._total:
                return (index + 1) * BUCKET
        return float("inf")


class Anticipation:
    """Decides for one device whose load is next, and whether to wait. It is told what happens, and has no clock."""

    __slots__ = ("_continuing", "_last", "_run", "_streams", "_turning")

    def __init__(self) -> None:
        self._streams: OrderedDict[int, Stream] = OrderedDict()
        self._continuing = 0.0  # seconds that a load takes that goes on with the stream
        self._turning = 0.0  # and one that turns to another
        self._last: int | None = None  # the stream that the disk was turned to last
        self._run = 0  # its loads in a row

    @property
    def favourite(self) -> int | None:
        """The stream whose load should be next if it has one; none once it has had its turn."""
        return self._last if self._run < RUN else None

    def asked(self, stream: int, now: float) -> None:
        """A stream has asked for a load."""
        known = self._stream(stream)
        if known.since is not None:
            known.note(now - known.since)
            known.since = None

    def done(self, stream: int, seconds: float, now: float, more: bool = False) -> None:
        """A load is done, after so many seconds. ``more``: the stream has asked for its next before."""
        same = stream == self._last
        if self._last is not None:
            name = "_continuing" if same else "_turning"
            before = getattr(self, name)
            setattr(self, name, before + WEIGHT * (seconds - before) if before else seconds)
        self._last, self._run = stream, self._run + 1 if same else 1
        known = self._stream(stream)
        known.since = None if more else now
        if more:
            known.note(0.0)

    def wait(self, now: float) -> float:
        """For how many seconds to wait for the favourite, though others wait: the benefit is the way that is saved, the
        cost is the time in which nothing is done (section 4.1 of the paper)."""
        if self.favourite is None:
            return 0.0
        known = self._stream(self.favourite)
        if known.since is None:
            return 0.0
        elapsed, longest = now - known.since, known.think(0.95)
        cost = max(0.0, known.think(0.5) - elapsed)
        if self._turning - self._continuing <= cost or longest == float("inf"):
            return 0.0
        left = longest - elapsed
        return left if left > LEAST_WAIT else 0.0

    def _stream(self, number: int) -> Stream:
        known = self._streams.get(number)
        if known is None:
            known = self._streams[number] = Stream()
            if len(self._streams) > STREAMS:
                self._streams.popitem(last=False)
        return known
