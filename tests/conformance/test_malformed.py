"""What no server may accept: a clear answer, and the connection's end (RFC 9112; RFC 9110, 15.5).

Each row is tried alone, behind good requests whose answers must come first, and dealt out in small pieces.
"""

import pytest

from flashpy.server import Background
from tests.conformance.client import PROBE, PROBE_BODY, Client, Connect, method_of, request

Row = tuple[str, str, bytes, int]


def head(*lines: bytes) -> bytes:
    """A GET with exactly these field lines."""
    return b"GET /small.txt HTTP/1.1\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def line(request_line: bytes) -> bytes:
    """A request with this request line."""
    return request_line + b"\r\nHost: test.example\r\n\r\n"


def chunked(body: bytes, *lines: bytes) -> bytes:
    """A POST with this chunked body, as it is."""
    return request(b"/small.txt", b"Transfer-Encoding: chunked", *lines, method=b"POST", body=body)


def post(*lines: bytes, body: bytes = b"") -> bytes:
    """A POST with these field lines and this body, as it is."""
    return request(b"/small.txt", *lines, method=b"POST", body=body)


HOST = b"Host: test.example"

REQUEST_LINES: list[Row] = [
    ("9112 3", "two blanks behind the method", line(b"GET  /small.txt HTTP/1.1"), 400),
    ("9112 3", "two blanks before the version", line(b"GET /small.txt  HTTP/1.1"), 400),
    ("9112 3", "a blank before the method", line(b" GET /small.txt HTTP/1.1"), 400),
    ("9112 3", "a blank behind the version", line(b"GET /small.txt HTTP/1.1 "), 400),
    ("9112 3", "a tab for a blank", line(b"GET\t/small.txt HTTP/1.1"), 400),
    ("9112 3", "a tab before the version", line(b"GET /small.txt\tHTTP/1.1"), 400),
    ("9112 3", "a blank in the target", line(b"GET /small .txt HTTP/1.1"), 400),
    ("9112 3", "a vertical tab for a blank", line(b"GET\x0b/small.txt HTTP/1.1"), 400),
    ("9112 3", "no target", line(b"GET HTTP/1.1"), 400),
    ("9112 3", "an empty target", line(b"GET  HTTP/1.1"), 400),
    ("9112 3", "no version", line(b"GET /small.txt"), 400),
    ("9112 3", "a method alone", line(b"GET"), 400),
    ("9112 3", "something behind the version", line(b"GET /small.txt HTTP/1.1 x"), 400),
    ("9112 3", "the request of HTTP/0.9", b"GET /small.txt\r\n", 400),
    ("9112 3.1", "a method that is no token: (", line(b"GE(T / HTTP/1.1"), 400),
    ("9112 3.1", "a method that is no token: NUL", line(b"GET\0 / HTTP/1.1"), 400),
    ("9112 3.1", "a method that is no token: quotes", line(b'"GET" / HTTP/1.1'), 400),
    ("9112 3.1", "a method that is no token: octets above ASCII", line(b"G\xc9T / HTTP/1.1"), 400),
    ("9112 3.1", "no method", line(b"/small.txt HTTP/1.1"), 400),
    ("9112 3.2", "NUL in the target", line(b"GET /small\0.txt HTTP/1.1"), 400),
    ("9112 3.2", "a control in the target", line(b"GET /small\x01.txt HTTP/1.1"), 400),
    ("9112 3.2", "DEL in the target", line(b"GET /small\x7f.txt HTTP/1.1"), 400),
    ("9112 3.2", "a bare CR in the target", line(b"GET /small\r.txt HTTP/1.1"), 400),
    ("9112 2.3", "the protocol's name minds case", line(b"GET / http/1.1"), 400),
    ("9112 2.3", "the protocol's name minds case: Http", line(b"GET / Http/1.1"), 400),
    ("9112 2.3", "another protocol", line(b"GET / RTSP/1.0"), 400),
    ("9112 2.3", "no minor version", line(b"GET / HTTP/1"), 400),
    ("9112 2.3", "no digits", line(b"GET / HTTP/x.y"), 400),
    ("9112 2.3", "two digits", line(b"GET / HTTP/1.10"), 400),
    ("9112 2.3", "three numbers", line(b"GET / HTTP/1.1.1"), 400),
    ("9112 2.3", "a sign", line(b"GET / HTTP/+1.1"), 400),
    ("9112 2.3", "a comma", line(b"GET / HTTP/1,1"), 400),
    ("9112 2.3", "no slash", line(b"GET / HTTP 1.1"), 400),
    ("9110 15.6.6", "HTTP/2.0", line(b"GET / HTTP/2.0"), 505),
    ("9110 15.6.6", "HTTP/3.0", line(b"GET / HTTP/3.0"), 505),
    ("9110 15.6.6", "HTTP/0.9 in full", line(b"GET / HTTP/0.9"), 505),
    ("9110 15.6.6", "HTTP/9.9 and no Host", b"GET / HTTP/9.9\r\n\r\n", 505),
    ("9110 15.6.6", "HEAD in HTTP/2.0", line(b"HEAD / HTTP/2.0"), 505),
    ("9113 3.4", "the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ("9112 3", "TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(200)), 400),
    ("9112 3", "nothing like HTTP", b"\x00\x01\x02\x03", 400),
    ("9112 3", "mail", b"EHLO test.example\r\n", 400),
    ("9112 3", "a status line", b"HTTP/1.1 200 OK\r\n\r\n", 400),
    ("9110 15.5.15", "a target over the limit", line(b"GET /" + b"a" * 8192 + b" HTTP/1.1"), 414),
    ("9110 15.5.15", "a query over the limit", line(b"GET /?" + b"a" * 20_000 + b" HTTP/1.1"), 414),
    ("9110 15.5.15", "a line that does not end", b"GET /" + b"a" * 100_000, 414),
    ("9110 15.5.15", "a HEAD of a long target", line(b"HEAD /" + b"a" * 30_000 + b" HTTP/1.1"), 414),
]

