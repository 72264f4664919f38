"""A link between two processes: a Unix socket of packets, on which typed messages travel, with descriptors beside them.

What comes from a process that reads clients' bytes is data of a fixed shape, never pickled.
"""

import array
import errno
import os
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import msgspec
from msgspec import Struct

from flashpy.job.programs import descriptors_in, send_with

MOST = 64
"""Descriptors that travel with one message, at most (the kernel's own bound is 253: unix(7))."""
_ROOM = 64 * 1024
_CMSG_ROOM = socket.CMSG_SPACE(MOST * array.array("i").itemsize)
M = TypeVar("M")


class BadMessage(Exception):
    """What came is no message."""


class Link(Generic[M]):
    """One end of a Unix socket pair of packets, each of ``room`` bytes at most. Sending never waits: what does not fit
    is kept. ``binary``: messages are MessagePack rather than JSON, because there are bytes in them."""

    def __init__(self, sock: socket.socket, expected: object, room: int = _ROOM, binary: bool = False) -> None:
        sock.setblocking(False)
        self._room = room
        self._sock = sock
        self._encode: Callable[[Struct], bytes] = msgspec.msgpack.encode if binary else msgspec.json.encode
        self._decode: Callable[[bytes], M] = (msgspec.msgpack if binary else msgspec.json).Decoder(expected).decode
        self._waiting: deque[tuple[bytes, list[int]]] = deque()

    def fileno(self) -> int:
        """The descriptor, to be waited for."""
        return self._sock.fileno()

    @property
    def waiting(self) -> int:
        """Messages that are kept, until ``flush`` has sent them."""
        return len(self._waiting)

    def send(self, message: Struct, fds: Sequence[int] = ()) -> None:
        """Send a message, and the descriptors, which are closed here as soon as they have left.

        Raises:
            OSError: the other end is gone.
        """
        self._waiting.append((self._encode(message), list(fds)))
        self.flush()

    def flush(self) -> bool:
        """Send what is kept, as far as there is room; whether that was all.

        Raises:
            OSError: the other end is gone.
        """
        while self._waiting:
            data, fds = self._waiting[0]
            try:
                send_with(self._sock, [data], fds)
            except OSError as error:
                if error.errno in (errno.EAGAIN, errno.ENOBUFS, errno.ETOOMANYREFS):
                    return False
                self._drop()
                raise
            self._waiting.popleft()
            for fd in fds:
                os.close(fd)
        return True

    def receive(self) -> tuple[M, list[int]] | None:
        """The next message, and the descriptors that came beside it, which are the caller's; None at the end.

        Raises:
            BlockingIOError: there is none now.
            BadMessage: it is not of the shape that was agreed upon.
        """
        try:
            data, ancillary, flags, _ = self._sock.recvmsg(self._room, _CMSG_ROOM, socket.MSG_CMSG_CLOEXEC)
        except ConnectionResetError:
            return None
        if not data:
            return None
        fds = descriptors_in(ancillary)
        try:
            if flags & socket.MSG_TRUNC:
                raise BadMessage("it is too long")
            return self._decode(data), fds
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:  # msgspec leaves the latter to itself
            for fd in fds:
                os.close(fd)
            raise BadMessage(str(error)) from None

    def close(self) -> None:
        """End it; what was kept is lost."""
        self._drop()
        self._sock.close()

    def _drop(self) -> None:
        for _, fds in self._waiting:
            for fd in fds:
                os.close(fd)
        self._waiting.clear()
