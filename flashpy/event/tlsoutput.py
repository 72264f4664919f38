"""The output queue of a TLS connection: records of bytes in memory and of files, which are read into memory.

By sendfile(2) a file would leave unencrypted, so none does.
"""

import os
import socket

from flashpy.buffers import Lazy, Piece, Slice
from flashpy.cache.residency import ABSENT, Residency
from flashpy.event.output import LOAD_TRIES, TURN, Output, Progress
from flashpy.event.tlssocket import RECORD
from flashpy.metrics import Metrics
from flashpy.now import Now

CHUNK = 4 * RECORD
"""Bytes that are put together at once."""


class TlsOutput(Output):
    """Sends a record at a time. One that the socket did not take whole stays first in the queue, as it is, because
    OpenSSL wants the very same again."""

    __slots__ = ("_begun", "_corks", "_ready", "_room")

    def __init__(self, sock: socket.SocketType, residency: Residency, now: Now, metrics: Metrics) -> None:
        super().__init__(sock, residency, now, metrics)
        self._corks = sock.family != socket.AF_UNIX
        self._ready = 0  # how many of the first in the queue are records
        self._begun = False  # the first of them has been given to OpenSSL, and is not yet sent whole
        self._room: memoryview | None = None  # where records are put together, while some are being sent

    def send_whole(self, data: bytes) -> bool:
        """See Output."""
        self.queue.append(data)
        self._ready = len(data) <= RECORD
        return self.push() is Progress.SENT

    def withdraw(self) -> bool:
        """See Output."""
        if self._begun or not super().withdraw():
            return False
        self._ready = 0
        return True

    def push(self) -> Progress:
        """See Output. Of several records the kernel makes full segments (TCP_CORK, tcp(7)): one for each would cost the
        processor nearly as much again as encrypting does."""
        if len(self.queue) < 2 or not self._corks:
            return self._push()
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        progress = self._push()
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)
        return progress

    def _push(self) -> Progress:
        queue = self.queue
        turn_ends = self.sent + TURN
        progress = Progress.SENT
        while queue:
            if self.sent >= turn_ends:
                progress = Progress.BLOCKED
            elif not self._ready:
                progress = self._prepare()
            if progress is not Progress.SENT:
                break
            record = queue[0]
            assert not isinstance(record, Slice | Lazy)
            self._begun = True
            try:
                self._send(record)
            except BlockingIOError:
                self._cleared = self._loads = 0  # who knows what has been evicted when the socket takes more
                progress = Progress.BLOCKED
                break
            self._begun = False
            self._ready -= 1
            self.sent += len(record)
            self._metrics.sent_bytes += len(record)
            queue.pop(0)
        self._room = None
        return progress

    def _prepare(self) -> Progress:
        """Let the first in the queue be records."""
        queue = self.queue
        first = queue[0]
        if isinstance(first, Lazy):
            return Progress.UNMADE
        if not isinstance(first, Slice) and (len(first) >= CHUNK or len(queue) == 1 or isinstance(queue[1], Lazy)):
            self._put_first(1, memoryview(first))
            return Progress.SENT
        return self._gather()

    def _put_first(self, taken: int, data: memoryview, *rest: Piece | memoryview) -> None:
        """Let records stand for so many pieces, and behind them the rest of the last of these."""
        records = [data[start : start + RECORD] for start in range(0, len(data), RECORD)]
        self.queue[:taken] = [*records, *rest]
        self._ready = len(records)

    def _gather(self) -> Progress:
        """Put records together, of as many pieces as it takes. A head waits for the body behind it: while nothing of
        an answer has been sent, it can be taken back."""
        if self._room is None:
            self._room = memoryview(bytearray(CHUNK))
        room, filled, taken, has_file = self._room, 0, 0, False
        rest: list[Slice | memoryview] = []
        for piece in self.queue:
            if filled == CHUNK or isinstance(piece, Lazy) or rest:
                break
            if isinstance(piece, Slice):
                count = self._read(piece, room[filled : filled + piece.length])
                if count is None and not has_file:
                    return Progress.ABSENT
                if count == 0:
                    self._metrics.truncated += 1
                    return Progress.BROKEN
                if count is None:
                    break
                has_file = True
                if count < piece.length:
                    rest.append(Slice(piece.file, piece.offset + count, piece.length - count))
            else:
                count = min(len(piece), CHUNK - filled)
                room[filled : filled + count] = piece[:count]
                if count < len(piece):
                    rest.append(memoryview(piece)[count:])
            filled += count
            taken += 1
        self._put_first(taken, room[:filled], *rest)
        return Progress.SENT

    def _read(self, piece: Slice, room: memoryview) -> int | None:
        """Read from the beginning of a slice. The number of bytes; None if they are not in memory."""
        count = None
        if self._loads < LOAD_TRIES:
            count = self._residency.read_into(piece.file, piece.offset, room)
            if count == ABSENT:
                self._cleared = 0
                return None
        if count is None:  # nothing but the test tells
            if not self._clear(piece):
                return None
            count = os.preadv(piece.file.fd, [room[: self._cleared]], piece.offset)
        self._cleared = max(0, self._cleared - count)
        self._loads = 0 if not self._cleared else self._loads
        return count
