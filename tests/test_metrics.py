"""Counters and the stall histogram."""

from bisect import bisect_left

from hypothesis import given
from hypothesis import strategies as st

from flashpy.metrics import COUNTERS, STALL_BOUNDS, WORST, Metrics, Stalls


@given(st.lists(st.floats(0.002, 3.0), max_size=30))
def test_each_stall_is_counted_and_the_worst_are_kept(stalls_noted: list[float]) -> None:
    """The longest first."""
    stalls, expected = Stalls(), [0] * (len(STALL_BOUNDS) + 1)
    for number, seconds in enumerate(stalls_noted):
        stalls.note(float(number), seconds, f"cause {number}")
        expected[bisect_left(STALL_BOUNDS, seconds)] += 1
    assert stalls.buckets == expected
    assert [stall.seconds for stall in stalls.worst] == sorted(stalls_noted, reverse=True)[:WORST]
    assert all(stall.cause == f"cause {stall.when:.0f}" for stall in stalls.worst)


def test_the_cause_of_the_longest_stall() -> None:
    """The first with that length."""
    stalls = Stalls()
    for iteration, delay, cause in ((1.0, 0.01, "a"), (2.0, 0.03, "b"), (3.0, 0.03, "c"), (4.0, 0.02, "d")):
        stalls.note(iteration, delay, cause)
    snapshot = stalls.snapshot()
    assert (snapshot["longest"], snapshot["longest_cause"]) == (0.03, "b")
    assert (snapshot["le_0.01"], snapshot["le_0.02"], snapshot["le_0.05"], snapshot["longer"]) == (1, 1, 2, 0)


def test_bounds_are_inclusive() -> None:
    """A stall of exactly a bound belongs to that bound's bucket, and one above the last to "longer"."""
    stalls = Stalls()
    for number, bound in enumerate(STALL_BOUNDS, 1):
        stalls.note(float(number), bound, "")
    stalls.note(100.0, STALL_BOUNDS[-1] + 0.1, "")
    assert stalls.buckets == [1] * (len(STALL_BOUNDS) + 1)


def test_a_snapshot_has_every_counter_and_is_a_copy() -> None:
    """All start at zero; what is counted later does not change a snapshot."""
    metrics = Metrics()
    before = metrics.snapshot()
    assert set(before) == set(Metrics.__slots__)
    assert all(before[name] == 0 for name in COUNTERS)
    metrics.requests += 1
    metrics.statuses[404] += 1
    metrics.hits.note(0.001)
    metrics.stalls.note(1.0, 0.01, "x")
    assert before["requests"] == 0 and before["stalls"] != metrics.snapshot()["stalls"]
    assert before["statuses"] == before["hits"] == before["waits"] == {}
    after = metrics.snapshot()
    assert (after["requests"], after["statuses"], sum(metrics.hits.sparse().values())) == (1, {404: 1}, 1)


def test_every_counter_is_told_of() -> None:
    """What is declared is what has a sentence."""
    assert list(Metrics.__annotations__) == list(COUNTERS)
