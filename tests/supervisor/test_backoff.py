"""Pauses before something is started again."""

from hypothesis import given
from hypothesis import strategies as st

from flashpy.supervisor.backoff import FIRST, GOOD, LONGEST, Backoff


def test_the_first_time_at_once_then_twice_as_long_each_time() -> None:
    backoff = Backoff()
    pauses = []
    for _ in range(12):
        backoff.began(0.0)
        pauses.append(backoff.pause(1.0))
    assert pauses[:5] == [0.0, FIRST, 2 * FIRST, 4 * FIRST, 8 * FIRST]
    assert pauses[-1] == LONGEST


def test_one_good_start_forgives_all_before() -> None:
    backoff = Backoff()
    for _ in range(9):
        backoff.began(0.0)
        backoff.pause(1.0)
    backoff.began(0.0)
    assert backoff.pause(GOOD) == 0.0
    backoff.began(GOOD)
    assert backoff.pause(GOOD) == FIRST


@given(st.lists(st.floats(0, 2 * GOOD), max_size=50))
def test_the_pause_is_bounded(lives: list[float]) -> None:
    backoff, now = Backoff(), 0.0
    for life in lives:
        backoff.began(now)
        now += life
        pause = backoff.pause(now)
        assert 0.0 <= pause <= LONGEST
        now += pause
