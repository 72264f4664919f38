"""Where messages begin and end (RFC 9112, sections 2 to 7). What is malformed stands in test_malformed."""

import pytest

from tests.conformance.client import CLOSED, PROBE, PROBE_BODY, Case, Client, Connect, assert_case, cases, request

CHUNKED = b"Transfer-Encoding: chunked"


def chunked(body: bytes) -> bytes:
    """A GET with this chunked body, as it is."""
    return request(b"/small.txt", CHUNKED, body=body)


@cases(
    [
        Case("9112 2.2", "an empty line before the request", b"\r\n" + PROBE, 200, body=PROBE_BODY),
        Case("9112 2.2", "several empty lines before the request", b"\r\n\r\n\r\n" + PROBE, 200, body=PROBE_BODY),
        Case("9112 2.3", "HTTP/1.0", request(b"/small.txt", version=b"1.0"), 200, body=PROBE_BODY, fate=CLOSED),
        Case(
            "9112 2.3", "HTTP/1.0 needs no Host", request(b"/small.txt", version=b"1.0", host=False), 200, fate=CLOSED
        ),
        Case("9110 2.5", "a higher minor version is read as 1.1", request(b"/small.txt", version=b"1.2"), 200),
        Case("9110 2.5", "the highest minor version", request(b"/small.txt", version=b"1.9"), 200),
        Case("9110 5.1", "field names do not mind case", b"GET /small.txt HTTP/1.1\r\nhOsT: test.example\r\n\r\n", 200),
        Case(
            "9110 5.1",
            "unknown fields are ignored",
            request(b"/small.txt", b"X-Whatever: 1", b"!#$%&'*+-.^_`|~: 2"),
            200,
        ),
        Case(
            "9110 5.3",
            "the order of fields does not count",
            b"GET /small.txt HTTP/1.1\r\nA: 1\r\nHost: x\r\nA: 2\r\n\r\n",
            200,
        ),
        Case("9110 5.3", "one field on several lines", request(b"/small.txt", b"Accept: a/b", b"Accept: c/d"), 200),
        Case("9110 5.5", "an empty value", request(b"/small.txt", b"X-Empty:", b"X-Blank:   "), 200),
        Case("9110 5.5", "octets above ASCII in a value", request(b"/small.txt", b"X-Name: J\xf6rg \xe2\x82\xac"), 200),
        Case("9110 5.5", "tabs and blanks in a value", request(b"/small.txt", b"X-Tab: a\tb  c"), 200),
        Case("9110 7.2", "an empty Host", b"GET /small.txt HTTP/1.1\r\nHost:\r\n\r\n", 200),
        Case("9110 7.2", "Host with a port", b"GET /small.txt HTTP/1.1\r\nHost: test.example:8080\r\n\r\n", 200),
        Case("9110 7.2", "Host with an empty port", b"GET /small.txt HTTP/1.1\r\nHost: test.example:\r\n\r\n", 200),
        Case("9110 7.2", "Host is an IPv6 address", b"GET /small.txt HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n", 200),
        Case("9112 5.1", "no blank behind the colon", b"GET /small.txt HTTP/1.1\r\nHost:test.example\r\n\r\n", 200),
        Case(
            "9112 5.1",
            "blanks and tabs around a value",
            b"GET /small.txt HTTP/1.1\r\nHost: \t test.example \t \r\n\r\n",
            200,
        ),
    ]
)
def test_head(client: Client, case: Case) -> None:
    assert_case(client, case)


