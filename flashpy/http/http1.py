"""HTTP/1.1 and HTTP/1.0 on one connection, without I/O (RFC 9112).

The rules of this module:

1. The head is found here (its end, its size, its request line), because httptools is laxer there than RFC 9112 and
   does not count bytes. The fields and the body's framing are judged by httptools, which gets the field block behind
   a constant request line.
2. A request is given out when it is complete, its body (which no static resource wants) read and thrown away.
3. Answers leave in the order of the requests, whatever the order in which they were given.
4. After a fault nothing more is read: who cannot frame one message cannot find the next (RFC 9112, 11.2).
"""

import re
from collections.abc import Sequence
from enum import Enum, auto

import httptools

from flashpy.config import LimitsSection
from flashpy.http.conditional import CONDITIONS
from flashpy.http.fields import tokens
from flashpy.http.memo import HeadMemo
from flashpy.http.request import Request, faulty
from flashpy.http.response import Response
from flashpy.http.target import Target, parse_target, valid_authority
from flashpy.http.wire import Sendable, Tails

_REQUEST_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([\x21-\x7e\x80-\xff]+) HTTP/([0-9])\.([0-9])\r\n")
_LINE_SO_FAR = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?: (?:[\x21-\x7e\x80-\xff]+(?: [HTP/0-9.]{0,8}\r?)?)?)?|\r?")
_BARE_LF = re.compile(rb"(?<!\r)\n")
_UPGRADE = re.compile(rb"\r\nupgrade:", re.IGNORECASE)
_END = b"\r\n\r\n"
_CONNECT = Target(b"/", b"")  # its target is an authority (RFC 9112, 3.2.3); no file is meant, 405 is the answer
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_SPECIAL = CONDITIONS | {b"expect", b"accept-encoding"}

JOIN_LIMIT = 32 * 1024
"""Answers up to this many bytes are joined into one buffer; above, the copy costs more than ``sendmsg`` does."""


class _Fault(Exception):
    """A head or body that must be answered with ``status`` and the connection's end."""

    def __init__(self, status: int) -> None:
        self.status = status


class _Reading(Enum):
    HEAD = auto()
    BODY = auto()
    NOTHING = auto()  # after a fault, or a request that ends the connection


class _Sink:
    """What httptools calls back. Apart from the framer, so that the two are no reference cycle."""

    __slots__ = ("_fields", "complete", "fields")

    def __init__(self) -> None:
        self._fields: dict[bytes, bytes] = {}
        self.fields: dict[bytes, bytes] = {}
        self.complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called for each field, and for trailers too, which are dropped (RFC 9110, 6.5.1)."""
        name = name.lower()
        value = value.rstrip(b" \t")
        fields = self._fields
        if name in fields:
            if name == b"host":
                raise _Fault(400)  # RFC 9112, 3.2
            value = fields[name] + b", " + value
        fields[name] = value

    def on_headers_complete(self) -> None:
        """Called at the end of the head."""
        self.fields, self._fields = self._fields, {}

    def on_message_complete(self) -> None:
        """Called at the end of the body."""
        self.complete = True
        self._fields = {}


class Framer:
    """One httptools parser: the judge of a message's fields and of where its body ends."""

    __slots__ = ("_feed", "_sink")

    def __init__(self) -> None:
        self._sink = _Sink()
        self._feed = httptools.HttpRequestParser(self._sink).feed_data

    @property
    def fields(self) -> dict[bytes, bytes]:
        """The fields of the head, by lower-case name."""
        return self._sink.fields

    @property
    def complete(self) -> bool:
        """The message has ended."""
        return self._sink.complete

    def begin(self, block: bytes) -> bool:
        """Judge a field block, from the CRLF before it to the empty line. Whether this framer may be used again."""
        self._sink.complete = False
        try:
            self._feed(b"GET / HTTP/1.1" + block)
        except httptools.HttpParserUpgrade:
            return False
        except httptools.HttpParserError as error:
            raise _Fault(400) from error
        return True

    def feed(self, data: bytes) -> None:
        """Judge bytes of the body."""
        try:
            self._feed(data)
        except httptools.HttpParserError as error:
            raise _Fault(400) from error


