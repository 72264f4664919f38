"""Error pages, kept."""

from flashpy.http.response import Response
from flashpy.resource.errors import ErrorPages
from tests.http.making import request


def field(response: Response, name: bytes) -> bytes | None:
    """A field of a response."""
    return dict(response.head.fields).get(name)


def test_each_kind_is_rendered_once() -> None:
    """The same for the same status, method, form and fields; another for any other."""
    pages = ErrorPages(((b"Server", b"flashpy"),))
    first = pages.answer(request(b"/a"), 404)
    assert pages.answer(request(b"/b"), 404) is first
    others = [
        pages.answer(request(b"/a"), 403),
        pages.answer(request(b"/a", b"HEAD"), 404),
        pages.answer(request(b"/a", accept=b"text/html"), 404),
        pages.answer(request(b"/a"), 404, ((b"Allow", b"GET"),)),
    ]
    assert len({id(page) for page in [first, *others]}) == 5
    assert all(field(page, b"Server") == b"flashpy" for page in [first, *others])
    assert not others[1].body and field(others[1], b"Content-Length") == field(first, b"Content-Length")


def test_503_says_when_to_come_back() -> None:
    """RFC 9110, 15.6.4 and 10.2.3."""
    pages = ErrorPages()
    assert field(pages.answer(request(), 503), b"Retry-After") == b"1"
    assert field(pages.answer(request(), 500), b"Retry-After") is None


def test_faults_of_framing_close() -> None:
    """RFC 9112, 9.3 and 11.2: after them the next request could not be found; after others it can."""
    pages = ErrorPages()
    closing = {
        status
        for status in (400, 403, 404, 405, 412, 413, 414, 416, 417, 431, 500, 501, 503, 505)
        if pages.answer(request(), status).close
    }
    assert closing == {400, 413, 414, 417, 431, 505}


def test_what_is_kept_is_bounded() -> None:
    """A client can make up as many 416 as it likes: their Content-Range differs with each size of file."""
    pages = ErrorPages()
    for size in range(1200):
        fields = ((b"Content-Range", b"bytes */%d" % size),)
        assert field(pages.answer(request(), 416, fields), b"Content-Range") == b"bytes */%d" % size
    late = ((b"Content-Range", b"bytes */1199"),)
    assert pages.answer(request(), 416, late) is not pages.answer(request(), 416, late)
