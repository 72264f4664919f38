"""Requests that are a little, or very, wrong, sent to a real server over a socket.

Whatever comes, the server gives well-formed answers or closes, in time, and serves the next client as if nothing
had been.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from flashpy.server import background
from tests.conformance.client import PROBE_BODY, Address, Client, Malformed, Reset, body_length, parse_head, request
from tests.conformance.tree import SECRET, build

VALID = (
    request(b"/small.txt"),
    request(b"/small.txt", method=b"HEAD"),
    request(b"/", b"Connection: close"),
    request(b"/sub?a=b"),
    request(b"/none.txt", b"Accept: text/html,*/*;q=0.8"),
    request(b"/%73mall.txt", b"Accept-Encoding: gzip, br;q=0.5"),
    request(b"/sub/../pattern.bin", b"Range: bytes=0-9,500-509,-1"),
    request(b"/pattern.bin", b"Range: bytes=100-", b'If-Range: "x"'),
    request(b"/pattern.bin", b'If-None-Match: W/"a", *', b"If-Modified-Since: Mon, 01 Jan 2001 00:00:00 GMT"),
    request(b"/small.txt", b"Content-Length: 5", method=b"POST", body=b"hello"),
    request(b"/small.txt", b"Transfer-Encoding: chunked", body=b"5;x=y\r\nhello\r\n0\r\nX: y\r\n\r\n"),
    request(b"/small.txt", b"Expect: 100-continue", b"Content-Length: 5", method=b"PUT", body=b"hello"),
    request(b"/small.txt", b"Connection: Upgrade", b"Upgrade: h2c"),
    request(b"/small.txt", b"Connection: keep-alive", version=b"1.0", host=False),
    request(b"*", method=b"OPTIONS"),
    request(b"http://test.example:80/small.txt"),
)
TOKENS = (
    *(b"\r\n", b"\n", b"\r", b"\r\n\r\n", b" ", b"\t", b"\0", b":", b";", b",", b"/", b"\\", b"?", b"#", b"%", b"\xff"),
    *(b"../", b"%2e%2e/", b"%2f", b"%00", b"%zz", b"//", b"*", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/1.1", b"HEAD "),
    *(b"Host: x\r\n", b"Content-Length: 5\r\n", b"Content-Length: 99999999\r\n", b"Transfer-Encoding: chunked\r\n"),
    *(b"Transfer-Encoding: gzip\r\n", b"Connection: close\r\n", b"Connection: Upgrade\r\nUpgrade: x\r\n"),
    *(b"Expect: 100-continue\r\n", b"Range: bytes=0-0,-1\r\n", b"If-None-Match: *\r\n", b"If-Match: \"\"\r\n"),
    *(b"Proxy-Connection: close\r\n", b"0\r\n\r\n", b"ffffffffffffffff\r\n", b"-1", b"99999999999999999999"),
    *(b"X: " + b"y" * 9_000 + b"\r\n", b"a" * 9_000),
)  # fmt: skip

position = st.integers(0, 400)
octets = st.binary(min_size=1, max_size=4) | st.sampled_from(TOKENS)
insertion = st.tuples(position, st.just(0), octets)
removal = st.tuples(position, st.integers(1, 30), st.just(b""))
replacement = st.tuples(position, st.integers(1, 4), octets)
mutations = st.lists(insertion | removal | replacement, max_size=4)


@dataclass(frozen=True)
class Sent:
    """Bytes for a connection, and where they are cut into packets."""

    data: bytes
    cuts: tuple[int, ...]

    def pieces(self) -> list[bytes]:
        """What is sent, one after the other."""
        edges = [0, *sorted(min(cut, len(self.data)) for cut in self.cuts), len(self.data)]
        return [self.data[start:end] for start, end in pairwise(edges) if start < end]


@st.composite
def mutated(draw: st.DrawFn) -> Sent:
    """One to three valid requests behind each other, with some mutations."""
    data = b"".join(draw(st.lists(st.sampled_from(VALID), min_size=1, max_size=3)))
    for start, length, new in draw(mutations):
        start = min(start, len(data))
        data = data[:start] + new + data[start + length :]
    return Sent(data, tuple(draw(st.lists(position, max_size=3))))


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    """A server that does not wait long for what is incomplete."""
    root: Path = build(tmp_path_factory.mktemp("fuzz"))
    limits = {"timeout_head": 0.5, "timeout_keep_alive": 0.5}
    with background(root, limits=limits, helpers={"min": 1, "max": 2}) as server:
        parts = urlsplit(server.url)
        assert parts.hostname and parts.port
        yield parts.hostname, parts.port


def send(client: Client, sent: Sent) -> None:
    """Send all that the server takes: it may have closed already."""
    try:
        for piece in sent.pieces():
            client.send(piece)
    except (BrokenPipeError, ConnectionResetError):
        pass


def assert_well_formed(stream: bytes, sent: bytes) -> None:
    """A sequence of whole answers. Which of them were to a HEAD, nobody but the server can say."""
    last = False
    while stream:
        assert not last, "an answer behind the last"
        head, end, stream = stream.partition(b"\r\n\r\n")
        assert end, f"half a head: {head!r}"
        status, _, fields = parse_head(head)
        assert status in (100, 200, 204, 206, 301, 304, 400, 404, 405, 408, 412, 413, 414, 416, 417, 431, 501, 505)
        last = fields.get(b"connection") == b"close"
        length = body_length(b"GET", status, fields)
        if length and b"HEAD" in sent and (not stream or stream.startswith(b"HTTP/1.1 ")):
            length = 0
        assert len(stream) >= length, "half a body"
        body, stream = stream[:length], stream[length:]
        assert SECRET not in body


def assert_serves(address: Address) -> None:
    """The server is as well as ever; the head is one that has to be parsed."""
    with Client(address) as client:
        answer = client.ask(request(b"/small.txt", b"X-Fresh: %d" % id(client)))
        assert (answer.status, answer.body) == (200, PROBE_BODY)


def collect(client: Client) -> bytes:
    """All that comes until the connection ends, by FIN or, if the client has sent too much, by RST."""
    try:
        return client.rest()
    except Reset:
        return b""


@settings(
    max_examples=1200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], print_blob=True
)
@given(sent=mutated())
def test_answers_or_closes(address: Address, sent: Sent) -> None:
    """The client says that no more will come: so every connection must come to its end."""
    with Client(address) as client:
        send(client, sent)
        try:
            client.finish()
        except OSError:
            pass
        assert_well_formed(collect(client), sent.data)
    assert_serves(address)


@settings(max_examples=2, deadline=None, phases=[Phase.generate], print_blob=True)
@given(batch=st.lists(mutated(), min_size=60, max_size=60))
def test_nobody_is_kept_waiting(address: Address, batch: list[Sent]) -> None:
    """The clients stay silent, all at once: the server's time limits end every connection."""
    clients = [Client(address) for _ in batch]
    try:
        for client, sent in zip(clients, batch, strict=True):
            send(client, sent)
        for client, sent in zip(clients, batch, strict=True):
            assert_well_formed(collect(client), sent.data)
    finally:
        for client in clients:
            client.close()
    assert_serves(address)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], print_blob=True)
