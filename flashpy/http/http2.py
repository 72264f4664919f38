"""HTTP/2 on one connection, without I/O (RFC 9113), with h2.

The rules of this module:

1. h2 keeps the states of streams, the windows and HPACK. It is given one frame at a time (http.http2frames), so that a
   faulty one takes nothing of those before it; and never GOAWAY, after which it would let no stream be finished.
2. A request is given out when it is complete, its body read and thrown away, as in HTTP/1.
3. Answers leave in the order of their urgency (http.http2priority), frame by frame; who waits for its window, or for a
   disk, holds up nobody else.
4. What a client can make us do at a time is bounded: frames are taken ``FRAMES`` or ``FEED`` bytes at a time,
   and sent ``TURN``.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    DataReceived,
    Event,
    RemoteSettingsChanged,
    RequestReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import H2Error
from h2.settings import SettingCodes, Settings

from flashpy.buffers import Aggregate, Lazy, Piece, Slice
from flashpy.http.framer import Fault
from flashpy.http.http2frames import LARGEST, Code, ConnectionFault, Frame, FrameReader, Kind, goaway
from flashpy.http.http2head import Http2Heads, Malformed, faulty2
from flashpy.http.http2priority import DEFAULT, Priority, Turns, parse_priority
from flashpy.http.request import Request
from flashpy.http.response import Head, Response
from flashpy.http.wire import Sendable, Tails
from flashpy.now import Now
from flashpy.settings import LimitsSection

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""What a client begins with (RFC 9113, 3.4)."""
FEED = 4 * 1024
"""Bytes of frames that are read at a time."""
FRAMES = 64
"""Frames at a time: h2 takes about 50 microseconds for each that opens a stream or resets it."""
JOINED = 64 * 1024
"""Bytes of frames that leave together."""
TURN = 1024 * 1024
"""Bytes that one connection may send before others have their turn."""
WORTH = 128
"""Bytes that must leave at once for a client to get more room for frames of its own (http2frames.CREDIT)."""
CUT = Head(499, ())
"""What is said in the log of a request that its client has taken back (nginx's word for it)."""

_NO_RFC7540_PRIORITIES = 0x9  # RFC 9218, 2.1
_EMPTY_TABLE = b"\x20"  # the dynamic table of our encoder has no size (RFC 7541, 6.3)
_CONTINUE = ((b":status", b"100"), (b"", b"\x08\x03100"))  # :status as a literal (RFC 7541, 6.2.2)


class Bodies(Protocol):
    """Who reads files and makes what is Lazy, for a protocol that frames bodies itself; never waits."""

    def read(self, stream: int, piece: Slice, most: int, asker: "Http2") -> bytes | None:
        """Up to ``most`` bytes of the beginning of a slice, empty where the file ends before; None if they are not in
        memory: then the asker is told by ``resume`` or ``unreadable``, later."""
        ...

    def make(self, stream: int, piece: Lazy, asker: "Http2") -> None:
        """Have a piece made: the asker is told by ``made`` or ``unreadable``, later."""
        ...

    def drop(self, stream: int) -> None:
        """What was asked for this stream is not wanted any more."""
        ...


class _Blocks:
    """Stands in the place of h2's encoder, for field blocks that have been rendered: each is given as the value of the
    last field."""

    header_table_size = 0

    def __init__(self) -> None:
        self._first = _EMPTY_TABLE

    def encode(self, fields: Sequence[tuple[bytes, bytes]]) -> bytes:
        first, self._first = self._first, b""
        return first + fields[-1][1]


class _Protocol(H2Connection):
    MAX_CLOSED_STREAMS = 256  # remembered of each connection; frames for older ones end the connection


_CONFIG = H2Configuration(
    client_side=False,
    validate_inbound_headers=False,  # http.http2head does: h2 would end the connection for one bad request
    normalize_inbound_headers=False,
    validate_outbound_headers=False,
    normalize_outbound_headers=False,
)


class Http2Shared:
    """What all HTTP/2 connections of a server share."""

    __slots__ = ("heads", "limits", "now", "settings", "tails")

    def __init__(self, limits: LimitsSection, tails: Tails, now: Now) -> None:
        self.limits = limits
        self.heads = Http2Heads(limits)
        self.tails = tails
        self.now = now
        self.settings: dict[Any, int] = {
            SettingCodes.MAX_CONCURRENT_STREAMS: limits.http2_max_concurrent_streams,
            SettingCodes.MAX_HEADER_LIST_SIZE: limits.head,
            _NO_RFC7540_PRIORITIES: 1,
        }


