"""Accepting connections on listening sockets."""

import errno
import logging
import select
import socket
import time
from typing import TYPE_CHECKING

from flashpy.event.connection import Connection
from flashpy.event.crowd import Crowd
from flashpy.event.deadlines import State
from flashpy.event.preface import Preface
from flashpy.event.service import Service
from flashpy.event.sockets import client_of, pace
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
TELL = 1.0
"""Seconds between two words about connections that are closed to make room."""

_SHORT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})


class Listener:
    """Accepts connections on one socket. ``handshakes`` are there where TLS is spoken; ``site`` is what answers, if it
    is not what answers elsewhere."""

    def __init__(
        self,
        service: Service,
        sock: socket.socket,
        crowd: Crowd,
        proxied: bool,
        handshakes: "Handshakes | None" = None,
        site: Answering | None = None,
    ) -> None:
        """``proxied``: who connects is a proxy, which says first who its client is (event.preface)."""
        self._service = service
        self._handshakes = handshakes
        self._site = site
        self.sock = sock
        self._crowd = crowd
        self._proxied = proxied
        self._told = float("-inf")  # when it was logged that idle connections are closed
        self._strangers = 0  # clients that are no proxies which are trusted, where only such may connect
        self._of_what = int(sock.family), int(sock.type), sock.proto
        self._accepting = False
        pace(sock, service.limits.bandwidth_per_connection)

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
                self._fall_short(error)
                return False
            # others are the troubles of the connection that was to be accepted: accept(2)
        except Exception:
            service.metrics.faults += 1
            _log.exception("A connection could not be set up.")
        return True

    def welcome(self, sock: socket.SocketType, address: object) -> None:
        """Begin to serve a connection, or refuse it where there are too many. ``address`` is the client's."""
        sock.setblocking(False)
        service = self._service
        client = client_of(address)
        if self._proxied and not self._is_trusted(client):
            sock.close()
        elif service.connections >= service.limits.connections and not self._crowd.make_room(client):
            self._refuse(sock)
        else:
            service.connections += 1
            service.metrics.connections_accepted += 1
            if self._proxied:
                Preface(service, sock, client, self._begin).start()
            else:
                self._begin(sock, client)

    def _begin(self, sock: socket.SocketType, client: str) -> None:
        """Serve a connection that is counted, unless its client has too many."""
        service = self._service
        if not service.admits(client):
            self._refuse(sock)
            service.ended()
            return
        if self._handshakes is not None:
            self._handshakes.begin(sock, client)
            return
        connection = self._connection(sock, client, self._site)
        connection.start(State.HEAD)
        if service.draining:
            connection.drain()

    def adopt(self, sock: socket.SocketType, client: str) -> None:
        """Go on with a connection that another process has begun, and that is between two requests. Where there are too
        many it is closed: a client that has asked for nothing wants no answer."""
        sock.setblocking(False)
        service = self._service
        if service.connections >= service.limits.connections or not service.admits(client):
            sock.close()
            return
        service.connections += 1
        service.metrics.connections_accepted += 1
        self._connection(sock, client, None).start(State.IDLE)

    def _connection(self, sock: socket.SocketType, client: str, site: Answering | None) -> Connection:
        """A connection in clear, answered by the service's site if none is given."""
        return Connection(self._service, sock, client, site=site, stays=site is not None)

    def _is_trusted(self, client: str) -> bool:
        """Whether a client is a proxy that may say who its clients are. Who is not is told nothing."""
        service = self._service
        if service.forwarding is not None and service.forwarding.trusts(client):
            return True
        service.metrics.connections_refused += 1
        if not self._strangers:
            _log.warning(
                "%s is in none of server.trusted_proxies; its connections to a proxies' address are closed.", client
            )
        self._strangers += 1
        return False

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

    def _fall_short(self, error: OSError) -> None:
        """Out of descriptors: connections between two requests give way, or those who wait are served when others have
        ended. The kernel takes a descriptor before it looks whether anybody waits, so it complains in any case."""
        waiting = select.poll()
        waiting.register(self.sock, select.POLLIN)
        if not waiting.poll(0):
            return
        service = self._service
        service.metrics.descriptors_exhausted += 1
        if shed := self._crowd.shed():
            service.metrics.connections_shed += shed
            if service.now.monotonic > self._told + TELL:
                self._told = service.now.monotonic
                _log.warning("Idle connections are closed to make room for others: %s.", error.strerror)
            return
        _log.warning("Accepting pauses for %d ms: %s.", PAUSE * 1000, error.strerror)
        service.loop.remove_reader(self.sock.fileno())
        service.loop.call_later(PAUSE, self._resume)

    def _resume(self) -> None:
        if self._accepting:
            self._service.loop.add_reader(self.sock.fileno(), self._readable)
