"""Rendered heads, small answers, error pages."""

import os
from pathlib import Path

import pytest

from flashpy.buffers import Descriptor, Slice
from flashpy.http.http1 import Http1Shared
from flashpy.http.response import BODILESS, REASONS, Head, Response, error, fixed
from flashpy.http.wire import Tails
from flashpy.settings import LimitsSection
from tests.http.making import DATE, request, shared


def fields_of(response: Response) -> dict[bytes, bytes]:
    """The fields by lower-case name; none may be there twice."""
    names = [name.lower() for name, _ in response.head.fields]
    assert len(set(names)) == len(names)
    return {name.lower(): value for name, value in response.head.fields}


def test_a_head_is_rendered_when_it_is_made() -> None:
    """RFC 9112, 4 and 5: status line and field lines; Date, Connection and the empty line are the wire's."""
    head = Head(200, ((b"ETag", b'"x"'), (b"Content-Length", b"3")))
    assert head.http1 == b'HTTP/1.1 200 OK\r\nETag: "x"\r\nContent-Length: 3\r\n'


def test_a_status_without_a_phrase_keeps_its_space() -> None:
    """RFC 9112, 4: the space before an absent reason phrase must be sent."""
    assert Head(299, ()).http1 == b"HTTP/1.1 299 \r\n"


@pytest.mark.parametrize(
    ("status", "phrase"), [(206, b"Partial Content"), (413, b"Content Too Large"), (414, b"URI Too Long")]
)
def test_reason_phrases(status: int, phrase: bytes) -> None:
    """RFC 9110, 15."""
    assert REASONS[status] == phrase


@pytest.mark.parametrize("status", [200, 204, 301, 304, 404])
def test_fixed(status: int) -> None:
    """RFC 9110, 8.6: no Content-Length in a 204; the others say 0 (304 has none of its own to say)."""
    response = fixed(status, ((b"Allow", b"GET"),))
    assert response.body == ()
    assert fields_of(response).get(b"content-length") == (None if status in BODILESS else b"0")
    assert fields_of(response)[b"allow"] == b"GET"


@pytest.mark.parametrize("status", [400, 404, 405, 412, 416, 418, 431, 500, 501, 503, 505, 599])
@pytest.mark.parametrize(("accept", "kind"), [(None, b"text/plain"), (b"text/html", b"text/html")])
def test_error_pages(status: int, accept: bytes | None, kind: bytes) -> None:
    """RFC 9110, 15.5: an explanation in the form that is preferred, of the length that is announced."""
    response = error(status, accept, ((b"Allow", b"GET"),))
    (body,) = response.body
    fields = fields_of(response)
    assert isinstance(body, bytes)
    assert len(body) == response.length == int(fields[b"content-length"])
    assert fields[b"content-type"].startswith(kind)
    assert str(status).encode() in body
    assert body.isascii()
    assert fields[b"allow"] == b"GET"


def test_an_error_page_for_head() -> None:
    """RFC 9110, 9.3.2: the same fields, no content."""
    without, full = error(404, None, with_body=False), error(404, None)
    assert without.body == () and without.length == 0
    assert without.head.http1 == full.head.http1


def test_a_response_knows_what_comes_from_a_file(tmp_path: Path) -> None:
    """``sliced`` and ``length`` of an aggregate."""
    (tmp_path / "file").write_bytes(b"0123456789")
    file = Descriptor(os.open(tmp_path / "file", os.O_RDONLY))
    mixed = Response(Head(200, ()), (b"ab", Slice(file, 2, 5), b"c"))
    assert mixed.sliced and mixed.length == 8
    assert not Response(Head(200, ()), (b"ab",)).sliced
    assert repr(mixed) == "<Response 200 8 bytes>"


def test_an_answer_is_rendered_once_a_second() -> None:
    """What was rendered with a Date that has passed is let go when the next one is, whether it is asked for or not."""
    wires = shared()
    one, other = (Response(Head(200, ()), (body,)) for body in (b"one", b"other"))
    first = wires.at_once(request(), one, False)
    assert wires.at_once(request(), one, False) is first is not None and DATE in first
    wires.tails.set(b"Tue, 02 Jan 2024 03:04:06 GMT")
    assert wires.at_once(request(), other, False) == other.head.http1 + wires.tails.keep_alive + b"other"
    assert one.prepared is None and other.prepared is not None


def test_renderings_are_bounded_in_memory() -> None:
    """What does not fit is rendered each time, and the next second has room again."""
    wires = Http1Shared(LimitsSection(), Tails(DATE), 4 * 500)
    answers = [Response(Head(200, ()), (b"x" * 200,)) for _ in range(3)]
    for second in (b"Tue, 02 Jan 2024 03:04:06 GMT", b"Tue, 02 Jan 2024 03:04:07 GMT"):
        wires.tails.set(second)
        rendered = [wires.at_once(request(), answer, False) for answer in answers]
        assert len(set(rendered)) == 1 and [answer.prepared is None for answer in answers] == [False, True, True]
        answers.reverse()
