"""LARD and LARD/R (Pai et al., Locality-Aware Request Distribution, ASPLOS 1998, figures 2 and 3)."""

from collections.abc import Sequence

from flashpy.cluster.choosing import Asked, Parameters, Simple
from flashpy.cluster.mapping import Mapping
from flashpy.cluster.nodes import Node, Nodes


class Lard(Simple):
    """A target belongs to one node: at first to the least loaded, and to another when that one has too much to do."""

    __slots__ = ("_mapping",)

    def __init__(self, parameters: Parameters) -> None:
        super().__init__(parameters)
        self._mapping = Mapping(parameters.mapping_bytes)

    @property
    def mapping(self) -> Mapping:
        """Who holds which target, for whoever shows it."""
        return self._mapping

    def choose(self, nodes: Nodes, asked: Asked, now: float) -> Node | None:
        """The target's node, unless it is overloaded."""
        least = nodes.least_loaded()
        if least is None:
            return None
        known = self._mapping.get(asked.target)
        node = nodes.least_loaded(known.within(nodes)) if known is not None else None
        if node is not None and not self._is_overloaded(node, least):
            return node
        if node is not least:
            self._mapping.put(asked.target, [least.name], now)
        return least

    def forget(self, name: str) -> None:
        """Its targets get another node when they are asked for."""
        self._mapping.forget(name)

    def mapped(self, target: bytes) -> Sequence[str]:
        """The target's node."""
        return self._mapping.names(target)

    def _is_overloaded(self, node: Node, least: Node) -> bool:
        """Whether a target shall move: when others idle, or in any case when clients wait twice as long as is good."""
        low, high = self.thresholds
        pressure = node.pressure
        return (pressure > high and least.pressure < low) or pressure >= 2 * high


class LardR(Lard):
    """LARD with replication: a target belongs to a set of nodes, which grows when the least loaded of it is overloaded
    and shrinks when it has not changed for a time."""

    __slots__ = ()

    def choose(self, nodes: Nodes, asked: Asked, now: float) -> Node | None:
        """The least loaded of the target's nodes, unless it is overloaded."""
        least = nodes.least_loaded()
        if least is None:
            return None
        known = self._mapping.get(asked.target)
        members = known.within(nodes) if known is not None else []
        node = nodes.least_loaded(members)
        if known is None or node is None:
            self._mapping.put(asked.target, [least.name], now)
            return least
        if self._is_overloaded(node, least) and least not in members:
            self._mapping.put(asked.target, [*(member.name for member in members), least.name], now)
            return least
        if len(members) > 1 and now - known.changed > self._parameters.k:
            busiest = max((member for member in members if member is not node), key=lambda member: member.pressure)
            self._mapping.put(asked.target, [member.name for member in members if member is not busiest], now)
        return node
