"""Immutable pieces of an answer: bytes, and slices of open files.

A body is an *aggregate* (IO-Lite's word): a tuple of ``bytes`` and ``Slice``. Nothing in it ever changes, so the
same piece may stand in many answers at once.
"""

import os
from collections.abc import Sequence
from typing import NamedTuple

IN_MEMORY = -1
"""The device of a descriptor that has no disk behind it (memfd_create(2)): what it holds can always be sent at once."""


class Descriptor:
    """An open file descriptor with its owner's count: it is closed when the last reference to it goes.

    Whoever sends from it holds a reference (a ``Slice`` in its output queue), so a cache may forget a descriptor at
    any time: one that is being sent stays open until the send is over.
    """

    __slots__ = ("device", "fd", "loaded")

    def __init__(self, fd: int, device: int = 0) -> None:
        self.fd = fd
        self.device = device  # st_dev: the means of the residency test is chosen per device
        # What cache.residency remembers of windows that are in memory: first, end, until when.
        self.loaded: dict[int, tuple[int, int, float]] | None = None

    def __del__(self) -> None:
        os.close(self.fd)

    def __repr__(self) -> str:
        return f"Descriptor({self.fd})"


class Slice(NamedTuple):
    """``length`` bytes of an open file from ``offset``; the length is that of the version that was opened."""

    file: Descriptor
    offset: int
    length: int


Piece = bytes | Slice
Aggregate = tuple[Piece, ...]


def length_of(aggregate: Sequence[Piece]) -> int:
    """The number of bytes in all pieces."""
    return sum(piece.length if isinstance(piece, Slice) else len(piece) for piece in aggregate)
