"""The nodes of a cluster as those see them who choose among them: how much each has to do, and whether it may get more.

Pressure is load by weight: a node of weight 2 with 50 connections is as hard pressed as one of weight 1 with 25.
"""

import enum
import heapq
from collections.abc import Iterator, Sequence
from typing import NamedTuple


class Standing(enum.Enum):
    """What a node is for, at present."""

    UP = "up"
    WARMING = "warming"
    """It has joined, and loads its share of the files first."""
    DRAINING = "draining"
    """It is about to leave."""
    DOWN = "down"


class Rights(NamedTuple):
    """What a node may be given: requests of any target, and further requests on the connections that it holds."""

    chosen: bool
    kept: bool


MAY_GET = {
    Standing.UP: Rights(chosen=True, kept=True),
    Standing.WARMING: Rights(chosen=False, kept=False),
    Standing.DRAINING: Rights(chosen=False, kept=True),
    Standing.DOWN: Rights(chosen=False, kept=False),
}


class Node:
    """One node. ``load`` is the connections that were handed to it and are not finished: kept by who hands them over.

    Whatever is stored in ``load`` and ``standing`` is known to the Nodes that it is in at once.
    """

    __slots__ = ("_load", "_nodes", "_standing", "_turn", "name", "weight")

    def __init__(self, name: str, weight: float = 1.0, load: float = 0.0, standing: Standing = Standing.UP) -> None:
        if weight <= 0:
            raise ValueError(f"The weight of node {name!r} is {weight:g}; it must be above 0.")
        self.name = name
        self.weight = weight
        self._load = load
        self._standing = standing
        self._nodes: Nodes | None = None
        self._turn = 0  # when it was given something last, in the order in which all were

    def __repr__(self) -> str:
        return f"<Node {self.name} {self._standing.value} load={self._load:g}>"

    @property
    def load(self) -> float:
        """Connections, or parts of one."""
        return self._load

    @load.setter
    def load(self, load: float) -> None:
        """It has more or less to do."""
        before, self._load = self._load, load
        if self._nodes is not None:
            self._nodes._loaded(self, before)

    @property
    def pressure(self) -> float:
        """Load by weight."""
        return self._load / self.weight

    @property
    def standing(self) -> Standing:
        """What it is for."""
        return self._standing

    @standing.setter
    def standing(self, standing: Standing) -> None:
        """It is for something else now."""
        self._standing = standing
        if self._nodes is not None:
            self._nodes._changed()


class Nodes:
    """An ordered collection of nodes by name.

    The least loaded of a thousand nodes is asked for at each request. So there is a heap of (pressure, turn, node)
    with an entry for each change of a load; entries that are no longer true are dropped when they come to the top.
    """

    __slots__ = ("_heap", "_nodes", "_total", "_turns", "_up")

    def __init__(self, nodes: Sequence[Node] = ()) -> None:
        self._nodes: dict[str, Node] = {}
        self._turns = 0
        self._up: tuple[Node, ...] = ()
        self._heap: list[tuple[float, int, Node]] = []
        self._total = 0.0
        for node in nodes:
            self.add(node)

    def __iter__(self) -> Iterator[Node]:
        return iter(self._nodes.values())

    def __len__(self) -> int:
        return len(self._nodes)

    def __getitem__(self, name: str) -> Node:
        return self._nodes[name]

    def get(self, name: str) -> Node | None:
        """The node of this name, if there is one."""
        return self._nodes.get(name)

    def add(self, node: Node) -> None:
        """Take a node in, as the last.

        Raises:
            ValueError: there is one of this name, or the node is in a collection already.
        """
        if node.name in self._nodes or node._nodes is not None:
            raise ValueError(f"There is a node {node.name!r} already.")
        self._turns += 1
        node._turn, node._nodes = self._turns, self
        self._nodes[node.name] = node
        self._changed()

    def remove(self, name: str) -> None:
        """Let a node go; it counts as down for who still has it.

        Raises:
            KeyError: there is none of this name.
        """
        node = self._nodes.pop(name)
        node._nodes = None
        node.standing = Standing.DOWN
        self._changed()

    def up(self) -> Sequence[Node]:
        """Those that may be chosen, in order. It is the same tuple for as long as nothing has changed."""
        return self._up

    @property
    def total(self) -> float:
        """The loads of those that may be chosen, together."""
        return self._total

    def least_loaded(self, among: Sequence[Node] | None = None) -> Node | None:
        """The one under the least pressure: of those that may be chosen, or among the given. Equals take turns, or else
        the first would get all targets for as long as nobody has anything to do."""
        if among is not None:
            return min(among, key=_order, default=None)
        heap = self._heap
        while heap:
            pressure, turn, node = heap[0]
            is_true = turn == node._turn and pressure == node._load / node.weight
            if is_true and node._nodes is self and MAY_GET[node._standing].chosen:
                return node
            heapq.heappop(heap)
        return None

    def _loaded(self, node: Node, before: float) -> None:
        """A load has changed."""
        if node._load > before:
            self._turns += 1
            node._turn = self._turns
        if not MAY_GET[node._standing].chosen:
            return
        self._total += node._load - before
        if len(self._heap) > 4 * len(self._up) + 64:
            self._index()
        else:
            heapq.heappush(self._heap, (node._load / node.weight, node._turn, node))

    def _changed(self) -> None:
        """It is others now that may be chosen."""
        self._up = tuple(node for node in self._nodes.values() if MAY_GET[node._standing].chosen)
        self._index()

    def _index(self) -> None:
        """Anew, and the total too: so no error of its additions lasts."""
        self._heap = [(*_order(node), node) for node in self._up]
        heapq.heapify(self._heap)
        self._total = sum(node._load for node in self._up)


def _order(node: Node) -> tuple[float, int]:
    return node._load / node.weight, node._turn
