"""HTTP towards a node: what is handed on, and what is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashpy.cluster.upstream import BadAnswer, answer_head, request_head
from flashpy.http.head import HeadReader
from flashpy.http.request import Request
from flashpy.settings import LimitsSection


def request(*fields: str, line: str = "GET /a%20b?c HTTP/1.1", host: str = "Host: example.org") -> Request:
    """A request as it is read from a client."""
    return HeadReader(LimitsSection()).read("\r\n".join([line, host, *fields, "", ""]).encode())


def test_a_request_is_handed_on() -> None:
    """With who asks, and by whom."""
    head = request_head(request("Accept: a", "X-Forwarded-For: 1.2.3.4", "Via: 1.0 old"), "192.0.2.1", b"node")
    line, *fields = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    assert line == b"GET /a%20b?c HTTP/1.1"
    assert sorted(fields) == [
        b"Host: example.org",
        b"Via: 1.0 old, 1.1 flashpy",
        b"X-Forwarded-For: 1.2.3.4, 192.0.2.1",
        b"accept: a",
    ]


def test_what_belongs_to_the_connection_is_not() -> None:
    """Nor what it nominates, nor what is said of a body that stays here (RFC 9110, 7.6.1)."""
    fields = (
        "Connection: keep-alive, X-Mine", "X-Mine: 1", "TE: trailers", "Upgrade: h2c", "Keep-Alive: 5",
        "Proxy-Authorization: secret", "Content-Length: 3", "Expect: 100-continue",
    )  # fmt: skip
    head = request_head(request(*fields, line="POST / HTTP/1.1"), "192.0.2.1", b"node").lower()
    for name in (b"connection", b"x-mine", b"te:", b"upgrade", b"keep-alive", b"secret", b"content-length", b"expect"):
        assert name not in head


def test_a_request_without_a_host_gets_one() -> None:
    """HTTP/1.0 has none, a request of HTTP/1.1 takes one."""
    head = request_head(request(line="GET / HTTP/1.0", host="A: b"), "192.0.2.1", b"node:80")
    assert b"GET / HTTP/1.1\r\nHost: node:80\r\n" in head


def test_an_answer_is_handed_on() -> None:
    """But for what belongs to the connection, and the Date, which is said anew."""
    head = answer_head(
        b"HTTP/1.1 200 OK\r\nServer: flashpy\r\nDate: now\r\nContent-Length: 5\r\nConnection: keep-alive, x\r\nX: 1",
        b"GET",
    )
    assert head.fields == ((b"Server", b"flashpy"), (b"Content-Length", b"5"))
    assert (head.status, head.length, head.keep_alive) == (200, 5, True)


@pytest.mark.parametrize(
    ("head", "method", "length"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5", b"HEAD", 0),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5", b"GET", 0),
        (b"HTTP/1.1 204 No Content", b"GET", 0),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\nContent-Length: 5", b"GET", 5),
    ],
)
def test_framing(head: bytes, method: bytes, length: int) -> None:
    """RFC 9112, 6.3."""
    assert answer_head(head, method).length == length


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"HTTP/2 200",
        b"HTTP/1.1 2000 OK\r\nContent-Length: 5",
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n folded",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nA: b\nC: d",
        b"HTTP/1.1 200 OK\r\nContent Length: 5",
    ],
)
def test_what_is_no_answer(head: bytes) -> None:
    """Nothing of it is handed on."""
    with pytest.raises(BadAnswer):
        answer_head(head, b"GET")


@given(st.binary(max_size=300))
def test_nothing_else_is_ever_raised(data: bytes) -> None:
    """Whatever a node says."""
    for head in (data, b"HTTP/1.1 200 OK\r\n" + data):
        try:
            answer_head(head, b"GET")
        except BadAnswer:
            pass
