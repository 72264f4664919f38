"""LARD/R that nobody tunes: it goes by what the nodes report.

- The thresholds follow what the nodes measure (flashpy.cluster.control).
- A server set grows by the rule of LARD/R. It shrinks when it has not changed for K seconds, too, but only if the
  others can carry what is asked for: each member up to FULL of a node's throughput. So a hot target does not lose a
  copy every K seconds that is needed again in the next.
- A target of which nothing is known goes to a node that says it has it in memory: so what a front-end has forgotten, or
  one that took over has never known, costs no miss.
- Nodes that have nothing to do are told apart by how many targets they serve, for their loads say nothing.
"""

from collections.abc import Sequence

from flashpy.cluster.choosing import Asked, Parameters, Report, Thresholds
from flashpy.cluster.control import Control
from flashpy.cluster.lard import LardR
from flashpy.cluster.mapping import ServerSet
from flashpy.cluster.nodes import Node, Nodes
from flashpy.cluster.summary import Probe, Summary

FULL = 0.5
"""The part of a node's throughput that one target may take."""


class AdaptiveLard(LardR):
    """LARD/R with thresholds, server sets and newcomers as described above."""

    __slots__ = ("_control", "_nodes", "_resident")

    def __init__(self, parameters: Parameters) -> None:
        super().__init__(parameters)
        self._control = Control(Thresholds(parameters.t_low, parameters.t_high))
        self._resident: dict[str, Summary] = {}
        self._nodes = Nodes()  # those of the last request: reports come by name

    @property
    def thresholds(self) -> Thresholds:
        """As the nodes measure them."""
        return self._control.thresholds

    def choose(self, nodes: Nodes, asked: Asked, now: float) -> Node | None:
        """See LardR."""
        self._nodes = nodes
        return super().choose(nodes, asked, now)

    def forget(self, name: str) -> None:
        """It serves nothing, has nothing in memory, and says nothing."""
        super().forget(name)
        self._resident.pop(name, None)
        self._control.forget(name)

    def report(self, name: str, report: Report) -> None:
        """A node has said how it is."""
        node = self._nodes.get(name)
        self._control.report(name, node.weight if node is not None else 1.0, report)
        if report.resident is not None:
            self._resident[name] = report.resident

    def _first(self, nodes: Nodes, least: Node, target: bytes) -> Node:
        """The node of a target that has none."""
        if self._resident:
            probe = Probe.of(target)
            having = [node for node in nodes.up() if self._has(node, probe)]
            node = nodes.least_loaded(having)
            if node is not None and not self._is_overloaded(node, least):
                return node
        if least.pressure >= 1:
            return least
        idle = (node for node in nodes.up() if node.pressure < 1)
        return min(idle, key=lambda node: self._mapping.targets_of(node.name) / node.weight)

    def _has(self, node: Node, probe: Probe) -> bool:
        resident = self._resident.get(node.name)
        return resident is not None and resident.has(probe)

    def _needed(self, known: ServerSet, members: Sequence[Node], kept: Node, now: float) -> Sequence[Node]:
        """As LardR has it if those can do without the other; else all, to be judged again after as long a time."""
        rest = super()._needed(known, members, kept, now)
        rate = known.asked / (now - known.changed)
        throughput = self._control.throughput
        if throughput and rate > FULL * throughput * sum(node.weight for node in rest):
            return members
        return rest
