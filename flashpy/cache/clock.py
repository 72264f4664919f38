"""A cache with the CLOCK (second chance) policy, bounded in entries and in bytes.

CLOCK instead of LRU, because a hit then costs one attribute store (``entry.used = True``, by whoever hits) and no move
in a list; and because it is also what the kernel does with the pages underneath (Flash, section 5.4, has its LRU
approximate the kernel's clock).
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Generic, Protocol, TypeVar


class Entry(Protocol):
    """What can be kept: it says its cost in bytes and carries the mark of use."""

    cost: int
    used: bool


K = TypeVar("K")
E = TypeVar("E", bound=Entry)


class Clock(Generic[K, E]):
    """A mapping that forgets what has not been used lately when it is over a budget.

    ``get`` is the mapping's own, for speed: a hit must set ``entry.used``. A budget of 0 keeps nothing. ``forget`` is
    called with each entry that leaves, for whatever reason.
    """

    __slots__ = ("_entries", "_forget", "cost", "evictions", "get", "max_cost", "max_entries")

    def __init__(self, max_entries: int, max_cost: int, forget: Callable[[E], None] | None = None) -> None:
        # In the order of the clock's hand: the first is looked at next. Not a plain dict, in which finding the first
        # item takes the longer the more first items have been removed.
        self._entries: OrderedDict[K, E] = OrderedDict()
        self._forget = forget
        self.get = self._entries.get
        self.max_entries = max_entries
        self.max_cost = max_cost
        self.cost = 0
        self.evictions = 0  # entries that went because others needed their room

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: K) -> bool:
        return key in self._entries

    def __iter__(self) -> Iterator[E]:
        return iter(self._entries.values())

    def has_room_for(self, entry: E) -> bool:
        """Whether an entry would come in without driving out others."""
        return len(self._entries) < self.max_entries and self.cost + entry.cost <= self.max_cost

    def put(self, key: K, entry: E) -> None:
        """Keep an entry, in place of any with this key, and drop others until the budgets hold.

        One that alone is over a budget is not kept but forgotten at once.
        """
        self.drop(key)
        if not self.max_entries or entry.cost > self.max_cost:
            if self._forget:
                self._forget(entry)
            return
        entries = self._entries
        while len(entries) >= self.max_entries or self.cost + entry.cost > self.max_cost:
            self._evict()
        entries[key] = entry
        self.cost += entry.cost

    def drop(self, key: K) -> None:
        """Forget one entry, if it is there."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.cost -= entry.cost
            if self._forget:
                self._forget(entry)

    def demote(self, key: K) -> None:
        """Let an entry, if it is there, be the next to go: it has become of little use."""
        entry = self._entries.get(key)
        if entry is not None:
            entry.used = False
            self._entries.move_to_end(key, last=False)

    def snapshot(self) -> dict[str, int]:
        """How full it is, how full it may be, and how many entries had to go."""
        return {
            "entries": len(self._entries),
            "bytes": self.cost,
            "most_entries": self.max_entries,
            "most_bytes": self.max_cost,
            "evictions": self.evictions,
        }

    def _evict(self) -> None:
        """Go round: what was used gets a second chance, the first that was not goes."""
        entries = self._entries
        while True:
            key = next(iter(entries))
            entry = entries[key]
            if not entry.used:
                self.evictions += 1
                return self.drop(key)
            entry.used = False
            entries.move_to_end(key)
