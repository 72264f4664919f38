"""A connection that may leave between two requests, because the next one is another's to answer.

Its wire stops before such a request and keeps its bytes unread; when all that came before has been answered, the
connection is told to turn. The front-end's turn at every request, a node's at those that are not its own.
"""

import socket
from collections.abc import Sequence
from functools import partial

from flashpy.event.connection import Connection, recall_nothing
from flashpy.event.deadlines import State
from flashpy.event.service import HTTP2, Service
from flashpy.http.http1 import Http1, Http1Shared
from flashpy.http.request import Request
from flashpy.http.wire import Wire
from flashpy.site.sites import Answering

_END = b"\r\n\r\n"
_HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\n"


class SteeredHttp1(Http1):
    """Stops before a request that ``connection`` does not keep."""

    __slots__ = ("_connection", "_passing", "turned")

    def __init__(self, shared: Http1Shared, begins: bool, connection: "SteeredConnection") -> None:
        super().__init__(shared, begins)
        self._connection: SteeredConnection | None = connection
        self._passing = False  # the next request is to be let pass
        self.turned: Request | None = None  # the request that is next, and is not kept

    def receive(self, data: bytes) -> Sequence[Request]:
        """See wire.Wire."""
        self.turned = None
        return super().receive(data)

    def part(self) -> None:
        """The connection has come to its end; neither keeps the other alive."""
        self._connection = None

    def let_pass(self) -> None:
        """Give out the next request, whoever's it is."""
        self._passing = True

    def unread_bytes(self) -> bytes:
        """What has been received and not been given out."""
        return self._buffer

    def _take_head(self, data: bytes, start: int, requests: list[Request]) -> int:
        end = data.find(_END, start)
        if end < 0 or data.startswith((b"\r\n", _HTTP2_PREFACE), start):
            return super()._take_head(data, start, requests)
        request, connection = self._shared.heads.read(data[start : end + len(_END)]), self._connection
        if connection is not None and self._passing:
            self._passing = False
            connection.let_in(request)
        elif (
            connection is not None
            and not connection.keeps(request)
            and not connection.fetches(request, data.count(_END, start))
        ):
            self.turned = request
            self.held = True
            return start
        return super()._take_head(data, start, requests)


class SteeredConnection(Connection):
    """Asks of each request whether it is to be answered here."""

    __slots__ = ("_recall_any",)

    def __init__(self, service: Service, sock: socket.SocketType, client: str, site: Answering | None = None) -> None:
        super().__init__(service, sock, client, site=site)
        self._recall_any = self._recall
        self._recall = self._recall_kept

    def fileno(self) -> int:
        """The descriptor of its socket."""
        return self._fd

    @property
    def is_gone(self) -> bool:
        """Whether it has ended, or has left."""
        return self.state is State.CLOSED

    def keeps(self, request: Request) -> bool:
        """Whether a request is to be answered here."""
        raise NotImplementedError

    def fetches(self, request: Request, together: int) -> bool:
        """Whether a request that is not kept is given out all the same, because its answer can be fetched from where it
        belongs. So many have come together, from this one on."""
        return False

    def let_in(self, request: Request) -> None:
        """A request is answered here because somebody has said so, whatever ``keeps`` would say."""

    def turn(self, request: Request, data: bytes) -> None:
        """All before a request that is not kept has been answered; it is the first in this data, which is unread."""
        raise NotImplementedError

    def begin_with(self, data: bytes) -> None:
        """Go on with a connection from which this data has been read before; the first request in it is kept."""
        wire = self._wire
        assert isinstance(wire, SteeredHttp1)
        wire.let_pass()
        self.go_on_with(data)

    def go_on_with(self, data: bytes) -> None:
        """Go on with a connection from which this data has been read before."""
        if data:
            self._guarded(partial(self._receive, data))
        else:
            self._enter(State.IDLE)
        if self.state is State.NEW:
            self._enter(State.HEAD)
        if self.state is not State.CLOSED and not self._ended and not self._wire.held:
            self._go_on_reading()

    def keep_next(self) -> None:
        """Answer the request here after all before which this has turned."""
        wire = self._wire
        assert isinstance(wire, SteeredHttp1)
        wire.let_pass()
        self._guarded(partial(self._receive, b""))

    def leave(self) -> socket.SocketType:
        """What is left of this connection is another's: its socket, of which nobody is told any more."""
        self._leave()
        self._service.gone(self)
        return self._sock

    def _leave(self) -> None:
        super()._leave()
        self._recall = self._recall_any = recall_nothing
        if isinstance(self._wire_made, SteeredHttp1):
            self._wire_made.part()

    def _recall_kept(self, head: bytes) -> Request | None:
        request = self._recall_any(head)
        return request if request is not None and self.keeps(request) else None

    @property
    def _wire(self) -> Wire:
        if self._wire_made is None:
            fresh = self.state is State.NEW and HTTP2 in self._service.wires
            self._wire_made = SteeredHttp1(self._service.http1, fresh, self)
        return self._wire_made

    def _all_sent(self) -> None:
        wire = self._wire
        if isinstance(wire, SteeredHttp1) and wire.turned is not None and not wire.unanswered:
            self._set_writing(False)
            self._pause_reading()
            request, wire.turned = wire.turned, None
            self.turn(request, wire.unread_bytes())
            return
        super()._all_sent()
