"""What a policy is asked, what it answers, and by which parameters it judges."""

from collections.abc import Sequence
from typing import Annotated, NamedTuple, Protocol

from msgspec import Meta, Struct

from flashpy.cluster.nodes import MAY_GET, Node, Nodes
from flashpy.cluster.summary import Summary

Amount = Annotated[float, Meta(ge=0)]
Positive = Annotated[float, Meta(gt=0)]
Bytes = Annotated[int, Meta(ge=1)]
Count = Annotated[int, Meta(ge=0)]


class Asked(NamedTuple):
    """A request, as far as a policy cares."""

    target: bytes
    size: int = 0
    """In bytes; 0: unknown."""
    at: str | None = None
    """The node that holds the persistent connection on which it came; None: it is the first of a connection."""
    batch: int = 1
    """How many requests came with it, pipelined, itself included."""


class Parameters(Struct, frozen=True, forbid_unknown_fields=True):
    """Of all policies together. Loads are connections per weight 1; the defaults are those of the papers.

    Pai et al., ASPLOS 1998 (t_low, t_high, k), Aron et al., USENIX ATC 1999 (l_idle, l_overload, miss_cost).
    """

    t_low: Positive = 25
    """Load below which a node is about to idle."""
    t_high: Positive = 65
    """Load above which a node makes its clients wait."""
    k: Amount = 20.0
    """Seconds after which a server set that has not changed loses a member."""
    l_idle: Amount = 30
    """Load below which a node costs nothing."""
    l_overload: Positive = 130
    """Load above which a node is no candidate."""
    miss_cost: Amount = 50
    """What a miss costs, in units of the delay of a request for what is in memory, at an idle node."""
    bound: Annotated[float, Meta(gt=1)] = 1.25
    """How much more than the mean load a node may have (consistent hashing with bounded loads)."""
    mapping_bytes: Bytes = 2**26
    """Memory for who has which target."""
    node_bytes: Bytes = 2**25
    """Memory that a node has for files, as LB/GC believes."""
    seed: int = 0
    """Of what is chosen at random."""


class Report(Struct, frozen=True):
    """What a node says of itself, of the time since it said so last. Sums are over the requests that were finished."""

    seconds: Amount
    """How long that time was."""
    done: Count = 0
    """How many requests were finished."""
    spent: Amount = 0.0
    """Seconds from when each was handed over to when it was finished, together."""
    waited: Amount = 0.0
    """Of these, the seconds in which it waited for a helper, a disk or a processor that was busy with others."""
    loads: Count = 0
    """Reads from the disk."""
    loading: Amount = 0.0
    """Seconds that these took, together, without what they waited in queues."""
    queued: Count = 0
    """Reads that wait now."""
    resident: Summary | None = None
    """The targets in its memory; None: it does not say."""


class Thresholds(NamedTuple):
    """T_low and T_high of Parameters, as they are at present."""

    low: float
    high: float


class Policy(Protocol):
    """Which node a request goes to. Time (seconds, of any origin) and state come as arguments."""

    def choose(self, nodes: Nodes, asked: Asked, now: float) -> Node | None:
        """The node for a request; None: no node may serve."""

    def explain(self, nodes: Nodes, asked: Asked, now: float) -> Node | None:
        """The node that ``choose`` would choose, without a change of anything."""

    def forget(self, name: str) -> None:
        """A node has gone, or has lost its memory: what was mapped to it is mapped to it no more."""

    def mapped(self, target: bytes) -> Sequence[str]:
        """The nodes that are believed to hold a target."""

    def report(self, name: str, report: Report) -> None:
        """A node has said how it is."""

    def share(self, nodes: Nodes, newcomer: Node, most: int, now: float) -> Sequence[bytes]:
        """Which targets will be a newcomer's, so many at most, the most wanted first."""

    def take_over(self, name: str, targets: Sequence[bytes], now: float) -> None:
        """A newcomer has loaded these, and serves them from now on."""

    @property
    def thresholds(self) -> Thresholds:
        """What the limit of connections is made of (flashpy.cluster.admission)."""


class Simple:
    """The part of a policy that keeps nothing in mind: neither who holds what nor how the nodes are."""

    __slots__ = ("_parameters",)

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters

    @property
    def thresholds(self) -> Thresholds:
        """As configured."""
        return Thresholds(self._parameters.t_low, self._parameters.t_high)

    def choose(self, nodes: Nodes, asked: Asked, now: float) -> Node | None:
        """See Policy."""
        raise NotImplementedError

    def explain(self, nodes: Nodes, asked: Asked, now: float) -> Node | None:
        """To choose changes nothing."""
        return self.choose(nodes, asked, now)

    def forget(self, name: str) -> None:
        """There is nothing to forget."""

    def mapped(self, target: bytes) -> Sequence[str]:
        """Nobody is believed to hold anything."""
        return ()

    def report(self, name: str, report: Report) -> None:
        """It does not matter."""

    def share(self, nodes: Nodes, newcomer: Node, most: int, now: float) -> Sequence[bytes]:
        """Nothing is anybody's."""
        return ()

    def take_over(self, name: str, targets: Sequence[bytes], now: float) -> None:
        """There was nothing to load."""


def holder(nodes: Nodes, asked: Asked) -> Node | None:
    """The node that holds the connection of a request, if there is one and it may go on with it."""
    node = nodes.get(asked.at) if asked.at is not None else None
    return node if node is not None and MAY_GET[node.standing].kept else None
