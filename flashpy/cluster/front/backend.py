"""Connections to a node for requests that are relayed to it, kept for the next ones; and one exchange on such a one."""

import asyncio
import errno
import os
import socket
from collections.abc import Callable
from enum import Enum, auto
from fcntl import F_SETPIPE_SZ, fcntl

from flashpy.buffers import Aggregate, Lazy, Pipe, Piped
from flashpy.cluster.upstream import LONGEST_HEAD, AnswerHead, BadAnswer, answer_head
from flashpy.job.kinds import Await, Outcome, Result

RECEIVE = 64 * 1024
"""Bytes taken from a node at once: small answers come whole."""
PIPE = 256 * 1024
"""Bytes in a pipe between a node's socket and a client's."""
_SPLICE = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK
_END = b"\r\n\r\n"
_IDEMPOTENT = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"})
_CAME = Result(Outcome.CAME)

SocketAddress = tuple[int, object]
"""A family and an address in it (socket(7))."""


class Phase(Enum):
    """How far an exchange has come."""

    SENDING = auto()  # the connection is made, and the request sent
    HEAD = auto()
    BODY = auto()
    DONE = auto()
    FAILED = auto()


class Failure(Enum):
    """Why there is no answer."""

    UNREACHABLE = auto()  # nobody listens, or who did is gone
    BROKEN = auto()  # what came is no answer, or the node has gone when it may have begun to work
    LATE = auto()


