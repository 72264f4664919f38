"""How often a client may ask: the generic cell rate algorithm (ITU-T I.371), a leaky bucket that is a single number.

The number is when the bucket will be empty: a request that passes puts it off by an interval, and one that would put it
off too far is refused. A refused one costs nothing, so that who waits as long as he is told is served.
"""

from flashpy.access.networks import household

MOST = 16_384
"""Clients that are remembered; who has not asked for longest is forgotten first."""


class Rates:
    """The rates of all clients; all of one /64 are one. Time is an argument: seconds of a monotonic clock."""

    __slots__ = ("_ahead", "_empty", "_interval", "_most")

    def __init__(self, per_second: float, burst: int, most: int = MOST) -> None:
        """``burst`` is how many requests a client may be ahead of its rate."""
        self._interval = 1.0 / per_second
        self._ahead = burst * self._interval
        self._most = most
        self._empty: dict[str, float] = {}  # when each client's bucket is empty; the least recent first

    def take(self, client: str, now: float) -> float:
        """Count a request: 0 if it may be answered; else the seconds until one may."""
        table, client = self._empty, household(client)
        empty = max(now, table.pop(client, now))
        wait = empty - now - self._ahead
        if wait <= 0:
            empty += self._interval
        table[client] = empty
        if len(table) > self._most:
            del table[next(iter(table))]
        return max(0.0, wait)

    def __len__(self) -> int:
        return len(self._empty)