@given(data=st.binary(max_size=300))
def test_noise(address: Address, data: bytes) -> None:
    """Octets that have nothing to do with HTTP."""
    with Client(address) as client:
        send(client, Sent(data, ()))
        try:
            client.finish()
        except OSError:
            pass
        assert_well_formed(collect(client), data)
    assert_serves(address)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(0, 3000), max_size=30), order=st.permutations(range(len(VALID))))
def test_how_octets_are_dealt_out_has_no_meaning(address: Address, cuts: list[int], order: list[int]) -> None:
    """Valid requests in any order, cut anywhere, have the answers that they have alone."""
    requests = [VALID[index] for index in order if b"Connection: close" not in VALID[index]]
    with Client(address) as client:
        for piece in Sent(b"".join(requests), tuple(cuts)).pieces():
            client.send(piece)
        for data in requests:
            method = data.partition(b" ")[0]
            answer = client.read(method)
            if answer.status == 100:
                assert b"100-continue" in data
                answer = client.read(method)
            assert answer.status == _alone(address, data)


_statuses: dict[bytes, int] = {}


def _alone(address: Address, data: bytes) -> int:
    """The status of a request on a connection of its own."""
    if data not in _statuses:
        with Client(address) as client:
            client.send(data)
            answer = client.read(data.partition(b" ")[0])
            _statuses[data] = answer.status
    return _statuses[data]


def test_the_judge_can_say_no() -> None:
    """What is ill-formed is found to be so."""
    good = b"HTTP/1.1 200 OK\r\nDate: Mon, 01 Jan 2001 00:00:00 GMT\r\nContent-Length: 2\r\n\r\nhi"
    assert_well_formed(good + good, b"")
    closing = good.replace(b"Content", b"Connection: close\r\nContent")
    for bad in (
        good[:-1],
        good + b"x",
        good[:-6],
        good.replace(b"\r", b""),
        good.replace(b"Date", b"Data"),
        closing + good,
    ):
        with pytest.raises((AssertionError, Malformed)):
            assert_well_formed(bad, b"")
