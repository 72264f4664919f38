"""Error answers (RFC 9110, 15.5, 15.6 and 12.5.1)."""

import re

import pytest

from tests.conformance.client import Answer, Client, request

HTML, TEXT = b"text/html; charset=utf-8", b"text/plain; charset=utf-8"
BROWSER = b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"

ERRORS: list[tuple[str, bytes, tuple[bytes, ...], bytes, int, bytes]] = [
    ("15.5.5", b"/none.txt", (), b"GET", 404, b"404 Not Found"),
    ("15.5.5", b"/.hidden", (), b"GET", 404, b"404 Not Found"),
    ("15.5.6", b"/small.txt", (), b"POST", 405, b"405 Method Not Allowed"),
    ("15.5.13", b"/small.txt", (b'If-Match: "x"',), b"GET", 412, b"412 Precondition Failed"),
    ("15.5.17", b"/small.txt", (b"Range: bytes=1000-",), b"GET", 416, b"416 Range Not Satisfiable"),
    ("15.6.2", b"/small.txt", (), b"FROBNICATE", 501, b"501 Not Implemented"),
]
every_error = pytest.mark.parametrize(
    ("target", "lines", "method", "status", "title"),
    [row[1:] for row in ERRORS],
    ids=[f"{r[0]}: {r[4]}" for r in ERRORS],
)


def assert_page(answer: Answer, status: int, title: bytes, kind: bytes) -> None:
    """The page says what is wrong, in this form."""
    assert answer.status == status
    assert answer.reason == title[4:]
    assert answer.fields[b"content-type"] == kind
    assert answer.fields[b"vary"] == b"Accept"  # 12.5.5
    assert title in answer.body
    assert (re.match(rb"<!DOCTYPE html>", answer.body) is not None) is (kind == HTML)
    for absent in (b"last-modified", b"etag", b"accept-ranges", b"content-encoding"):
        assert absent not in answer.fields


@every_error
def test_html_for_browsers(
    client: Client, target: bytes, lines: tuple[bytes, ...], method: bytes, status: int, title: bytes
) -> None:
    """RFC 9110, 12.5.1 and 15.5: with an explanation that the client can show."""
    assert_page(client.ask(request(target, BROWSER, *lines, method=method)), status, title, HTML)
    client.assert_kept()


@every_error
def test_text_for_programs(
    client: Client, target: bytes, lines: tuple[bytes, ...], method: bytes, status: int, title: bytes
) -> None:
    """RFC 9110, 12.5.1 and 15.5."""
    assert_page(client.ask(request(target, b"Accept: */*", *lines, method=method)), status, title, TEXT)
    assert_page(client.ask(request(target, *lines, method=method)), status, title, TEXT)
    client.assert_kept()


@pytest.mark.parametrize(
    ("section", "accept", "kind"),
    [
        ("12.5.1", b"text/html", HTML),
        ("12.5.1", b"TEXT/HTML", HTML),
        ("12.5.1", b"text/html;q=0.9, text/plain;q=0.8", HTML),
        ("12.5.1", b"text/plain;q=0.5, text/html", HTML),
        ("12.5.1", b"text/html;level=1, */*;q=0.1", HTML),
        ("12.5.1", b"text/html, */*", HTML),
        ("12.5.1", b"text/html;q=0.8, text/*;q=0.5", HTML),
        ("12.4.2", b"text/html;q=0.002, text/plain;q=0.001", HTML),
        ("12.5.1", b"text/plain", TEXT),
        ("12.5.1", b"text/*", TEXT),
        ("12.5.1", b"*/*", TEXT),
        ("12.5.1", b"text/html;q=0.1, text/plain", TEXT),
        ("12.5.1", b"text/html;q=0, */*", TEXT),
        ("12.4.2", b"text/html;q=0", TEXT),
        ("12.4.2", b"text/html;q=0.000, text/plain;q=0.001", TEXT),
        ("12.5.1", b"application/json", TEXT),
        ("12.5.1", b"image/png, image/*;q=0.8", TEXT),
        ("12.5.1", b"nonsense", TEXT),
        ("12.5.1", b"", TEXT),
        ("5.6.1", b",,text/html,,", HTML),
    ],
)
def test_form_by_accept(client: Client, section: str, accept: bytes, kind: bytes) -> None:
    """RFC 9110, in these sections."""
    answer = client.ask(request(b"/none.txt", b"Accept: " + accept))
    assert answer.fields[b"content-type"] == kind, section


@pytest.mark.parametrize("accept", [b"text/html", b"text/plain"])
@pytest.mark.parametrize(
    ("target", "lines"),
    [
        (b"/none.txt", ()),
        (b"/small.txt", (b'If-Match: "x"',)),
        (b"/.hidden", ()),
        (b"/small.txt/", ()),
    ],
)
def test_head_of_an_error(client: Client, target: bytes, lines: tuple[bytes, ...], accept: bytes) -> None:
    """RFC 9110, 9.3.2: the fields of the page, and no page."""
    line = b"Accept: " + accept
    head = client.ask(request(target, line, *lines, method=b"HEAD"))
    get = client.ask(request(target, line, *lines))
    assert head.status == get.status >= 400
    assert {**head.fields, b"date": b""} == {**get.fields, b"date": b""}
    assert head.body == b"" != get.body
    client.assert_kept()


def test_405_says_what_is_allowed_and_others_do_not(client: Client) -> None:
    """RFC 9110, 15.5.6 and 10.2.1."""
    allow = client.ask(request(b"/", method=b"PUT")).fields[b"allow"]
    assert {method.strip() for method in allow.split(b",")} == {b"GET", b"HEAD", b"OPTIONS"}
    assert b"allow" not in client.ask(request(b"/none.txt")).fields


@pytest.mark.parametrize(
    "target", [b"/<script>alert(1)</script>", b"/%3Cscript%3Ealert(1)%3C/script%3E", b"/none?<script>alert(1)</script>"]
)
def test_nothing_of_the_request_is_in_the_page(client: Client, target: bytes) -> None:
    """RFC 9110, 17.10 and 9.3.8: what is sent back could be read, or run, by others."""
    answer = client.ask(request(target, BROWSER, b"Cookie: private=1", b"Referer: http://x/<script>"))
    assert answer.status == 404
    assert b"script" not in answer.body and b"private" not in answer.body


def test_errors_do_not_stay_when_the_form_changes(client: Client) -> None:
    """RFC 9110, 12.5.1: one form is not kept for those who want the other."""
    for _ in range(3):
        assert client.ask(request(b"/none.txt", b"Accept: text/html")).fields[b"content-type"] == HTML
        assert client.ask(request(b"/none.txt", b"Accept: text/plain")).fields[b"content-type"] == TEXT
        assert client.ask(request(b"/none.txt", BROWSER, method=b"HEAD")).body == b""
