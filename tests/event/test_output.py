"""The output queue, over a real socket."""

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flashpy.buffers import Aggregate, Descriptor, Lazy, Slice
from flashpy.cache.residency import Residency
from flashpy.event.output import Output, Progress
from flashpy.metrics import Metrics
from flashpy.now import Now


class Known(Residency):
    """A residency test with the answers that a test gives, by the offset of the window."""

    def __init__(self, absent: set[int]) -> None:
        super().__init__(1.0)
        self.absent = absent

    def resident(self, file: Descriptor, offset: int, length: int, now: float) -> bool:
        """As the test says."""
        return offset not in self.absent


class Later(Lazy):
    """Pieces that are there when they are asked for."""

    def __init__(self, *pieces: bytes) -> None:
        super().__init__(sum(map(len, pieces)))
        self._pieces = pieces

    def make(self, result: Any = None) -> Aggregate:
        """The first, and what is left."""
        first, *rest = self._pieces
        return (first, Later(*rest)) if rest else (first,)


@pytest.fixture
def file(tmp_path: Path) -> Descriptor:
    """A file of 100 bytes."""
    (tmp_path / "file").write_bytes(bytes(range(100)))
    return Descriptor(os.open(tmp_path / "file", os.O_RDONLY))


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a connection; ours does not block."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.settimeout(10)
    with ours, theirs:
        yield ours, theirs


def output(sock: socket.socket, *absent: int) -> Output:
    """The output of a connection, with windows that are not resident."""
    return Output(sock, Known(set(absent)), Now(time.monotonic(), time.time()), Metrics())


def test_an_answer_of_which_nothing_has_been_sent_can_be_withdrawn(
    ends: tuple[socket.socket, socket.socket], file: Descriptor
) -> None:
    """Its head waits for the first window."""
    queue = output(ends[0], 0)
    queue.send_whole(b"the answer before")
    assert queue.send((b"head", Slice(file, 0, 100))) is Progress.ABSENT
    assert queue.withdraw()
    assert queue.send((b"another",)) is Progress.SENT
    assert ends[1].recv(1000) == b"the answer beforeanother"


def test_an_answer_that_has_begun_cannot_be_withdrawn(
    ends: tuple[socket.socket, socket.socket], file: Descriptor
) -> None:
    """Though what is next in it is bytes, as between the parts of a multipart body: RFC 9110, 14.6."""
    queue = output(ends[0], 50)
    pieces = (b"head", Slice(file, 0, 10), b"between", Slice(file, 50, 10))
    assert queue.send(pieces) is Progress.ABSENT
    assert queue.queue[0] == b"between"
    assert not queue.withdraw()


def test_pieces_are_made_in_their_turn(ends: tuple[socket.socket, socket.socket], file: Descriptor) -> None:
    """What is before them is sent, and what is made of them behind it; all count as unsent until then."""
    queue = output(ends[0])
    progress = queue.send((b"head ", Later(b"one ", b"two ", b"three"), b" end", Slice(file, 65, 3)))
    sent = [ends[1].recv(1000)]
    while progress is Progress.UNMADE:
        left = queue.unsent
        queue.made(queue.unmade.make())
        assert queue.unsent == left
        progress = queue.push()
        sent.append(ends[1].recv(1000))
    assert progress is Progress.SENT and queue.unsent == 0
    assert sent == [b"head ", b"one ", b"two ", b"three endABC"]
