"""Methods: GET, HEAD, OPTIONS, and how the others are refused (RFC 9110, section 9)."""

import re
from pathlib import Path

import pytest

from tests.conformance.client import Case, Client, assert_case, assert_fields, cases, request

ALLOW = b"GET, HEAD, OPTIONS"


@cases(
    [
        Case("9110 9.1", "GET is supported", request(b"/pattern.bin"), 200, {b"content-length": b"1000"}),
        Case("9110 9.1", "HEAD is supported", request(b"/pattern.bin", method=b"HEAD"), 200, body=b""),
        Case("9110 9.1", "methods are case-sensitive: get", request(b"/small.txt", method=b"get"), 501),
        Case("9110 9.1", "methods are case-sensitive: Head", request(b"/small.txt", method=b"Head"), 501),
        Case("9110 9.1", "unknown method", request(b"/small.txt", method=b"FROBNICATE"), 501),
        Case("9110 9.1", "unknown method of another protocol", request(b"/", method=b"PROPFIND"), 501),
        Case("9110 9.1", "unknown method with every sign of a token", request(b"/", method=b"!#$%&'*+-.^_`|~0A"), 501),
        Case("9110 9.1", "unknown method where nothing is", request(b"/none.txt", method=b"FROBNICATE"), 501),
        Case("9112 3", "method longer than all that are known", request(b"/", method=b"M" * 200), 501),
        Case("9110 9.3.3", "POST", request(b"/small.txt", method=b"POST"), 405, {b"allow": ALLOW}),
        Case("9110 9.3.4", "PUT", request(b"/small.txt", method=b"PUT"), 405, {b"allow": ALLOW}),
        Case("9110 9.3.5", "DELETE", request(b"/small.txt", method=b"DELETE"), 405, {b"allow": ALLOW}),
        Case("9110 9.3.6", "CONNECT", request(b"test.example:443", method=b"CONNECT"), 405, {b"allow": ALLOW}),
        Case("9110 9.3.8", "TRACE", request(b"/small.txt", method=b"TRACE"), 405, {b"allow": ALLOW}),
        Case("9110 15.5.6", "PATCH", request(b"/small.txt", method=b"PATCH"), 405, {b"allow": ALLOW}),
        Case("9110 9.3.7", "OPTIONS", request(b"/small.txt", method=b"OPTIONS"), 204, {b"allow": ALLOW}),
        Case("9110 9.3.7", "OPTIONS of a directory", request(b"/sub/", method=b"OPTIONS"), 204, {b"allow": ALLOW}),
        Case("9110 9.3.7", "OPTIONS *", request(b"*", method=b"OPTIONS"), 204, {b"allow": ALLOW}),
        Case(
            "9110 9.3.7",
            "OPTIONS * in HTTP/1.0",
            request(b"*", b"Connection: keep-alive", method=b"OPTIONS", version=b"1.0"),
            204,
        ),
        Case("9110 7.6.2", "OPTIONS with Max-Forwards", request(b"*", b"Max-Forwards: 0", method=b"OPTIONS"), 204),
        Case(
            "9112 3.2.4", "OPTIONS of a whole server, absolute", request(b"http://test.example", method=b"OPTIONS"), 204
        ),
    ]
)
def test_method(client: Client, case: Case) -> None:
    assert_case(client, case)


@pytest.mark.parametrize(
    "target",
    [
        b"/small.txt",
        b"/empty.txt",
        b"/big.bin",
        b"/",
        b"/sub",
        b"/none.txt",
        b"/.hidden",
        b"/coded.txt",
        b"/sub/?query",
    ],
)
@pytest.mark.parametrize("accept", [b"*/*", b"text/html"])
def test_head_has_the_fields_of_get(client: Client, target: bytes, accept: bytes) -> None:
    """RFC 9110, 9.3.2: no content, and the fields that GET would have had; Date may differ."""
    lines = (b"Accept: " + accept, b"Accept-Encoding: gzip")
    head = client.ask(request(target, *lines, method=b"HEAD"))
    get = client.ask(request(target, *lines))
    assert head.status == get.status
    assert {**head.fields, b"date": b""} == {**get.fields, b"date": b""}
    assert int(get.fields[b"content-length"]) == len(get.body)
    client.assert_kept()


