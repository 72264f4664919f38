"""The bodies of one connection's answers, for a protocol that frames them itself: read into memory, or made, piece by
piece.

Where Output sends a file by sendfile(2), a frame takes bytes: they are read where that does not wait, by
preadv2(RWF_NOWAIT) or after the residency test, and else after a helper has loaded them. Whoever asked is told in a
later turn of the loop.
"""

import logging
import os
import socket
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from flashpy.buffers import Endless, Lazy, Slice
from flashpy.event.output import LOAD_TRIES
from flashpy.event.service import Service
from flashpy.http.request import faulty
from flashpy.job.kinds import Job, Load, Outcome, Result

if TYPE_CHECKING:
    from flashpy.event.connection import Connection
    from flashpy.http.http2 import Http2

_log = logging.getLogger("flashpy.connection")

_STREAMED = 16 * 1024
"""Bytes taken at once of what is Endless."""


class _Asked:
    """What a stream has asked for: the window that is loaded for it, or the socket that it is sent from."""

    __slots__ = ("loaded", "source", "tries", "window")

    def __init__(self) -> None:
        self.window: Slice | None = None
        self.loaded = False
        self.tries = 0  # loads of this window
        self.source: socket.socket | None = None

    def covers(self, piece: Slice) -> bool:
        """Whether the piece begins in the window."""
        window = self.window
        return window is not None and window.file is piece.file and 0 <= piece.offset - window.offset < window.length


class Bodies:
    """Reads and makes for one connection (an http.http2.Bodies)."""

    __slots__ = ("_asked", "_connection", "_service")

    def __init__(self, service: Service, connection: "Connection") -> None:
        self._service = service
        self._connection = connection
        self._asked: dict[int, _Asked] = {}  # by stream

    def read(self, stream: int, piece: Slice, most: int, asker: "Http2") -> bytes | None:
        """See http.http2.Bodies."""
        residency, now = self._service.residency, self._service.now.monotonic
        asked = self._asked.get(stream)
        if asked is not None and not asked.covers(piece):
            del self._asked[stream]
            asked = None
        data = residency.read_now(piece.file, piece.offset, most)
        if data:
            return bytes(data)
        whatever = asked is not None and asked.loaded and (data is None or asked.tries >= LOAD_TRIES)
        if whatever or (data is None and residency.resident(piece.file, piece.offset, most, now)):
            found = os.pread(piece.file.fd, most, piece.offset)
            if not found:
                self._service.metrics.truncated += 1
                _log.warning("A file became shorter while it was sent to %s.", self._connection.client)
            return found
        self._load(stream, asked or _Asked(), piece, asker)
        return None

    def _load(self, stream: int, asked: _Asked, piece: Slice, asker: "Http2") -> None:
        service = self._service
        length = service.residency.to_load(piece.file, piece.offset, piece.length)
        asked.window = window = Slice(piece.file, piece.offset, length)
        asked.loaded = False
        asked.tries += 1
        self._asked[stream] = asked
        service.metrics.loads += 1
        done = partial(self._soon, self._loaded, stream, asked, asker)
        service.runner.run(Load(*window), done, partial(self._wants, stream, asked))

    def _loaded(self, stream: int, asked: _Asked, asker: "Http2", result: Result) -> None:
        if not self._wants(stream, asked) or asked.window is None:
            return
        if result.outcome is Outcome.LOADED:
            asked.loaded = True
            self._service.residency.loaded(*asked.window, self._service.now.monotonic)
            self._connection.go_on(partial(asker.resume, stream))
            return
        status = 503 if result.outcome in (Outcome.NO_DESCRIPTORS, Outcome.LATE) else 500
        response = self._service.site.failure(faulty(status), status)
        self._connection.go_on(partial(asker.unreadable, stream, response))

    def make(self, stream: int, piece: Lazy, asker: "Http2") -> None:
        """See http.http2.Bodies."""
        asked = self._asked.setdefault(stream, _Asked())
        if isinstance(piece, Endless):
            self._listen(stream, asked, piece, asker)
        else:
            self._soon(self._make, stream, asked, piece, asker, None)

    def _make(self, stream: int, asked: _Asked, piece: Lazy, asker: "Http2", result: Result | None) -> None:
        if self._wants(stream, asked):
            self._connection.go_on(partial(self._take_step, stream, asked, piece, asker, result))

    def _take_step(self, stream: int, asked: _Asked, piece: Lazy, asker: "Http2", result: Result | None) -> None:
        made = piece.make(result)
        if isinstance(made, Job):
            done = partial(self._soon, self._make, stream, asked, piece, asker)
            self._service.runner.run(made, done, partial(self._wants, stream, asked))
        elif made is None:
            _log.warning("What was to be sent to %s has changed meanwhile.", self._connection.client)
            self._service.metrics.truncated += 1
            asker.unreadable(stream)
        else:
            asker.made(stream, made)

    # Endless: whoever makes it is given a socket, as on a connection of its own; what it writes there is the body.

    def _listen(self, stream: int, asked: _Asked, piece: Endless, asker: "Http2") -> None:
        if asked.source is None:
            asked.source, other = socket.socketpair()
            asked.source.setblocking(False)
            other.setblocking(False)
            piece.take(other, self._connection.client)
        heard = partial(self._heard, stream, asked, asker)
        self._service.loop.add_reader(asked.source.fileno(), heard)

    def _heard(self, stream: int, asked: _Asked, asker: "Http2") -> None:
        assert asked.source is not None
        self._service.loop.remove_reader(asked.source.fileno())
        try:
            data = asked.source.recv(_STREAMED)
        except OSError:
            data = b""
        step = partial(asker.made, stream, (data,), True) if data else partial(asker.made, stream, ())
        self._connection.go_on(step)

    def drop(self, stream: int) -> None:
        """See http.http2.Bodies."""
        asked = self._asked.pop(stream, None)
        if asked is not None and asked.source is not None:
            self._service.loop.remove_reader(asked.source.fileno())
            asked.source.close()

    def _wants(self, stream: int, asked: _Asked) -> bool:
        return self._asked.get(stream) is asked

    def _soon(self, step: Callable[..., None], *arguments: Any) -> None:
        self._service.loop.call_soon(step, *arguments)
