"""The output queue of one connection: bytes in memory, and slices of files that leave by sendfile(2)."""

import os
import socket
import sys
import time
from collections.abc import Sequence
from enum import Enum, auto
from fcntl import ioctl
from termios import TIOCOUTQ

from flashpy.buffers import Lazy, Piece, Piped, Slice
from flashpy.cache.residency import Residency, window_of
from flashpy.metrics import Metrics
from flashpy.now import Now

TURN = 2 * 2**20
"""Bytes that one connection may send before others have their turn."""
LOAD_TRIES = 3
"""Times that a window is loaded before it is sent whatever the wait: memory so short that pages go at once."""
_SPLICE = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK
MISPREDICTED = 0.001
"""A sendfile of a window that was said to be resident should not take this many seconds."""


class Progress(Enum):
    """How far a push came."""

    SENT = auto()  # all of it
    BLOCKED = auto()  # until the socket takes more, or others have had their turn
    ABSENT = auto()  # until the window that is next has been loaded (``Output.wanted``)
    UNMADE = auto()  # until the piece that is next has been made (``Output.unmade``)
    BROKEN = auto()  # the file is shorter than it was: the answer cannot be completed


class Output:
    """What is still to be sent, and the sending. Never waits: for the socket, nor for a disk."""

    __slots__ = ("_cleared", "_loads", "_metrics", "_now", "_residency", "_send", "_sock", "_start", "queue", "sent")

    def __init__(self, sock: socket.SocketType, residency: Residency, now: Now, metrics: Metrics) -> None:
        self._sock = sock
        self._send = sock.send
        self._residency = residency
        self._now = now
        self._metrics = metrics
        self.queue: list[Piece | memoryview] = []
        self._cleared = 0  # bytes of the first slice that may be sent without another test
        self._loads = 0  # of the window that is next, since anything was sent of it
        self.sent = 0  # bytes given to the kernel, ever
        self._start = 0  # how many they were when the answer that is queued began

    def send_whole(self, data: bytes) -> bool:
        """Send bytes when nothing is queued; False if some had to be queued."""
        try:
            sent = self._send(data)
        except BlockingIOError:
            sent = 0
        self.sent += sent
        self._metrics.sent_bytes += sent
        if sent == len(data):
            return True
        self.queue.append(memoryview(data)[sent:])
        return False

    def send(self, pieces: Sequence[Piece]) -> Progress:
        """Send pieces of an answer behind what is queued, as ``push`` does; what cannot leave now is queued."""
        first = pieces[0]
        if len(pieces) == 1 and not self.queue and isinstance(first, bytes):  # the usual case, in the fewest steps
            return Progress.SENT if self.send_whole(first) else Progress.BLOCKED
        self._start = self.sent if not self.queue else -1
        self.queue.extend(pieces)
        return self.push()

    @property
    def unsent(self) -> int:
        """Bytes in the queue."""
        return sum(piece.length if isinstance(piece, Slice | Lazy) else len(piece) for piece in self.queue)

    @property
    def wanted(self) -> Slice:
        """The window that is next and was not resident."""
        piece = next(piece for piece in self.queue if isinstance(piece, Slice))
        return Slice(piece.file, piece.offset, self._residency.to_load(piece.file, piece.offset, piece.length))

    @property
    def unmade(self) -> Lazy:
        """The piece whose turn has come, and which is to be made."""
        piece = self.queue[0]
        assert isinstance(piece, Lazy)
        return piece

    @property
    def taken(self) -> int:
        """Bytes that the client has taken, ever. Not what is still in the socket's own buffer, which may be more than a
        slow client takes in a minute (SIOCOUTQ: tcp(7), unix(7))."""
        waiting = ioctl(self._sock.fileno(), TIOCOUTQ, bytes(4))
        return self.sent - int.from_bytes(waiting, sys.byteorder)

    def made(self, pieces: Sequence[Piece]) -> None:
        """These stand in its place."""
        self.queue[:1] = pieces

    def behind(self, window: Slice) -> tuple[Slice, bool] | None:
        """What comes after this window, and whether it is in memory; None at the end, or while the sending has not yet
        reached the window."""
        piece = next((piece for piece in self.queue if isinstance(piece, Slice)), None)
        if piece is None or piece.file is not window.file or piece.offset < window.offset:
            return None
        start, end = max(piece.offset, window.offset + window.length), piece.offset + piece.length
        if start >= end:
            return None
        length = self._residency.to_load(piece.file, start, end - start)
        resident = self._residency.resident(piece.file, start, length, self._now.monotonic)
        return Slice(piece.file, start, length), resident

    def loaded_ahead(self, window: Slice) -> None:
        """A helper has loaded this window before its turn."""
        self._residency.loaded(window.file, window.offset, window.length, self._now.monotonic)

    def loaded(self, window: Slice) -> None:
        """A helper has just loaded this window: it is sent without asking again, so that no request can loop."""
        self.loaded_ahead(window)
        self._cleared = window.length
        self._loads += 1

    def withdraw(self) -> bool:
        """Take back the answer that is queued, if nothing of it has been sent."""
        if not self.queue or self.sent != self._start:
            return False
        self.queue.clear()
        self._cleared = self._loads = 0
        return True

    def push(self) -> Progress:
        """Send as much as can be sent now.

        Raises:
            OSError: the connection is gone.
        """
        queue = self.queue
        turn_ends = self.sent + TURN
        try:
            while queue:
                if self.sent >= turn_ends:
                    return Progress.BLOCKED
                first = queue[0]
                if isinstance(first, Slice):
                    progress = self._send_slice(first)
                elif isinstance(first, Piped):
                    progress = self._send_piped(first)
                elif isinstance(first, Lazy):
                    return Progress.UNMADE
                else:
                    progress = self._send_bytes()
                if progress is not Progress.SENT:
                    return progress
        except BlockingIOError:
            self._cleared = self._loads = 0  # who knows what has been evicted when the socket takes more
            return Progress.BLOCKED
        return Progress.SENT

    def _send_bytes(self) -> Progress:
        """Send the bytes up to the next piece of another kind, with one system call."""
        queue = self.queue
        parts: list[bytes | memoryview] = []
        flags = 0
        for piece in queue:
            if isinstance(piece, Slice):
                if not self._clear(piece):  # the head waits too: alone it would be a packet of its own
                    return Progress.ABSENT
                flags = socket.MSG_MORE
                break
            if isinstance(piece, Lazy):
                break
            parts.append(piece)
        sent = self._sock.send(parts[0], flags) if len(parts) == 1 else self._sock.sendmsg(parts, (), flags)
        self.sent += sent
        self._metrics.sent_bytes += sent
        while sent:
            first = queue[0]
            assert not isinstance(first, Slice | Lazy)
            if sent < len(first):
                queue[0] = memoryview(first)[sent:]
                break
            sent -= len(first)
            queue.pop(0)
        return Progress.SENT

    def _send_piped(self, piece: Piped) -> Progress:
        """Send what is in a pipe by splice(2): as much as the socket takes."""
        sent = os.splice(piece.pipe.reading, self._sock.fileno(), piece.length, flags=_SPLICE)
        self.sent += sent
        self._metrics.sent_bytes += sent
        if sent == piece.length:
            self.queue.pop(0)
        else:
            self.queue[0] = Piped(piece.pipe, piece.length - sent)
        return Progress.SENT

    def _send_slice(self, piece: Slice) -> Progress:
        if not self._clear(piece):
            return Progress.ABSENT
        by_memory = self._loads > 0
        if by_memory:
            sent = self._send_by_memory(piece)
            if sent < 0:
                self._cleared = 0
                return Progress.ABSENT
        else:
            sent = self._send_file(piece)
        if not sent:
            self._metrics.truncated += 1
            return Progress.BROKEN
        self.sent += sent
        self._metrics.sent_bytes += sent
        self._cleared -= sent
        self._loads = 0 if not self._cleared else self._loads
        if sent == piece.length:
            self.queue.pop(0)
            return Progress.SENT
        self.queue[0] = Slice(piece.file, piece.offset + sent, piece.length - sent)
        if self._cleared and not by_memory:
            # The socket is full (or the file has become shorter, as the next call will show): no call to be told so.
            self._cleared = 0
            return Progress.BLOCKED
        return Progress.SENT

    def _send_by_memory(self, piece: Slice) -> int:
        """Send of a window that a helper has just loaded: if memory is so short that pages have gone again, sendfile
        would wait for them, a read that may not wait says so. The bytes sent, or -1 if it must be loaded again.

        Not for what is hot: the kernel does not take reads of one place, again and again, for use (folio_mark_accessed
        in filemap_read), so it would let go of just those pages.
        """
        data = self._residency.read_now(piece.file, piece.offset, self._cleared)
        if data is None or (not data and self._loads >= LOAD_TRIES):
            return self._send_file(piece)
        return self._sock.send(data) if data else -1

    def _send_file(self, piece: Slice) -> int:
        """Send of a window by sendfile(2): zero copy, and its pages stay warm."""
        began = time.monotonic()
        sent = os.sendfile(self._sock.fileno(), piece.file.fd, piece.offset, self._cleared)
        if time.monotonic() - began > MISPREDICTED:
            self._metrics.mispredictions += 1
        return sent

    def _clear(self, piece: Slice) -> bool:
        """Whether the window at the beginning of the slice may be sent: tested now, or still good from before."""
        if not self._cleared:
            length = window_of(piece.offset, piece.length)
            if not self._residency.resident(piece.file, piece.offset, length, self._now.monotonic):
                return False
            self._metrics.residency_hits += 1
            self._cleared = length
        return True
