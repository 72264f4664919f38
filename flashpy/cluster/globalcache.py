"""LB/GC (Pai et al., ASPLOS 1998, section 2.3): the front-end keeps books of what each node must have in memory."""

from collections.abc import Sequence

from flashpy.cluster.choosing import Asked, Parameters, Simple
from flashpy.cluster.greedydual import GreedyDual
from flashpy.cluster.nodes import MAY_GET, Node, Nodes

UNKNOWN_SIZE = 10_000
"""Bytes that a target counts for whose size is not known."""


class GlobalCache(Simple):
    """A target goes to the node that must have it; else to where there is room, or where what goes is worth the least.

    So all memories are managed as one. Loads are not looked at.
    """

    __slots__ = ("_caches", "_places")

    def __init__(self, parameters: Parameters) -> None:
        super().__init__(parameters)
        self._caches: dict[str, GreedyDual[bytes]] = {}
        self._places: dict[bytes, str] = {}

    def choose(self, nodes: Nodes, asked: Asked, now: float) -> Node | None:
        """Where it is, or where it is best put."""
        target = asked.target
        node = self._holding(nodes, target)
        if node is not None:
            self._caches[node.name].hit(target)
            return node
        chosen = self._best(nodes, asked)
        if chosen is None:
            return None
        place = self._places.get(target)
        if place is not None:  # it is out of reach there
            self._caches[place].drop(target)
        self._put(chosen.name, target, asked.size or UNKNOWN_SIZE)
        return chosen

    def explain(self, nodes: Nodes, asked: Asked, now: float) -> Node | None:
        """See Policy."""
        return self._holding(nodes, asked.target) or self._best(nodes, asked)

    def forget(self, name: str) -> None:
        """Its memory is empty."""
        for target in self._caches.pop(name, ()):
            del self._places[target]

    def mapped(self, target: bytes) -> Sequence[str]:
        """The node that must have it."""
        place = self._places.get(target)
        return [place] if place is not None else ()

    def _holding(self, nodes: Nodes, target: bytes) -> Node | None:
        """The node that must have it, if it may get more."""
        place = self._places.get(target)
        node = nodes.get(place) if place is not None else None
        return node if node is not None and MAY_GET[node.standing].chosen else None

    def _best(self, nodes: Nodes, asked: Asked) -> Node | None:
        """Where it is best put."""
        size = asked.size or UNKNOWN_SIZE
        return min(nodes.up(), key=lambda node: self._worth(self._cache_of(node), size), default=None)

    def _cache_of(self, node: Node) -> GreedyDual[bytes]:
        cache = self._caches.get(node.name)
        if cache is None:
            cache = self._caches[node.name] = GreedyDual(self._parameters.node_bytes)
        return cache

    def _worth(self, cache: GreedyDual[bytes], size: int) -> tuple[float, int]:
        """Of what would have to go; where nothing has to, the emptiest is the best."""
        return (0.0, cache.size) if cache.size + size <= cache.most else (cache.next_value(), 0)

    def _put(self, name: str, target: bytes, size: int) -> None:
        cache = self._caches[name]
        for gone in cache.put(target, size):
            del self._places[gone]
        if target in cache:
            self._places[target] = name
        else:
            self._places.pop(target, None)
