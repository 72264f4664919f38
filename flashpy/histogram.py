"""A log-linear histogram of durations, as HdrHistogram has it: the error is bounded relative to the duration.

Durations are counted in tenths of microseconds. Each power of two is parted into 32 buckets of equal width, so that a
bucket's middle is never further from what was counted than one part in 64. Histograms of several processes are added.
"""

from collections.abc import Iterator, Mapping, Sequence

TICKS = 1e7
"""Ticks in a second; durations are whole numbers of them."""
_BITS = 5
_SUB = 1 << _BITS
_LONGEST = 36
"""Bits of the longest duration that is told apart from longer ones: about two hours."""
BUCKETS = (_LONGEST - _BITS + 1) * _SUB
"""How many buckets there are."""
ERROR = 1 / (2 * _SUB)
"""How far the middle of a bucket is from what was counted there, at most, relative to it (or half a tick)."""


def bucket_of(ticks: int) -> int:
    """The bucket of a duration."""
    if ticks < 2 * _SUB:
        return max(0, ticks)
    shift = ticks.bit_length() - _BITS - 1
    return min(BUCKETS - 1, (shift << _BITS) + (ticks >> shift))


def lower_edge(bucket: int) -> int:
    """The shortest duration of a bucket, in ticks."""
    shift = max(0, (bucket >> _BITS) - 1)
    return (bucket - (shift << _BITS)) << shift


def middle(bucket: int) -> float:
    """What stands for all durations of a bucket, in seconds."""
    return (lower_edge(bucket) + lower_edge(bucket + 1) - 1) / 2 / TICKS


class Histogram:
    """Counts of durations. ``SHORT`` has the buckets of all that is short, for who counts without a call."""

    SHORT = tuple(map(bucket_of, range(4096)))

    __slots__ = ("counts",)

    def __init__(self) -> None:
        self.counts = [0] * BUCKETS

    def note(self, seconds: float) -> None:
        """Count a duration."""
        self.counts[bucket_of(int(seconds * TICKS))] += 1

    def sparse(self) -> dict[int, int]:
        """The buckets in which there is something, for a message."""
        return {bucket: count for bucket, count in enumerate(self.counts) if count}


Sparse = Mapping[int, int]
"""Counts by bucket; the empty ones are left out."""


def added(histograms: Sequence[Sparse]) -> dict[int, int]:
    """What several histograms have counted together."""
    total: dict[int, int] = {}
    for histogram in histograms:
        for bucket, count in histogram.items():
            total[bucket] = total.get(bucket, 0) + count
    return total


def since(now: Sparse, before: Sparse) -> dict[int, int]:
    """What a histogram has counted since it was as it was before; none where it has begun anew."""
    return {bucket: more for bucket, count in now.items() if (more := count - before.get(bucket, 0)) > 0}


def quantile(histogram: Sparse, part: float) -> float | None:
    """The duration in seconds that this part of all durations does not exceed; None if there is none."""
    rank = part * sum(histogram.values())
    for bucket in sorted(histogram):
        rank -= histogram[bucket]
        if rank <= 0:
            return middle(bucket)
    return None


def total_seconds(histogram: Sparse) -> float:
    """All durations together, within the bounded error."""
    return sum(middle(bucket) * count for bucket, count in histogram.items())


def cumulative(histogram: Sparse, bounds: Sequence[float]) -> Iterator[tuple[float, int]]:
    """For each bound, in rising order, how many durations were not longer, by the middles of their buckets."""
    buckets = sorted(histogram)
    position = count = 0
    for bound in bounds:
        while position < len(buckets) and middle(buckets[position]) <= bound:
            count += histogram[buckets[position]]
            position += 1
        yield bound, count