class Http1Shared:
    """What all HTTP/1 connections of a server share: limits, rendered tails, the memo of heads, and an idle parser.

    A parser is needed only while a message arrives, and most heads arrive whole: so one parser serves all.
    """

    __slots__ = ("_spare", "limits", "memo", "tails")

    def __init__(self, limits: LimitsSection, tails: Tails) -> None:
        self.limits = limits
        self.tails = tails
        self.memo = HeadMemo(limits.memo)
        self._spare: Framer | None = None

    def borrow(self) -> Framer:
        """A framer at the beginning of a message."""
        framer, self._spare = self._spare, None
        return framer or Framer()

    def give_back(self, framer: Framer) -> None:
        """Return a framer whose message is complete and was not the last of its connection."""
        if b"proxy-connection" not in framer.fields:  # httptools takes it for Connection, and stops after "close"
            self._spare = framer


class Http1:
    """The wire of one HTTP/1 connection (see wire.Wire)."""

    __slots__ = (
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
        "_shared",
        "_shut",
        "closing",
        "held",
        "unread",
    )

    def __init__(self, shared: Http1Shared) -> None:
        self._shared = shared
        self._buffer = b""
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
        shared = self._shared
        room = shared.limits.pipeline - len(self._order) - len(self._out)
        fresh = not self._buffer and self._reading is _Reading.HEAD and room > 0
        if not fresh:
            data = self._buffer + data
            self._buffer = b""
        elif (known := shared.memo.get(data)) is not None:
            self._order.append(known)
            return (known,)
        requests: list[Request] = []
        position = 0
        self.held = False
        try:
            while position < len(data) and self._reading is not _Reading.NOTHING:
                if len(requests) >= room:
                    self.held = True
                    self._buffer = data[position:]
                    break
                take = self._take_head if self._reading is _Reading.HEAD else self._take_body
                ahead = take(data, position, requests)
                if ahead == position:  # what is there is not enough for a step
                    self._buffer = data[position:]
                    break
                position = ahead
            else:
                self.unread = self.unread or position < len(data)
        except _Fault as fault:
            line = data[position:].partition(b"\r\n")[0][:256]
            if (pending := self._pending) is not None:  # the fault is in its body; HEAD stays HEAD: RFC 9110, 9.3.2
                line = pending.method + b" " + pending.target
            self._reading, self._pending, self._continue = _Reading.NOTHING, None, False
            self.unread = True
            requests.append(faulty(fault.status, line))
        if fresh and len(requests) == 1 and not self._buffer and self._one_head(data):
            shared.memo.learn(data, requests[0])
        self._order.extend(requests)
        return requests

    def _one_head(self, data: bytes) -> bool:
        """Whether the bytes were one head, and nothing before, in or behind it that makes a difference."""
        return self._reading is _Reading.HEAD and self._pending is None and data.find(_END) == len(data) - len(_END)

    def _take_head(self, data: bytes, start: int, requests: list[Request]) -> int:
        """Read one head at ``start``. Where it ends, or ``start`` if it is not complete."""
        if data.startswith(b"\r\n", start):  # empty lines before a request line are passed over: RFC 9112, 2.2
            return start + 2
        limits = self._shared.limits
        end = data.find(_END, start)
        if end < 0:
            self._check_partial(data, start)
            return start
        line = _REQUEST_LINE.match(data, start, end + 2)
        if not line:
            raise _Fault(414 if data.find(b"\r\n", start) - start > limits.target + 64 else 400)
        method, target, major, minor = line.groups()
        if len(target) > limits.target:
            raise _Fault(414)
        end += len(_END)
        if end - start > limits.head:
            raise _Fault(431)
        if major != b"1":
            raise _Fault(505)
        request = self._judge(method, target, int(minor), data[line.end() - 2 : end])
        if self._framer is None:
            self._finish(request, requests)
        else:
            self._pending = request
            self._reading = _Reading.BODY
            self._continue = self._continue and end == len(data)  # RFC 9110, 10.1.1: not once the body arrives
        return end

    def _check_partial(self, data: bytes, start: int) -> None:
        """Find what will never become a good head before all of it has come, so that nobody waits for a time-out."""
        limits = self._shared.limits
        line_end = data.find(b"\r\n", start)
        if line_end < 0:
            if len(data) - start > limits.target + 64:
                raise _Fault(414)
            if not _LINE_SO_FAR.fullmatch(data, start):
                raise _Fault(400)
        elif not _REQUEST_LINE.match(data, start):
            raise _Fault(414 if line_end - start > limits.target + 64 else 400)
        if len(data) - start > limits.head:
            raise _Fault(431)
        if _BARE_LF.search(data, start):
            raise _Fault(400)

    def _judge(self, method: bytes, target: bytes, minor: int, block: bytes) -> Request:
        """The request of a complete head; ``_framer`` is set if a body follows."""
        shared = self._shared
        if block.count(b"\n") - 2 > shared.limits.fields:
            raise _Fault(431)
        framer = shared.borrow()
        if not framer.begin(block):  # Upgrade is ignored (RFC 9110, 7.8): judge the block again without it
            framer = Framer()
            framer.begin(_UPGRADE.sub(b"\r\nx-upgrade:", block))
        fields = framer.fields
        taken = _CONNECT if method == b"CONNECT" and valid_authority(target) else parse_target(target)
        if taken is None or (taken.path == b"*" and method != b"OPTIONS"):
            raise _Fault(400)
        host = fields.get(b"host")
        if host is None:
            if minor:
                raise _Fault(400)  # RFC 9112, 3.2
        elif not valid_authority(host):
            raise _Fault(400)
        connection = fields.get(b"connection")
        if connection is None:
            keep_alive = minor > 0
        else:
            options = tokens(connection)
            keep_alive = b"close" not in options and (minor > 0 or b"keep-alive" in options)
        if b"transfer-encoding" in fields:
            self._check_coding(fields[b"transfer-encoding"], minor)
        if b"expect" in fields:
            self._check_expectation(fields[b"expect"], minor)
        if framer.complete:
            if connection is None or keep_alive:
                shared.give_back(framer)
        else:
            self._expect_body(framer, fields.get(b"content-length"))
        plain = method == b"GET" and _SPECIAL.isdisjoint(fields)
        return Request(method, target, taken.path, taken.query, minor, fields, keep_alive, plain)

    def _check_coding(self, coding: bytes, minor: int) -> None:
        if minor == 0:
            raise _Fault(400)  # RFC 9112, 6.1: faulty framing
        if coding.lower() != b"chunked":
            raise _Fault(501)  # RFC 9112, 6.1: a coding that is not understood

    def _check_expectation(self, expectation: bytes, minor: int) -> None:
        if minor == 0:
            return  # RFC 9110, 10.1.1: ignored in HTTP/1.0
        if expectation.lower() != b"100-continue":
            raise _Fault(417)
        self._continue = True

    def _expect_body(self, framer: Framer, content_length: bytes | None) -> None:
        limit = self._shared.limits.body
        self._chunked = content_length is None
        # httptools has judged the number, but lets any count of leading zeros pass, and int() limits digits.
        self._body_left = limit if content_length is None else int(content_length.lstrip(b"0"))
        if self._body_left > limit:
            raise _Fault(413)
        self._framer = framer

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
            raise _Fault(413)
        framer.feed(data[start:end])
        if framer.complete:
            if request.keep_alive and not self._chunked:  # httptools heeds "Connection: close" in trailers too
                self._shared.give_back(framer)
            self._framer = self._pending = None
            self._reading = _Reading.HEAD
            self._finish(request, requests)
        return end

    def _finish(self, request: Request, requests: list[Request]) -> None:
        """Give out a complete request; after one that ends the connection nothing more is read (RFC 9112, 9.6)."""
        self._continue = False
        if not request.keep_alive:
            self._reading = _Reading.NOTHING
        requests.append(request)

    # Sending

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
        if not self._out and (self._final or (self._shut and not self._order)):
            self.closing = True
            self._reading = _Reading.NOTHING
            return self._shared.tails.close
        return self._shared.tails.keep_alive if request.minor else self._shared.tails.keep_alive_10

    def pull(self) -> Sendable | None:
        """The answers that may leave: joined if small, one at a time if a file's slices are in it."""
        out = self._out
        if not out:
            if self._continue and not self._order:
                self._continue = False
                return Sendable((_CONTINUE,), ())
            return None
        if len(out) == 1 or out[0][1].sliced:
            request, response = out.pop(0)
            head = response.head.http1 + self._tail(request)
            if response.sliced or response.length >= JOIN_LIMIT:
                return Sendable((head, *response.body), ((request, response),))
            return Sendable((b"".join((head, *response.body)),), ((request, response),))  # type: ignore[arg-type]
        pieces: list[bytes] = []
        answered: list[tuple[Request, Response]] = []
        size = 0
        while out and size < JOIN_LIMIT and not out[0][1].sliced:
            request, response = out.pop(0)
            answered.append((request, response))
            pieces += (response.head.http1, self._tail(request), *response.body)  # type: ignore[arg-type]
            size += response.length
        return Sendable((b"".join(pieces),), answered)

    def shut(self) -> None:
        """Let the next answer after which none is due say ``Connection: close``."""
        self._shut = True
