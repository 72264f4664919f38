"""Whether a node is well, as checks and what becomes of requests tell. Pure: the time is an argument.

The names are HAProxy's (rise, fall) and Envoy's (outlier ejection).
"""

from collections.abc import Iterable
from enum import Enum, auto
from statistics import median

from flashpy.cluster.nodes import Standing
from flashpy.settings import HealthSection

SMOOTHING = 0.2
"""The part that the latest delay has in the mean."""
MOST_EJECTIONS = 8
"""Ejections in a row after which the pause grows no more."""

FORGIVEN = 10
"""Pauses' lengths after which it does not count any more that a node has been slow."""


class Life(Enum):
    """Whether a node lives, and whether it has its share of the targets in memory."""

    GONE = auto()
    COLD = auto()
    WARM = auto()


_STANDINGS = {
    (Life.GONE, False): Standing.DOWN,
    (Life.GONE, True): Standing.DOWN,
    (Life.COLD, False): Standing.WARMING,
    (Life.COLD, True): Standing.DRAINING,
    (Life.WARM, False): Standing.UP,
    (Life.WARM, True): Standing.DRAINING,
}
"""What a node is for, by how it is and whether somebody wants it to leave."""


class Health:
    """What is known of one node. It is down until it has shown that it lives, and cold until its share is loaded."""

    def __init__(self, settings: HealthSection) -> None:
        self._settings = settings
        self._in_a_row = 0  # checks that contradict what it is taken for
        self._ejected_until = float("-inf")
        self._ejections = 0
        self._life = Life.GONE
        self.draining = False  # somebody wants it to leave
        self.delay: float | None = None  # a mean of late, in seconds: how long it makes others wait

    @property
    def alive(self) -> bool:
        """Whether it has shown that it lives."""
        return self._life is not Life.GONE

    @property
    def warm(self) -> bool:
        """Whether it lives, and has its share of the targets in memory."""
        return self._life is Life.WARM

    def standing(self, now: float) -> Standing:
        """What the node is for."""
        return Standing.DOWN if now < self._ejected_until else _STANDINGS[self._life, self.draining]

    def checked(self, passed: bool) -> None:
        """A check has passed, or has failed."""
        if passed is self.alive:
            self._in_a_row = 0
            return
        self._in_a_row += 1
        if self._in_a_row >= (self._settings.rise if passed else self._settings.fall):
            self._become(passed)

    def met(self) -> None:
        """It is there beyond doubt: no further checks are needed."""
        self._become(True)

    def lost(self) -> None:
        """It is gone beyond doubt: its connection is broken, or nobody listens there."""
        self._become(False)

    def warmed(self) -> None:
        """It has loaded what it is to load. How long it made others wait meanwhile tells nothing."""
        if self._life is Life.COLD:
            self._life = Life.WARM
            self.delay = None

    def cool(self) -> None:
        """It lives, but its share is not loaded, as becomes known only now."""
        if self.warm:
            self._life = Life.COLD

    def _become(self, alive: bool) -> None:
        if alive is not self.alive:
            self._life = Life.COLD if alive else Life.GONE
            self.delay = None
        self._in_a_row = 0

    def took(self, seconds: float) -> None:
        """It has made somebody wait for so long."""
        self.delay = seconds if self.delay is None else self.delay + SMOOTHING * (seconds - self.delay)

    def eject(self, now: float) -> float:
        """It is slow: leave it alone for a while, each time for longer. For how many seconds."""
        if now > self._ejected_until + FORGIVEN * self._settings.slow_pause:
            self._ejections = 0
        self._ejections = min(self._ejections + 1, MOST_EJECTIONS)
        pause = self._settings.slow_pause * self._ejections
        self._ejected_until = now + pause
        self.delay = None
        return pause


def outliers(nodes: Iterable[tuple[str, float | None]], settings: HealthSection) -> list[str]:
    """The nodes (name and mean delay) that are slow beside the others, the slowest first: fewer than half of them, for
    when most are slow it is not their fault."""
    known = [(delay, name) for name, delay in nodes if delay is not None]
    if not settings.slow_factor or len(known) < 2:
        return []
    known.sort(reverse=True)
    found = []
    for delay, name in known[: (len(known) - 1) // 2 or 1]:
        usual = median(other for other, another in known if another != name)
        if delay > max(settings.slow_least, settings.slow_factor * usual):
            found.append(name)
    return found
