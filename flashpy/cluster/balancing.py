"""Policies that look at the load alone, or not even at that. A connection stays with the node that it was given to."""

from random import Random

from flashpy.cluster.choosing import Asked, Parameters, Simple, holder
from flashpy.cluster.nodes import Node, Nodes


class RoundRobin(Simple):
    """One after the other, each as often as its weight says (smooth weighted round robin, as nginx has it)."""

    __slots__ = ("_credits",)

    def __init__(self, parameters: Parameters) -> None:
        super().__init__(parameters)
        self._credits: dict[str, float] = {}

    def choose(self, nodes: Nodes, asked: Asked, now: float) -> Node | None:
        """The one that has waited longest, by its weight."""
        if (node := holder(nodes, asked)) is not None:
            return node
        chosen, self._credits = self._turn(nodes)
        return chosen

    def explain(self, nodes: Nodes, asked: Asked, now: float) -> Node | None:
        """See Policy."""
        return holder(nodes, asked) or self._turn(nodes)[0]

    def _turn(self, nodes: Nodes) -> tuple[Node | None, dict[str, float]]:
        """Whose turn it is, and what is to each one's credit after that."""
        up = nodes.up()
        if not up:
            return None, self._credits
        credits = {node.name: self._credits.get(node.name, 0.0) + node.weight for node in up}
        chosen = max(up, key=lambda node: credits[node.name])
        credits[chosen.name] -= sum(node.weight for node in up)
        return chosen, credits


class LeastLoaded(Simple):
    """WRR as Pai et al. have it: weighted by load. With equal nodes it is least connections."""

    __slots__ = ()

    def choose(self, nodes: Nodes, asked: Asked, now: float) -> Node | None:
        """The least loaded."""
        return holder(nodes, asked) or nodes.least_loaded()


class TwoChoices(Simple):
    """The less loaded of two at random, which is nearly as good as the least loaded of all (Mitzenmacher, 2001)."""

    __slots__ = ("_random",)

    def __init__(self, parameters: Parameters) -> None:
        super().__init__(parameters)
        self._random = Random(parameters.seed)

    def choose(self, nodes: Nodes, asked: Asked, now: float) -> Node | None:
        """The less loaded of two."""
        if (node := holder(nodes, asked)) is not None:
            return node
        up = nodes.up()
        return nodes.least_loaded(self._random.sample(up, 2) if len(up) > 2 else up)

    def explain(self, nodes: Nodes, asked: Asked, now: float) -> Node | None:
        """What chance has in store."""
        before = self._random.getstate()
        node = self.choose(nodes, asked, now)
        self._random.setstate(before)
        return node
