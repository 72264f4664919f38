"""Listening sockets from addresses. There is no event loop in it: who holds sockets for others has none."""

import errno
import os
import socket
import sys
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from flashpy.addresses import Inherited, Packets, Tcp, Unix, parse_any
from flashpy.errors import StartError
from flashpy.event.unixsockets import listen_unix

DEFER = 1
"""Seconds for which the kernel keeps a connection to itself until the client has sent something (TCP_DEFER_ACCEPT, in
tcp(7)): then its first request is there when it is accepted, and a connection for one request is never registered with
the event loop. One that is silent for longer is accepted all the same."""

Sockets = dict[str, list[socket.socket]]
"""Listening sockets by the address that they were made for, as it is written."""

UNSENT = 128 * 1024
"""Bytes that the kernel takes for a client beyond those that it has sent (TCP_NOTSENT_LOWAT). By itself it takes some
2.5 MB for one that reads nothing: a thousand of those have all the memory that there is for sockets (tcp_mem, in
tcp(7)), and filling it for each newcomer keeps the others waiting."""

SO_MAX_PACING_RATE = 47
"""Of socket(7); the socket module has no name for it. The number is that of x86, ARM and RISC-V."""
_UNPACED = 2**32 - 1

_INTERNET = (socket.AF_INET, socket.AF_INET6)
_MAPPED = "::ffff:"


class _Place(NamedTuple):
    """What one TCP socket is bound to."""

    family: int
    host: str
    port: int
    scope: int  # of a link-local address: ipv6(7)


def listen(
    addresses: Sequence[str], backlog: int, unix_mode: int | None = None, before: Sockets | None = None
) -> Sockets:
    """Listening sockets for addresses (see ``flashpy.addresses``); the name of a host may give several.

    ``[::]`` and no host at all take IPv4 too, unless 0.0.0.0 has the same port. ``unix_mode`` is the mode of sockets
    that have a path; without one it is as the umask leaves it. What is there ``before`` is taken as it is.

    Raises:
        StartError: an address is not understood, is in use, or may not be bound. None stays bound that was not before.
    """
    before = before or {}
    try:
        parsed = [parse_any(address) for address in addresses]
    except ValueError as error:
        raise StartError(str(error)) from None
    places = [(address, _places(address) if isinstance(address, Tcp) else []) for address in parsed]
    apart = {place.port for _, found in places for place in found if place.host == "0.0.0.0" and place.port}
    groups: Sockets = {text: before[text] for text in addresses if text in before}
    sockets = [sock for group in groups.values() for sock in group]
    kept = len(sockets)
    try:
        for text, (address, found) in zip(addresses, places, strict=True):
            if text in before:
                continue
            begin = len(sockets)
            if isinstance(address, Tcp):
                _listen_tcp(address, found, apart, backlog, sockets)
            elif isinstance(address, Unix):
                sockets.append(listen_unix(address.path, backlog, unix_mode))
            elif isinstance(address, Packets):
                sockets.append(listen_unix(address.path, backlog, unix_mode, socket.SOCK_SEQPACKET))
            else:
                sockets.append(_take_over(address, backlog, sockets))
            groups.setdefault(text, []).extend(sockets[begin:])
    except BaseException:
        close_all(sockets[kept:])
        raise
    return {text: groups[text] for text in addresses}


def flat(groups: Sockets) -> list[socket.socket]:
    """All sockets, in the order of their addresses."""
    return [sock for group in groups.values() for sock in group]


def close_all(sockets: Iterable[socket.socket]) -> None:
    """Close sockets here; who has inherited them has them still."""
    for sock in sockets:
        sock.close()


def _places(address: Tcp) -> list[_Place]:
    """Where a host and a port are on this machine."""
    host, port = address
    if not host:
        return [_Place(socket.AF_INET6, "::", port, 0) if _has_ipv6() else _Place(socket.AF_INET, "0.0.0.0", port, 0)]
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise StartError(f"The host {host!r} is not known: {error.strerror}.") from None
    except ValueError:  # IDNA's rules, or a NUL
        raise StartError(f"{host!r} is no host name; write a name or an address.") from None
    places = [_Place(family, str(name[0]), port, int(name[3]) if len(name) > 3 else 0) for family, *_, name in found]
    return list(dict.fromkeys(places))


def _has_ipv6() -> bool:
    try:
        socket.socket(socket.AF_INET6, socket.SOCK_STREAM).close()
    except OSError:
        return False
    return True


