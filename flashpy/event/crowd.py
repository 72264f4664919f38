"""Who gives way when there is no room for one more connection.

Room is shared among clients, not among connections: who has most gives up its idlest connection. So somebody who holds
thousands does not take the place of somebody who holds one. Where all have as few, a newcomer gets the place of the
connection that has waited longest for a next request: clients expect that (RFC 9112, 9.5).

Who that is, is found out for many newcomers at a time, for it takes a look at all connections.
"""

from collections import defaultdict, deque
from collections.abc import Iterator
from heapq import heapify, heappop, heapreplace
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, cast

from flashpy.access.networks import household
from flashpy.event.connection import Connection
from flashpy.event.deadlines import State
from flashpy.event.preface import Preface
from flashpy.event.service import Service

if TYPE_CHECKING:
    from flashpy.event.handshake import Handshake

AT_A_TIME = 64
"""Connections that are chosen by one look at all."""
PART = 8
"""Of the idle connections, one in so many is closed at a time when descriptors are short (nginx does the same)."""
VALID = 1.0
"""Seconds for which what one look has found is good."""
PAUSE = 2e-5
"""Seconds after a look that found too few, for each connection that it looked at: some twenty times what it took."""

_WAITING = (State.HANDSHAKE, State.HEAD, State.IDLE, State.SENDING, State.LINGERING)
"""States in which a connection waits for its client."""
_LATER = 1e9
"""Seconds by which a connection that is sent something counts as less idle than all that are not."""


Holder: TypeAlias = "Connection | Handshake"
"""What takes a client's place among the connections."""


class _Candidate(NamedTuple):
    connection: Holder
    touched: float  # last, when it was chosen
    held: int  # connections that its client has, as long as none that was chosen later has given way


class Crowd:
    """The connections of a server that may have to give way."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._candidates: deque[_Candidate] = deque()
        self._held: dict[str, int] = {}  # connections of each client
        self._stale = float("-inf")  # until when the candidates are good
        self._again = float("-inf")  # when others may be looked for, if there are none left

    def make_room(self, client: str) -> bool:
        """Close a connection in favour of a new one of this client, if there is one that should give way."""
        newcomer = household(client)
        for _ in range(AT_A_TIME):
            if (candidate := self._next()) is None:
                return False
            mine = self._held.get(newcomer, 0) + 1
            if mine > candidate.held or (mine == candidate.held and candidate.connection.state is not State.IDLE):
                return False
            self._candidates.popleft()
            if candidate.connection.give_way():
                self._service.metrics.connections_shed += 1
                self._held[newcomer] = mine
                return True
        return False

    def shed(self) -> int:
        """Close some connections between two requests, because descriptors are short. How many."""
        idle = self._by_client(State.IDLE)
        some = min(AT_A_TIME, -(-sum(map(len, idle.values())) // PART))
        return sum(candidate.connection.give_way() for candidate in _choose(idle, some))

    def _next(self) -> _Candidate | None:
        """The first of those who should give way; not those that have been active, or have gone, since they were
        chosen."""
        while True:
            self._look()
            if not self._candidates:
                return None
            candidate = self._candidates[0]
            connection = candidate.connection
            if connection.touched == candidate.touched and connection.state is not State.CLOSED:
                return candidate
            self._candidates.popleft()

    def _look(self) -> None:
        """Choose candidates anew, if that may find some that were not found before."""
        now = self._service.now.monotonic
        if now < (self._stale if self._candidates else self._again):
            return
        connections = self._by_client(*_WAITING)
        self._held = {client: len(some) for client, some in connections.items()}
        self._candidates = deque(_choose(connections, AT_A_TIME))
        self._stale = now + VALID
        self._again = now if len(self._candidates) == AT_A_TIME else now + PAUSE * sum(self._held.values())

    def _by_client(self, *states: State) -> dict[str, list[Holder]]:
        """The connections in these states by who holds them. Not those of proxies that are trusted: each of them speaks
        for many clients."""
        exactly: defaultdict[str, list[Holder]] = defaultdict(list)
        for timed in self._service.deadlines.all(states):
            if not isinstance(timed, Preface):  # whose client is not known yet
                holder = cast("Holder", timed)
                exactly[holder.client].append(holder)
        found: defaultdict[str, list[Holder]] = defaultdict(list)
        forwarding = self._service.forwarding
        for client, some in exactly.items():
            if forwarding is None or not forwarding.trusts(client):
                found[household(client)] += some
        return found


def _choose(by_client: dict[str, list[Holder]], left: int) -> Iterator[_Candidate]:
    """So many that should give way, the first first: of the client that then has most, the idlest connection."""
    most: list[tuple[int, float, int, list[Holder]]] = []
    for number, connections in enumerate(by_client.values()):
        connections.sort(key=_idleness, reverse=True)
        most.append((-len(connections), connections[-1].touched, number, connections))
    heapify(most)
    while most and left:
        held, _, number, connections = most[0]
        connection = connections.pop()
        if connections:
            heapreplace(most, (held + 1, connections[-1].touched, number, connections))
        else:
            heappop(most)
            if connection.state is not State.IDLE:
                continue  # the only one of its client, and not between two requests
        left -= 1
        yield _Candidate(connection, connection.touched, -held)


def _idleness(connection: Holder) -> float:
    """The less, the idler."""
    return connection.touched + (_LATER if connection.state is State.SENDING else 0.0)
