"""The link to one process of a node on this host: hears what it says, and knows how many connections it has."""

import asyncio
import errno
import logging
import os
import socket
from collections.abc import Iterable
from typing import Protocol

import msgspec
from msgspec import Struct

from flashpy.cluster.front.lateral import Fetches
from flashpy.cluster.messages import (
    ROOM,
    Asks,
    Back,
    Fetched,
    Finished,
    FromNode,
    Introduces,
    Leaving,
    Question,
    Reported,
)
from flashpy.event.link import BadMessage, Link
from flashpy.job.programs import send_with

_log = logging.getLogger("flashpy.cluster")
_encode = msgspec.msgpack.encode

AT_A_TIME = 64
"""Messages that are heard before others have their turn."""


class Hearer(Protocol):
    """Who is told what the node says."""

    def back(self, fd: int, client: str, data: bytes) -> None:
        """A connection has come back."""

    def let_go(self, count: int) -> None:
        """So many connections are the node's no more."""

    def reported(self, message: Reported) -> None:
        """It has said how it is."""

    def asked(self, link: "NodeLink", questions: Iterable[Question]) -> None:
        """It asks who is to answer these."""

    def introduces(self, fd: int, name: str) -> None:
        """A socket is to be passed on to another node."""

    def leaving(self, link: "NodeLink") -> None:
        """It is about to end: what it has it answers or gives back, and it is to be handed no more."""

    def roomy(self, link: "NodeLink") -> None:
        """There is room again for what could not be sent."""

    def broken(self, link: "NodeLink") -> None:
        """It is gone."""


class NodeLink:
    """Connected to a node's socket."""

    def __init__(self, loop: asyncio.AbstractEventLoop, path: str, name: str, hearer: Hearer, fetches: Fetches) -> None:
        """
        Raises:
            OSError: nobody is there yet, or has too many to accept.
        """
        self._loop = loop
        self._name = name
        self._hearer = hearer
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self._sock.setblocking(False)
            self._sock.connect(path)
        except OSError:
            self._sock.close()
            raise
        self._link: Link[FromNode] = Link(self._sock, FromNode, ROOM, binary=True)
        self.fetches = fetches
        self.held = 0  # connections that the node has from here
        self.heard = loop.time()
        loop.add_reader(self._sock.fileno(), self._readable)

    def fileno(self) -> int:
        """The descriptor, to be waited for."""
        return self._sock.fileno()

    def send(self, message: Struct, fds: list[int]) -> None:
        """Send a message, and copies of descriptors.

        Raises:
            OSError: there is no room for it now, or the node is gone.
        """
        if self._link.waiting:
            raise BlockingIOError(errno.EAGAIN, "there is no room")
        send_with(self._sock, [_encode(message)], fds)

    def tell(self, message: Struct, fds: list[int]) -> None:
        """Send a message, and descriptors, which are closed here; what there is no room for now is sent later.

        Raises:
            OSError: the node is gone.
        """
        self._link.send(message, fds)
        if self._link.waiting:
            self.await_room()

    def await_room(self) -> None:
        """Have the hearer told when more can be sent."""
        self._loop.add_writer(self._sock.fileno(), self._writable)

    def close(self) -> None:
        """Part with the node."""
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock.fileno())
            self._loop.remove_writer(self._sock.fileno())
            self._link.close()

    def _writable(self) -> None:
        try:
            if not self._link.flush():
                return
        except OSError:
            self._hearer.broken(self)
            return
        self._loop.remove_writer(self._sock.fileno())
        self._hearer.roomy(self)

    def _readable(self) -> None:
        try:
            for _ in range(AT_A_TIME):
                if self._sock.fileno() < 0:
                    return
                received = self._link.receive()
                if received is None:
                    self._hearer.broken(self)
                    return
                self.heard = self._loop.time()
                self._hear(*received)
        except BlockingIOError:
            return
        except (OSError, BadMessage) as error:
            _log.error("The node %s cannot be understood: %s.", self._name, error)
            self._hearer.broken(self)

    def _hear(self, message: FromNode, fds: list[int]) -> None:
        match message:
            case Back(client, data) if fds:
                self._hearer.back(fds.pop(), client, data)
                self._let_go(1)
            case Back():
                _log.warning("A connection is lost: out of descriptors.")
                self._let_go(1)
            case Finished(count):
                self._let_go(count)
            case Asks(questions):
                self._hearer.asked(self, questions)
            case Introduces(name) if fds:
                self._hearer.introduces(fds.pop(), name)
            case Fetched(numbers):
                self.fetches.over(numbers)
            case Reported():
                self._hearer.reported(message)
            case Leaving():
                self._hearer.leaving(self)
        for fd in fds:  # none belongs to these
            os.close(fd)

    def _let_go(self, count: int) -> None:
        count = max(0, min(count, self.held))
        self.held -= count
        self._hearer.let_go(count)