class _Stream:
    """A request, and how far its answer is."""

    __slots__ = ("begun", "ended", "id", "pieces", "priority", "request", "response", "room", "sent", "waiting")

    def __init__(self, number: int, request: Request, priority: Priority) -> None:
        self.id = number
        self.request = request
        self.priority = priority
        self.ended = False  # the request is complete
        self.room = 0  # bytes that its body may still have
        self.response: Response | None = None
        self.pieces: list[Piece | memoryview] = []  # of the answer's body, not yet sent
        self.begun = False  # the head of the answer has been sent
        self.sent = 0  # bytes of its body
        self.waiting = False  # for its bodies


class Http2:
    """The wire of one HTTP/2 connection (see wire.Wire)."""

    __slots__ = (
        "_allowance",
        "_answered",
        "_blocked",
        "_bodies",
        "_goaway",
        "_hints",
        "_last",
        "_leaving",
        "_over",
        "_pending",
        "_protocol",
        "_reader",
        "_shared",
        "_started",
        "_streams",
        "_turns",
        "_uploads",
        "_waiting",
        "closing",
        "held",
        "unread",
    )

    multiplexed = True
    preface = b""

    def __init__(self, shared: Http2Shared, bodies: Bodies) -> None:
        self._shared = shared
        self._bodies = bodies
        self._protocol = protocol = _Protocol(_CONFIG)
        protocol.local_settings = Settings(client=False, initial_values=shared.settings)
        protocol.encoder = _Blocks()  # type: ignore[assignment]
        # A list that is larger than we take is read all the same, within bounds: so it can be answered 431.
        protocol.decoder.max_header_list_size = 2 * shared.limits.head
        protocol.initiate_connection()
        self._reader = FrameReader(shared.now, shared.limits.head)
        self._streams: dict[int, _Stream] = {}
        self._pending: dict[Request, _Stream] = {}  # given out and not yet answered
        self._turns = Turns()
        self._blocked: set[int] = set()  # wait for a window
        self._hints: dict[int, Priority] = {}  # of streams that have not begun
        self._answered: list[tuple[Request, Response]] = []  # since the last pull
        self._waiting = 0  # streams that wait for their bodies
        self._uploads = 0  # streams whose requests are not complete
        self._allowance = TURN
        self._started = False  # the client's preface has come
        self._last = -1  # the last stream that is served, once that has been said
        self._goaway = b""
        self._leaving = False  # the connection ends with the streams that are open
        self._over = False  # it has ended by a fault
        self.closing = False
        self.held = False
        self.unread = False

    def __repr__(self) -> str:
        return f"<Http2 streams={len(self._streams)} unanswered={self.unanswered} blocked={len(self._blocked)}>"

    @property
    def unanswered(self) -> int:
        """Requests that wait for an answer, and answers that wait for a part of their body."""
        return len(self._pending) + self._waiting

    @property
    def blocked(self) -> bool:
        """Answers wait for the client to open their windows."""
        return bool(self._blocked)

    @property
    def partial(self) -> bool:
        """A request, or a frame, has begun to arrive and is not complete."""
        return not self._started or self._uploads > 0 or self._reader.partial

    @property
    def quiet(self) -> bool:
        """Nothing has begun to arrive, nothing is to be answered, and the connection goes on."""
        return not (self._streams or self.closing or self.partial)

    # Receiving

    def receive(self, data: bytes) -> Sequence[Request]:
        """The requests that ``data``, or what was held of earlier bytes, completes (see wire.Wire)."""
        requests: list[Request] = []
        if self._over:
            return requests
        self._allowance = TURN
        self._reader.add(data)
        try:
            self._take_frames(requests)
        except ConnectionFault as fault:
            self._goaway = goaway(self._protocol.highest_inbound_stream_id, fault.code)
            self._end()
        except H2Error:  # h2 has written a GOAWAY already
            self._end()
        self._settle()
        return requests

    def _take_frames(self, requests: list[Request]) -> None:
        reader, protocol = self._reader, self._protocol
        if not self._started:
            if not reader.take_start(PREFACE):
                return
            self._started = True
            protocol.receive_data(PREFACE)
        left, frames = FEED, FRAMES
        while left > 0 and frames and (frame := reader.next()) is not None:
            left -= len(frame.data)
            frames -= 1
            if not reader.in_block and frame.kind in _OURS:
                _OURS[frame.kind](self, frame)
            elif reader.in_block or frame.kind <= Kind.CONTINUATION:  # others are passed over: RFC 9113, 5.5
                for event in protocol.receive_data(frame.data):
                    if (react := _REACTIONS.get(type(event))) is not None:
                        react(self, event, requests)

    def _reset(self, frame: Frame) -> None:
        """RST_STREAM, of which h2 lets those pass that are for no stream yet (RFC 9113, 6.4)."""
        if not frame.stream & 1 or frame.stream > self._protocol.highest_inbound_stream_id:
            raise ConnectionFault(Code.PROTOCOL_ERROR)
        if (stream := self._streams.get(frame.stream)) is not None:
            self._cut(stream)
        self._protocol.receive_data(frame.data)

    def _left(self, frame: Frame) -> None:
        """GOAWAY: what has been asked for is still wanted (RFC 9113, 6.8)."""
        if frame.stream:
            raise ConnectionFault(Code.PROTOCOL_ERROR)
        if len(frame.payload) < 8:
            raise ConnectionFault(Code.FRAME_SIZE_ERROR)
        self._leaving = True

    def _prioritised(self, frame: Frame) -> None:
        """PRIORITY_UPDATE (RFC 9218, 7.1), perhaps for a stream that is still to come."""
        payload = frame.payload
        number = int.from_bytes(payload[:4], "big") & 0x7FFF_FFFF
        if frame.stream or not number & 1:
            raise ConnectionFault(Code.PROTOCOL_ERROR)
        if len(payload) < 4:
            raise ConnectionFault(Code.FRAME_SIZE_ERROR)
        priority = parse_priority(payload[4:])
        if (stream := self._streams.get(number)) is not None:
            stream.priority = priority
            if number in self._turns:
                self._turns.add(number, priority)
        elif number > self._protocol.highest_inbound_stream_id:
            if len(self._hints) >= self._shared.limits.http2_max_concurrent_streams:
                self._hints.clear()
            self._hints[number] = priority

    def _requested(self, event: RequestReceived, requests: list[Request]) -> None:
        assert event.stream_id is not None and event.headers is not None
        number = event.stream_id
        if self._last >= 0:  # it has been said that it will not be served
            self._protocol.reset_stream(number, Code.REFUSED_STREAM)
            return
        ended = event.stream_ended is not None
        try:
            request = self._shared.heads.read(event.headers)
            length = int(request.fields.get(b"content-length", b"0"))
            if ended and length:
                raise Malformed  # RFC 9113, 8.1.1
        except Malformed:
            self._protocol.reset_stream(number, Code.PROTOCOL_ERROR)
            self._reader.reset()
            return
        except Fault as fault:
            request, length = faulty2(fault.status), 0
        limit = self._shared.limits.body
        if length > limit:
            request = faulty2(413, request.line)
        stream = _Stream(number, request, self._priority_of(number, request))
        self._streams[number] = stream
        stream.ended = ended
        if ended or request.fault:
            self._give_out(stream, requests)
            return
        stream.room = limit
        self._uploads += 1
        if b"expect" in request.fields:
            self._protocol.send_headers(number, _CONTINUE)

    def _priority_of(self, number: int, request: Request) -> Priority:
        if self._hints and (hint := self._hints.pop(number, None)) is not None:
            return hint
        value = request.fields.get(b"priority")
        return DEFAULT if value is None else parse_priority(value)

    def _give_out(self, stream: _Stream, requests: list[Request]) -> None:
        self._pending[stream.request] = stream
        requests.append(stream.request)

    def _uploaded(self, event: DataReceived, requests: list[Request]) -> None:
        """A part of a body, which is thrown away."""
        assert event.stream_id is not None and event.data is not None
        if event.flow_controlled_length:
            self._protocol.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        stream = self._streams.get(event.stream_id)
        if stream is None or stream.request in self._pending or stream.response is not None:
            return
        stream.room -= len(event.data)
        if stream.room < 0:
            self._uploads -= 1
            stream.request = faulty2(413, stream.request.line)
            self._give_out(stream, requests)

    def _ended(self, event: StreamEnded, requests: list[Request]) -> None:
        """The request is complete; trailers have been passed over."""
        stream = self._streams.get(event.stream_id or 0)
        if stream is None or stream.ended:
            return
        stream.ended = True
        if stream.request not in self._pending and stream.response is None:
            self._uploads -= 1
            self._give_out(stream, requests)

    def _reset_by_h2(self, event: StreamReset, requests: list[Request]) -> None:
        """A stream that h2 has reset for a fault of the client's."""
        self._reader.reset()
        if (stream := self._streams.get(event.stream_id or 0)) is not None:
            self._cut(stream)

    def _opened(self, event: WindowUpdated, requests: list[Request]) -> None:
        number = event.stream_id or 0
        for blocked in (number,) if number else tuple(self._blocked):
            if blocked in self._blocked:
                self._blocked.discard(blocked)
                self._turns.add(blocked, self._streams[blocked].priority)

    def _set(self, event: RemoteSettingsChanged, requests: list[Request]) -> None:
        """The windows of all streams may be others (RFC 9113, 6.9.2)."""
        self._opened(WindowUpdated(stream_id=0, delta=0), requests)

    # Sending

    def awaits(self, request: Request) -> bool:
        """Whether the answer to a request is still wanted."""
        return request in self._pending

    def respond(self, request: Request, response: Response) -> None:
        """Answer a request, in any order; one that has been taken back needs none."""
        stream = self._pending.pop(request, None)
        if stream is not None:
            self._answer(stream, response)

    def _answer(self, stream: _Stream, response: Response) -> None:
        stream.response = response
        stream.pieces = [piece for piece in response.body if piece]
        self._turns.add(stream.id, stream.priority)

    def pull(self) -> Sendable | None:
        """The frames that may leave now, joined; and the requests whose answers end in them."""
        size = 0
        while size < JOINED and self._allowance > 0 and (number := self._turns.take()) is not None:
            sent = self._send(self._streams[number])
            size += sent
            self._allowance -= sent
        data = self._protocol.data_to_send()
        if self._goaway:
            data += self._goaway
            self._goaway = b""
        answered, self._answered = self._answered, []
        self._settle()
        if not data and not answered:
            return None
        return ((data,) if data else ()), answered

    def _send(self, stream: _Stream) -> int:
        """Send one frame of an answer, with its head if that has not left. How many bytes, roughly."""
        protocol, response = self._protocol, stream.response
        assert response is not None
        chunk: bytes | memoryview = b""
        most = 0
        if stream.pieces:
            most = min(protocol.local_flow_control_window(stream.id), protocol.max_outbound_frame_size, LARGEST)
            if most > 0:
                found = self._next_chunk(stream, most)
                if found is None:
                    return 0
                chunk = found
        last = not stream.pieces
        size = len(chunk)
        if not stream.begun:
            size += self._send_head(stream, response.head, last and not chunk)
        elif last and not chunk:
            protocol.end_stream(stream.id)
        if chunk:
            protocol.send_data(stream.id, chunk, last)
            stream.sent += len(chunk)
        if last or size >= WORTH:
            self._reader.sent()
        if last:
            self._finish(stream, response)
        elif most <= 0:
            self._blocked.add(stream.id)
        else:
            self._turns.add(stream.id, stream.priority)
        return size

    def _send_head(self, stream: _Stream, head: Head, last: bool) -> int:
        block = self._shared.heads.rendered(head, self._shared.tails.date)
        self._protocol.send_headers(stream.id, ((b":status", b"%d" % head.status), (b"", block)), last)
        stream.begun = True
        return len(block)

    def _next_chunk(self, stream: _Stream, most: int) -> bytes | memoryview | None:
        """Up to ``most`` bytes of the body; None while it waits, or if it has been broken off."""
        pieces = stream.pieces
        while pieces:
            piece = pieces[0]
            if isinstance(piece, Lazy):
                self._wait(stream)
                self._bodies.make(stream.id, piece, self)
                return None
            if isinstance(piece, Slice):
                return self._read(stream, piece, min(most, piece.length))
            if len(piece) > most:
                pieces[0] = memoryview(piece)[most:]
                return memoryview(piece)[:most]
            del pieces[0]
            if piece:
                return piece
        return b""

    def _read(self, stream: _Stream, piece: Slice, most: int) -> bytes | None:
        if not most:
            del stream.pieces[0]
            return b""
        data = self._bodies.read(stream.id, piece, most, self)
        if data is None:
            self._wait(stream)
        elif not data:
            self._break_off(stream)
            return None
        elif len(data) == piece.length:
            del stream.pieces[0]
        else:
            stream.pieces[0] = Slice(piece.file, piece.offset + len(data), piece.length - len(data))
        return data

    # What bodies say

    def _wait(self, stream: _Stream) -> None:
        stream.waiting = True
        self._waiting += 1

    def resume(self, number: int) -> None:
        """What the stream has waited for is there."""
        stream = self._streams.get(number)
        if stream is not None and stream.waiting:
            stream.waiting = False
            self._waiting -= 1
            self._turns.add(number, stream.priority)

    def made(self, number: int, pieces: Aggregate, more: bool = False) -> None:
        """The piece that was to be made is these; with ``more``, they come before it."""
        stream = self._streams.get(number)
        if stream is not None and stream.waiting:
            stream.pieces[: 0 if more else 1] = pieces
            self.resume(number)

    def unreadable(self, number: int, response: Response | None = None) -> None:
        """What the stream has waited for will not come: if the head of the answer has not left, this one stands in its
        place, else only a reset can say it."""
        stream = self._streams.get(number)
        if stream is None or not stream.waiting:
            return
        if response is None or stream.begun:
            self._break_off(stream)
            return
        self._waiting -= 1
        stream.waiting = False
        self._answer(stream, response)

    # Ending

    def _finish(self, stream: _Stream, response: Response) -> None:
        """All of an answer is on its way."""
        del self._streams[stream.id]
        self._answered.append((stream.request, response))
        self._reader.answered()
        self._bodies.drop(stream.id)
        if not stream.ended:  # RFC 9113, 8.1: the rest of the request is not wanted
            self._protocol.reset_stream(stream.id, Code.NO_ERROR)

    def _break_off(self, stream: _Stream) -> None:
        self._protocol.reset_stream(stream.id, Code.INTERNAL_ERROR)
        self._cut(stream)

    def _cut(self, stream: _Stream) -> None:
        """A stream has been reset: forget it, but for the log."""
        del self._streams[stream.id]
        self._turns.remove(stream.id)
        self._blocked.discard(stream.id)
        self._waiting -= stream.waiting
        if self._pending.pop(stream.request, None) is None and stream.response is None:
            self._uploads -= 1
            return  # it was never given out
        cut = Response(stream.response.head if stream.response is not None else CUT)
        cut.length = stream.sent
        self._answered.append((stream.request, cut))
        self._bodies.drop(stream.id)

    def cut_off(self) -> Sequence[tuple[Request, Response]]:
        """The connection is gone: what there is to be said of all requests that have not been answered to the end."""
        for stream in tuple(self._streams.values()):
            self._cut(stream)
        vars(self._protocol).clear()  # it refers to itself, and would be garbage until it is collected
        answered, self._answered = self._answered, []
        return answered

    def _end(self) -> None:
        """The connection ends by a fault: nothing is served any more."""
        for stream in tuple(self._streams.values()):
            self._cut(stream)
        self._over = self._leaving = self.unread = True

    def _settle(self) -> None:
        self.closing = self._over or (self._leaving and not self._streams)
        more = (self._started and self._reader.ready) or (self._allowance <= 0 and len(self._turns) > 0)
        self.held = more and not self.closing

    def shut(self) -> None:
        """Serve what has been asked for, and nothing that comes later (RFC 9113, 6.8)."""
        if self._last < 0 and not self._over:
            self._last = self._protocol.highest_inbound_stream_id
            self._goaway = goaway(self._last, Code.NO_ERROR)
            self._leaving = True
            self._settle()

    def last_words(self, response: Response | None) -> Aggregate:
        """GOAWAY, with what is said by this response, or in order."""
        failed = response is not None and response.head.status >= 500
        code = Code.INTERNAL_ERROR if failed else Code.NO_ERROR
        return (self._protocol.data_to_send() + goaway(self._protocol.highest_inbound_stream_id, code),)

    def admit(self, request: Request) -> None:
        """Nothing is recalled on such a connection."""
        raise NotImplementedError

    def end(self) -> None:
        """See ``admit``."""
        raise NotImplementedError


_OURS: dict[int, Callable[[Http2, Frame], None]] = {
    Kind.RST_STREAM: Http2._reset,
    Kind.GOAWAY: Http2._left,
    Kind.PRIORITY_UPDATE: Http2._prioritised,
}
"""Frames that are read here."""
_REACTIONS: dict[type[Event], Callable[[Http2, Any, list[Request]], None]] = {
    RequestReceived: Http2._requested,
    DataReceived: Http2._uploaded,
    StreamEnded: Http2._ended,
    StreamReset: Http2._reset_by_h2,
    WindowUpdated: Http2._opened,
    RemoteSettingsChanged: Http2._set,
}
"""What h2 has found in the others."""