FIELDS: list[Row] = [
    ("9112 2.2", "bare LF everywhere", b"GET /small.txt HTTP/1.1\nHost: test.example\n\n", 400),
    ("9112 2.2", "bare LF behind the request line", b"GET /small.txt HTTP/1.1\nHost: test.example\r\n\r\n", 400),
    ("9112 2.2", "bare LF behind a field", b"GET /small.txt HTTP/1.1\r\nHost: test.example\nX: y\r\n\r\n", 400),
    ("9112 2.2", "bare LF at the end", b"GET /small.txt HTTP/1.1\r\nHost: test.example\r\n\n", 400),
    ("9112 2.2", "bare LF before the request", b"\n" + PROBE, 400),
    ("9112 2.2", "bare CR in a value", head(HOST, b"X: a\rb"), 400),
    ("9112 2.2", "bare CR at the end of a value", head(HOST, b"X: a\r"), 400),
    ("9112 2.2", "bare CR before a field that would be smuggled", head(HOST, b"X: a\rContent-Length: 5"), 400),
    ("9112 2.2", "bare CR in a name", head(HOST, b"X\rY: a"), 400),
    ("9112 2.2", "whitespace before the first field", head(b" " + HOST), 400),
    ("9112 2.2", "a whitespace line before the first field", head(b" x", HOST), 400),
    ("9112 2.2", "a tab before the first field", head(b"\t" + HOST), 400),
    ("9112 5", "a line without a colon", head(HOST, b"nonsense"), 400),
    ("9112 5.1", "a blank before the colon", head(HOST, b"X-Name : value"), 400),
    ("9112 5.1", "a tab before the colon", head(HOST, b"X-Name\t: value"), 400),
    ("9112 5.1", "a blank before the colon of Host", head(b"Host : test.example"), 400),
    ("9112 5.1", "a blank before the colon of Content-Length", post(b"Content-Length : 5", body=b"hello"), 400),
    ("9112 5.1", "a blank before the colon of Transfer-Encoding", post(b"Transfer-Encoding : chunked"), 400),
    ("9112 5.2", "a folded line", head(HOST, b"X: a", b" b"), 400),
    ("9112 5.2", "a folded line with a tab", head(HOST, b"X: a", b"\tb"), 400),
    ("9112 5.2", "a folded Host", head(b"Host:", b" test.example"), 400),
    ("9112 5.2", "a folded Transfer-Encoding", post(b"Transfer-Encoding:", b" chunked"), 400),
    ("9112 5.2", "a folded line of blanks", head(HOST, b"X: a", b"   "), 400),
    ("9110 5.1", "an empty name", head(HOST, b": value"), 400),
    ("9110 5.1", "a name with a blank", head(HOST, b"X Name: value"), 400),
    ("9110 5.1", "a name with parentheses", head(HOST, b"X(Name): value"), 400),
    ("9110 5.1", "a name with a slash", head(HOST, b"X/Name: value"), 400),
    ("9110 5.1", "a name in quotes", head(HOST, b'"X": value'), 400),
    ("9110 5.1", "a name with octets above ASCII", head(HOST, b"X-N\xc3\xa4me: value"), 400),
    ("9110 5.1", "a name with a control", head(HOST, b"X\x01: value"), 400),
    ("9110 5.5", "NUL in a name", head(HOST, b"X\0: value"), 400),
    ("9110 5.5", "NUL in a value", head(HOST, b"X: a\0b"), 400),
    ("9110 5.5", "NUL at the end of a value", head(HOST, b"X: a\0"), 400),
    ("9110 5.5", "a control in a value", head(HOST, b"X: a\x01b"), 400),
    ("9110 5.5", "DEL in a value", head(HOST, b"X: a\x7fb"), 400),
    ("9112 3.2", "no Host in HTTP/1.1", head(), 400),
    ("9112 3.2", "no Host, but others", head(b"Accept: */*"), 400),
    ("9112 3.2", "no Host in HTTP/1.2", request(b"/small.txt", version=b"1.2", host=False), 400),
    ("9112 3.2", "no Host with an absolute target", request(b"http://test.example/", host=False), 400),
    ("9112 3.2", "two Hosts", head(HOST, b"Host: other.example"), 400),
    ("9112 3.2", "two equal Hosts", head(HOST, HOST), 400),
    ("9112 3.2", "two Hosts in HTTP/1.0", request(b"/small.txt", HOST, version=b"1.0"), 400),
    ("9112 3.2", "two Hosts, one empty", head(HOST, b"host:"), 400),
    ("9112 3.2", "Host with a blank", head(b"Host: test example"), 400),
    ("9112 3.2", "Host with a path", head(b"Host: test.example/path"), 400),
    ("9112 3.2", "Host with userinfo", head(b"Host: user@test.example"), 400),
    ("9112 3.2", "Host with a scheme", head(b"Host: http://test.example"), 400),
    ("9112 3.2", "Host with a port that is no number", head(b"Host: test.example:http"), 400),
    ("9112 3.2", "Host with two ports", head(b"Host: test.example:80:80"), 400),
    ("9112 3.2", "Host with a query", head(b"Host: test.example?x"), 400),
    ("9112 3.2", "Host with a fragment", head(b"Host: test.example#x"), 400),
    ("9112 3.2", "Host with half a bracket", head(b"Host: [::1"), 400),
    ("9112 3.2", "Host with an address without brackets", head(b"Host: ::1"), 400),
    ("9112 3.2", "Host with octets above ASCII", head(b"Host: t\xebst.example"), 400),
    ("9112 3.2", "Host with a bad percent-encoding", head(b"Host: test%zz.example"), 400),
    ("9112 3.2", "Host with a backslash", head(b"Host: test.example\\x"), 400),
    ("9112 3.2", "Host with quotes and angles", head(b'Host: "><script>'), 400),
    ("6585 5", "too many fields", head(HOST, *[b"X-%d: y" % number for number in range(100)]), 431),
    ("6585 5", "a field that is too long", head(HOST, b"Cookie: " + b"c" * 40_000), 431),
    ("6585 5", "fields that are too long together", head(HOST, *[b"X: " + b"y" * 500] * 80), 431),
    ("6585 5", "fields that do not end", b"GET / HTTP/1.1\r\n" + b"X: " + b"y" * 100_000, 431),
]

