"""Time-outs of connections: one ordered queue per state, swept once a second, and no timer per connection.

A connection that was active is not moved in its queue then and there: the sweep that finds it due asks when it was
touched last, and moves it.
"""

from collections import OrderedDict
from collections.abc import Callable
from enum import Enum, auto
from typing import Protocol


class State(Enum):
    """What a connection is waiting for."""

    HEAD = auto()  # the rest of a request, or the first one: limited from the first byte on
    IDLE = auto()  # the next request: limited from the last activity on
    WORKING = auto()  # a job
    SENDING = auto()  # the client, to take what is sent: limited by progress and by rate
    LINGERING = auto()  # the client, to read its answer and close
    CLOSED = auto()


class Timed(Protocol):
    """What has a state and may be late."""

    state: State

    def due(self, now: float) -> float:
        """Until when it may go on, in monotonic seconds, if the state stays; the past means: it is late."""
        ...

    def expire(self) -> None:
        """Called when it is late; it must leave its state."""
        ...


class Deadlines:
    """All connections of a server by state, those that entered it first in front."""

    __slots__ = ("_limits", "_queues")

    def __init__(self, limits: dict[State, float]) -> None:
        self._limits = limits
        self._queues: dict[State, OrderedDict[Timed, float]] = {state: OrderedDict() for state in State}

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    def count(self, state: State) -> int:
        """How many are in a state."""
        return len(self._queues[state])

    def all(self) -> list[Timed]:
        """All connections, in no particular order; a copy."""
        return [timed for queue in self._queues.values() for timed in queue]

    def enter(self, timed: Timed, state: State, now: float) -> None:
        """Move to a state (from CLOSED: add; to CLOSED: remove)."""
        self._queues[timed.state].pop(timed, None)
        timed.state = state
        if state is not State.CLOSED:
            self._queues[state][timed] = now + self._limits.get(state, float("inf"))

    def sweep(self, now: float, failed: Callable[[Timed], None]) -> int:
        """Expire what is late, and say how many. ``failed`` is told of one whose expiry raised."""
        expired = 0
        for state, queue in self._queues.items():
            if state not in self._limits:
                continue
            while queue:
                timed, due = next(iter(queue.items()))
                if due > now:
                    break
                due = timed.due(now)
                if due > now:
                    queue[timed] = due
                    queue.move_to_end(timed)
                    continue
                expired += 1
                try:
                    timed.expire()
                except Exception:
                    failed(timed)
                if timed.state is state:  # it must not be found again in this sweep
                    self.enter(timed, State.CLOSED, now)
        return expired
