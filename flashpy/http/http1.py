"""HTTP/1.1 and HTTP/1.0 on one connection, without I/O (RFC 9112).

The rules of this module:

1. The end of a head is found here, because httptools does not count bytes; what the head says is read by http.head.
   The framing of a body is judged by httptools (http.framer).
2. A request is given out when it is complete, its body (which no static resource wants) read and thrown away.
3. Answers leave in the order of the requests, whatever the order in which they were given.
4. After a fault nothing more is read: who cannot frame one message cannot find the next (RFC 9112, 11.2).
"""

import re
from collections.abc import Sequence
from enum import Enum, auto

from flashpy.buffers import Aggregate
from flashpy.http.framer import Fault, Framer
from flashpy.http.head import LINE_SLACK, REQUEST_LINE, HeadReader
from flashpy.http.request import Request, faulty
from flashpy.http.response import JOIN_LIMIT, Response
from flashpy.http.wire import Sendable, Tails
from flashpy.settings import LimitsSection

_LINE_SO_FAR = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?: (?:[\x21-\x7e\x80-\xff]+(?: [HTP/0-9.]{0,8}\r?)?)?)?|\r?")
_BARE_LF = re.compile(rb"(?<!\r)\n")
_END = b"\r\n\r\n"
_PREFACE = b"PRI * HTTP/2.0\r\n\r\n"  # the head of what HTTP/2 begins with (RFC 9113, 3.4)
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class _Reading(Enum):
    HEAD = auto()
    BODY = auto()
    NOTHING = auto()  # after a fault, or a request that ends the connection


class Http1Shared:
    """What all HTTP/1 connections of a server share: limits, the reader of heads, rendered tails.

    ``contents`` is how many bytes of small files are kept in memory: a quarter of it is for rendered answers, which are
    kept until the Date changes (within a second, little else is asked for).
    """

    __slots__ = ("_kept", "_left", "_room", "_second", "heads", "limits", "tails")

    def __init__(self, limits: LimitsSection, tails: Tails, contents: int) -> None:
        self.limits = limits
        self.heads = HeadReader(limits)
        self.tails = tails
        self._kept: list[Response] = []  # those that have been prepared for the present Date
        self._room = self._left = contents // 4
        self._second = b""  # the tail with that Date

    def at_once(self, request: Request, response: Response, last: bool) -> bytes | None:
        """A small answer, rendered whole, for a connection that has nothing else to send; None if it is not small. The
        rendering is kept for as long as the Date in it is good, if there is room. ``last``: the connection ends after
        it."""
        tail = self.tail(request, last)
        prepared = response.prepared
        if prepared is not None and prepared[0] is tail:
            return prepared[1]
        if response.flat is None:
            return None
        whole = b"".join((response.head.http1, tail, response.flat))
        self._keep(response, tail, whole)
        return whole

    def _keep(self, response: Response, tail: bytes, whole: bytes) -> None:
        if self._second is not self.tails.keep_alive:  # what was rendered with another Date is of no more use
            for stale in self._kept:
                stale.prepared = None
            self._kept.clear()
            self._second, self._left = self.tails.keep_alive, self._room
        if len(whole) <= self._left:
            self._left -= len(whole)
            self._kept.append(response)
            response.prepared = (tail, whole)

    def pieces(self, request: Request, response: Response, last: bool) -> Aggregate:
        """Any other answer for such a connection."""
        return (response.head.http1 + self.tail(request, last), *response.body)

    def tail(self, request: Request, last: bool) -> bytes:
        """The end of the head of an answer (RFC 9112, 9.6 and 9.3)."""
        if last:
            return self.tails.close
        return self.tails.keep_alive if request.minor else self.tails.keep_alive_10


