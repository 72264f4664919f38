"""Listening sockets: making them from addresses, and accepting."""

import contextlib
import errno
import logging
import os
import re
import socket
import stat
import time

from flashpy.errors import StartError
from flashpy.event.connection import Connection
from flashpy.event.service import Service

_log = logging.getLogger("flashpy.listener")

BATCH = 64
"""Connections accepted before others have their turn."""
LAST_BATCHES = 64
"""Batches accepted at the end: as many connections as a kernel lets wait by default (net.core.somaxconn)."""
DEFER = 1
"""Seconds for which the kernel keeps a connection to itself until the client has sent something (TCP_DEFER_ACCEPT, in
tcp(7)): then its first request is there when it is accepted, and a connection for one request is never registered with
the event loop. One that is silent for longer is accepted all the same."""
PAUSE = 0.1
"""Seconds without accepting when descriptors have run out."""

_SHORT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})


def bind(address: str, backlog: int) -> list[socket.socket]:
    """Listening sockets for ``host:port``, ``[ipv6]:port``, ``unix:PATH`` or ``fd://N``; a name may give several.

    Raises:
        StartError: the address is not understood, is in use, or may not be bound.
    """
    if address.startswith("unix:"):
        return [_bind_unix(address[5:], backlog)]
    if address.startswith("fd://"):
        return [_take_over(address[5:], backlog)]
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.%\w]+)\]|([^:\[\]]*)):(\d{1,5})", address)
    if not match or int(match[3]) > 65535:
        raise StartError(f"{address!r} is no address; write host:port, [ipv6]:port, unix:PATH or fd://N.")
    host, port = match[1] or match[2] or "0.0.0.0", int(match[3])
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise StartError(f"The host {host!r} is not known: {error.strerror}.") from None
    except ValueError:  # IDNA's rules, or a NUL
        raise StartError(f"{host!r} is no host name; write a name or an address.") from None
    sockets: list[socket.socket] = []
    for family, kind, protocol, _, place in dict.fromkeys(found):
        try:
            sockets.append(_bind_tcp(family, kind, protocol, place, backlog))
        except OSError as error:
            if sockets and error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                continue  # "localhost" where IPv6 is off
            for sock in sockets:
                sock.close()
            raise StartError(_why_not(host, port, error)) from None
    return sockets


def _bind_tcp(family: int, kind: int, protocol: int, place: object, backlog: int) -> socket.socket:
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # on Linux, accepted sockets inherit it
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, DEFER)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(place)  # type: ignore[arg-type]
        sock.listen(backlog)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def _why_not(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is in use already; stop what uses it, or choose another with --port."
    if error.errno == errno.EACCES:
        return f"Port {port} may not be used by this user (below 1024 it takes root); choose another with --port."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"This machine has no address {host}; choose another with --host."
    return f"{host}:{port} cannot be bound: {error.strerror}."


class _UnixListener(socket.socket):
    """A listening Unix socket of our own: its name goes when it is closed."""

    path = ""

    def close(self) -> None:
        if self.path:  # before the socket: who comes after us finds no name, and so takes none that is then removed
            with contextlib.suppress(OSError):
                os.unlink(self.path)
            self.path = ""
        super().close()


def disown(sock: socket.socket) -> None:
    """A listening socket lives on in another process: if it has a name in a directory, closing it here leaves that."""
    if isinstance(sock, _UnixListener):
        sock.path = ""


def own(number: int) -> socket.socket:
    """A listening socket that another process has disowned for us: if it has a name in a directory, closing it here
    removes that."""
    sock = socket.socket(fileno=number)
    sock.set_inheritable(False)
    name = sock.getsockname()
    if sock.family != socket.AF_UNIX or not isinstance(name, str) or not name or name[0] == "\0":
        return sock
    named = _UnixListener(fileno=sock.detach())
    named.path = os.path.abspath(name)
    return named


def _bind_unix(path: str, backlog: int) -> socket.socket:
    if not path or "\0" in path:
        raise StartError(f"{'unix:' + path!r} names no socket; write unix:PATH.")
    sock = _UnixListener(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_stale(path)
        sock.bind(path)
        sock.path = os.path.abspath(path)
        sock.listen(backlog)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        why = "it is in use already" if error.errno == errno.EADDRINUSE else error.strerror or str(error)
        raise StartError(f"The socket {path} cannot be bound: {why}.") from None
    return sock


def _remove_stale(path: str) -> None:
    """Remove a socket that nobody listens to any more; anything else stays."""
    try:
        if not stat.S_ISSOCK(os.stat(path, follow_symlinks=False).st_mode):
            return
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
        except BlockingIOError:
            pass  # somebody listens, and has more to accept than there is room for


def _take_over(number: str, backlog: int) -> socket.socket:
    try:
        sock = socket.socket(fileno=int(number))
    except (OSError, ValueError, OverflowError):
        raise StartError(f"fd://{number} is no listening socket.") from None
    try:
        if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            sock.listen(backlog)
        sock.setblocking(False)
    except OSError:
        sock.detach()  # it is not ours
        raise StartError(f"fd://{number} is no listening socket.") from None
    return sock


def url_of(sock: socket.socket) -> str:
    """Where a listening socket is reached."""
    name = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        return f"unix:{name if isinstance(name, str) else os.fsdecode(name)}"
    host, port = name[0], name[1]
    return f"http://[{host}]:{port}" if sock.family == socket.AF_INET6 else f"http://{host}:{port}"


class Listener:
    """Accepts connections on one socket."""

    def __init__(self, service: Service, sock: socket.socket) -> None:
        self._service = service
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
        service = self._service
        limits = service.limits
        client = address[0] if isinstance(address, tuple) else "unix:"
        sock.setblocking(False)
        if service.connections >= limits.connections:
            self._refuse(sock)
            return
        if limits.connections_per_client:
            count = service.per_client.get(client, 0)
            if count >= limits.connections_per_client:
                self._refuse(sock)
                return
            service.per_client[client] = count + 1
        service.connections += 1
        service.metrics.connections_accepted += 1
        Connection(service, sock, client).start()

    def _refuse(self, sock: socket.SocketType) -> None:
        """503 at once (RFC 9110, 15.6.4). What the client has sent is read first, or a reset would overtake it."""
        service = self._service
        service.metrics.connections_refused += 1
        try:
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
