"""LARD's decisions about the targets that HAProxy has logged, and which of them it has not been told yet. Pure.

HAProxy knows where a target goes before we do: it chooses the server of a target that is not in its table by itself.
That one has the file in memory then, and so is the first that the policy is offered; after that the policy decides.
"""

from collections.abc import Sequence

from flashpy.cluster.choosing import Asked, Policy
from flashpy.cluster.haproxy.speech import Request, Server
from flashpy.cluster.nodes import Node, Nodes, Standing

MOST = 100_000
"""Targets that are kept, as many as the table has room for."""
_FOUND = frozenset({200, 206, 304})


class Decisions:
    """Which server each target goes to."""

    def __init__(self, policy: Policy, most: int = MOST) -> None:
        self._policy = policy
        self._most = most
        self._nodes = Nodes()
        self._alone: dict[str, Nodes] = {}
        self._numbers: dict[str, int] = {}
        self._decided: dict[int, str] = {}  # by when they were decided
        self._untold: dict[int, str] = {}
        self.moved = 0

    def __len__(self) -> int:
        return len(self._decided)

    def seen(self, servers: Sequence[Server]) -> None:
        """The servers are these now, with these loads. What belonged to one that is down belongs to it no more."""
        self._numbers = {server.name: server.number for server in servers}
        for name in [node.name for node in self._nodes if node.name not in self._numbers]:
            self._nodes.remove(name)
            del self._alone[name]
            self._policy.forget(name)
        heaviest = max((server.weight for server in servers), default=1)
        for server in servers:
            node = self._node(server.name, server.weight / heaviest if server.weight > 0 else 1.0)
            node.load = server.load
            if node.standing is not server.standing:
                node.standing = server.standing
                if server.standing is Standing.DOWN:
                    self._policy.forget(server.name)

    def asked(self, request: Request, now: float) -> None:
        """A request was answered: decide where its target goes next."""
        served = self._nodes.get(request.server)
        if served is None or request.status not in _FOUND:
            return
        target = b"%d" % request.target
        is_new = served.standing is Standing.UP and not self._policy.mapped(target)
        among = self._alone[request.server] if is_new else self._nodes
        chosen = self._policy.choose(among, Asked(target, request.size), now)
        if chosen is None:
            return
        before = self._decided.get(request.target)
        if chosen.name == before == request.server:
            return
        if before is not None and chosen.name != before:
            self.moved += 1
            chosen.load += 1  # as a guess until the next statistics: or all that moves would go to one server
        self._decide(request.target, chosen.name)

    def untold(self) -> list[tuple[int, int]]:
        """Targets with the numbers of their servers that HAProxy is to be told. They count as told then."""
        found = [(target, self._numbers[name]) for target, name in self._untold.items() if name in self._numbers]
        self._untold.clear()
        return found

    def tell_all(self) -> None:
        """HAProxy has lost its table: all is to be told again."""
        self._untold = dict(self._decided)

    def _decide(self, target: int, name: str) -> None:
        self._decided.pop(target, None)
        self._decided[target] = self._untold[target] = name
        if len(self._decided) > self._most:
            oldest = next(iter(self._decided))
            del self._decided[oldest]
            self._untold.pop(oldest, None)

    def _node(self, name: str, weight: float) -> Node:
        """The node of this name and weight, which is made where there is none."""
        node = self._nodes.get(name)
        if node is not None and node.weight != weight:
            self._nodes.remove(name)
            node = None
        if node is None:
            node = Node(name, weight)
            self._nodes.add(node)
            self._alone[name] = Nodes([Node(name, weight)])
        return node