@cases(
    [
        Case("9112 6.2", "Content-Length 0", request(b"/small.txt", b"Content-Length: 0"), 200, body=PROBE_BODY),
        Case("9112 6.2", "Content-Length on a GET", request(b"/small.txt", b"Content-Length: 5", body=b"hello"), 200),
        Case("9112 6.2", "leading zeros", request(b"/small.txt", b"Content-Length: 0000005", body=b"hello"), 200),
        Case(
            "9112 6.2",
            "thousands of leading zeros",
            request(b"/small.txt", b"Content-Length: " + b"0" * 5000 + b"5", body=b"hello"),
            200,
        ),
        Case("9112 6.2", "on a HEAD", request(b"/small.txt", b"Content-Length: 5", method=b"HEAD", body=b"hello"), 200),
        Case("9112 6.2", "on a POST", request(b"/small.txt", b"Content-Length: 5", method=b"POST", body=b"hello"), 405),
        Case(
            "9112 6.2",
            "on an unknown method",
            request(b"/small.txt", b"Content-Length: 5", method=b"FOO", body=b"hello"),
            501,
        ),
        Case(
            "9112 6.2",
            "a body of empty lines",
            request(b"/small.txt", b"Content-Length: 8", body=b"\r\n\r\n\r\n\r\n"),
            200,
        ),
        Case(
            "9112 6.2", "a body of binary octets", request(b"/small.txt", b"Content-Length: 4", body=b"\0\xff\n\r"), 200
        ),
        Case(
            "9112 6.2",
            "in HTTP/1.0",
            request(b"/small.txt", b"Content-Length: 5", b"Connection: keep-alive", version=b"1.0", body=b"hello"),
            200,
        ),
        Case("9112 7.1", "no chunks", chunked(b"0\r\n\r\n"), 200, body=PROBE_BODY),
        Case("9112 7.1", "one chunk", chunked(b"5\r\nhello\r\n0\r\n\r\n"), 200),
        Case("9112 7.1", "many chunks", chunked(b"1\r\nx\r\n" * 300 + b"0\r\n\r\n"), 200),
        Case(
            "9112 7.1",
            "sizes in hexadecimal of either case",
            chunked(b"a\r\n0123456789\r\nB\r\n0123456789a\r\n0\r\n\r\n"),
            200,
        ),
        Case("9112 7.1", "sizes with leading zeros", chunked(b"00005\r\nhello\r\n00000\r\n\r\n"), 200),
        Case("9112 7.1", "empty lines as data", chunked(b"4\r\n\r\n\r\n\r\n8\r\n\r\n\r\n\r\n\r\n\r\n0\r\n\r\n"), 200),
        Case("9112 7.1", "data that looks like the end", chunked(b"5\r\n0\r\n\r\n\r\n0\r\n\r\n"), 200),
        Case(
            "9112 7.1",
            "the coding's name does not mind case",
            request(b"/small.txt", b"Transfer-Encoding: ChunKed", body=b"0\r\n\r\n"),
            200,
        ),
        Case("9112 7.1.1", "chunk extensions are ignored", chunked(b'5;a;b=c;d="e;f"\r\nhello\r\n0;last\r\n\r\n'), 200),
        Case("9112 7.1.2", "trailers are dropped", chunked(b"0\r\nX-Sum: 1\r\nX-Other: 2\r\n\r\n"), 200),
        Case("9110 6.5.1", "trailers are no fields: Host", chunked(b"0\r\nHost: other.example\r\n\r\n"), 200),
        Case(
            "9110 6.5.1",
            "trailers are no fields: Range",
            chunked(b"0\r\nRange: bytes=0-1\r\n\r\n"),
            200,
            body=PROBE_BODY,
        ),
        Case(
            "9110 6.5.1",
            "trailers are no fields: If-None-Match",
            chunked(b"0\r\nX: y\r\nIf-None-Match: *\r\n\r\n"),
            200,
        ),
        Case("9110 6.5.1", "trailers are no fields: Connection", chunked(b"0\r\nConnection: close\r\n\r\n"), 200),
        Case("9110 6.5.1", "trailers are no fields: Expect", chunked(b"0\r\nExpect: 200-ok\r\n\r\n"), 200),
        Case(
            "9110 10.1.4",
            "TE is of no account without content that is chunked",
            request(b"/small.txt", b"TE: trailers, deflate;q=0.5", b"Connection: TE"),
            200,
        ),
    ]
)
def test_body_is_read_past(client: Client, case: Case) -> None:
    """RFC 9110, 9.3.1: content of a GET has no meaning; it must not be taken for the next request."""
    assert_case(client, case)


SMUGGLED = request(b"/none.txt", b"X-Smuggled: yes")


