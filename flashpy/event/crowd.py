"""Who gives way when there is no room for one more connection.

Room is shared among clients, not among connections: who has most gives up its idlest connection. So somebody who holds
thousands does not take the place of somebody who holds one. Where all have as few, a newcomer gets the place of the
connection that has waited longest for a next request: clients expect that (RFC 9112, 9.5).

Who that is, is found out for many newcomers at a time, for it takes a look at all connections.
"""

from collections import defaultdict, deque
from collections.abc import Iterator
from heapq import heapify, heappop, heapreplace
from typing import NamedTuple

from flashpy.access.networks import household
from flashpy.event.connection import Connection
from flashpy.event.deadlines import State
from flashpy.event.service import Service

AT_A_TIME = 64
"""Connections that are chosen by one look at all."""
VALID = 1.0
"""Seconds for which what one look has found is good."""

_WAITING = (State.HEAD, State.IDLE, State.SENDING, State.LINGERING)
"""States in which a connection waits for its client."""
_LATER = 1e9
"""Seconds by which a connection that is sent something counts as less idle than all that are not."""


class _Candidate(NamedTuple):
    connection: Connection
    touched: float  # last, when it was chosen
    held: int  # connections that its client has, as long as none that was chosen later has given way


class Crowd:
    """The connections of a server that may have to give way."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._candidates: deque[_Candidate] = deque()
        self._held: dict[str, int] = {}  # connections of each client
        self._looked = float("-inf")
        self._enough = False  # there may be more candidates than were chosen

    def make_room(self, client: str) -> bool:
        """Close a connection in favour of a new one of this client, if there is one that should give way."""
        newcomer = household(client)
        self._look()
        while self._candidates:
            connection, touched, held = self._candidates[0]
            mine = self._held.get(newcomer, 0) + 1
            if mine >= held and not (mine == held and connection.state is State.IDLE):
                return False
            self._candidates.popleft()
            if connection.touched == touched and connection.give_way():
                self._held[newcomer] = mine
                return True
            self._look()
        return False

    def shed(self) -> int:
        """Close some connections between two requests, because descriptors are short. How many."""
        self._candidates.clear()
        return sum(candidate.connection.give_way() for candidate in _choose(self._by_client(State.IDLE)))

    def _look(self) -> None:
        """Choose candidates anew, if that may find some that were not found before."""
        now = self._service.now.monotonic
        if now < self._looked + VALID and (self._candidates or not self._enough):
            return
        connections = self._by_client(*_WAITING)
        self._held = {client: len(some) for client, some in connections.items()}
        self._candidates = deque(_choose(connections))
        self._enough = len(self._candidates) == AT_A_TIME
        self._looked = now

    def _by_client(self, *states: State) -> dict[str, list[Connection]]:
        """The connections in these states by who holds them. Not those of proxies that are trusted: each of them speaks
        for many clients."""
        exactly: defaultdict[str, list[Connection]] = defaultdict(list)
        for timed in self._service.deadlines.all(states):
            if isinstance(timed, Connection):
                exactly[timed.client].append(timed)
        found: defaultdict[str, list[Connection]] = defaultdict(list)
        forwarding = self._service.forwarding
        for client, some in exactly.items():
            if forwarding is None or not forwarding.trusts(client):
                found[household(client)] += some
        return found


def _choose(by_client: dict[str, list[Connection]]) -> Iterator[_Candidate]:
    """Who should give way, the first first: of the client that then has most, the idlest connection."""
    most: list[tuple[int, float, int, list[Connection]]] = []
    for number, connections in enumerate(by_client.values()):
        connections.sort(key=_idleness, reverse=True)
        most.append((-len(connections), connections[-1].touched, number, connections))
    heapify(most)
    left = AT_A_TIME
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


def _idleness(connection: Connection) -> float:
    """The less, the idler."""
    return connection.touched + (_LATER if connection.state is State.SENDING else 0.0)
