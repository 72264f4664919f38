"""TLS handshakes: each a client's connection until it can be served.

A handshake takes the processor for some tenths of a millisecond, and many may come at once. So those whose turn it is
stand in a queue, and each turn of the loop does one step of one: between two steps all others are served.
"""

import logging
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable

from flashpy.event.connection import Connection
from flashpy.event.deadlines import State
from flashpy.event.service import Service
from flashpy.event.tlsoutput import TlsOutput
from flashpy.event.tlssocket import TlsSocket
from flashpy.http.request import faulty
from flashpy.metrics import STALL_BOUNDS
from flashpy.tls.contexts import Contexts

_log = logging.getLogger("flashpy.connection")

_NOT_TLS = frozenset({"HTTP_REQUEST", "HTTPS_PROXY_REQUEST"})
"""What OpenSSL says to a request where a ClientHello should be."""


class Handshakes:
    """All handshakes of a server."""

    def __init__(self, service: Service, contexts: Contexts) -> None:
        self.service = service
        self._contexts = contexts
        self._waiting: deque[Handshake] = deque()

    def begin(self, sock: socket.SocketType, client: str) -> None:
        """Begin one, with a client that has been let in."""
        family, kind, proto = sock.family, sock.type, sock.proto
        plain = socket.socket(family, kind, proto, fileno=sock.detach())
        context = self._contexts.default
        context.sslsocket_class = TlsSocket
        try:
            plain.setblocking(False)
            tls = context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
        except (OSError, ValueError):  # it has gone already
            plain.close()
            self.service.left(client)
            return
        assert isinstance(tls, TlsSocket)
        Handshake(self, tls, client)

    def wait(self, handshake: "Handshake") -> None:
        """It can go on: it has its turn when those before it have had theirs."""
        self._waiting.append(handshake)
        if len(self._waiting) == 1:
            self.service.loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._waiting.popleft().step()
        if self._waiting:
            self.service.loop.call_soon(self._turn)


class Handshake:
    """One that has begun (a deadlines.Timed). It ends as a Connection, or closed."""

    __slots__ = ("_all", "_sock", "client", "state", "touched")

    def __init__(self, handshakes: Handshakes, sock: TlsSocket, client: str) -> None:
        service = handshakes.service
        self._all = handshakes
        self._sock = sock
        self.client = client
        self.touched = service.now.monotonic
        self.state = State.CLOSED
        service.deadlines.enter(self, State.HANDSHAKE, service.now.monotonic)
        handshakes.wait(self)

    def __repr__(self) -> str:
        return f"<Handshake {self.client} {self.state.name}>"

    def due(self, now: float) -> float:
        """See deadlines.Timed: nothing that the client does moves the limit."""
        return 0.0

    def expire(self) -> None:
        """See deadlines.Timed."""
        self.close()

    def give_way(self) -> bool:
        """Close in favour of another (event.crowd)."""
        self.close()
        return True

    def step(self) -> None:
        """Go on as far as what has come from the client allows."""
        if self.state is State.CLOSED:
            return
        service, began = self._all.service, time.monotonic()
        try:
            self._advance()
        except Exception:
            service.metrics.faults += 1
            _log.exception("An exception ended %r.", self)
            self.close()
        lasted = time.monotonic() - began
        if lasted > STALL_BOUNDS[0]:
            service.metrics.stalls.note(began, lasted, "a TLS handshake")

    def _advance(self) -> None:
        loop, fd = self._all.service.loop, self._sock.fileno()
        try:
            self._sock.do_handshake()
        except ssl.SSLWantReadError:
            loop.add_reader(fd, self._go_on, loop.remove_reader)
        except ssl.SSLWantWriteError:
            loop.add_writer(fd, self._go_on, loop.remove_writer)
        except ssl.SSLError as error:
            self._refuse(error)
        except OSError:
            self._refuse(None)
        else:
            self._done()

    def close(self) -> None:
        """Give it up."""
        if self.state is State.CLOSED:
            return
        service, fd = self._all.service, self._sock.fileno()
        service.loop.remove_reader(fd)
        service.loop.remove_writer(fd)
        service.deadlines.enter(self, State.CLOSED, 0.0)
        self._sock.close()
        service.left(self.client)

    def _go_on(self, forget: Callable[[int], object]) -> None:
        """The socket is ready: no need to be told so until it has been read or written."""
        forget(self._sock.fileno())
        self._all.wait(self)

    def _done(self) -> None:
        service, sock = self._all.service, self._sock
        service.metrics.handshakes += 1
        service.metrics.handshakes_resumed += bool(sock.session_reused)
        service.deadlines.enter(self, State.CLOSED, 0.0)
        service.now.monotonic = time.monotonic()
        connection = Connection(service, sock, self.client, TlsOutput, stays=True)
        protocol = sock.selected_alpn_protocol()
        if protocol in service.wires:
            connection.speak(protocol)
        if service.draining:
            connection.be_the_last()
        connection.start(State.HEAD)

    def _refuse(self, error: ssl.SSLError | None) -> None:
        """It has failed. OpenSSL has said why; who has come with plain HTTP gets an answer that he can read. What has
        been sent is read first, or a reset would overtake the answer."""
        service, sock = self._all.service, self._sock
        service.metrics.handshakes_failed += 1
        if error is not None:
            _log.debug("The handshake with %s failed: %s.", self.client, error.reason)
            try:
                if error.reason in _NOT_TLS:
                    response = service.site.failure(faulty(400), 400)
                    body = b"".join(piece for piece in response.body if isinstance(piece, bytes))
                    sock.send_clear(response.head.http1 + service.http1.tails.close + body)
                socket.socket.shutdown(sock, socket.SHUT_WR)
                socket.socket.recv(sock, 65536)
            except OSError:
                pass
        self.close()