class Backend:
    """The connections to one node. ``spliced``: what follows a head goes from socket to socket, by way of a pipe."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, address: SocketAddress, timeout: float, most: int, spliced: bool
    ) -> None:
        self.loop = loop
        self.timeout = timeout
        self.spliced = spliced
        self._address = address
        self._most = most
        self._idle: list[_Link] = []
        self.exchanges: set[Exchange] = set()

    def take(self, fresh: bool) -> "_Link":
        """A connection that is kept, or a new one.

        Raises:
            OSError: none can be made.
        """
        if self._idle and not fresh:
            return self._idle.pop()
        family, address = self._address
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
        return _Link(self, sock)

    def keep(self, link: "_Link") -> None:
        """An exchange is over, and the connection good for another."""
        if len(self._idle) < self._most:
            self._idle.append(link)
        else:
            link.close()

    def forget(self, link: "_Link") -> None:
        """The node has closed a connection that was kept."""
        if link in self._idle:
            self._idle.remove(link)

    def sweep(self, now: float) -> None:
        """Once a second: end exchanges that nobody wants any more, and those for which the node takes too long."""
        for exchange in list(self.exchanges):
            exchange.look(now)

    def give_up(self) -> None:
        """The node is down: kept connections may lead nowhere, and requests that can be repeated wait no longer."""
        for link in self._idle:
            link.close()
        self._idle.clear()
        for exchange in self.exchanges:
            self.loop.call_soon(exchange.give_up)

    def close(self) -> None:
        """At the end."""
        for exchange in list(self.exchanges):
            exchange.abandon()
        for link in self._idle:
            link.close()
        self._idle.clear()


class _Link:
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


class Exchange:
    """One request to a node, and its answer. ``released`` is called once, when the node is done with it."""

    def __init__(
        self, backend: Backend, method: bytes, head: bytes, released: Callable[[], None], fresh: bool = False
    ) -> None:
        """``fresh``: not on a connection that was kept."""
        self._backend = backend
        self._fresh = fresh
        self._method = method
        self._request = head
        self._released: Callable[[], None] | None = released
        self._phase = Phase.SENDING
        self._link: _Link | None = None
        self._unsent = memoryview(head)
        self._data = b""
        self._left = 0  # bytes of the body that have not been taken from the node
        self._done: Callable[[Result], None] | None = None
        self._wanted: Callable[[], bool] | None = None
        self._moved = backend.loop.time()
        self._began = self._moved
        self._pipe: Pipe | None = None
        self.head: AnswerHead | None = None
        self.failure: Failure | None = None
        self.why = ""  # it failed, for the log
        self.took = 0.0  # seconds to the head of the answer

    # Until the head of the answer is there

    def begin(self, done: Callable[[Result], None], wanted: Callable[[], bool]) -> None:
        """See kinds.Await: it is done when the head is there, or a failure."""
        self._done, self._wanted = done, wanted
        self._backend.exchanges.add(self)
        self._connect(self._fresh)

    def _connect(self, fresh: bool) -> None:
        try:
            self._link = self._backend.take(fresh)
        except OSError as error:
            self._fail(Failure.UNREACHABLE, error.strerror or "")
            return
        self._link.exchange = self
        self._unsent, self._data, self._phase = memoryview(self._request), b"", Phase.SENDING
        self.writable()

    def writable(self) -> None:
        """Send of the request what can be sent."""
        link = self._link
        if link is None:
            return
        try:
            sent = link.sock.send(self._unsent)
        except BlockingIOError:
            link.write(True)
            return
        except OSError as error:
            if error.errno == errno.ENOTCONN:  # not yet
                link.write(True)
            else:
                self._broken(error.strerror or "")
            return
        self._unsent = self._unsent[sent:]
        link.write(bool(self._unsent))
        if not self._unsent:
            self._phase = Phase.HEAD

    def readable(self) -> None:
        """Something has come from the node."""
        if self._phase is Phase.BODY:
            self._call_back()
            return
        assert self._link is not None
        try:
            data = self._link.sock.recv(RECEIVE)
        except BlockingIOError:
            return
        except OSError as error:
            self._broken(error.strerror or "")
            return
        if not data:
            self._broken("it has closed the connection")
            return
        self._moved = self._backend.loop.time()
        self._data += data
        try:
            self._read_head()
        except BadAnswer as error:
            self._fail(Failure.BROKEN, str(error))

    def _read_head(self) -> None:
        while True:
            end = self._data.find(_END)
            if end < 0:
                if len(self._data) > LONGEST_HEAD:
                    raise BadAnswer("its head is too long")
                return
            head = answer_head(self._data[:end], self._method)
            self._data = self._data[end + len(_END) :]
            if head.status >= 200:  # others announce it: RFC 9110, 15.2
                break
        if len(self._data) > head.length:
            raise BadAnswer("there is more than its length says")
        self.head = head
        self.took = self._moved - self._began
        self._left = head.length - len(self._data)
        self._phase = Phase.BODY
        if self._left:
            assert self._link is not None
            self._link.read(False)
        else:
            self._finish()
        self._call_back()

    # The body

    def body(self) -> Aggregate:
        """The body, of which some may have come with the head."""
        come, self._data = self._data, b""
        pieces = (come,) if come else ()
        return (*pieces, _Rest(self, self._left)) if self._left else pieces

    def more(self) -> bytes | Piped | None:
        """More of the body, if it has come; empty: nothing has. None: nothing will."""
        link = self._link
        if link is None:
            return None
        try:
            piece = self._splice(link) if self._backend.spliced else self._copy(link)
        except BlockingIOError:
            return b""
        except OSError as error:
            self._fail(Failure.BROKEN, error.strerror or "")
            return None
        count = piece.length if isinstance(piece, Piped) else len(piece)
        if not count:
            self._fail(Failure.BROKEN, "it has closed the connection")
            return None
        self._moved = self._backend.loop.time()
        self._left -= count
        if not self._left:
            self._finish()
        return piece

    def _splice(self, link: _Link) -> Piped:
        if self._pipe is None:
            self._pipe = Pipe()
            try:
                fcntl(self._pipe.writing, F_SETPIPE_SZ, PIPE)
            except OSError:
                pass  # it stays as it is: this user has many
        most = min(self._left, PIPE)
        return Piped(self._pipe, os.splice(link.sock.fileno(), self._pipe.writing, most, flags=_SPLICE))

    def _copy(self, link: _Link) -> bytes:
        return link.sock.recv(min(self._left, PIPE))

    def wait(self, done: Callable[[Result], None], wanted: Callable[[], bool]) -> None:
        """See kinds.Await: more of the body has come."""
        self._done, self._wanted = done, wanted
        self._moved = self._backend.loop.time()
        if self._link is None:
            self._call_back()
        else:
            self._link.read(True)

    @property
    def left(self) -> int:
        """Bytes of the body that have not been taken from the node."""
        return self._left

    # The end

    @property
    def repeatable(self) -> bool:
        """Whether it does no harm to put the request to another node (RFC 9110, 9.2.2): nothing of an answer has come,
        and the request is idempotent, or nothing of it has been sent."""
        unsent = len(self._unsent) == len(self._request)
        return self.head is None and not self._data and (unsent or self._method in _IDEMPOTENT)

    def look(self, now: float) -> None:
        """End it if nobody wants it any more, or if the node takes too long."""
        if self._wanted is not None and not self._wanted():
            self.abandon()
        elif self._done is not None and now - self._moved > self._backend.timeout:
            self._fail(Failure.LATE, "it takes too long")

    def give_up(self) -> None:
        """The node is down: end it if another node can be asked."""
        if self._done is not None and self.repeatable:
            self._fail(Failure.LATE, "it is down")

    def abandon(self) -> None:
        """Nobody wants the answer any more, or what is left of it."""
        self._done = None
        if self._phase is not Phase.DONE:
            self._fail(Failure.BROKEN, "")

    def _call_back(self) -> None:
        done, self._done = self._done, None
        if self._link is not None and self._phase is Phase.BODY:
            self._link.read(False)
        if done is not None:
            done(_CAME)

    def _finish(self) -> None:
        """All has been taken from the node."""
        link = self._link
        assert link is not None and self.head is not None
        self._phase = Phase.DONE
        self._let_go()
        link.exchange, link.used = None, True
        if self.head.keep_alive:
            link.read(True)
            self._backend.keep(link)
        else:
            link.close()

    def _broken(self, why: str) -> None:
        """The connection has broken before the answer. One that was kept may have been closed just before."""
        link = self._link
        assert link is not None
        link.close()
        if self.repeatable and link.used:
            self._connect(fresh=True)
        else:
            self._fail(Failure.UNREACHABLE if self.repeatable else Failure.BROKEN, why)

    def _fail(self, failure: Failure, why: str) -> None:
        self._phase = Phase.FAILED
        self.failure, self.why = failure, why
        if self._link is not None:
            self._link.close()
        self._let_go()
        self._call_back()

    def _let_go(self) -> None:
        self._link = None
        self._backend.exchanges.discard(self)
        if self._released is not None:
            released, self._released = self._released, None
            released()


class _Rest(Lazy):
    """What is left of a body."""

    __slots__ = ("_exchange",)

    def __init__(self, exchange: Exchange, length: int) -> None:
        super().__init__(length)
        self._exchange = exchange

    def make(self, result: Result | None = None) -> Aggregate | Await | None:
        """See Lazy."""
        piece = self._exchange.more()
        if piece is None:
            return None
        if piece == b"":
            return Await(self._exchange.wait)
        left = self._exchange.left
        return (piece, _Rest(self._exchange, left)) if left else (piece,)
