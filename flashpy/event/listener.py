"""Accepting connections on listening sockets."""

import errno
import logging
import socket
import time
from typing import TYPE_CHECKING

from flashpy.event.connection import Connection
from flashpy.event.deadlines import State
from flashpy.event.service import Service
from flashpy.event.sockets import client_of
from flashpy.site.sites import Answering

if TYPE_CHECKING:
    from flashpy.event.handshake import Handshakes

_log = logging.getLogger("flashpy.listener")

BATCH = 8
"""Connections accepted before others have their turn: other connections of this worker, and other workers."""
LAST_BATCHES = 512
"""Batches accepted at the end: as many connections as a kernel lets wait by default (net.core.somaxconn)."""
PAUSE = 0.1
"""Seconds without accepting when descriptors have run out."""

_SHORT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})


class Listener:
    """Accepts connections on one socket. ``handshakes`` are there where TLS is spoken; ``site`` is what answers, if it
    is not what answers elsewhere."""

    def __init__(
        self,
        service: Service,
        sock: socket.socket,
        handshakes: "Handshakes | None" = None,
        site: Answering | None = None,
    ) -> None:
        self._service = service
        self._handshakes = handshakes
        self._site = site
        self.sock = sock
        self._of_what = int(sock.family), int(sock.type), sock.proto
        self._accepting = False

    def start(self) -> None:
        """Accept from now on."""
        self._accepting = True
        self._service.loop.add_reader(self.sock.fileno(), self._readable)

    def close(self) -> None:
        """Accept what has come so far, and no more."""
        if self._accepting:
            self.leave()
            for _ in range(LAST_BATCHES):
                if not self._accept():
                    break
        self.sock.close()

    def leave(self) -> None:
        """Accept no more: what waits, and what is still to come, is for another process that has the same socket."""
        if self._accepting:
            self._accepting = False
            self._service.loop.remove_reader(self.sock.fileno())

    def _readable(self) -> None:
        self._accept()

    def _accept(self) -> bool:
        """Accept a batch. Whether there may be more to accept now."""
        service = self._service
        service.now.monotonic = time.monotonic()
        try:
            for _ in range(BATCH):
                # What socket.accept does, without its enums and its subclass: 2 us less per connection.
                fd, address = self.sock._accept()  # type: ignore[attr-defined]
                self.welcome(socket.SocketType(*self._of_what, fileno=fd), address)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno in _SHORT:
                self._pause(error)
                return False
            # others are the troubles of the connection that was to be accepted: accept(2)
        except Exception:
            service.metrics.faults += 1
            _log.exception("A connection could not be set up.")
        return True

    def welcome(self, sock: socket.SocketType, address: object) -> None:
        """Begin to serve a connection, or refuse it where there are too many. ``address`` is the client's."""
        sock.setblocking(False)
        client = client_of(address)
        if self._admit(client):
            self._begin(sock, client)
        else:
            self._refuse(sock)

    def _begin(self, sock: socket.SocketType, client: str) -> None:
        """Serve a client that has been let in."""
        if self._handshakes is not None:
            self._handshakes.begin(sock, client)
        elif self._site is not None:
            Connection(self._service, sock, client, site=self._site, stays=True).start(State.HEAD)
        else:
            Connection(self._service, sock, client).start(State.HEAD)

    def adopt(self, sock: socket.SocketType, client: str) -> None:
        """Go on with a connection that another process has begun, and that is between two requests. Where there are too
        many it is closed: a client that has asked for nothing wants no answer."""
        sock.setblocking(False)
        if self._admit(client):
            Connection(self._service, sock, client).start(State.IDLE)
        else:
            sock.close()

    def _admit(self, client: str) -> bool:
        """Count one more connection, unless that is one too many."""
        service = self._service
        limits = service.limits
        if service.connections >= limits.connections:
            return False
        if limits.connections_per_client:
            count = service.per_client.get(client, 0)
            if count >= limits.connections_per_client:
                return False
            service.per_client[client] = count + 1
        service.connections += 1
        service.metrics.connections_accepted += 1
        return True

    def _refuse(self, sock: socket.SocketType) -> None:
        """503 at once (RFC 9110, 15.6.4). What the client has sent is read first, or a reset would overtake it."""
        service = self._service
        service.metrics.connections_refused += 1
        try:
            if self._handshakes is None:  # to say it by TLS would cost more than to serve
                sock.send(
                    b"HTTP/1.1 503 Service Unavailable\r\nServer: flashpy\r\nRetry-After: 1\r\nContent-Length: 0\r\n"
                    + service.http1.tails.close
                )
            sock.shutdown(socket.SHUT_WR)
            sock.recv(65536)
        except OSError:
            pass
        sock.close()

    def _pause(self, error: OSError) -> None:
        """Out of descriptors: those who wait are served when connections have ended."""
        service = self._service
        service.metrics.descriptors_exhausted += 1
        _log.warning("Accepting pauses for %d ms: %s.", PAUSE * 1000, error.strerror)
        service.loop.remove_reader(self.sock.fileno())
        service.loop.call_later(PAUSE, self._resume)

    def _resume(self) -> None:
        if self._accepting:
            self._service.loop.add_reader(self.sock.fileno(), self._readable)
