"""An exchange with a server over raw sockets: bytes out, answers in, and what becomes of the connection.

Answers are read as leniently as a careful client reads them: what is wrong with one is for the checks to say. Every
wait ends after ``patience`` seconds.
"""

import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

CONNECT = 10.0
"""Seconds for a connection to be there, which is no answer: a busy machine may take longer than an answer may."""

Address = tuple[str, int]

HOST = b"test.example"
PROBE_TARGET, PROBE_BODY = b"/probe.txt", b"0123456789" * 10
"""A file of the tree whose content tells whether a connection is still in step."""
ANYTHING = b""
"""Stands for a method where an interim answer will do."""
SENTINEL = b"GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % (PROBE_TARGET, HOST)
"""What is asked for last, so that a connection ends without anybody having to wait for nothing."""

_STATUS_LINE = re.compile(rb"(HTTP/\d\.\d) (\d{3})(?: (.*))?", re.DOTALL)
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?")
_PLACEHOLDER = re.compile(rb"<(etag|opaque|last-modified)>")
_HEAD_LIMIT = 1 << 18


class End(Enum):
    """What became of the last connection of an exchange."""

    KEPT = "the connection goes on"
    CLOSED = "the connection was closed"
    SILENT = "the connection stayed open, and nothing came"
    MUDDLED = "something came that nobody had asked for"


class Step(NamedTuple):
    """Bytes to send, and the methods of the requests in them that are to be answered.

    A step has a connection of its own, unless it is ``joined`` to the one before. ``<etag>``, ``<opaque>`` (what is
    in its quotes) and ``<last-modified>`` stand for fields of the exchange's first answer.
    """

    data: bytes
    methods: tuple[bytes, ...] = (b"GET",)
    joined: bool = False


@dataclass(frozen=True)
class Answer:
    """One final answer. Field names are in lower case; ``lines`` are the field lines as they came."""

    line: bytes
    status: int
    fields: tuple[tuple[bytes, bytes], ...]
    lines: tuple[bytes, ...]
    body: bytes = b""
    interim: tuple[int, ...] = ()

    @property
    def version(self) -> bytes:
        """Such as ``HTTP/1.1``."""
        return self.line[:8]

    def values(self, name: bytes) -> list[bytes]:
        """The values of a field, one for each of its lines."""
        return [value for key, value in self.fields if key == name]

    def field(self, name: bytes) -> bytes | None:
        """The value of a field, its lines combined (RFC 9110, 5.3); None where it is absent."""
        return b", ".join(self.values(name)) if self.values(name) else None

    def members(self, name: bytes) -> list[bytes]:
        """The members of a field that is a list, in lower case."""
        return [member.strip().lower() for member in (self.field(name) or b"").split(b",")]


@dataclass
class Exchange:
    """What came of the steps: the answers to them, why one is missing (if one is), and how it ended.

    ``after`` holds the answers that came after those that were due; where the connection is kept, the sentinel's.
    """

    answers: list[Answer] = field(default_factory=list)
    fault: str = ""
    end: End = End.CLOSED
    after: list[Answer] = field(default_factory=list)


class _Missing(Exception):
    """No answer, or none that can be read, and why."""

    def __init__(self, why: str, end: End) -> None:
        super().__init__(why)
        self.end = end


