"""A memo of request heads: a client on a keep-alive connection repeats its head byte for byte.

A request is a pure function of its head, so the memo needs no invalidation and knows nothing of caches, time or
clients. A head enters at its second sighting, so that heads that never repeat do not fill it.
"""

from flashpy.http.request import Request

_PRIVATE = frozenset({b"authorization", b"proxy-authorization"})


class HeadMemo:
    """Whole heads to their requests, bounded in bytes; emptied when full, since what repeats is soon back."""

    __slots__ = ("_cost", "_kept", "_limit", "_seen", "get")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._cost = 0
        self._seen: set[int] = set()
        self._kept: dict[bytes, Request] = {}
        self.get = self._kept.get

    def __len__(self) -> int:
        return len(self._kept)

    def learn(self, head: bytes, request: Request) -> None:
        """Take note of a head without a body behind it."""
        key = hash(head)
        if key not in self._seen:
            if len(self._seen) >= 65_536:
                self._seen.clear()
            self._seen.add(key)
            return
        if request.fault or not request.keep_alive or not _PRIVATE.isdisjoint(request.fields):
            return
        cost = 2 * len(head) + 1_000
        if cost > self._limit:
            return
        if self._cost + cost > self._limit:
            self._kept.clear()
            self._cost = 0
        self._kept[head] = request
        self._cost += cost
