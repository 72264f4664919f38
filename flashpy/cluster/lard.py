"""LARD and LARD/R (Pai et al., Locality-Aware Request Distribution, ASPLOS 1998, figures 2 and 3).

Beyond the paper, a node that joins is told which targets will be its own (``share``). It loads these, and then takes
them over.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

from flashpy.cluster.choosing import Asked, Parameters, Simple
from flashpy.cluster.mapping import Mapping, ServerSet
from flashpy.cluster.nodes import Node, Nodes


class Decision(NamedTuple):
    """The node for a request, and by name who serves its target from now on; None: the same as before."""

    node: Node
    members: Sequence[str] | None = None


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
        """As is decided; the mapping is as decided then, too."""
        decision = self._decide(nodes, asked, self._mapping.get(asked.target), now)
        if decision is None:
            return None
        if decision.members is not None:
            self._mapping.put(asked.target, decision.members, now)
        return decision.node

    def explain(self, nodes: Nodes, asked: Asked, now: float) -> Node | None:
        """As would be decided."""
        decision = self._decide(nodes, asked, self._mapping.look(asked.target), now)
        return decision.node if decision is not None else None

    def forget(self, name: str) -> None:
        """Its targets get another node when they are asked for."""
        self._mapping.forget(name)

    def mapped(self, target: bytes) -> Sequence[str]:
        """The target's node."""
        return self._mapping.names(target)

    def share(self, nodes: Nodes, newcomer: Node, most: int, now: float) -> Sequence[bytes]:
        """Its part of all targets by weight: first of those that nobody serves, then of those of all nodes alike."""
        others = sum(node.weight for node in nodes.up() if node is not newcomer)
        wanted = len(self._mapping) * newcomer.weight / (newcomer.weight + others)
        served: list[ServerSet] = []
        unserved: list[ServerSet] = []
        for entry in self._mapping:
            (served if entry.is_served else unserved).append(entry)
        mine = _drawn(newcomer.name, unserved, wanted) + _drawn(newcomer.name, served, wanted - len(unserved))
        mine.sort(key=lambda entry: entry.asked / max(1.0, now - entry.changed), reverse=True)
        return [entry.target for entry in mine[:most]]

    def take_over(self, name: str, targets: Sequence[bytes], now: float) -> None:
        """It serves them alone, but beside the others those that several serve: they are asked for too much for one."""
        for target in targets:
            others = [other for other in self._mapping.names(target) if other != name]
            self._mapping.put(target, [*others, name] if len(others) > 1 else [name], now)

    def _decide(self, nodes: Nodes, asked: Asked, known: ServerSet | None, now: float) -> Decision | None:
        """The target's node, unless it is overloaded."""
        least = nodes.least_loaded()
        if least is None:
            return None
        node = nodes.least_loaded(known.within(nodes)) if known is not None else None
        if node is not None and not self._is_overloaded(node, least):
            return Decision(node)
        return Decision(least, [least.name] if node is not least else None)

    def _is_overloaded(self, node: Node, least: Node) -> bool:
        """Whether a target shall move: when others idle, or in any case when clients wait twice as long as is good."""
        low, high = self.thresholds
        pressure = node.pressure
        return (pressure > high and least.pressure < low) or pressure >= 2 * high


class LardR(Lard):
    """LARD with replication: a target belongs to a set of nodes, which grows when the least loaded of it is overloaded
    and shrinks when it has not changed for a time."""

    __slots__ = ()

    def _decide(self, nodes: Nodes, asked: Asked, known: ServerSet | None, now: float) -> Decision | None:
        """The least loaded of the target's nodes, unless it is overloaded."""
        least = nodes.least_loaded()
        if least is None:
            return None
        members = known.within(nodes) if known is not None else []
        node = nodes.least_loaded(members)
        if known is None or node is None:
            node = self._first(nodes, least, asked.target)
            return Decision(node, [node.name])
        if self._is_overloaded(node, least) and least not in members:
            return Decision(least, [*(member.name for member in members), least.name])
        if len(members) > 1 and now - known.changed > self._parameters.k:
            return Decision(node, [member.name for member in self._needed(known, members, node, now)])
        return Decision(node)

    def _first(self, nodes: Nodes, least: Node, target: bytes) -> Node:
        """The node of a target that has none."""
        return least

    def _needed(self, known: ServerSet, members: Sequence[Node], kept: Node, now: float) -> Sequence[Node]:
        """A server set without the most loaded of those that are not needed just now."""
        busiest = max((member for member in members if member is not kept), key=lambda member: member.pressure)
        return [member for member in members if member is not busiest]


def _drawn(name: str, entries: Sequence[ServerSet], count: float) -> list[ServerSet]:
    """About so many of these, by a hash: they are the same in every process, and others for each name."""
    if count <= 0:
        return []
    if count >= len(entries):
        return list(entries)
    person = blake2b(name.encode(), digest_size=blake2b.PERSON_SIZE).digest()
    limit = int(count / len(entries) * 2**64).to_bytes(8, "big")
    return [entry for entry in entries if blake2b(entry.target, digest_size=8, person=person).digest() < limit]