def _listen_tcp(
    address: Tcp, places: list[_Place], apart: set[int], backlog: int, sockets: list[socket.socket]
) -> None:
    """Add the sockets of one address to those that there are; ``apart`` are the ports that IPv4 has to itself."""
    host, port = address
    before = len(sockets)
    for place in places:
        narrow = place.host != "::" or port in apart
        try:
            sockets.append(_bind_tcp(place, narrow, backlog))
        except OSError as error:
            if len(sockets) > before and error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                continue  # "localhost" where IPv6 is off
            if error.errno == errno.EADDRINUSE and port in _ports(sockets):
                other = "another address of this server has it"
                raise StartError(f"Port {port} on {host or 'all addresses'} is in use already: {other}.") from None
            raise StartError(_why_not(address, error)) from None


def _bind_tcp(place: _Place, narrow: bool, backlog: int) -> socket.socket:
    sock = socket.socket(place.family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _tune(sock)
        if place.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, narrow)
            sock.bind((place.host, place.port, 0, place.scope))
        else:
            sock.bind((place.host, place.port))
        sock.listen(backlog)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def _tune(sock: socket.socket) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # on Linux, accepted sockets inherit it
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, DEFER)


def pace(sock: socket.socket, rate: int) -> None:
    """Bound what connections to a listening socket are sent: each to so many bytes per second (0 is no bound), and not
    far ahead of its client. The kernel sees to it: they inherit it as they are accepted. Unix sockets have no pace."""
    if sock.family in _INTERNET:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)
        sock.setsockopt(socket.SOL_SOCKET, SO_MAX_PACING_RATE, (rate or _UNPACED).to_bytes(4, sys.byteorder))


def _ports(sockets: list[socket.socket]) -> set[int]:
    return {sock.getsockname()[1] for sock in sockets if sock.family in _INTERNET}


def _why_not(address: Tcp, error: OSError) -> str:
    host, port = address.host or "all addresses", address.port
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is in use already; stop what uses it, or choose another with --port."
    if error.errno == errno.EACCES:
        return f"Port {port} may not be used by this user (below 1024 it takes root); choose another with --port."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"This machine has no address {host}; choose another with --host."
    if error.errno == errno.EAFNOSUPPORT:
        return f"This machine has no IPv6 for {host}; choose another with --host."
    return f"{host}:{port} cannot be bound: {error.strerror}."


def _take_over(address: Inherited, backlog: int, sockets: list[socket.socket]) -> socket.socket:
    """A socket that was opened by whoever started this process: its name stays when it is closed."""
    name = address.name
    if any(str(sock.fileno()) == name for sock in sockets):
        raise StartError(f"fd://{name} is given twice; once is enough.")
    try:
        sock = socket.socket(fileno=int(name))
    except (OSError, ValueError, OverflowError):
        raise StartError(f"fd://{name} is no listening socket.") from None
    try:
        if sock.type != socket.SOCK_STREAM or sock.family not in (socket.AF_UNIX, *_INTERNET):
            raise OSError(errno.EOPNOTSUPP, "not a stream")
        if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            sock.listen(backlog)
        if sock.family in _INTERNET:
            _tune(sock)
        sock.setblocking(False)
    except OSError:
        sock.detach()  # it is not ours
        raise StartError(f"fd://{name} is no listening socket.") from None
    return sock


def url_of(sock: socket.socket, scheme: str = "http") -> str:
    """Where a listening socket is reached."""
    name = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        return f"unix:{os.fsdecode(name).replace(chr(0), '@', 1)}"
    host, port = name[0], name[1]
    return f"{scheme}://[{host}]:{port}" if sock.family == socket.AF_INET6 else f"{scheme}://{host}:{port}"


def urls_of(groups: Sockets, secure: Collection[str]) -> list[str]:
    """Where all listening sockets that are open are reached; ``secure`` are the addresses where TLS is spoken."""
    return [
        url_of(sock, "https" if text in secure else "http")
        for text, group in groups.items()
        for sock in group
        if sock.fileno() >= 0
    ]


def client_of(address: object) -> str:
    """Who has connected, from what accept(2) says. A client that came by IPv4 to a socket of IPv6 is shown, and
    counted, by its IPv4 address (RFC 4291, 2.5.5.2)."""
    if not isinstance(address, tuple):
        return "unix:"
    host: str = address[0]
    return host[len(_MAPPED) :] if host.startswith(_MAPPED) and "." in host else host