class _Reading:
    """The answers on one connection."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.buffer = b""

    def answer(self, method: bytes) -> Answer:
        """The next final answer, to a request with this method."""
        interim: list[int] = []
        while (found := self._head()).status < 200 and found.status != 101 and method != ANYTHING:
            interim.append(found.status)
        if method == b"HEAD" or found.status < 200 or found.status in (204, 304):
            body = b""
        elif b"chunked" in found.members(b"transfer-encoding"):
            body = self._chunks()
        elif (length := found.values(b"content-length")[:1]) and length[0].isdigit():
            body = self._take(int(length[0]))
        else:
            body = self._rest()
        return Answer(found.line, found.status, found.fields, found.lines, body, tuple(interim))

    def _head(self) -> Answer:
        while b"\r\n\r\n" not in self.buffer:
            if len(self.buffer) > _HEAD_LIMIT or not b"HTTP/".startswith(self.buffer[:5]):
                raise _Missing(f"no HTTP answer, but {self.buffer[:60]!r}", End.MUDDLED)
            self._more("an answer")
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        line, *lines = head.split(b"\r\n")
        match = _STATUS_LINE.fullmatch(line)
        if not match:
            raise _Missing(f"no status line, but {line[:60]!r}", End.MUDDLED)
        split = (text.partition(b":") for text in lines)
        fields = tuple((name.strip().lower(), value.strip()) for name, _, value in split)
        return Answer(line, int(match[2]), fields, tuple(lines))

    def _take(self, length: int) -> bytes:
        while len(self.buffer) < length:
            self._more(f"{length - len(self.buffer)} octets of content")
        taken, self.buffer = self.buffer[:length], self.buffer[length:]
        return taken

    def _chunks(self) -> bytes:
        pieces = []
        while True:
            match = _CHUNK_SIZE.fullmatch(self._line())
            if not match:
                raise _Missing("a chunk without a size", End.MUDDLED)
            if not (size := int(match[1], 16)):
                break
            pieces.append(self._take(size))
            if self._take(2) != b"\r\n":
                raise _Missing("a chunk that is longer than its size", End.MUDDLED)
        while self._line():
            pass
        return b"".join(pieces)

    def _line(self) -> bytes:
        while b"\r\n" not in self.buffer:
            self._more("a line")
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        return line

    def _rest(self) -> bytes:
        """All that comes until the server closes."""
        try:
            while True:
                self._more("the end of the content")
        except _Missing as missing:
            if missing.end is not End.CLOSED:
                raise
        rest, self.buffer = self.buffer, b""
        return rest

    def _more(self, what: str) -> None:
        """Read more into the buffer."""
        try:
            data = self._sock.recv(1 << 18)
        except TimeoutError:
            raise _Missing(f"waited in vain for {what}", End.SILENT) from None
        except OSError:
            data = b""
        if not data:
            raise _Missing(f"closed without {what}", End.CLOSED)
        self.buffer += data


def perform(steps: Sequence[Step], address: Address, patience: float) -> Exchange:
    """Go through the steps with the server at an address.

    Raises:
        OSError: nobody listens there.
    """
    exchange = Exchange()
    sock: socket.socket | None = None
    try:
        for step in steps:
            if sock is None or not step.joined:
                if sock is not None:
                    sock.close()
                sock = socket.create_connection(address, CONNECT)
                sock.settimeout(patience)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                reading = _Reading(sock)
            _send(sock, _filled(step.data, exchange))
            for method in step.methods:
                exchange.answers.append(reading.answer(method))
        assert sock is not None
        _finish(exchange, sock, reading)
    except _Missing as missing:
        exchange.fault, exchange.end = str(missing), missing.end
    finally:
        if sock is not None:
            sock.close()
    return exchange


def _filled(data: bytes, exchange: Exchange) -> bytes:
    def value(match: re.Match[bytes]) -> bytes:
        name = b"last-modified" if match[1] == b"last-modified" else b"etag"
        found = exchange.answers[0].field(name) if exchange.answers else None
        if found is None:
            raise _Missing(f"the first answer has no {name.decode()}", End.CLOSED)
        return found.removeprefix(b"W/").strip(b'"') if match[1] == b"opaque" else found

    return _PLACEHOLDER.sub(value, data)


def _send(sock: socket.socket, data: bytes) -> None:
    try:
        sock.sendall(data)
    except TimeoutError:
        raise _Missing("the server reads no more", End.SILENT) from None
    except OSError:
        pass  # it has closed; what it has said before can still be read


def _finish(exchange: Exchange, sock: socket.socket, reading: _Reading) -> None:
    """See what becomes of the last connection: the sentinel is sent where the server has not said that it closes."""
    last = exchange.answers[-1] if exchange.answers else None
    if not (last and b"close" in last.members(b"connection")):
        _send(sock, SENTINEL)
    try:
        while True:
            exchange.after.append(reading.answer(b"GET"))
    except _Missing as missing:
        exchange.end = missing.end
    if reading.buffer:
        exchange.end = End.MUDDLED
    elif exchange.after and exchange.end is End.CLOSED:
        in_step = len(exchange.after) == 1 and exchange.after[0].body == PROBE_BODY
        exchange.end = End.KEPT if in_step else End.MUDDLED


Check = Callable[[Exchange], str]
"""What is wrong with an exchange in one respect, or an empty text."""
