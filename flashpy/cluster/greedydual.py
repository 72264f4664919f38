"""The cache that evicts by size and age (Cao and Irani, Greedy-Dual-Size, USITS 1997), with the cost 1 for all: the
variant that has the most hits."""

import heapq
from collections.abc import Iterator
from typing import Generic, TypeVar

K = TypeVar("K")


class GreedyDual(Generic[K]):
    """Keys with sizes, within a number of bytes.

    The value of a key is H = L + 1 / size, set when it comes in and at each hit, where L is the value of what was
    evicted last. The least value goes. A hit only notes the new value; the heap learns of it later.
    """

    __slots__ = ("_heap", "_inflation", "_number", "_values", "most", "size")

    def __init__(self, most: int) -> None:
        self._values: dict[K, tuple[float, int, int]] = {}  # the value, the size, the number
        self._heap: list[tuple[float, int, K]] = []  # keys are never compared: a number is that of one coming in
        self._inflation = 0.0
        self._number = 0
        self.most = most
        self.size = 0

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[K]:
        return iter(self._values)

    def __contains__(self, key: K) -> bool:
        return key in self._values

    def hit(self, key: K) -> bool:
        """Whether a key is there. It is worth more then."""
        found = self._values.get(key)
        if found is None:
            return False
        _, size, number = found
        self._values[key] = (self._inflation + 1 / size, size, number)
        return True

    def drop(self, key: K) -> None:
        """Let a key go, if it is there."""
        found = self._values.pop(key, None)
        if found is not None:
            self.size -= found[1]

    def put(self, key: K, size: int) -> list[K]:
        """Take in a key that is not there, and evict others for it; return these. What is too large is left out."""
        size = max(1, size)
        gone: list[K] = []
        if size > self.most:
            return gone
        while self.size + size > self.most:
            self._inflation = self.next_value()
            key_gone = heapq.heappop(self._heap)[2]
            self.size -= self._values.pop(key_gone)[1]
            gone.append(key_gone)
        self._number += 1
        value = self._inflation + 1 / size
        self._values[key] = (value, size, self._number)
        heapq.heappush(self._heap, (value, self._number, key))
        self.size += size
        return gone

    def next_value(self) -> float:
        """The value of the key that goes next; 0 where there is none."""
        heap = self._heap
        while heap:
            value, number, key = heap[0]
            found = self._values.get(key)
            if found is None or found[2] != number:
                heapq.heappop(heap)  # it has been dropped
            elif found[0] != value:
                heapq.heapreplace(heap, (found[0], number, key))
            else:
                return value
        return 0.0
