"""Connections to a node for requests that are put to it, kept for the next ones; and how they are made."""

import asyncio
import errno
import socket
from collections.abc import Callable

from flashpy.cluster.backend.exchange import Exchange

SocketAddress = tuple[int, object]
"""A family and an address in it (socket(7))."""
Connect = Callable[[], socket.socket]
"""Gives a socket that never waits, and that is connected or about to be; raises OSError if there is none."""


def connecting(to: SocketAddress) -> Connect:
    """Connects to an address."""
    family, address = to

    def connect() -> socket.socket:
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            if family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                sock.connect(address)  # type: ignore[arg-type]
            except BlockingIOError as error:
                if error.errno != errno.EINPROGRESS:
                    raise
        except OSError:
            sock.close()
            raise
        return sock

    return connect


def introduced(give: Callable[[int], None]) -> Connect:
    """Makes a pair of sockets and gives one (its descriptor) to who passes it on to the node, and closes it. What is
    sent need not wait for that. ``give`` may raise OSError: nobody passes it on."""

    def connect() -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        ours.setblocking(False)
        try:
            give(theirs.detach())
        except OSError:
            ours.close()
            raise
        return ours

    return connect


class Backend:
    """The connections to one node. ``spliced``: what follows a head goes from socket to socket, by way of a pipe."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, connect: Connect, timeout: float, most: int, spliced: bool
    ) -> None:
        self.loop = loop
        self.timeout = timeout
        self.spliced = spliced
        self._connect = connect
        self._most = most
        self._idle: list[Link] = []
        self.exchanges: set[Exchange] = set()

    def take(self, fresh: bool) -> "Link":
        """A connection that is kept, or a new one.

        Raises:
            OSError: none can be made.
        """
        if self._idle and not fresh:
            return self._idle.pop()
        return Link(self, self._connect())

    def keep(self, link: "Link") -> None:
        """An exchange is over, and the connection good for another."""
        if len(self._idle) < self._most:
            self._idle.append(link)
        else:
            link.close()

    def forget(self, link: "Link") -> None:
        """The node has closed a connection that was kept."""
        if link in self._idle:
            self._idle.remove(link)

    def sweep(self, now: float) -> None:
        """Once a second: end exchanges that nobody wants any more, and those for which the node takes too long."""
        for exchange in list(self.exchanges):
            exchange.look(now)

    def give_up(self) -> None:
        """The node is down: kept connections may lead nowhere, and requests that can be repeated wait no longer."""
        self._close_idle()
        for exchange in self.exchanges:
            self.loop.call_soon(exchange.give_up)

    def close(self) -> None:
        """At the end."""
        for exchange in list(self.exchanges):
            exchange.abandon()
        self._close_idle()

    def _close_idle(self) -> None:
        for link in self._idle:
            link.close()
        self._idle.clear()


class Link:
    """One connection. It is read as long as nothing says otherwise: so it is known when the node has closed it."""

    __slots__ = ("_backend", "_reading", "_writing", "exchange", "sock", "used")

    def __init__(self, backend: Backend, sock: socket.socket) -> None:
        self._backend = backend
        self._reading = False
        self._writing = False
        self.sock = sock
        self.exchange: Exchange | None = None
        self.used = False  # for an exchange before
        self.read(True)

    def read(self, wanted: bool) -> None:
        """Whether the exchange is to be told when there is something to read."""
        if wanted is not self._reading:
            self._reading = wanted
            if wanted:
                self._backend.loop.add_reader(self.sock.fileno(), self._readable)
            else:
                self._backend.loop.remove_reader(self.sock.fileno())

    def write(self, wanted: bool) -> None:
        """Whether the exchange is to be told when more can be sent."""
        if wanted is not self._writing:
            self._writing = wanted
            if wanted:
                self._backend.loop.add_writer(self.sock.fileno(), self._writable)
            else:
                self._backend.loop.remove_writer(self.sock.fileno())

    def close(self) -> None:
        """End it."""
        if self.sock.fileno() >= 0:
            self.read(False)
            self.write(False)
            self.sock.close()

    def _writable(self) -> None:
        if self.exchange is not None:
            self.exchange.writable()

    def _readable(self) -> None:
        if self.exchange is not None:
            self.exchange.readable()
        else:  # what a node says unasked is its end, or nonsense
            self._backend.forget(self)
            self.close()
