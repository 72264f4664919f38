"""How long to wait before something is started again that has ended by itself: pure."""

FIRST, LONGEST = 0.1, 30.0
"""Seconds before the second start in a row, and the most."""
GOOD = 60.0
"""Seconds after which a start counts as a success, and the next failure as the first."""


class Backoff:
    """The first start again is at once; then the pause doubles, until one start has lasted."""

    __slots__ = ("_began", "_pause")

    def __init__(self) -> None:
        self._pause = 0.0
        self._began = float("-inf")

    def began(self, now: float) -> None:
        """It has been started."""
        self._began = now

    def pause(self, now: float) -> float:
        """It has ended: for how many seconds to wait before it is started again."""
        if now - self._began >= GOOD:
            self._pause = 0.0
        pause, self._pause = self._pause, min(LONGEST, max(FIRST, 2 * self._pause))
        return pause
