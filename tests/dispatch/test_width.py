"""The number of helpers of a device, over models of devices."""

from hypothesis import given
from hypothesis import strategies as st

from flashpy.dispatch.width import HOLD, LEAST_SAMPLE, SPARE, Sample, Width


def settle(width: Width, capacity: float, each: float, arriving: float, samples: int = 200) -> list[int]:
    """What the width is after each sample on a device that does ``capacity`` jobs per second at most, of which a helper
    does ``each``, while ``arriving`` come."""
    seen = []
    for _ in range(samples):
        most = min(capacity, each * width.helpers)
        done = min(most, arriving)
        width.learn(Sample(1.0, round(done), done / each, arriving > most))
        seen.append(width.helpers)
    return seen


def test_a_device_that_gives_more_gets_more() -> None:
    assert settle(Width(2, 8), 10_000, 100, 10_000)[-1] == 8


def test_a_device_that_gives_no_more_gets_no_more() -> None:
    """A disk held to 300 reads a second, of which one helper does 200."""
    seen = settle(Width(1, 8), 300, 200, 10_000)
    assert seen.count(2) > 150
    assert max(seen) <= 3


def test_what_was_tried_in_vain_is_tried_again() -> None:
    width = Width(2, 8)
    assert settle(width, 200, 100, 10_000, 50)[-1] == 2
    assert 8 in settle(width, 10_000, 100, 10_000, 50)


def test_a_dead_device_gets_no_more_than_the_least() -> None:
    width = Width(2, 8)
    assert not width.learn(Sample(100.0, 0, 200.0, True))
    assert width.helpers == 2


def test_few_jobs_say_nothing_yet() -> None:
    width = Width(2, 8)
    assert not width.learn(Sample(1.0, LEAST_SAMPLE - 1, 2.0, True))
    assert width.learn(Sample(1.0, LEAST_SAMPLE, 2.0, True))


def test_it_shrinks_to_what_little_says() -> None:
    width = Width(1, 8)
    settle(width, 10_000, 100, 10_000)
    assert width.helpers == 8
    assert settle(width, 10_000, 100, 250)[-1] == 3 + SPARE


def test_a_try_is_forgotten_when_nobody_waits() -> None:
    width = Width(2, 8)
    width.learn(Sample(1.0, 100, 2.0, True))
    assert width.helpers == 3
    width.learn(Sample(1.0, 10, 2.5, False))
    width.learn(Sample(1.0, 50, 3.0, True))  # a lower rate, but not of the same time: a new try begins
    assert width.helpers == 4


@given(
    st.integers(1, 8),
    st.integers(0, 24),
    st.floats(1, 1e4),
    st.floats(1, 1e3),
    st.floats(0, 1e5),
)
def test_it_stays_within_its_bounds(least: int, more: int, capacity: float, each: float, arriving: float) -> None:
    width = Width(least, least + more)
    assert all(least <= helpers <= least + more for helpers in settle(width, capacity, each, arriving, 60))


@given(st.floats(50, 5_000), st.floats(50, 1_000))
def test_it_finds_the_knee(capacity: float, each: float) -> None:
    """Under load that is more than the device gives, throughput comes near to what can be had."""
    width = Width(1, 16)
    settle(width, capacity, each, 1e6, 100)
    seen = settle(width, capacity, each, 1e6, int(HOLD))
    usual = max(set(seen), key=seen.count)
    assert min(capacity, each * usual) >= 0.6 * min(capacity, each * 16)
