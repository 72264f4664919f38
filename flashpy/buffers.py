"""Immutable pieces of an answer: bytes, slices of open files, and what is made of these when its turn comes.

A body is an *aggregate* (IO-Lite's word): a tuple of ``bytes``, ``Slice`` and ``Lazy``. Nothing in it ever changes, so
the same piece may stand in many answers at once, but for what is ``Piped``: that is there once.
"""

import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

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


class Lazy:
    """``length`` bytes that are made when their turn comes to be sent: what would take too many descriptors, or too
    much memory, to have at hand before. It never changes either: what has been made of it is another aggregate."""

    __slots__ = ("length",)

    def __init__(self, length: int) -> None:
        self.length = length

    def make(self, result: Any = None) -> Any:
        """The aggregate that stands in its place, of ``length`` bytes, and perhaps with a Lazy at its end; or the job
        (job.kinds) that is needed for that, with whose result this is then called again; None if it cannot be made
        any more, so that the answer must break off."""
        raise NotImplementedError


class Endless(Lazy):
    """What goes on for as long as a client listens: whoever made it takes the connection's socket (and the client's
    address) when all before it has been sent. Nothing can follow it, so the answer must close."""

    __slots__ = ("take",)

    def __init__(self, take: Callable[[Any, str], None]) -> None:
        super().__init__(0)
        self.take = take


class Pipe:
    """A pipe (pipe(7)) that never waits, closed when the last reference to it goes."""

    __slots__ = ("reading", "writing")

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def __del__(self) -> None:
        if hasattr(self, "writing"):
            os.close(self.reading)
            os.close(self.writing)


class Piped(Lazy):
    """``length`` bytes that are in a pipe already: they leave by splice(2), once. Who cannot do that has them made
    bytes."""

    __slots__ = ("pipe",)

    def __init__(self, pipe: Pipe, length: int) -> None:
        super().__init__(length)
        self.pipe = pipe

    def make(self, result: Any = None) -> Any:
        """See Lazy."""
        data = os.read(self.pipe.reading, self.length)
        return (data,) if len(data) == self.length else (data, Piped(self.pipe, self.length - len(data)))


Ready = bytes | Slice
Piece = Ready | Lazy
Aggregate = tuple[Piece, ...]


def length_of(aggregate: Sequence[Piece]) -> int:
    """The number of bytes in all pieces."""
    return sum(len(piece) if isinstance(piece, bytes) else piece.length for piece in aggregate)
