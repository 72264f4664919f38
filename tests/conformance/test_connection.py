"""The life of a connection: keeping, pipelining, continuing, ending (RFC 9112, section 9; RFC 9110, 7.6, 7.8, 10.1)."""

import re

import pytest

from tests.conformance.client import (
    CLOSED,
    PROBE,
    PROBE_BODY,
    Case,
    Client,
    Connect,
    assert_case,
    cases,
    request,
)
from tests.conformance.tree import BIG

MEGABYTE = b"x" * 2**20


def old(*lines: bytes, target: bytes = b"/small.txt") -> bytes:
    """A request of HTTP/1.0."""
    return request(target, *lines, version=b"1.0")


KEEP = {b"connection": b"keep-alive"}
CLOSE = {b"connection": b"close"}
PLAIN: dict[bytes, None] = {b"connection": None}


@cases(
    [
        Case("9112 9.3", "HTTP/1.1 persists", PROBE, 200, PLAIN),
        Case("9112 9.3", "close", request(b"/small.txt", b"Connection: close"), 200, CLOSE, fate=CLOSED),
        Case("9110 7.6.1", "Close", request(b"/small.txt", b"Connection: Close"), 200, CLOSE, fate=CLOSED),
        Case(
            "9110 7.6.1", "close in a list", request(b"/small.txt", b"Connection: x, close ,y"), 200, CLOSE, fate=CLOSED
        ),
        Case(
            "9110 7.6.1",
            "close on its own line",
            request(b"/small.txt", b"Connection: x", b"Connection: close"),
            200,
            CLOSE,
            fate=CLOSED,
        ),
        Case(
            "9112 9.3",
            "close comes before keep-alive",
            request(b"/small.txt", b"Connection: keep-alive, close"),
            200,
            CLOSE,
            fate=CLOSED,
        ),
        Case("9112 9.3", "keep-alive in HTTP/1.1", request(b"/small.txt", b"Connection: keep-alive"), 200),
        Case(
            "9110 7.6.1", "an option that is not known", request(b"/small.txt", b"Connection: x-closed, enclose"), 200
        ),
        Case("9110 5.6.1.2", "empty members", request(b"/small.txt", b"Connection: , ,"), 200),
        Case("9112 9.3", "an empty Connection", request(b"/small.txt", b"Connection:"), 200),
        Case("9112 9.3", "HTTP/1.0", old(), 200, CLOSE, fate=CLOSED),
        Case("9112 9.3", "HTTP/1.0 with keep-alive", old(b"Connection: keep-alive"), 200, KEEP),
        Case("9112 9.3", "HTTP/1.0 with Keep-Alive", old(b"Connection: Keep-Alive"), 200, KEEP),
        Case("9112 9.3", "HTTP/1.0 with keep-alive in a list", old(b"Connection: x, keep-alive"), 200, KEEP),
        Case("9112 9.3", "HTTP/1.0 with close", old(b"Connection: close"), 200, CLOSE, fate=CLOSED),
        Case("9112 9.3", "HTTP/1.0 with both", old(b"Connection: keep-alive, close"), 200, CLOSE, fate=CLOSED),
        Case(
            "9112 9.3",
            "HTTP/1.0 with the field Keep-Alive alone",
            old(b"Keep-Alive: timeout=5"),
            200,
            CLOSE,
            fate=CLOSED,
        ),
        Case(
            "9112 9.3",
            "HTTP/1.0 with keep-alive, an error",
            old(b"Connection: keep-alive", target=b"/none.txt"),
            404,
            KEEP,
        ),
        Case(
            "9112 9.3",
            "HTTP/1.0 with keep-alive, a redirect",
            old(b"Connection: keep-alive", target=b"/sub"),
            301,
            KEEP,
        ),
        Case("9112 9.3", "an error does not end a connection", request(b"/none.txt"), 404, PLAIN),
        Case("9112 9.6", "close with an error", request(b"/none.txt", b"Connection: close"), 404, CLOSE, fate=CLOSED),
        Case(
            "9112 9.6",
            "close with a 304",
            request(b"/small.txt", b"Connection: close", b"If-None-Match: *"),
            304,
            CLOSE,
            fate=CLOSED,
        ),
        Case(
            "9112 9.6",
            "close with OPTIONS",
            request(b"*", b"Connection: close", method=b"OPTIONS"),
            204,
            CLOSE,
            fate=CLOSED,
        ),
        Case(
            "9112 9.6",
            "close with HEAD",
            request(b"/big.bin", b"Connection: close", method=b"HEAD"),
            200,
            CLOSE,
            fate=CLOSED,
        ),
        Case(
            "9112 9.6", "close with a large file", request(b"/big.bin", b"Connection: close"), 200, CLOSE, BIG, CLOSED
        ),
        Case(
            "9112 9.6",
            "close with a body",
            request(b"/small.txt", b"Connection: close", b"Content-Length: 5", body=b"hello"),
            200,
            CLOSE,
            fate=CLOSED,
        ),
        Case(
            "9110 7.8",
            "Upgrade to a WebSocket is ignored",
            request(b"/small.txt", b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13"),
            200,
        ),
        Case(
            "9110 7.8",
            "Upgrade to h2c is ignored",
            request(
                b"/small.txt", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk"
            ),
            200,
        ),
        Case(
            "9110 7.8",
            "Upgrade to TLS is ignored",
            request(b"*", b"Connection: upgrade", b"Upgrade: TLS/1.2", method=b"OPTIONS"),
            204,
            {b"upgrade": None},
        ),
        Case(
            "9110 7.8",
            "Upgrade with a body",
            request(b"/small.txt", b"Connection: Upgrade", b"Upgrade: h2c", b"Content-Length: 5", body=b"hello"),
            200,
        ),
        Case(
            "9110 7.8",
            "Upgrade with chunks",
            request(
                b"/small.txt", b"Connection: Upgrade", b"Upgrade: h2c", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"
            ),
            200,
        ),
        Case(
            "9110 7.8",
            "Upgrade and close",
            request(b"/small.txt", b"Connection: Upgrade, close", b"Upgrade: h2c"),
            200,
            CLOSE,
            fate=CLOSED,
        ),
        Case("9110 7.8", "Upgrade without the option", request(b"/small.txt", b"Upgrade: h2c"), 200),
        Case("9110 7.8", "the option without Upgrade", request(b"/small.txt", b"Connection: Upgrade"), 200),
        Case("9110 7.8", "Upgrade in HTTP/1.0", old(b"Connection: Upgrade", b"Upgrade: h2c"), 200, CLOSE, fate=CLOSED),
        Case(
            "9110 7.8",
            "Upgrade on several lines",
            request(b"/small.txt", b"Connection: Upgrade", b"Upgrade: a", b"UPGRADE: b"),
            200,
        ),
        Case(
            "9110 10.1.1",
            "Expect without content",
            request(b"/small.txt", b"Expect: 100-continue"),
            200,
            body=PROBE_BODY,
        ),
        Case(
            "9110 10.1.1",
            "Expect with empty content",
            request(b"/small.txt", b"Expect: 100-continue", b"Content-Length: 0"),
            200,
        ),
        Case(
            "9110 10.1.1",
            "Expect with content at once",
            request(b"/small.txt", b"Expect: 100-continue", b"Content-Length: 5", body=b"hello"),
            200,
        ),
        Case("9110 10.1.1", "Expect in HTTP/1.0", old(b"Expect: 100-continue", b"Connection: keep-alive"), 200),
        Case(
            "9110 10.1.1",
            "what is expected of HTTP/1.0 is ignored",
            old(b"Expect: magic", b"Connection: keep-alive"),
            200,
        ),
        Case("9110 7.6.3", "Via changes nothing", request(b"/small.txt", b"Via: 1.0 proxy.example"), 200),
        Case("9110 10.1.3", "Referer changes nothing", request(b"/small.txt", b"Referer: http://x/"), 200),
        Case(
            "9110 11.6.2",
            "credentials that nobody asked for",
            request(b"/small.txt", b"Authorization: Basic eDp5"),
            200,
            {b"www-authenticate": None},
        ),
    ]
)
def test_fate(client: Client, case: Case) -> None:
    assert_case(client, case)


def test_nothing_is_answered_behind_close(client: Client) -> None:
    """RFC 9112, 9.6: requests behind one that says close are not processed."""
    client.send(PROBE + request(b"/small.txt", b"Connection: close") + PROBE + PROBE)
    assert not client.read().closes
    assert client.read().closes
    client.assert_closed()


def pipeline(count: int) -> list[tuple[bytes, int, bytes | None]]:
    """Requests of all kinds with the status and body of their answers; about a half are seen for the first time."""
    kinds: list[tuple[bytes, int, bytes | None]] = []
    for number in range(count):
        kinds += [
            (request(b"/many/%02d.txt" % number), 200, b"number %d\n" % number),
            (PROBE, 200, PROBE_BODY),
            (request(b"/never/%d.txt" % number), 404, None),
            (request(b"/small.txt", method=b"HEAD"), 200, b""),
            (request(b"/big.bin", b"Range: bytes=%d-%d" % (number, number + 9)), 206, BIG[number : number + 10]),
            (request(b"/small.txt", b"Content-Length: 40", body=PROBE[:40]), 200, PROBE_BODY),
            (request(b"/sub?%d" % number), 301, b""),
            (request(b"/small.txt", b"If-None-Match: *"), 304, b""),
            (request(b"/many/%02d.txt" % (99 - number)), 200, b"number %d\n" % (99 - number)),
            (request(b"*", method=b"OPTIONS"), 204, b""),
        ]
    return kinds


def read_pipeline(client: Client, kinds: list[tuple[bytes, int, bytes | None]]) -> None:
    """The answers come in order."""
    for data, status, body in kinds:
        answer = client.read(data.partition(b" ")[0])
        assert answer.status == status, data
        if body is not None:
            assert answer.body == body, data


@pytest.mark.parametrize("half_closed", [False, True])
@pytest.mark.parametrize("piece", [2**20, 1000, 7])
def test_pipelining(client: Client, half_closed: bool, piece: int) -> None:
    """RFC 9112, 9.3.2: 100 requests at once, hits and misses mixed, are answered in order; also if no more come."""
    kinds = pipeline(10)
    assert len(kinds) == 100
    data = b"".join(kind[0] for kind in kinds)
    for start in range(0, len(data), piece):
        client.send(data[start : start + piece])
    if half_closed:
        client.finish()
    read_pipeline(client, kinds)
    if half_closed:
        client.assert_closed()
    else:
        client.assert_kept()


@pytest.mark.parametrize("target", [b"/small.txt", b"/never-%d", b"/many/%02d.txt"])
def test_pipelining_of_one_kind(client: Client, target: bytes) -> None:
    """RFC 9112, 9.3.2: a thousand of the same, or of what was never seen before."""
    targets = [target % number if b"%" in target else target for number in (index % 100 for index in range(1000))]
    client.send(b"".join(request(target) for target in targets))
    client.finish()
    for each in targets:
        answer = client.read()
        if each.startswith(b"/many"):
            assert answer.body == b"number %d\n" % int(each[6:8])
        else:
            assert answer.status == (200 if each == b"/small.txt" else 404)
    client.assert_closed()


def test_pipelined_large_files(client: Client) -> None:
    """RFC 9112, 9.3.2: a large answer before small ones, and behind them."""
    client.send(request(b"/big.bin") + PROBE + request(b"/big.bin", method=b"HEAD") + request(b"/big.bin") + PROBE)
    for method, body in ((b"GET", BIG), (b"GET", PROBE_BODY), (b"HEAD", b""), (b"GET", BIG), (b"GET", PROBE_BODY)):
        assert client.read(method).body == body
    client.assert_kept()


def test_connections_do_not_wait_for_each_other(connect: Connect) -> None:
    """RFC 9112, 9.3: one that does not read its answers, and one that does not end its request, hold nobody up."""
    idle, greedy, slow, usual = connect(), connect(), connect(), connect()
    greedy.send(request(b"/big.bin") * 30)
    slow.send(PROBE[:20])
    for _ in range(3):
        usual.assert_kept()
    idle.assert_kept()
    slow.send(PROBE[20:])
    assert slow.read().body == PROBE_BODY
    for _ in range(30):
        assert greedy.read().body == BIG


HALF_CLOSED: list[tuple[bytes, int, bytes | None]] = [
    (PROBE, 200, PROBE_BODY),
    (request(b"/half-closed-never-seen"), 404, None),
    (request(b"/big.bin"), 200, BIG),
    (request(b"/big.bin", method=b"HEAD"), 200, b""),
    (request(b"/pattern.bin", b"Range: bytes=0-0,-1"), 206, None),
    (old(), 200, PROBE_BODY),
    (old(b"Connection: keep-alive"), 200, PROBE_BODY),
    (request(b"/small.txt", b"Connection: close"), 200, PROBE_BODY),
    (request(b"/small.txt", b"Content-Length: 5", body=b"hello"), 200, PROBE_BODY),
    (request(b"/small.txt", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"), 200, PROBE_BODY),
    (b"GET / HTTP/1.1\nHost: x\n\n", 400, None),
    (request(b"/", b"Content-Length: 99999999", method=b"POST"), 413, None),
]


@pytest.mark.parametrize(("data", "status", "body"), HALF_CLOSED)
def test_who_has_closed_one_side_still_gets_the_answer(
    client: Client, data: bytes, status: int, body: bytes | None
) -> None:
    """RFC 9112, 9.6: the end of the requests is not the end of the answers."""
    client.send(data)
    client.finish()
    answer = client.read(data.partition(b" ")[0])
    assert answer.status == status
    if body is not None:
        assert answer.body == body
    client.assert_closed()


@pytest.mark.parametrize("data", [b"", b"\r\n", PROBE[:-2], request(b"/", b"Content-Length: 5", body=b"hell")])
def test_who_closes_without_a_whole_request_gets_nothing_odd(client: Client, data: bytes) -> None:
    """RFC 9112, 8: what is incomplete is not carried out; an error may be said before the end."""
    client.send(data)
    client.finish()
    rest = client.rest()
    assert rest == b"" or re.match(rb"HTTP/1\.1 40[08] ", rest)


@pytest.mark.parametrize("expect", [b"100-continue", b"100-Continue"])
@pytest.mark.parametrize(
    ("framing", "body"),
    [(b"Content-Length: 5", b"hello"), (b"Transfer-Encoding: chunked", b"5\r\nhello\r\n0\r\n\r\n")],
)
@pytest.mark.parametrize(("method", "status"), [(b"GET", 200), (b"POST", 405), (b"OPTIONS", 204), (b"FOO", 501)])
def test_expectation(client: Client, expect: bytes, framing: bytes, body: bytes, method: bytes, status: int) -> None:
    """RFC 9110, 10.1.1: the client waits until it is told to go on, or has its final answer."""
    client.send(request(b"/small.txt", b"Expect: " + expect, framing, method=method))
    interim = client.read(method)
    assert (interim.status, interim.reason, interim.fields) == (100, b"Continue", {})
    client.send(body)
    assert client.read(method).status == status
    client.assert_kept()


def test_expectation_behind_other_requests(client: Client) -> None:
    """RFC 9110, 15.2 and RFC 9112, 9.3.2: an interim answer is part of the one to its own request."""
    expecting = request(b"/small.txt", b"Expect: 100-continue", b"Content-Length: 5")
    client.send(PROBE + request(b"/expecting-never-seen") + expecting)
    assert client.read().body == PROBE_BODY
    assert client.read().status == 404
    assert client.read().status == 100
    client.send(b"hello" + PROBE)
    assert client.read().body == PROBE_BODY
    assert client.read().body == PROBE_BODY
    client.assert_kept()


def test_expectation_of_http_1_0_gets_no_100(client: Client) -> None:
    """RFC 9110, 10.1.1 and 15.2: a 1xx must not be sent to an HTTP/1.0 client."""
    client.send(old(b"Expect: 100-continue", b"Content-Length: 5", b"Connection: keep-alive"))
    client.send(b"hello")
    assert client.read().status == 200
    client.assert_kept()


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ((b"Expect: 100-continue", b"Content-Length: 100000000"), 413),
        ((b"Expect: magic", b"Content-Length: 5"), 417),
        ((b"Expect: 100-continue", b"Content-Length: 5", b"Transfer-Encoding: chunked"), 400),
        ((b"Expect: 100-continue", b"Transfer-Encoding: gzip, chunked"), 501),
    ],
)
def test_who_expects_is_told_at_once_what_is_wrong(client: Client, lines: tuple[bytes, ...], status: int) -> None:
    """RFC 9110, 10.1.1: a final answer instead of 100; whether the content follows is not known, so it is the last."""
    answer = client.ask(request(b"/small.txt", *lines, method=b"POST"))
    assert (answer.status, answer.closes) == (status, True)
    client.assert_closed()


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"POST", b"DELETE", b"FOO"])
@pytest.mark.parametrize("size", [1, 65_536])
def test_a_body_is_drained(client: Client, method: bytes, size: int) -> None:
    """RFC 9112, 9.3: a connection that goes on has read the whole of each request."""
    for _ in range(2):
        client.ask(request(b"/small.txt", b"Content-Length: %d" % size, method=method, body=b"G" * size))
        client.assert_kept()


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (request(b"/", b"Content-Length: %d" % len(MEGABYTE), method=b"POST"), 413),
        (request(b"/", b"Transfer-Encoding: chunked", method=b"POST", body=b"100000\r\n"), 413),
        (b"POST / HTTP/1.1\r\nHost : x\r\n\r\n", 400),
        (b"POST / HTTP/1.1\nHost: x\r\n\r\n", 400),
        (request(b"/", b"Transfer-Encoding: chunked", method=b"POST", body=b"nonsense\r\n"), 400),
        (request(b"/", b"Expect: magic", b"Content-Length: %d" % len(MEGABYTE), method=b"PUT"), 417),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (request(b"/small.txt", b"Connection: close"), 200),
        (old(), 200),
    ],
)
def test_the_last_answer_survives_what_the_client_still_sends(client: Client, data: bytes, status: int) -> None:
    """RFC 9112, 9.6: closing in stages, or a reset would overtake the answer."""
    client.send(data + MEGABYTE)
    answer = client.read()
    assert (answer.status, answer.closes) == (status, True)
    client.assert_closed()


def test_a_client_that_goes_on_sending_behind_its_last_answer(client: Client) -> None:
    """RFC 9112, 9.6: the same where the answer has been sent long before."""
    client.send(request(b"/", b"Content-Length: %d" % (8 * len(MEGABYTE)), method=b"POST"))
    for _ in range(8):
        client.send(MEGABYTE)
    answer = client.read(b"POST")
    assert (answer.status, answer.closes) == (413, True)
    client.assert_closed()


def test_clients_that_vanish_do_no_harm(connect: Connect) -> None:
    """RFC 9112, 9.5: closed at any moment, without reading."""
    for data in (b"", b"GET", PROBE, request(b"/big.bin"), request(b"/big.bin") * 5, request(b"/vanish-never-seen")):
        for _ in range(5):
            client = connect()
            client.send(data)
            client.close()
    connect().assert_kept()
