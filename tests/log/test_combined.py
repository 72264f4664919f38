"""The combined format, and what all forms are made with."""

import re
from datetime import datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flashpy.http.request import Block, Request, RequestLine
from flashpy.http.response import Head
from flashpy.log.combined import combined
from flashpy.log.record import Cache, escape, log_time

LINE = re.compile(
    rb'(?P<client>\S+) - - \[(?P<time>[^\]]+)\] "(?P<method>[^" ]+) (?P<target>[^"]+) HTTP/1\.(?P<minor>\d)"'
    rb' (?P<status>\d{3}) (?P<sent>\d+) "(?P<referer>[^"]+)" "(?P<user_agent>[^"]+)" (?P<seconds>\d+\.\d{6})\n'
)


def asked(method: bytes, target: bytes, minor: int, referer: bytes, user_agent: bytes) -> Request:
    """A request of which all that is logged is as given."""
    fields = {b"referer": referer, b"user-agent": user_agent}
    return Request(RequestLine(method, target, b"/", b"", minor), Block(fields, True, True, False))


def unescape(value: bytes) -> bytes:
    """What was escaped."""
    return re.sub(rb"\\x([0-9A-F]{2})", lambda match: bytes.fromhex(match[1].decode()), value)


@given(st.binary(max_size=60))
@example(b"\\x22")
def test_escaping_is_safe_and_can_be_undone(value: bytes) -> None:
    """Printable ASCII without quote; and what a client sent can be told from the log."""
    escaped = escape(value)
    assert all(0x20 <= byte < 0x7F and byte != 0x22 for byte in escaped)
    assert unescape(escaped) == value


@given(
    st.tuples(
        st.binary(max_size=20).map(lambda method: method.replace(b" ", b"")),  # a method ends at the first
        st.binary(max_size=60),
        st.integers(0, 9),
        st.binary(max_size=60),
        st.binary(max_size=60),
    ),
    st.ip_addresses().map(str),
    st.floats(0, 4e9),
    st.integers(100, 599),
    st.integers(0, 2**40),
    st.floats(0, 1e5),
)
def test_a_request_is_one_line_that_can_be_read_back(
    request: tuple[bytes, bytes, int, bytes, bytes], client: str, wall: float, status: int, sent: int, seconds: float
) -> None:
    """Whatever a client sends, it cannot forge a line or a field; what is empty is a hyphen."""
    record = client, wall, asked(*request), Head(status, ()), sent, seconds, Cache.HIT
    line = combined([record])
    assert combined([record, record]) == 2 * line
    assert line.count(b"\n") == 1
    match = LINE.fullmatch(line)
    assert match is not None
    method, target, minor, referer, user_agent = request
    for name, value in (("method", method), ("target", target), ("referer", referer), ("user_agent", user_agent)):
        assert unescape(match[name]) == (value or b"-")
    assert int(match["minor"]) == minor
    assert match["client"] == client.encode()
    assert match["time"] == log_time(int(wall))
    assert (int(match["status"]), int(match["sent"])) == (status, sent)
    assert float(match["seconds"]) == pytest.approx(seconds, abs=1e-6)


def test_a_line() -> None:
    """The combined format, with the time taken behind it."""
    request = asked(b"GET", b'/a"b', 1, b"", b"curl/8")
    assert combined([("::1", 971186136.9, request, Head(200, ()), 1234, 0.0012345, Cache.HIT)]) == (
        b'::1 - - [10/Oct/2000:13:55:36 +0000] "GET /a\\x22b HTTP/1.1" 200 1234 "-" "curl/8" 0.001234\n'
    )


def test_lines_of_several_clients_and_seconds() -> None:
    """What lines have in common is rendered once for those in a row; each has its own all the same."""
    request = asked(b"GET", b"/", 1, b"", b"")
    records = [
        (client, wall, request, Head(200, ()), 0, 0.0, Cache.HIT) for client in ("a", "b") for wall in (1.0, 1.0, 2.0)
    ]
    lines = combined(records).splitlines()
    assert [(line[:1], line[25:27]) for line in lines] == [
        (client, second) for client in (b"a", b"b") for second in (b"01", b"01", b"02")
    ]


@given(st.integers(0, 253402300799))
def test_time(seconds: int) -> None:
    """Always UTC, whatever the machine's zone."""
    assert datetime.strptime(log_time(seconds).decode(), "%d/%b/%Y:%H:%M:%S %z").timestamp() == seconds
