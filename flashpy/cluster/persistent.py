"""LARD for persistent connections (Aron, Druschel, Zwaenepoel, USENIX ATC 1999, section 5): what each choice costs.

The first request of a connection goes where it costs least. A later one is served by the node that holds the connection
if the target is there, or if that node's disk has little to do; else where it costs least among this node and those
that have the target. Where that is another node, the caller hands the connection over or has the answer fetched.
"""

from flashpy.cluster.choosing import Asked, Parameters, Report, holder
from flashpy.cluster.lard import Decision, Lard
from flashpy.cluster.mapping import ServerSet
from flashpy.cluster.nodes import Node, Nodes

IDLE_DISK = 5
"""Fewer reads than that in a disk's queue are little to do."""


def share(asked: Asked, chosen: str) -> float:
    """What a request adds to the load of the node that is chosen for it, until its batch is done.

    The node that holds the connection counts that connection once. Every other one counts 1/N for each request that it
    answers of a batch of N.
    """
    if asked.at is None:
        return 1.0
    return 0.0 if asked.at == chosen else 1 / asked.batch


class PersistentLard(Lard):
    """Among equals in cost the least loaded wins, then the first that has the target."""

    __slots__ = ("_queued",)

    def __init__(self, parameters: Parameters) -> None:
        super().__init__(parameters)
        self._queued: dict[str, int] = {}  # reads that wait, by node; who does not say how many counts as busy

    def forget(self, name: str) -> None:
        """Its targets are nobody's, and nothing is known of its disk."""
        super().forget(name)
        self._queued.pop(name, None)

    def report(self, name: str, report: Report) -> None:
        """The queue of its disk is as long as it says."""
        self._queued[name] = report.queued

    def _decide(self, nodes: Nodes, asked: Asked, known: ServerSet | None, now: float) -> Decision | None:
        """The node that costs least."""
        having = known.within(nodes) if known is not None else []
        here = holder(nodes, asked)
        # Of those that do not have the target, none costs less than the least loaded.
        other = here or nodes.least_loaded()
        if other is None:
            return None
        if here is not None and (here in having or self._queued.get(here.name, IDLE_DISK) < IDLE_DISK):
            chosen = here
        else:
            chosen = min([*having, other], key=lambda node: (self._cost(node, node in having), node.pressure))
        if chosen in having:
            return Decision(chosen)
        # Who keeps a connection reads the target beside those that have it; a first request moves it, as in LARD.
        kept = [node.name for node in having] if here is not None else []
        return Decision(chosen, [*kept, chosen.name])

    def _cost(self, node: Node, has_it: bool) -> float:
        """The sum of the costs of balancing, of locality and of replacement (figure 4 of the paper)."""
        parameters, pressure = self._parameters, node.pressure
        if pressure > parameters.l_overload:
            return float("inf")
        idle = pressure < parameters.l_idle
        balancing = 0.0 if idle else pressure - parameters.l_idle
        locality = 1.0 if has_it else parameters.miss_cost
        replacement = 0.0 if idle or has_it else parameters.miss_cost
        return balancing + locality + replacement
