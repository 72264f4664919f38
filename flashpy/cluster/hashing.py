"""Policies that divide the targets among the nodes by a hash: nobody keeps in mind who has what.

The nodes have points on a ring, in proportion to their weights; a target belongs to the node of the next point. So of a
node that leaves or joins only its own targets get another (Karger et al., STOC 1997).
"""

import math
from bisect import bisect
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from itertools import islice

from flashpy.cluster.choosing import Asked, Parameters, Simple
from flashpy.cluster.nodes import Node, Nodes

DIGESTS = 20
"""For a node of weight 1. Each gives 8 points, and 160 of these keep shares within about a tenth (as in ketama)."""


def _hashed(target: bytes) -> int:
    return int.from_bytes(blake2b(target, digest_size=8).digest(), "big")


def _points(node: Node) -> Iterator[int]:
    for number in range(max(1, round(DIGESTS * node.weight))):
        digest = blake2b(b"%d %s" % (number, node.name.encode())).digest()
        yield from (int.from_bytes(digest[start : start + 8], "big") for start in range(0, 64, 8))


class Ring:
    """The points of some nodes."""

    __slots__ = ("_owners", "_points", "nodes", "weight")

    def __init__(self, nodes: Sequence[Node]) -> None:
        found = sorted((point, number) for number, node in enumerate(nodes) for point in _points(node))
        self._points = [point for point, _ in found]
        self._owners = [nodes[number] for _, number in found]
        self.nodes = nodes
        self.weight = sum(node.weight for node in nodes)

    def after(self, target: bytes) -> Iterator[Node]:
        """The nodes in the order in which a target meets them; one may come more than once."""
        start = bisect(self._points, _hashed(target))
        for place in range(start, start + len(self._owners)):
            yield self._owners[place % len(self._owners)]


class Hashed(Simple):
    """LB of Pai et al.: whatever a node has to do, its targets are its own."""

    __slots__ = ("_ring",)

    def __init__(self, parameters: Parameters) -> None:
        super().__init__(parameters)
        self._ring = Ring(())

    def choose(self, nodes: Nodes, asked: Asked, now: float) -> Node | None:
        """The owner of the next point that is good for more."""
        if self._ring.nodes is not nodes.up():
            self._ring = Ring(nodes.up())
        return next((node for node in self._ring.after(asked.target) if self._has_room(node, nodes)), None)

    def mapped(self, target: bytes) -> Sequence[str]:
        """The owner of the next point."""
        return [node.name for node in islice(self._ring.after(target), 1)]

    def _has_room(self, node: Node, nodes: Nodes) -> bool:
        return True


class BoundedHashed(Hashed):
    """Consistent hashing with bounded loads (Mirrokni, Thorup and Zadimoghaddam, SODA 2018): nobody gets more than
    ``bound`` times the mean, rounded up; what comes beyond that goes to the next on the ring."""

    __slots__ = ()

    def _has_room(self, node: Node, nodes: Nodes) -> bool:
        mean = (nodes.total + 1) * node.weight / self._ring.weight
        return node.load + 1 <= math.ceil(self._parameters.bound * mean)
