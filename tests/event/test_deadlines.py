"""Time-outs by sweep: no clock here, the time is told."""

from collections.abc import Callable

import pytest

from flashpy.event.deadlines import Deadlines, State, Timed

LIMITS = {State.HEAD: 10.0, State.IDLE: 75.0}


class Fake:
    """A connection that was last active at ``touched``."""

    def __init__(self, deadlines: Deadlines, state: State, now: float, act: Callable[[], None] | None = None) -> None:
        self.state = State.CLOSED
        self.touched = now
        self.expired = 0
        self._act = act
        self.deadlines = deadlines
        deadlines.enter(self, state, now)

    def due(self, now: float) -> float:
        """Idleness counts from the last activity, all else from the entry."""
        return self.touched + LIMITS[State.IDLE] if self.state is State.IDLE else 0.0

    def close(self) -> None:
        pass

    def expire(self) -> None:
        """Close, or what the test wants instead."""
        self.expired += 1
        if self._act is None:
            self.deadlines.enter(self, State.CLOSED, 0.0)
        else:
            self._act()


class Failures(list[Timed]):
    """Those whose expiry raised."""

    def __call__(self, timed: Timed) -> None:
        self.append(timed)


@pytest.fixture
def deadlines() -> Deadlines:
    return Deadlines(LIMITS)


def fail(timed: Timed) -> None:
    """No expiry may raise where this is given."""
    raise AssertionError(timed)


def test_a_connection_is_counted_in_its_state_only(deadlines: Deadlines) -> None:
    first, second = Fake(deadlines, State.HEAD, 0.0), Fake(deadlines, State.HEAD, 1.0)
    deadlines.enter(first, State.WORKING, 2.0)
    assert (len(deadlines), deadlines.count(State.HEAD), deadlines.count(State.WORKING)) == (2, 1, 1)
    assert first.state is State.WORKING
    assert set(deadlines.all()) == {first, second}
    deadlines.enter(first, State.CLOSED, 3.0)
    assert deadlines.all() == [second]


def test_who_is_late_expires_and_nobody_else(deadlines: Deadlines) -> None:
    late, early = Fake(deadlines, State.HEAD, 0.0), Fake(deadlines, State.HEAD, 0.1)
    assert deadlines.sweep(9.99, fail) == 0
    assert deadlines.sweep(10.0, fail) == 1
    assert (late.expired, early.expired, late.state, early.state) == (1, 0, State.CLOSED, State.HEAD)
    assert deadlines.sweep(11.0, fail) == 1
    assert len(deadlines) == 0
    assert deadlines.sweep(1000.0, fail) == 0


def test_who_was_active_goes_on(deadlines: Deadlines) -> None:
    active = Fake(deadlines, State.IDLE, 0.0)
    active.touched = 70.0
    assert deadlines.sweep(80.0, fail) == 0
    assert deadlines.sweep(144.9, fail) == 0
    assert deadlines.sweep(145.0, fail) == 1
    assert active.expired == 1


def test_who_was_active_is_not_forgotten_behind_those_who_came_later(deadlines: Deadlines) -> None:
    active = Fake(deadlines, State.IDLE, 0.0)
    active.touched = 1.0
    later = Fake(deadlines, State.IDLE, 74.0)
    assert deadlines.sweep(75.0, fail) == 0
    assert deadlines.sweep(76.0, fail) == 1
    assert (active.expired, later.expired) == (1, 0)


def test_entering_a_state_again_begins_it_anew(deadlines: Deadlines) -> None:
    timed = Fake(deadlines, State.HEAD, 0.0)
    deadlines.enter(timed, State.HEAD, 5.0)
    assert deadlines.sweep(10.0, fail) == 0
    assert deadlines.sweep(15.0, fail) == 1


@pytest.mark.parametrize("state", [State.WORKING, State.SENDING])
def test_a_state_without_a_limit_lasts(deadlines: Deadlines, state: State) -> None:
    Fake(deadlines, state, 0.0)
    assert deadlines.sweep(1e9, fail) == 0
    assert deadlines.count(state) == 1


def test_an_expiry_that_raises_is_told_and_does_not_keep_the_others_waiting(deadlines: Deadlines) -> None:
    def act() -> None:
        raise ValueError

    bad, good = Fake(deadlines, State.HEAD, 0.0, act), Fake(deadlines, State.HEAD, 0.0)
    failed = Failures()
    assert deadlines.sweep(10.0, failed) == 2
    assert failed == [bad]
    assert (bad.expired, good.expired) == (1, 1)
    assert len(deadlines) == 0  # who would not leave is not asked again


def test_an_expiry_may_end_another_connection(deadlines: Deadlines) -> None:
    first = Fake(deadlines, State.HEAD, 0.0, lambda: deadlines.enter(other, State.CLOSED, 0.0))
    other = Fake(deadlines, State.HEAD, 0.0)
    assert deadlines.sweep(10.0, fail) == 1
    assert (first.expired, other.expired) == (1, 0)


def test_who_expires_into_another_state_is_late_there_only_after_its_limit(deadlines: Deadlines) -> None:
    timed = Fake(deadlines, State.HEAD, 0.0)
    timed._act = lambda: deadlines.enter(timed, State.IDLE, timed.touched)
    timed.touched = 10.0
    assert deadlines.sweep(10.0, fail) == 1
    assert timed.state is State.IDLE
    assert deadlines.sweep(84.0, fail) == 0
