"""The other side of an HTTP/2 connection: frames as they are told, over a socket; and a client over h2."""

import socket
from collections.abc import Iterator
from types import TracebackType
from typing import NamedTuple, Self

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, DataReceived, Event, ResponseReceived, StreamEnded, StreamReset
from h2.settings import SettingCodes
from hpack import Decoder, Encoder

from flashpy.http.http2 import PREFACE
from flashpy.http.http2frames import END_HEADERS, END_STREAM, Kind, frame
from tests.running import PATIENCE

SETTINGS = frame(Kind.SETTINGS, b"")
GET = ((b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), (b":authority", b"example"))
Fields = tuple[tuple[bytes, bytes], ...]


def fields(path: bytes = b"/", *more: tuple[bytes, bytes], method: bytes = b"GET") -> Fields:
    """The fields of a request."""
    return ((b":method", method), (b":scheme", b"http"), (b":path", path), (b":authority", b"example"), *more)


def headers(stream: int, listed: Fields = GET, flags: int = END_STREAM | END_HEADERS) -> bytes:
    """A HEADERS frame, in a coding that needs no state."""
    encoder = Encoder()
    encoder.header_table_size = 0
    return frame(Kind.HEADERS, encoder.encode(listed), stream, flags)


class Received(NamedTuple):
    """A frame that the server has sent."""

    kind: int
    flags: int
    stream: int
    payload: bytes

    @property
    def code(self) -> int:
        """The error code of RST_STREAM and GOAWAY."""
        return int.from_bytes(self.payload[:4] if self.kind == Kind.RST_STREAM else self.payload[4:8], "big")


class Peer:
    """A connection on which frames are sent as they are."""

    def __init__(self, address: tuple[str, int], start: bytes = PREFACE + SETTINGS) -> None:
        self.sock = socket.create_connection(address, PATIENCE)
        self.decoder = Decoder()
        self._ahead = b""
        self.sock.sendall(start)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.sock.close()

    def send(self, data: bytes) -> None:
        """Send these bytes; the server may have closed already."""
        try:
            self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def frames(self) -> Iterator[Received]:
        """What the server sends, until it closes."""
        while True:
            while len(self._ahead) < 9 or len(self._ahead) < 9 + int.from_bytes(self._ahead[:3], "big"):
                try:
                    data = self.sock.recv(65536)
                except ConnectionResetError:
                    return
                if not data:
                    return
                self._ahead += data
            end = 9 + int.from_bytes(self._ahead[:3], "big")
            whole, self._ahead = self._ahead[:end], self._ahead[end:]
            yield Received(whole[3], whole[4], int.from_bytes(whole[5:9], "big"), whole[9:])

    def until(self, *kinds: int, stream: int | None = None) -> Received:
        """The next frame of one of these kinds (and of the stream)."""
        for one in self.frames():
            if one.kind in kinds and stream in (None, one.stream):
                return one
        raise EOFError("the server closed before")

    def status(self, stream: int) -> int:
        """The status of the answer on a stream."""
        for one in self.frames():
            if one.kind == Kind.HEADERS:
                listed = dict(self.decoder.decode(one.payload, raw=True))
                if one.stream == stream:
                    return int(listed[b":status"])
            elif one.kind == Kind.GOAWAY or (one.kind == Kind.RST_STREAM and one.stream == stream):
                raise AssertionError(f"{one} came instead of an answer")
        raise EOFError("the server closed before")

    def is_alive(self) -> bool:
        """Whether the connection goes on: a PING is answered."""
        self.send(frame(Kind.PING, b"12345678"))
        return self.until(Kind.PING, Kind.GOAWAY).kind == Kind.PING


class Got(NamedTuple):
    """An answer."""

    status: int
    fields: dict[str, str]
    body: bytes


class Http2Client:
    """A client over h2, whose windows are opened only as far as ``window`` says."""

    def __init__(self, address: tuple[str, int], window: int = 65_535, automatic: bool = True) -> None:
        self.sock = socket.create_connection(address, PATIENCE)
        self.h2 = H2Connection(H2Configuration(header_encoding="utf-8"))
        self.h2.local_settings.update({SettingCodes.INITIAL_WINDOW_SIZE: window})
        self.h2.local_settings.acknowledge()
        self.h2.initiate_connection()
        self.automatic = automatic
        self.got: dict[int, tuple[ResponseReceived | None, list[bytes]]] = {}
        self.ended: list[int] = []
        self.resets: dict[int, int] = {}
        self.gone: ConnectionTerminated | None = None
        self.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.sock.close()

    def flush(self) -> None:
        """Send what h2 has to send."""
        self.sock.sendall(self.h2.data_to_send())

    def ask(self, path: str = "/", *more: tuple[str, str], method: str = "GET", end: bool = True) -> int:
        """Send a request; its stream."""
        stream = self.h2.get_next_available_stream_id()
        asked = [(":method", method), (":scheme", "http"), (":path", path), (":authority", "example"), *more]
        self.h2.send_headers(stream, asked, end_stream=end)
        self.got[stream] = (None, [])
        self.flush()
        return stream

    def step(self) -> bool:
        """Take in what has come. False when the server has closed."""
        data = self.sock.recv(65536)
        for event in self.h2.receive_data(data):
            self._take(event)
        self.flush()
        return bool(data)

    def _take(self, event: Event) -> None:
        if isinstance(event, ResponseReceived):
            assert event.stream_id is not None
            self.got[event.stream_id] = (event, self.got[event.stream_id][1])
        elif isinstance(event, DataReceived):
            assert event.stream_id is not None and event.data is not None and event.flow_controlled_length is not None
            self.got[event.stream_id][1].append(event.data)
            if self.automatic and event.flow_controlled_length:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, StreamEnded):
            assert event.stream_id is not None
            self.ended.append(event.stream_id)
        elif isinstance(event, StreamReset):
            assert event.stream_id is not None and event.error_code is not None
            self.resets[event.stream_id] = int(event.error_code)
        elif isinstance(event, ConnectionTerminated):
            self.gone = event

    def answer(self, stream: int) -> Got:
        """The answer on a stream, once it is complete."""
        while stream not in self.ended and stream not in self.resets:
            assert self.step(), "the server closed before"
        assert stream not in self.resets, f"reset with {self.resets[stream]}"
        head, pieces = self.got[stream]
        assert head is not None and head.headers is not None
        listed = {str(name): str(value) for name, value in head.headers}
        return Got(int(listed.pop(":status")), listed, b"".join(pieces))

    def get(self, path: str = "/", *more: tuple[str, str], method: str = "GET") -> Got:
        """Ask, and take the answer."""
        return self.answer(self.ask(path, *more, method=method))
