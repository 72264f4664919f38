"""Time-outs of connections: one table per state, swept once a second, and no timer per connection.

A connection that was active is not noted in its table then and there: the sweep that finds it due asks when it was
touched last. So a table is in no order after a while, and the sweep looks through all of it (0.25 ms for 16,000).
"""

from collections.abc import Callable, Iterable
from enum import IntEnum, auto
from typing import Protocol

AT_A_TIME = 64
"""Connections that one sweep ends at most. Those of an attacker, who has opened thousands in a second, are late in one
second too: ending all of them at once would keep the others waiting for as long as it takes."""


class State(IntEnum):
    """What a connection is waiting for. (An IntEnum, because the hash of an Enum is a call of Python code.)"""

    NEW = auto()  # what it has sent before it was accepted; over before the sweep could see it
    HANDSHAKE = auto()  # the next message of a TLS handshake: limited from the beginning on
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

    def close(self) -> None:
        """End it at once."""
        ...


class Deadlines:
    """All connections of a server by state, each with the time at which it is to be looked at."""

    __slots__ = ("_limits", "_tables")

    def __init__(self, limits: dict[State, float]) -> None:
        self._limits = limits
        self._tables: dict[State, dict[Timed, float]] = {state: {} for state in State}

    def __len__(self) -> int:
        return sum(map(len, self._tables.values()))

    def count(self, state: State) -> int:
        """How many are in a state."""
        return len(self._tables[state])

    def all(self, states: Iterable[State] = State) -> list[Timed]:
        """All connections in these states, in no particular order; a copy."""
        return [timed for state in states for timed in self._tables[state]]

    def enter(self, timed: Timed, state: State, since: float) -> None:
        """Move to a state that counts from then on (from CLOSED: add; to CLOSED: remove)."""
        self._tables[timed.state].pop(timed, None)
        timed.state = state
        if state is not State.CLOSED:
            self._tables[state][timed] = since + self._limits.get(state, float("inf"))

    def sweep(self, now: float, failed: Callable[[Timed], None]) -> int:
        """Expire what is late, at most ``AT_A_TIME`` connections, and say how many. ``failed`` is told of one whose
        expiry raised."""
        expired = 0
        for state in self._limits:
            table = self._tables[state]
            for timed in [timed for timed, due in table.items() if due <= now]:
                if expired == AT_A_TIME:
                    return expired
                if timed not in table:
                    continue  # ended by another's expiry
                due = timed.due(now)
                if due > now:
                    table[timed] = due
                    continue
                expired += 1
                try:
                    timed.expire()
                except Exception:
                    failed(timed)
                if timed.state is state:  # it must not be found again in this sweep
                    self.enter(timed, State.CLOSED, now)
        return expired
