"""What a proxy says before a connection begins: the header of the PROXY protocol (http.proxy_protocol).

The header is looked at before it is read, and then read to its last byte: what follows it, be it HTTP or TLS, is left
for whoever goes on with the socket. A part of one is read at once, or the loop would be told of it again and again.
"""

import logging
import socket
from collections.abc import Callable

from flashpy.event.deadlines import State
from flashpy.event.service import Service
from flashpy.http.proxy_protocol import LONGEST, BadHeader, parse

_log = logging.getLogger("flashpy.preface")

Begin = Callable[[socket.SocketType, str], None]
"""Begins a connection, with its client's address."""


class Preface:
    """A connection whose client is not known yet (a deadlines.Timed; the header has the time that a request has)."""

    __slots__ = ("_begin", "_held", "_peer", "_reading", "_service", "_sock", "state")

    def __init__(self, service: Service, sock: socket.SocketType, peer: str, begin: Begin) -> None:
        self._service = service
        self._sock = sock
        self._peer = peer
        self._begin = begin
        self._held = b""  # a part of the header
        self._reading = False
        self.state = State.NEW

    def __repr__(self) -> str:
        return f"<Preface {self._peer} {self.state.name}>"

    def start(self) -> None:
        """Read what has come, and wait for the rest if that is not all."""
        self._readable()
        if self.state is State.NEW:
            self._service.deadlines.enter(self, State.HEAD, self._service.now.monotonic)
            self._service.loop.add_reader(self._sock.fileno(), self._readable)
            self._reading = True

    def due(self, now: float) -> float:
        """See deadlines.Timed: the time is not moved by parts of a header."""
        return 0.0

    def expire(self) -> None:
        """See deadlines.Timed. Nobody knows yet what the client would understand: so it is told nothing."""
        self.close()

    def drain(self) -> None:
        """Begin the connection, if the header has come. A server that ends waits for no more; one that has a successor
        does, for nothing is to be lost."""
        self._readable()
        if self._service.take_over is None:
            self.close()

    def close(self) -> None:
        """End it, before it has begun."""
        if self.state is not State.CLOSED:
            self._leave()
            self._sock.close()
            self._service.ended()

    def _readable(self) -> None:
        try:
            client = self._read()
            if client is not None:
                self._leave()
                self._begin(self._sock, client)
        except BlockingIOError:
            return
        except BadHeader as error:
            _log.warning(
                "The proxy %s does not speak the PROXY protocol: %s; the connection is closed.", self._peer, error
            )
            self._service.metrics.connections_refused += 1
            self.close()
        except OSError:
            self.close()
        except Exception:
            self._service.metrics.faults += 1
            _log.exception("An exception ended %r.", self)
            self.close()

    def _read(self) -> str | None:
        """The client, when the header is complete.

        Raises:
            BadHeader: it is none.
            OSError: there is nothing to read now, or nothing will come any more.
        """
        seen = self._sock.recv(LONGEST, socket.MSG_PEEK)
        if not seen:
            raise ConnectionResetError
        header = parse(self._held + seen)
        if header is None:
            self._held += self._sock.recv(len(seen))
            return None
        self._sock.recv(header.length - len(self._held))
        return self._peer if header.client is None else header.client

    def _leave(self) -> None:
        if self._reading:
            self._reading = False
            self._service.loop.remove_reader(self._sock.fileno())
        self._service.deadlines.enter(self, State.CLOSED, 0.0)
