"""A client over a raw socket: it sends the bytes it is given, and reads answers strictly (RFC 9112).

What holds for every answer of an origin server with a clock is checked here, for each one that a test reads.
"""

import re
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from types import TracebackType
from typing import Self

import pytest

TIMEOUT = 8.0
"""Seconds within which each single read and write must come to something."""

Address = tuple[str, int]

_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9]{2}) ([\t \x21-\x7e]*)")
_FIELD_LINE = re.compile(
    rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*((?:[\x21-\x7e](?:[ \t\x21-\x7e]*[\x21-\x7e])?)?)[ \t]*"
)
_IMF_FIXDATE = re.compile(
    rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
    rb" \d{4} \d\d:\d\d:\d\d GMT"
)
_HEAD_LIMIT = 65_536


class Malformed(AssertionError):
    """An answer that is not what RFC 9112 lets a server send."""


class Closed(AssertionError):
    """The connection ended, or fell silent, where an answer was due."""


class Reset(Closed):
    """It ended by a reset, which may have lost what came before."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One response message. Field names are in lower case; no field comes twice."""

    status: int
    reason: bytes
    fields: Mapping[bytes, bytes]
    body: bytes

    @property
    def closes(self) -> bool:
        """Whether it says that it is the connection's last (RFC 9112, 9.6)."""
        return self.fields.get(b"connection") == b"close"


class Client:
    """One connection."""

    def __init__(self, address: Address) -> None:
        self._sock = socket.create_connection(address, TIMEOUT)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection from this side."""
        self._sock.close()

    def send(self, data: bytes) -> None:
        """Send these bytes as they are."""
        self._sock.sendall(data)

    def finish(self) -> None:
        """Say that no more will come, and go on reading."""
        self._sock.shutdown(socket.SHUT_WR)

    def read(self, method: bytes = b"GET") -> Answer:
        """The next answer, to a request with this method."""
        while b"\r\n\r\n" not in self._buffer:
            if len(self._buffer) > _HEAD_LIMIT:
                raise Malformed(f"no end of the head within {_HEAD_LIMIT} bytes")
            if not self._more():
                raise Closed(f"the connection ended before an answer; read so far: {self._buffer[:200]!r}")
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        status, reason, fields = parse_head(head)
        length = body_length(method, status, fields)
        while len(self._buffer) < length:
            if not self._more():
                raise Closed(f"the connection ended {length - len(self._buffer)} bytes before the end of the body")
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        return Answer(status, reason, fields, body)

    def ask(self, data: bytes) -> Answer:
        """Send one request and read its answer."""
        self.send(data)
        return self.read(method_of(data))

    def rest(self) -> bytes:
        """All that comes until the server closes its side."""
        while self._more():
            pass
        rest, self._buffer = self._buffer, b""
        return rest

    def assert_closed(self) -> None:
        """Nothing more comes, and the server has closed its side, in order (not by a reset)."""
        rest = self.rest()
        assert rest == b"", f"bytes behind the last answer: {rest[:200]!r}"

    def assert_kept(self) -> None:
        """The connection goes on: another request on it is answered, with nothing in between."""
        answer = self.ask(PROBE)
        assert (answer.status, answer.body) == (200, PROBE_BODY)

    def _more(self) -> bool:
        """Read more into the buffer. False at the orderly end of the connection."""
        try:
            data = self._sock.recv(65_536)
        except TimeoutError:
            raise Closed(f"nothing within {TIMEOUT} s; read so far: {self._buffer[:200]!r}") from None
        except ConnectionResetError:
            raise Reset(f"the connection was reset; read so far: {self._buffer[:200]!r}") from None
        self._buffer += data
        return bool(data)


def parse_head(head: bytes) -> tuple[int, bytes, dict[bytes, bytes]]:
    """Status, reason and fields of an answer's head (without the empty line)."""
    line, *lines = head.split(b"\r\n")
    match = _STATUS_LINE.fullmatch(line)
    if not match:
        raise Malformed(f"status line {line!r}")
    fields: dict[bytes, bytes] = {}
    for text in lines:
        found = _FIELD_LINE.fullmatch(text)
        if not found:
            raise Malformed(f"field line {text!r}")
        name = found[1].lower()
        if name in fields:
            raise Malformed(f"the field {name!r} comes twice")
        fields[name] = found[2]
    status = int(match[1])
    if status >= 200 and not _IMF_FIXDATE.fullmatch(fields.get(b"date", b"")):  # RFC 9110, 6.6.1 and 5.6.7
        raise Malformed(f"Date is {fields.get(b'date')!r}")
    return status, match[2], fields


