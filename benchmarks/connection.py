"""Keep-alive connections over epoll that cost their process next to nothing, for a load generator."""

from __future__ import annotations

import re
import select
import socket
from collections.abc import Callable

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
OK = b"HTTP/1.1 200 "


def request(path: str, *fields: str) -> bytes:
    """The request for a path, as bytes."""
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: 127.0.0.1", *fields, "", ""]).encode()


class Connection:
    """A keep-alive connection that carries one request at a time, and calls back with the answer's end."""

    def __init__(
        self, poll: Poll, done: Callable[[Connection], None], failed: Callable[[Connection, str], None]
    ) -> None:
        self.poll, self.done, self.failed = poll, done, failed
        self.intended = 0.0
        self.size: int | None = 0
        self.head = bytearray()
        self.left = -1
        """Bytes of the body that are still to come, or -1 while the head is incomplete."""
        self.unsent = b""
        self.busy = False
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connected = False
        if poll.source:
            self.socket.bind((poll.source, 0))
        self.socket.connect_ex(poll.address)
        poll.add(self)

    def get(self, message: bytes, size: int | None, intended: float) -> None:
        """Send a request whose answer shall have a body of ``size`` bytes, if that is known."""
        self.intended, self.size = intended, size
        self.left, self.busy = -1, True
        self.head.clear()
        if not self.connected:
            self.unsent = message
            return
        try:
            self.socket.send(message)
        except OSError as error:
            self.fail(type(error).__name__)

    def ready(self, events: int) -> None:
        """The socket is ready: the connection is made, or a piece of the answer is there."""
        try:
            if not self.connected:
                self.greet()
            elif events & ~select.EPOLLOUT:
                self.receive(self.socket.recv_into(self.poll.buffer))
        except BlockingIOError:
            return
        except OSError as error:
            self.fail(type(error).__name__)

    def greet(self) -> None:
        """The connection is made, or has failed; send what waited for it."""
        if number := self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(number, "connect")
        self.connected = True
        self.poll.epoll.modify(self.socket, select.EPOLLIN)
        if self.unsent:
            self.socket.send(self.unsent)

    def receive(self, number: int) -> None:
        """Take ``number`` bytes of the buffer as the next piece of the answer."""
        if number == 0:
            return self.fail("closed")
        if self.left < 0:
            self.head += self.poll.view[:number]
            if (end := self.head.find(b"\r\n\r\n")) < 0:
                return None
            length = LENGTH.search(self.head, 0, end + 2)
            if not self.head.startswith(OK) or not length or self.size not in (None, int(length[1])):
                return self.fail(self.head[: self.head.find(b"\r\n")].decode("latin-1"))
            self.left = int(length[1]) - (len(self.head) - end - 4)
        else:
            self.left -= number
        if self.left == 0:
            self.busy = False
            self.done(self)
        return None

    def fail(self, reason: str) -> None:
        """Close; an answer that was waited for is lost."""
        self.poll.remove(self)
        self.socket.close()
        self.failed(self, reason)


class Poll:
    """An epoll loop: the connections by descriptor, and one buffer into which all answers are read."""

    def __init__(self, port: int, source: str = "") -> None:
        """``source`` is the address that the connections come from; without one, the kernel chooses."""
        self.address = ("127.0.0.1", port)
        self.source = source
        self.epoll = select.epoll()
        self.connections: dict[int, Connection] = {}
        self.buffer = bytearray(256 * 1024)
        self.view = memoryview(self.buffer)

    def add(self, connection: Connection) -> None:
        """Watch a connection that is being made."""
        self.connections[connection.socket.fileno()] = connection
        self.epoll.register(connection.socket, select.EPOLLIN | select.EPOLLOUT)

    def remove(self, connection: Connection) -> None:
        """Watch a connection no more."""
        self.epoll.unregister(connection.socket)
        del self.connections[connection.socket.fileno()]

    def step(self, seconds: float) -> None:
        """Handle what is ready; wait for it a little less than so many seconds, because epoll rounds up."""
        for descriptor, events in self.epoll.poll(max(0.0, int(seconds * 1000) - 1) / 1000):
            if connection := self.connections.get(descriptor):
                connection.ready(events)
