"""Clients of TLS whose handshakes count: one after the other, each with a request; or many that arrive together."""

from __future__ import annotations

import select
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

PATIENCE = 10.0


def context(certificate: Path) -> ssl.SSLContext:
    """Of a client of TLS 1.3 that trusts this certificate."""
    made = ssl.create_default_context(cafile=str(certificate))
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.check_hostname = False
    return made


def connect(port: int, how: ssl.SSLContext, session: ssl.SSLSession | None = None) -> ssl.SSLSocket:
    """A connection that has had its handshake."""
    link = socket.create_connection(("127.0.0.1", port), PATIENCE)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return how.wrap_socket(link, server_hostname="localhost", session=session)


def ask(link: ssl.SSLSocket, path: str, size: int, more: str = "") -> None:
    """One request, and its answer, whose body must have ``size`` bytes."""
    link.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n".encode())
    received = b""
    while b"\r\n\r\n" not in received or len(received.partition(b"\r\n\r\n")[2]) < size:
        if not (data := link.recv(65536)):
            raise OSError(f"the connection ended after {len(received)} bytes")
        received += data
    if not received.startswith(b"HTTP/1.1 200"):
        raise OSError(f"the answer begins with {received[:20]!r}")


def handshakes(port: int, path: str, size: int, certificate: Path, seconds: float, resumed: bool) -> int:
    """Connections for so many seconds, one after the other, each with a handshake and one request. How many there were;
    ``resumed``: all but the first with the session of the one before."""
    how = context(certificate)
    session: ssl.SSLSession | None = None
    done, ends = 0, time.monotonic() + seconds
    while time.monotonic() < ends:
        with connect(port, how, session) as link:
            ask(link, path, size, "Connection: close\r\n")
            if resumed:
                if session is not None and not link.session_reused:
                    raise OSError("a session was not resumed")
                session = link.session
        done += 1
    return done


def hello() -> bytes:
    """The first message of a handshake, by which a server's costly part begins."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def bursts(port: int, path: str, size: int, certificate: Path, count: int, rounds: int) -> Iterator[float]:
    """The time in seconds of each answer to a client who is connected, while ``count`` handshakes arrive together; and
    that so many times."""
    message = hello()
    with connect(port, context(certificate)) as probe:
        ask(probe, path, size)
        for _ in range(rounds):
            with ExitStack() as stack:
                links = [
                    stack.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE)) for _ in range(count)
                ]
                for link in links:
                    link.sendall(message)
                waiting = set(links)
                while waiting:
                    began = time.perf_counter()
                    ask(probe, path, size)
                    yield time.perf_counter() - began
                    waiting -= set(select.select(list(waiting), [], [], 0.0)[0])
