"""Which stream's turn it is to be sent: the extensible priorities of RFC 9218."""

import re
from heapq import heappop, heappush
from itertools import count
from typing import NamedTuple

_MEMBER = re.compile(rb"[ \t]*([a-z*][a-z0-9_.*-]*)(?:=([^,; \t]*))?(?:;[^,]*)?[ \t]*")


class Priority(NamedTuple):
    """From 0, the most urgent, to 7; ``incremental``: each part is of use, so such streams take turns (RFC 9218, 4)."""

    urgency: int = 3
    incremental: bool = False


DEFAULT = Priority()


def parse_priority(value: bytes) -> Priority:
    """What the field Priority says (RFC 9218, 5): a dictionary of structured fields (RFC 8941), of which two members
    are of interest. What cannot be understood is passed over."""
    urgency, incremental = DEFAULT
    for member in value.split(b","):
        match = _MEMBER.fullmatch(member)
        if not match:
            continue
        name, given = match.groups()
        if name == b"u" and given is not None and len(given) == 1 and given in b"01234567":
            urgency = int(given)
        elif name == b"i" and given in (None, b"?1", b"?0"):
            incremental = given != b"?0"
    return Priority(urgency, incremental)


class Turns:
    """The streams that have something to send, in their order: the most urgent first; among these, those that are not
    incremental one after the other, by number, and then the others in turn (RFC 9218, 10)."""

    __slots__ = ("_count", "_heap", "_keys")

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, int]] = []  # urgency, turn, stream
        self._keys: dict[int, tuple[int, int, int]] = {}  # by stream; others in the heap are of the past
        self._count = count(1)

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, stream: int) -> bool:
        return stream in self._keys

    def add(self, stream: int, priority: Priority) -> None:
        """The stream has something to send: it comes behind those that wait already and are as urgent, unless it is not
        incremental. Again, with another priority: that counts."""
        key = priority.urgency, next(self._count) if priority.incremental else 0, stream
        if self._keys.get(stream) != key:
            self._keys[stream] = key
            heappush(self._heap, key)

    def remove(self, stream: int) -> None:
        """It has nothing more to send."""
        self._keys.pop(stream, None)

    def take(self) -> int | None:
        """The stream whose turn it is; it must be added again if it is to have another."""
        while self._heap:
            key = heappop(self._heap)
            if self._keys.get(key[2]) == key:
                del self._keys[key[2]]
                return key[2]
        return None
