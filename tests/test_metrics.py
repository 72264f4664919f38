"""Counters and the stall histogram."""

from bisect import bisect_left

from hypothesis import given
from hypothesis import strategies as st

from flashpy.metrics import STALL_BOUNDS, Metrics, Stalls

STEPS = st.lists(st.floats(0.002, 3.0), min_size=1, max_size=4)


@given(st.lists(STEPS, max_size=20))
def test_an_iteration_is_counted_once_with_its_longest_delay(iterations: list[list[float]]) -> None:
    """However often an iteration is noted, and whichever came before it."""
    stalls, expected = Stalls(), [0] * (len(STALL_BOUNDS) + 1)
    for number, delays in enumerate(iterations, 1):
        for delay in sorted(delays):
            stalls.note(float(number), delay, f"cause {number}")
        expected[bisect_left(STALL_BOUNDS, max(delays))] += 1
    assert stalls.buckets == expected
    longest = (
        max((max(delays), f"cause {number}") for number, delays in enumerate(iterations, 1)) if iterations else None
    )
    assert stalls.longest == (longest[0] if longest else 0.0)
    assert sum(stalls.buckets) == len(iterations)


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
    assert all(value == 0 for name, value in before.items() if name != "stalls")
    metrics.requests += 1
    metrics.stalls.note(1.0, 0.01, "x")
    assert before["requests"] == 0 and before["stalls"] != metrics.snapshot()["stalls"]
    assert metrics.snapshot()["requests"] == 1