class Http1:
    """The wire of one HTTP/1 connection (see wire.Wire)."""

    __slots__ = (
        "_at",
        "_begins",
        "_body_left",
        "_buffer",
        "_chunked",
        "_continue",
        "_early",
        "_final",
        "_framer",
        "_order",
        "_out",
        "_pending",
        "_reading",
        "_scanned",
        "_shared",
        "_shut",
        "closing",
        "held",
        "preface",
        "unread",
    )

    multiplexed = False
    blocked = False

    def __init__(self, shared: Http1Shared, begins: bool = False) -> None:
        """``begins``: nothing has come before, and HTTP/2 is spoken too."""
        self._shared = shared
        self._begins = begins
        self._buffer = b""
        self._scanned = 0  # how much of the buffer has been looked through for the end of the head
        self._at = 0  # where in the data the message begins that is being read
        self._reading = _Reading.HEAD
        self._framer: Framer | None = None
        self._pending: Request | None = None  # complete but for its body
        self._body_left = 0
        self._chunked = False
        self._continue = False
        # Lists, though they are queues: they are short, and an empty deque takes 600 bytes of an idle connection.
        self._order: list[Request] = []
        self._early: list[tuple[Request, Response]] = []
        self._out: list[tuple[Request, Response]] = []
        self._shut = False
        self._final = False  # an answer has been given after which the connection ends
        self.preface = b""
        self.closing = False
        self.held = False
        self.unread = False

    def __repr__(self) -> str:
        return f"<Http1 {self._reading.name} unanswered={len(self._order)} buffered={len(self._buffer)}>"

    @property
    def unanswered(self) -> int:
        """Requests given out and not yet answered."""
        return len(self._order)

    @property
    def partial(self) -> bool:
        """A request has begun to arrive and is not complete."""
        return bool(self._buffer) or self._pending is not None

    @property
    def quiet(self) -> bool:
        """Nothing has begun to arrive, nothing is to be answered, and the connection goes on."""
        return not (self._order or self._buffer or self.closing or self._pending)

    # Receiving

    def receive(self, data: bytes) -> Sequence[Request]:
        """The requests that ``data`` completes, a fault last (see wire.Wire)."""
        requests: list[Request] = []
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
        try:
            self._take_all(data, requests)
        except Fault as fault:
            self._take_fault(fault.status, data, requests)
        self._order += requests
        return requests

    def _take_all(self, data: bytes, requests: list[Request]) -> None:
        """Read messages, as far as they are complete and there is room for their answers."""
        position = 0
        room = self._shared.limits.pipeline - len(self._order) - len(self._out)
        self.held = False
        while position < len(data) and self._reading is not _Reading.NOTHING:
            if len(requests) >= room:
                self.held = True
                self._buffer = data[position:]
                return
            self._at = position
            take = self._take_head if self._reading is _Reading.HEAD else self._take_body
            ahead = take(data, position, requests)
            if ahead == position:  # what is there is not enough for a step
                self._buffer = data[position:]
                return
            position = ahead
        self.unread = self.unread or position < len(data)

    def _take_fault(self, status: int, data: bytes, requests: list[Request]) -> None:
        """Give out the fault of the message that was being read, and read no more."""
        line = data[self._at :].partition(b"\r\n")[0][:256]
        if (pending := self._pending) is not None:  # the fault is in its body; HEAD stays HEAD: RFC 9110, 9.3.2
            line = pending.method + b" " + pending.target
        self._reading, self._pending, self._continue = _Reading.NOTHING, None, False
        self.unread = True
        requests.append(faulty(status, line))

    def _take_head(self, data: bytes, start: int, requests: list[Request]) -> int:
        """Read one head at ``start``. Where it ends, or ``start`` if it is not complete."""
        if data.startswith(b"\r\n", start):  # empty lines before a request line are passed over: RFC 9112, 2.2
            return start + 2
        end = data.find(_END, max(start, self._scanned - len(_END)))
        if end < 0:
            self._check_partial(data, start)
            return start
        self._scanned = 0
        end += len(_END)
        head = data[start:end]
        if self._begins and head == _PREFACE:
            self.preface = data[start:]
            self._reading = _Reading.NOTHING
            return len(data)
        request = self._shared.heads.read(head)
        if request.block.has_body and not self._begin_body(request, head):
            self._continue = self._continue and end == len(data)  # RFC 9110, 10.1.1: not once the body arrives
        else:
            self._finish(request, requests)
        return end

    def _check_partial(self, data: bytes, start: int) -> None:
        """Find what will never become a good head before all of it has come, so that nobody waits for a time-out."""
        limits = self._shared.limits
        line_end = data.find(b"\r\n", start)
        if line_end < 0:
            if len(data) - start > limits.target + LINE_SLACK:
                raise Fault(414)
            if not _LINE_SO_FAR.fullmatch(data, start):
                raise Fault(400)
        elif not REQUEST_LINE.match(data, start):
            raise Fault(414 if line_end - start > limits.target + LINE_SLACK else 400)
        if len(data) - start > limits.head:
            raise Fault(431)
        if _BARE_LF.search(data, max(start, self._scanned)):
            raise Fault(400)
        self._scanned = len(data) - start

    def _begin_body(self, request: Request, head: bytes) -> bool:
        """Be ready for the body. True if it is over already, being empty."""
        fields, limit = request.fields, self._shared.limits.body
        framer = Framer(head[head.index(b"\r\n") :])
        if b"transfer-encoding" in fields:
            if request.minor == 0:
                raise Fault(400)  # RFC 9112, 6.1: faulty framing
            if fields[b"transfer-encoding"].lower() != b"chunked":
                raise Fault(501)  # RFC 9112, 6.1: a coding that is not understood
        if framer.complete:
            return True
        content_length = fields.get(b"content-length")
        self._chunked = content_length is None
        # httptools has judged the number, but lets any count of leading zeros pass, and int() limits digits.
        self._body_left = limit if content_length is None else int(content_length.lstrip(b"0"))
        if self._body_left > limit:
            raise Fault(413)
        self._framer, self._pending, self._reading = framer, request, _Reading.BODY
        self._continue = request.minor > 0 and b"expect" in fields
        return False

    def _take_body(self, data: bytes, start: int, requests: list[Request]) -> int:
        """Read the body at ``start`` and throw it away. Where reading stopped."""
        framer, request = self._framer, self._pending
        assert framer is not None and request is not None
        self._continue = False
        if self._chunked:
            # A chunked body ends with an empty line, so only there can a message end: httptools, which does not tell
            # where it stopped, is fed from one such place to the next.
            mark = data.find(_END, start)
            begun = next((size for size in (3, 2, 1) if data.endswith(_END[:size], start)), 0)
            end = mark + len(_END) if mark >= 0 else len(data) - begun
        else:
            end = min(len(data), start + self._body_left)
        self._body_left -= end - start
        if self._body_left < 0:
            raise Fault(413)
        framer.feed(data[start:end])
        if framer.complete:
            self._framer = self._pending = None
            self._reading = _Reading.HEAD
            self._finish(request, requests)
        return end

    def _finish(self, request: Request, requests: list[Request]) -> None:
        """Give out a complete request; after one that ends the connection nothing more is read (RFC 9112, 9.6)."""
        self._begins = False
        self._continue = False
        if not request.keep_alive:
            self._reading = _Reading.NOTHING
        requests.append(request)

    # Sending

    def awaits(self, request: Request) -> bool:
        """Answers are in order, so each is wanted."""
        return True

    def respond(self, request: Request, response: Response) -> None:
        """Answer a request; what was answered before its turn waits (RFC 9112, 9.3.2)."""
        order = self._order
        if not order or order[0] is not request:
            self._early.append((request, response))
            return
        self._emit(request, response)
        while self._early and order:
            for index, (early, answer) in enumerate(self._early):
                if early is order[0]:
                    del self._early[index]
                    self._emit(early, answer)
                    break
            else:
                return

    def _emit(self, request: Request, response: Response) -> None:
        self._order.pop(0)
        if self._final:
            return
        if not request.keep_alive or response.close:
            self._final = True
            self._reading = _Reading.NOTHING
        self._out.append((request, response))

    def _tail(self, request: Request) -> bytes:
        """The end of the head of an answer that has just been taken from the queue."""
        last = not self._out and (self._final or (self._shut and not self._order))
        if last:
            self.end()
        return self._shared.tail(request, last)

    def pull(self) -> Sendable | None:
        """The answers that may leave: joined if small, one at a time if a file's slices are in it."""
        out = self._out
        if not out:
            if self._continue and not self._order:
                self._continue = False
                return (_CONTINUE,), ()
            return None
        if len(out) == 1 or out[0][1].sliced:
            request, response = out.pop(0)
            head = response.head.http1 + self._tail(request)
            if response.sliced or response.length >= JOIN_LIMIT:
                return (head, *response.body), ((request, response),)
            return (b"".join((head, *response.body)),), ((request, response),)  # type: ignore[arg-type]
        pieces: list[bytes] = []
        answered: list[tuple[Request, Response]] = []
        size = 0
        while out and size < JOIN_LIMIT and not out[0][1].sliced:
            request, response = out.pop(0)
            answered.append((request, response))
            pieces += (response.head.http1, self._tail(request), *response.body)  # type: ignore[arg-type]
            size += response.length
        return (b"".join(pieces),), answered

    def cut_off(self) -> Sequence[tuple[Request, Response]]:
        """Answers are pulled whole."""
        return ()

    def last_words(self, response: Response | None) -> Aggregate:
        """This response; there is no word for an end without one."""
        return () if response is None else (response.head.http1 + self._shared.tails.close, *response.body)

    def end(self) -> None:
        """The last answer is on its way: read nothing more, and close when it has been sent."""
        self.closing = True
        self._reading = _Reading.NOTHING

    def admit(self, request: Request) -> None:
        """Take a request that was not received here, when nothing else is to be answered."""
        self._order.append(request)
        if not request.keep_alive:
            self._reading = _Reading.NOTHING

    def shut(self) -> None:
        """Let the next answer after which none is due say ``Connection: close``."""
        self._shut = True