BODIES: list[Row] = [
    ("9112 6.3", "Content-Length and Transfer-Encoding", chunked(b"0\r\n\r\n", b"Content-Length: 5"), 400),
    (
        "9112 6.3",
        "the two the other way round",
        post(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
        400,
    ),
    (
        "9112 6.3",
        "the two on a GET",
        request(b"/", b"Transfer-Encoding: chunked", b"Content-Length: 0", body=b"0\r\n\r\n"),
        400,
    ),
    ("9112 6.3", "two Content-Lengths", post(b"Content-Length: 5", b"Content-Length: 6", body=b"hello!"), 400),
    ("9112 6.3", "two equal Content-Lengths", post(b"Content-Length: 5", b"Content-Length: 5", body=b"hello"), 400),
    ("9112 6.3", "a list of Content-Lengths", post(b"Content-Length: 5, 6", body=b"hello!"), 400),
    ("9112 6.3", "a list of equal Content-Lengths", post(b"Content-Length: 5, 5", body=b"hello"), 400),
    ("9112 6.2", "a negative Content-Length", post(b"Content-Length: -5", body=b"hello"), 400),
    ("9112 6.2", "a Content-Length with a plus", post(b"Content-Length: +5", body=b"hello"), 400),
    ("9112 6.2", "an empty Content-Length", post(b"Content-Length:"), 400),
    ("9112 6.2", "a Content-Length in hexadecimal", post(b"Content-Length: 0x5", body=b"hello"), 400),
    ("9112 6.2", "a Content-Length with letters", post(b"Content-Length: 5a", body=b"hello"), 400),
    ("9112 6.2", "a Content-Length with a point", post(b"Content-Length: 5.0", body=b"hello"), 400),
    ("9112 6.2", "a Content-Length with a blank", post(b"Content-Length: 5 5", body=b"hello"), 400),
    ("9112 6.2", "a Content-Length with an underscore", post(b"Content-Length: 1_0", body=b"hellohello"), 400),
    ("9112 6.2", "a Content-Length in other digits", post(b"Content-Length: \xb2", body=b"he"), 400),
    ("9112 6.2", "a Content-Length in quotes", post(b'Content-Length: "5"', body=b"hello"), 400),
    ("9110 8.6", "a Content-Length beyond all numbers", post(b"Content-Length: " + b"9" * 40), 400),
    (
        "9112 6.1",
        "Transfer-Encoding in HTTP/1.0",
        request(b"/", b"Transfer-Encoding: chunked", version=b"1.0", body=b"0\r\n\r\n"),
        400,
    ),
    ("9112 6.3", "a coding that is not chunked", post(b"Transfer-Encoding: gzip", body=b"hello"), 400),
    ("9112 6.3", "identity, which is no coding any more", post(b"Transfer-Encoding: identity", body=b"hello"), 400),
    ("9112 6.3", "chunked is not the last", post(b"Transfer-Encoding: chunked, gzip", body=b"0\r\n\r\n"), 400),
    ("9112 6.3", "chunked is not the last, on two lines", chunked(b"0\r\n\r\n", b"Transfer-Encoding: gzip"), 400),
    ("9112 6.3", "nearly chunked: xchunked", post(b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n"), 400),
    ("9112 6.3", "nearly chunked: chunkedx", post(b"Transfer-Encoding: chunkedx", body=b"0\r\n\r\n"), 400),
    ("9112 6.3", "nearly chunked: a vertical tab", post(b"Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n"), 400),
    ("9112 6.3", "nearly chunked: in quotes", post(b'Transfer-Encoding: "chunked"', body=b"0\r\n\r\n"), 400),
    ("9112 6.3", "nearly chunked: a parameter", post(b"Transfer-Encoding: chunked;q=1", body=b"0\r\n\r\n"), 400),
    ("9112 6.3", "an empty Transfer-Encoding", post(b"Transfer-Encoding:", body=b"0\r\n\r\n"), 400),
    ("9112 7", "chunked twice", post(b"Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n"), 400),
    (
        "9112 6.1",
        "a coding that is not known, then chunked",
        post(b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"),
        501,
    ),
    (
        "9112 6.1",
        "another, on two lines",
        post(b"Transfer-Encoding: x", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
        501,
    ),
    ("9112 7.1", "a chunk size that is no number", chunked(b"zz\r\nhello\r\n0\r\n\r\n"), 400),
    ("9112 7.1", "a chunk size that is no number, and no more", chunked(b"z\r\n"), 400),
    ("9112 7.1", "a negative chunk size", chunked(b"-5\r\nhello\r\n0\r\n\r\n"), 400),
    ("9112 7.1", "a chunk size with a plus", chunked(b"+5\r\nhello\r\n0\r\n\r\n"), 400),
    ("9112 7.1", "a chunk size with 0x", chunked(b"0x5\r\nhello\r\n0\r\n\r\n"), 400),
    ("9112 7.1", "a chunk size with an underscore", chunked(b"1_0\r\nhello\r\n0\r\n\r\n"), 400),
    ("9112 7.1", "a blank before a chunk size", chunked(b" 5\r\nhello\r\n0\r\n\r\n"), 400),
    ("9112 7.1", "no chunk size", chunked(b"\r\nhello\r\n0\r\n\r\n"), 400),
    ("9112 7.1", "an extension and no chunk size", chunked(b";a=b\r\nhello\r\n0\r\n\r\n"), 400),
    ("9112 7.1", "a chunk size beyond all numbers", chunked(b"f" * 17 + b"\r\nhello\r\n0\r\n\r\n"), 400),
    ("9112 7.1", "a chunk size that would wrap to 5", chunked(b"10000000000000005\r\nhello\r\n0\r\n\r\n"), 400),
    ("9112 7.1", "bare LF behind a chunk size", chunked(b"5\nhello\r\n0\r\n\r\n"), 400),
    ("9112 7.1", "bare LF behind a chunk", chunked(b"5\r\nhello\n0\r\n\r\n"), 400),
    ("9112 7.1", "bare CR behind a chunk size", chunked(b"5\rhello\r\n0\r\n\r\n"), 400),
    ("9112 7.1", "a chunk longer than its size", chunked(b"5\r\nhello!\r\n0\r\n\r\n"), 400),
    ("9112 7.1", "a chunk shorter than its size", chunked(b"6\r\nhello\r\n0\r\n\r\n"), 400),
    ("9112 7.1.1", "bare LF in a chunk extension", chunked(b"5;a\nb\r\nhello\r\n0\r\n\r\n"), 400),
    ("9112 7.1.1", "NUL in a chunk extension", chunked(b"5;a\0b\r\nhello\r\n0\r\n\r\n"), 400),
    ("9112 7.1.2", "a blank before a trailer's colon", chunked(b"0\r\nX : y\r\n\r\n"), 400),
    ("9112 7.1.2", "a folded trailer", chunked(b"0\r\nX: y\r\n z\r\n\r\n"), 400),
    ("9112 7.1.2", "a trailer without a colon", chunked(b"0\r\nnonsense\r\n\r\n"), 400),
    ("9112 7.1.2", "bare LF in the trailers", chunked(b"0\r\nX: y\nZ: a\r\n\r\n"), 400),
    ("9112 7.1.2", "bare LF at the end", chunked(b"0\n\n"), 400),
    (
        "9110 9.3.2",
        "a HEAD with bad chunks",
        request(b"/", b"Transfer-Encoding: chunked", method=b"HEAD", body=b"zz\r\n\r\n"),
        400,
    ),
    ("9110 15.5.14", "a Content-Length over the limit", post(b"Content-Length: 65537"), 413),
    ("9110 15.5.14", "a Content-Length far over the limit", post(b"Content-Length: 9223372036854775807"), 413),
    (
        "9110 15.5.14",
        "a GET with too large a body",
        request(b"/small.txt", b"Content-Length: 100000", body=b"x" * 100_000),
        413,
    ),
    ("9110 15.5.14", "a HEAD with too large a body", request(b"/", b"Content-Length: 100000", method=b"HEAD"), 413),
    ("9110 15.5.14", "chunks over the limit", chunked((b"1000\r\n" + b"x" * 4096 + b"\r\n") * 20), 413),
    ("9110 15.5.14", "small chunks over the limit", chunked(b"1\r\nx\r\n" * 20_000), 413),
    ("9110 15.5.14", "trailers over the limit", chunked(b"0\r\n" + b"X: y\r\n" * 20_000), 413),
    ("9110 10.1.1", "an expectation that is not known", request(b"/small.txt", b"Expect: 200-maybe"), 417),
    ("9110 10.1.1", "an expectation beside the known one", request(b"/small.txt", b"Expect: 100-continue, magic"), 417),
]

ROWS = REQUEST_LINES + FIELDS + BODIES
every_row = pytest.mark.parametrize(
    ("data", "status"), [row[2:] for row in ROWS], ids=[f"{row[0]}: {row[1]}" for row in ROWS]
)


def assert_refused(client: Client, data: bytes, status: int) -> None:
    """The answer has this status, is the last, and is followed by the end."""
    answer = client.read(method_of(data))
    assert answer.status == status
    assert answer.closes
    assert int(answer.fields[b"content-length"]) > 0
    client.assert_closed()


@every_row
def test_refused(client: Client, data: bytes, status: int) -> None:
    client.send(data)
    assert_refused(client, data, status)


@every_row
def test_requests_before_the_fault_are_answered_first(
    client: Client, data: bytes, status: int, request: pytest.FixtureRequest
) -> None:
    """RFC 9112, 9.3.2: hits and misses alike, in order; what stands behind the fault is not read (11.2)."""
    miss = b"GET /miss-%d HTTP/1.1\r\nHost: test.example\r\n\r\n" % abs(hash(request.node.name))
    client.send(PROBE + miss + PROBE + data + PROBE)
    assert client.read().body == PROBE_BODY
    assert client.read().status == 404
    assert client.read().body == PROBE_BODY
    assert_refused(client, data, status)


@every_row
def test_refused_in_pieces(client: Client, data: bytes, status: int) -> None:
    """RFC 9112, 2.2: the verdict does not hang on how the octets are dealt out."""
    step = max(1, len(data) // 40)
    for start in range(0, len(data), step):
        client.send(data[start : start + step])
    assert_refused(client, data, status)


def test_no_connection_stays_behind(connect: Connect, server: Background) -> None:
    """RFC 9112, 9.6: the server closes its sockets wholly once the client has closed too."""
    clients = [connect() for _ in range(20)]
    for client in clients:
        client.send(b"GET / HTTP/1.1\nHost: x\n\n" + b"x" * 1000)
        client.read()
        client.assert_closed()
    for client in clients:
        client.finish()
    for _ in range(1000):
        if server.metrics()["connections"] == 0:
            return
    raise AssertionError(f"{server.metrics()['connections']} connections are left")


INCOMPLETE = [
    b"G",
    b"GET /small.txt HTTP/1.1",
    b"GET /small.txt HTTP/1.1\r\nHost: test.exa",
    b"GET /small.txt HTTP/1.1\r\nHost: test.example\r\n",
    request(b"/small.txt", b"Content-Length: 10", body=b"hello"),
    request(b"/small.txt", b"Transfer-Encoding: chunked", body=b"5\r\nhel"),
    request(b"/small.txt", b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\n"),
]


def test_what_is_not_completed_is_answered_in_the_end(connect_hasty: Connect) -> None:
    """RFC 9110, 15.5.9: the server waits for a time, then says so and closes. All at once: each waits as long."""
    clients = [connect_hasty() for _ in INCOMPLETE]
    for client, data in zip(clients, INCOMPLETE, strict=True):
        client.send(PROBE)
        assert client.read().body == PROBE_BODY
        client.send(data)
    for client, data in zip(clients, INCOMPLETE, strict=True):
        answer = client.read()
        assert (answer.status, answer.closes) == (408, True), data
        client.assert_closed()


def test_who_says_nothing_is_let_go_without_a_word(connect_hasty: Connect) -> None:
    """RFC 9112, 9.5: an answer to no request could be taken for that to the next one. Before the first and after."""
    silent, served = connect_hasty(), connect_hasty()
    served.send(PROBE)
    assert served.read().body == PROBE_BODY
    for client in (silent, served):
        client.assert_closed()
