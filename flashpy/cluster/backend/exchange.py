"""One request to a node and its answer, whose body goes from socket to socket."""

import errno
import os
from collections.abc import Callable
from enum import Enum, auto
from fcntl import F_SETPIPE_SZ, fcntl
from typing import TYPE_CHECKING

from flashpy.buffers import Aggregate, Lazy, Pipe, Piped
from flashpy.cluster.upstream import LONGEST_HEAD, AnswerHead, BadAnswer, answer_head
from flashpy.job.kinds import Await, Outcome, Result

if TYPE_CHECKING:
    from flashpy.cluster.backend.pool import Backend, Link

RECEIVE = 64 * 1024
"""Bytes taken from a node at once: small answers come whole."""
PIPE = 256 * 1024
"""Bytes in a pipe between a node's socket and a client's."""
_SPLICE = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK
_END = b"\r\n\r\n"
_IDEMPOTENT = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"})
CAME = Result(Outcome.CAME)
"""What has been awaited is there; who has awaited it knows where."""


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


class Exchange:
    """One request to a node, and its answer. ``released`` is called once, when the node is done with it."""

    def __init__(
        self, backend: "Backend", method: bytes, head: bytes, released: Callable[[], None], fresh: bool = False
    ) -> None:
        """``fresh``: not on a connection that was kept."""
        self._backend = backend
        self._fresh = fresh
        self._method = method
        self._request = head
        self._released: Callable[[], None] | None = released
        self._phase = Phase.SENDING
        self._link: Link | None = None
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

    def _splice(self, link: "Link") -> Piped:
        if self._pipe is None:
            self._pipe = Pipe()
            try:
                fcntl(self._pipe.writing, F_SETPIPE_SZ, PIPE)
            except OSError:
                pass  # it stays as it is: this user has many
        most = min(self._left, PIPE)
        return Piped(self._pipe, os.splice(link.sock.fileno(), self._pipe.writing, most, flags=_SPLICE))

    def _copy(self, link: "Link") -> bytes:
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
            done(CAME)

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
