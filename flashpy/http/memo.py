"""Memos of what clients repeat: a mapping from what they send to what it says, bounded in bytes.

What is remembered is a pure function of its key, so a memo needs no invalidation and knows nothing of caches, time or
clients. A key enters at its second sighting, so that what never repeats does not fill it.
"""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

MOST_SEEN = 8_192
"""Sightings that are kept in mind: what does not come again among so many others is not worth remembering."""

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class _Kept(dict[K, V]):
    """What is remembered; ``missing`` is asked for what is not."""

    __slots__ = ("_missing",)

    def __init__(self, missing: Callable[[K], V]) -> None:
        self._missing = missing

    def __missing__(self, key: K) -> V:
        return self._missing(key)


class Memo(Generic[K, V]):
    """A bounded mapping; emptied when full, since what repeats is soon back.

    ``get`` looks only here. ``recall`` asks ``missing`` for what is not here (which may teach it): the mapping does so
    itself, so that a hit costs no call of Python code.
    """

    __slots__ = ("_cost", "_kept", "_limit", "_seen", "get", "recall")

    def __init__(self, limit: int, missing: Callable[[K], V]) -> None:
        self._limit = limit
        self._cost = 0
        self._seen: set[int] = set()
        self._kept: _Kept[K, V] = _Kept(missing)
        self.get: Callable[[K], V | None] = self._kept.get
        self.recall: Callable[[K], V] = self._kept.__getitem__

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, key: K) -> bool:
        return key in self._kept

    def learn(self, key: K, value: V, cost: int) -> None:
        """Take note of what a key means; ``cost`` is what the two take, in bytes."""
        sighting = hash(key)
        if sighting not in self._seen:
            if len(self._seen) >= MOST_SEEN:
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
