"""A node as the front-end deals with it: what the policy sees of it, whether it is well, and how it is reached."""

from typing import TYPE_CHECKING

from flashpy.cluster.health import Health
from flashpy.cluster.messages import Reported
from flashpy.cluster.nodes import Node, Standing
from flashpy.settings import HealthSection, NodeSection

if TYPE_CHECKING:
    from flashpy.cluster.backend.pool import Backend
    from flashpy.cluster.front.passing import Passing
    from flashpy.cluster.front.warming import Warming


class Member:
    """``node`` is in the policy's collection. ``passing`` and ``backend`` are the ways to it, those that it has."""

    def __init__(self, section: NodeSection, health: HealthSection) -> None:
        self.name = section.name
        self.section = section
        self.node = Node(section.name, section.weight, standing=Standing.DOWN)
        self.health = Health(health)
        self.passing: Passing | None = None
        self.backend: Backend | None = None
        self.warming: Warming | None = None
        self.reported: Reported | None = None  # the latest
        self.held = 0  # connections and requests that it has
        self._helping = 0  # requests of connections that others have
        self._shares = 0.0  # of these, in its load
        self.handed = 0  # connections, ever
        self.returned = 0  # of these, those that came back
        self.relayed = 0  # requests, ever

    def hold(self, count: int) -> None:
        """It has so many connections or requests more; less, if that is negative."""
        self.held += count
        self.node.load = self.held + self._shares

    def help(self, share: float) -> None:
        """It answers a request of a connection that another node has, which is so much of a load."""
        self._helping += 1
        self._shares += share
        self.hold(0)

    def helped(self, share: float) -> None:
        """That is over. Without any such request nothing is left of them: sums of fractions are not exact."""
        self._helping -= 1
        self._shares = self._shares - share if self._helping else 0.0
        self.hold(0)

    def __repr__(self) -> str:
        return f"<Member {self.node!r}>"