@pytest.mark.parametrize(
    "lines",
    [
        (b"If-None-Match: *",),
        (b'If-Match: "other"',),
        (b"If-Modified-Since: Mon, 01 Jan 2001 00:00:00 GMT",),
        (b"If-Unmodified-Since: Sun, 31 Dec 2000 23:59:59 GMT",),
        (b"Accept-Encoding: gzip, br",),
    ],
)
@pytest.mark.parametrize("target", [b"/old.txt", b"/coded.txt"])
def test_head_has_the_status_and_fields_of_a_conditional_get(
    client: Client, target: bytes, lines: tuple[bytes, ...]
) -> None:
    """RFC 9110, 13.2.1 and 9.3.2: conditions count for HEAD as for GET."""
    head = client.ask(request(target, *lines, method=b"HEAD"))
    get = client.ask(request(target, *lines))
    assert head.status == get.status
    assert {**head.fields, b"date": b""} == {**get.fields, b"date": b""}


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
def test_an_asterisk_is_for_options_only(client: Client, method: bytes) -> None:
    """RFC 9112, 3.2.4."""
    assert client.ask(request(b"*", method=method)).status == 400
    client.assert_closed()


@pytest.mark.parametrize("target", [b"test.example", b"test.example:", b"test.example:99999", b":443", b"[::1]:443"])
def test_connect_is_refused_whatever_its_target(client: Client, target: bytes) -> None:
    """RFC 9110, 9.3.6: an empty or invalid port is to be refused; here there is no tunnel to any."""
    assert client.ask(request(target, method=b"CONNECT")).status in (400, 405)


def test_trace_gives_nothing_back(client: Client) -> None:
    """RFC 9110, 9.3.8: what TRACE would reflect may be private; it is not implemented."""
    answer = client.ask(request(b"/small.txt", b"Cookie: very=private", method=b"TRACE"))
    assert answer.status == 405
    assert b"private" not in answer.body
    assert answer.fields[b"content-type"] != b"message/http"


@pytest.mark.parametrize("method", [b"PUT", b"DELETE", b"POST", b"PATCH"])
def test_nothing_is_changed(client: Client, root: Path, method: bytes) -> None:
    """RFC 9110, 9.2.1: whatever is sent, the file stays as it was, and the connection goes on."""
    before = (root / "notes.txt").read_bytes()
    answer = client.ask(request(b"/notes.txt", b"Content-Length: 7", method=method, body=b"changed"))
    assert answer.status == 405
    assert_fields(answer, {b"allow": re.compile(rb"\bGET\b.*\bHEAD\b")})
    assert client.ask(request(b"/notes.txt")).body == before == (root / "notes.txt").read_bytes()


@pytest.mark.parametrize("lines", [(b"Content-Length: 5",), (b"Transfer-Encoding: chunked",)])
@pytest.mark.parametrize("target", [b"*", b"/small.txt", b"/none.txt"])
def test_options_reads_past_its_content(client: Client, target: bytes, lines: tuple[bytes, ...]) -> None:
    """RFC 9110, 9.3.7: OPTIONS may have content; no use of it is known here."""
    body = b"hello" if lines[0].startswith(b"Content") else b"5\r\nhello\r\n0\r\n\r\n"
    answer = client.ask(request(target, *lines, method=b"OPTIONS", body=body))
    assert (answer.status, answer.fields.get(b"allow")) == (204, ALLOW)
    client.assert_kept()


@pytest.mark.parametrize(
    "line",
    [
        b'If-Match: "other"',
        b"If-None-Match: *",
        b"If-Unmodified-Since: Sun, 31 Dec 2000 23:59:59 GMT",
        b"Range: bytes=0-1",
        b"Range: bytes=99999999-",
    ],
)
@pytest.mark.parametrize(("method", "status"), [(b"OPTIONS", 204), (b"POST", 405), (b"TRACE", 405), (b"FOO", 501)])
def test_conditions_and_ranges_are_of_no_account_elsewhere(
    client: Client, method: bytes, status: int, line: bytes
) -> None:
    """RFC 9110, 13.2.1 and 14.2: they count where a representation is selected, and Range for GET alone."""
    assert client.ask(request(b"/old.txt", line, method=method)).status == status
    client.assert_kept()
