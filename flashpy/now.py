"""The time as the layers without a clock are told it."""


class Now:
    """``monotonic`` is when the callback that runs began, ``wall`` the time of day at the last tick (once a second).

    Both in seconds. The event layer sets them; whoever must not have a clock of its own reads them.
    """

    __slots__ = ("monotonic", "wall")

    def __init__(self, monotonic: float = 0.0, wall: float = 0.0) -> None:
        self.monotonic = monotonic
        self.wall = wall