def body_length(method: bytes, status: int, fields: Mapping[bytes, bytes]) -> int:
    """How many bytes of content follow a head (RFC 9112, 6.3)."""
    length = fields.get(b"content-length")
    if b"transfer-encoding" in fields:
        raise Malformed("a static answer has no need of Transfer-Encoding")
    if length is not None and not re.fullmatch(rb"[0-9]+", length):
        raise Malformed(f"Content-Length is {length!r}")
    if status < 200 or status == 204:
        if length is not None:  # RFC 9110, 8.6
            raise Malformed(f"Content-Length in a {status}")
        return 0
    if status == 304:
        return 0
    if length is None:
        raise Malformed(f"no Content-Length in a {status}")
    return 0 if method == b"HEAD" else int(length)


def method_of(data: bytes) -> bytes:
    """The method of the request that these bytes begin with."""
    return data.lstrip(b"\r\n").partition(b" ")[0]


def moment(date: bytes) -> datetime:
    """The time that an IMF-fixdate says."""
    assert _IMF_FIXDATE.fullmatch(date), date
    parsed = datetime.strptime(date.decode(), "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)
    assert parsed.strftime("%a").encode() == date[:3], f"{date!r} names the wrong day of the week"
    return parsed


def request(
    target: bytes, *lines: bytes, method: bytes = b"GET", version: bytes = b"1.1", host: bool = True, body: bytes = b""
) -> bytes:
    """A request with these field lines (without their CRLF); ``body`` is put behind the head as it is."""
    fields = (b"Host: test.example", *lines) if host else lines
    return b"%s %s HTTP/%s\r\n%s\r\n" % (method, target, version, b"".join(line + b"\r\n" for line in fields)) + body


PROBE_BODY = b"0123456789" * 10
PROBE = request(b"/small.txt")


class Fate(Enum):
    """What becomes of a connection after an answer."""

    KEPT = "kept"
    CLOSED = "closed"


KEPT, CLOSED = Fate.KEPT, Fate.CLOSED

Expected = bytes | re.Pattern[bytes] | None


@dataclass(frozen=True)
class Case:
    """A row of a table: the clause, the bytes sent, and what must come back.

    In ``fields``, a value is the field's, a pattern is searched in it, and None says that it must be missing.
    """

    section: str
    what: str
    data: bytes
    status: int
    fields: Mapping[bytes, Expected] = field(default_factory=dict)
    body: bytes | None = None
    fate: Fate = KEPT

    def __str__(self) -> str:
        return f"{self.section}: {self.what}"


def cases(rows: Iterable[Case]) -> pytest.MarkDecorator:
    """The test runs once for each row."""
    return pytest.mark.parametrize("case", list(rows), ids=str)


def assert_fields(answer: Answer, expected: Mapping[bytes, Expected]) -> None:
    """The answer has these fields, or has them not."""
    for name, wanted in expected.items():
        value = answer.fields.get(name)
        if isinstance(wanted, re.Pattern):
            assert value is not None and wanted.search(value), f"{name!r}: {value!r} does not match {wanted.pattern!r}"
        else:
            assert value == wanted, f"{name!r}: {value!r}, not {wanted!r}"


def assert_case(client: Client, case: Case) -> Answer:
    """Send a case's request on a connection; check its answer and what becomes of the connection."""
    answer = client.ask(case.data)
    assert answer.status == case.status
    assert_fields(answer, case.fields)
    if case.body is not None:
        assert answer.body == case.body
    assert answer.closes is (case.fate is CLOSED)
    if case.fate is KEPT:
        client.assert_kept()
    else:
        client.assert_closed()
    return answer


Connect = Callable[[], Client]
