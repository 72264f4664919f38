"""Memos of what clients repeat: whole heads (a client asks for one thing again and again), and the blocks of fields
below the request line (a browser sends the same one for each asset of a page).

What is remembered is a pure function of the bytes, so a memo needs no invalidation and knows nothing of caches, time or
clients. Bytes enter at their second sighting, so that what never repeats does not fill it, and never with credentials.
"""

from typing import Generic, NamedTuple, TypeVar

from flashpy.http.request import Fields, Request

_PRIVATE = frozenset({b"authorization", b"proxy-authorization"})
_MOST_SEEN = 65_536

V = TypeVar("V")


class Memo(Generic[V]):
    """A mapping from bytes, bounded in bytes; emptied when full, since what repeats is soon back."""

    __slots__ = ("_cost", "_kept", "_limit", "_seen", "get")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._cost = 0
        self._seen: set[int] = set()
        self._kept: dict[bytes, V] = {}
        self.get = self._kept.get

    def __len__(self) -> int:
        return len(self._kept)

    def _learn(self, key: bytes, value: V, cost: int) -> None:
        sighting = hash(key)
        if sighting not in self._seen:
            if len(self._seen) >= _MOST_SEEN:
                self._seen.clear()
            self._seen.add(sighting)
            return
        if cost > self._limit:
            return
        if self._cost + cost > self._limit:
            self._kept.clear()
            self._cost = 0
        self._kept[key] = value
        self._cost += cost


class HeadMemo(Memo[Request]):
    """Whole heads to their requests."""

    __slots__ = ()

    def learn(self, head: bytes, request: Request) -> None:
        """Take note of a head without a body behind it."""
        if request.keep_alive and not request.fault and _PRIVATE.isdisjoint(request.fields):
            self._learn(head, request, 2 * len(head) + 1_000)


class Block(NamedTuple):
    """What a block of fields says, in HTTP/1.1: ``plain`` as in Request, but for the method."""

    fields: Fields
    keep_alive: bool
    plain: bool


class BlockMemo(Memo[Block]):
    """Blocks of fields to what they say."""

    __slots__ = ()

    def learn(self, block: bytes, said: Block) -> None:
        """Take note of a block that announces no body and expects nothing."""
        if _PRIVATE.isdisjoint(said.fields):
            self._learn(block, said, 3 * len(block) + 1_000)
