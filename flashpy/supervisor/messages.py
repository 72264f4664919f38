"""What a supervisor and its workers tell each other, and the link on which they do.

A worker reads what clients send, and the supervisor may be root: so a message is data of a fixed shape (never pickled),
and one that is not what it should be ends the worker.
"""

import array
import errno
import os
import socket
from collections import deque
from collections.abc import Sequence
from typing import Generic, TypeVar

import msgspec
from msgspec import Struct

from flashpy.job.programs import descriptors_in, send_with
from flashpy.report import Report

MOST = 64
"""Descriptors that travel with one message, at most (the kernel's own bound is 253: unix(7))."""
_ROOM = 64 * 1024
_CMSG_ROOM = socket.CMSG_SPACE(MOST * array.array("i").itemsize)


class Ready(Struct, tag=True):
    """A worker serves. ``sandbox`` is the version of Landlock that confines it; 0 is none."""

    sandbox: int = 0


class Failed(Struct, tag=True):
    """A worker cannot start: why, in one sentence. It ends."""

    why: str


class Counted(Struct, tag=True):
    """What a worker has counted since it began, and how it is. Sent once a second; a worker that says nothing for long
    is stuck."""

    report: Report


class Wanted(Struct, tag=True):
    """A worker needs a helper program, which it may not start itself."""

    program: str


class Started(Struct, tag=True):
    """It has been started; the descriptor beside this message is its link."""

    program: str
    pid: int


class NotStarted(Struct, tag=True):
    """It could not be started: why, in one sentence."""

    program: str
    why: str


class Taken(Struct, tag=True):
    """Connections between two requests, for the successor to go on with: their clients' addresses; the descriptors are
    beside this message, in the same order."""

    clients: list[str]


class Renewed(Struct, tag=True):
    """There are new certificates for TLS: beside this message, a file in memory for each (tls.material)."""


class Retire(Struct, tag=True):
    """End when all that is under way has been answered, but within so many seconds (None: however long it takes). A
    second order may set a limit that the first did not.

    ``succeeded``: others listen at the same sockets, and the connections are theirs; but for the sockets whose numbers
    (by their order) are ``abandoned``: there, nobody will listen any more.
    """

    timeout: float | None
    succeeded: bool
    abandoned: list[int] = []


FromWorker = Ready | Failed | Counted | Wanted | Taken
ToWorker = Started | NotStarted | Taken | Renewed | Retire
M = TypeVar("M")


class BadMessage(Exception):
    """What came is no message."""


class Link(Generic[M]):
    """One end of a Unix socket pair of packets, each of ``room`` bytes at most. Sending never waits: what does not fit
    is kept."""

    def __init__(self, sock: socket.socket, expected: object, room: int = _ROOM) -> None:
        sock.setblocking(False)
        self._room = room
        self._sock = sock
        self._decoder: msgspec.json.Decoder[M] = msgspec.json.Decoder(expected)
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
        self._waiting.append((msgspec.json.encode(message), list(fds)))
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
            return self._decoder.decode(data), fds
        except msgspec.MsgspecError as error:
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