@pytest.mark.parametrize(
    "data",
    [
        request(b"/small.txt", b"Content-Length: %d" % len(SMUGGLED), body=SMUGGLED),
        request(b"/small.txt", b"Content-Length: %d" % len(SMUGGLED), method=b"POST", body=SMUGGLED),
        request(b"/small.txt", CHUNKED, body=b"%x\r\n%s\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)),
        request(b"/small.txt", CHUNKED, body=b'%x;x="y"\r\n%s\r\n0\r\nA: b\r\n\r\n' % (len(SMUGGLED), SMUGGLED)),
    ],
)
@pytest.mark.parametrize("cut", [0, 1, 30, 60, 90, 97, 101, 120, 140])
def test_a_request_in_a_body_is_content(client: Client, data: bytes, cut: int) -> None:
    """RFC 9112, 11.2: no smuggling, however the bytes are dealt out."""
    client.send(data[:cut])
    client.send(data[cut:] + PROBE)
    assert client.read().status in (200, 405)
    assert client.read().body == PROBE_BODY
    client.assert_kept()


@pytest.mark.parametrize(
    "data",
    [
        PROBE,
        request(b"/small.txt", b"Content-Length: 5", body=b"hello"),
        request(b"/small.txt", CHUNKED, body=b"5;a=b\r\nhello\r\n0\r\nTrailer: x\r\n\r\n"),
        b"\r\n"
        + request(b"/small.txt?a=b", b"Upgrade: h2c", b"Connection: Upgrade, HTTP2-Settings", b"HTTP2-Settings: "),
    ],
    ids=["plain", "content-length", "chunked", "upgrade"],
)
def test_single_octets(client: Client, data: bytes) -> None:
    """RFC 9112, 2.2: a message is a sequence of octets; how they are dealt out in packets has no meaning."""
    for _ in range(2):
        for index in range(len(data)):
            client.send(data[index : index + 1])
        assert client.read().body == PROBE_BODY
    client.assert_kept()


def test_the_answer_to_http_1_0_is_of_1_1_without_chunks(client: Client) -> None:
    """RFC 9110, 2.5 and 6.2: the server's own version; and nothing that a 1.0 recipient cannot read (9112, 6.1)."""
    client.send(request(b"/big.bin", version=b"1.0", host=False))
    answer = client.read()  # reading demands HTTP/1.1, Content-Length and no Transfer-Encoding
    assert answer.status == 200
    client.assert_closed()


@pytest.mark.parametrize("length", [8_000, 8_192])
def test_long_targets_are_read(client: Client, length: int) -> None:
    """RFC 9110, 4.1: URIs of at least 8000 octets are to be supported."""
    assert client.ask(request(b"/small.txt?" + b"q" * (length - 11))).body == PROBE_BODY
    assert client.ask(request(b"/" + b"p" * (length - 1))).status == 404
    client.assert_kept()


def test_many_and_long_fields_are_read(client: Client) -> None:
    """RFC 9110, 5.4: no limit is set by the protocol; what browsers send must be far within ours."""
    lines = [b"X-%d: %s" % (number, b"v" * 200) for number in range(99)]
    assert client.ask(request(b"/small.txt", *lines)).body == PROBE_BODY
    assert client.ask(request(b"/small.txt", b"Cookie: " + b"c" * 16_000)).body == PROBE_BODY
    client.assert_kept()


@pytest.mark.parametrize(
    "line",
    [
        b"Proxy-Connection: close",
        b"Proxy-Connection: keep-alive",
        b"Connection: close",
        b"Connection: keep-alive, close",
        b"Connection: Upgrade",
        b"Keep-Alive: timeout=1, max=1",
        b"TE: trailers",
        b"Trailer: Host",
    ],
)
@pytest.mark.parametrize("where", ["head", "head of a body", "trailer"])
def test_one_request_does_not_spoil_those_of_others(connect: Connect, line: bytes, where: str) -> None:
    """RFC 9110, 7.6.1: what one connection says of itself concerns no other one."""
    first, second = connect(), connect()
    data = {
        "head": request(b"/small.txt", line),
        "head of a body": request(b"/small.txt", line, b"Content-Length: 5", body=b"hello"),
        "trailer": request(b"/small.txt", CHUNKED, body=b"5\r\nhello\r\n0\r\n%s\r\n\r\n" % line),
    }
    assert first.ask(data[where]).body == PROBE_BODY
    for number in range(3):  # each head differs, so that it has to be parsed
        assert second.ask(request(b"/small.txt?%d" % number, b"X-Line: " + line)).body == PROBE_BODY
