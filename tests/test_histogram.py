"""The log-linear histogram: its laws."""

from hypothesis import given
from hypothesis import strategies as st

from flashpy.histogram import (
    BUCKETS,
    ERROR,
    TICKS,
    Histogram,
    added,
    bucket_of,
    cumulative,
    lower_edge,
    middle,
    quantile,
    since,
    total_seconds,
)

TOLD_APART = st.integers(0, 2**36 - 1)
DURATIONS = st.lists(st.floats(0.0, 6000.0), max_size=50)


def histogram_of(durations: list[float]) -> dict[int, int]:
    """The durations, counted."""
    histogram = Histogram()
    for seconds in durations:
        histogram.note(seconds)
    return histogram.sparse()


@given(TOLD_APART)
def test_each_duration_has_the_bucket_around_it(ticks: int) -> None:
    bucket = bucket_of(ticks)
    assert 0 <= bucket < BUCKETS
    assert lower_edge(bucket) <= ticks < lower_edge(bucket + 1)


@given(TOLD_APART)
def test_the_error_is_bounded_relative_to_the_duration(ticks: int) -> None:
    assert abs(middle(bucket_of(ticks)) * TICKS - ticks) <= max(0.5, ERROR * ticks)


@given(st.integers(2**36, 2**60))
def test_what_is_very_long_is_in_the_last_bucket(ticks: int) -> None:
    assert bucket_of(ticks) == BUCKETS - 1


@given(st.integers(-100, 2**36), st.integers(0, 2**36))
def test_longer_durations_are_never_in_lower_buckets(ticks: int, more: int) -> None:
    assert bucket_of(ticks) <= bucket_of(ticks + more)


def test_short_durations_may_be_looked_up() -> None:
    assert tuple(bucket_of(ticks) for ticks in range(len(Histogram.SHORT))) == Histogram.SHORT


@given(DURATIONS, DURATIONS)
def test_merging_is_addition(some: list[float], others: list[float]) -> None:
    """As if all had been counted by one; and what was added is what has been counted since."""
    together = histogram_of(some + others)
    assert added([histogram_of(some), histogram_of(others)]) == together
    assert since(together, histogram_of(some)) == histogram_of(others)
    assert added([together]) == together and added([]) == {}


@given(st.lists(st.floats(0.0, 6000.0), min_size=1, max_size=50), st.floats(0.01, 1.0))
def test_quantiles_are_near_those_of_the_durations(durations: list[float], part: float) -> None:
    rank = next(rank for rank in range(1, len(durations) + 1) if part * len(durations) <= rank)
    exact = sorted(durations)[rank - 1]
    found = quantile(histogram_of(durations), part)
    assert found is not None
    assert abs(found - exact) <= max(1 / TICKS, 1.01 * ERROR * exact)


def test_nothing_has_no_quantile() -> None:
    assert quantile({}, 0.5) is None


@given(DURATIONS)
def test_the_sum_is_near_that_of_the_durations(durations: list[float]) -> None:
    error = abs(total_seconds(histogram_of(durations)) - sum(durations))
    assert error <= len(durations) / TICKS + 1.01 * ERROR * sum(durations)


@given(DURATIONS, st.lists(st.floats(0.0, 6000.0), max_size=8).map(sorted))
def test_cumulative_counts_rise_to_all(durations: list[float], bounds: list[float]) -> None:
    histogram = histogram_of(durations)
    counts = [count for _, count in cumulative(histogram, [*bounds, 1e9])]
    assert counts == sorted(counts)
    assert counts[-1] == len(durations)
