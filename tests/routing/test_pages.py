"""A site's own error pages, and which requests a single-page application answers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashpy.routing.pages import ErrorPaths, is_navigation

CHROME = b"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


def test_the_page_for_a_status() -> None:
    """The one for just this status first."""
    pages = ErrorPaths({"404": "/404.html", "5xx": "/errors/50x.html", "503": "/b%20usy.html", "4xx": "/é.html"})
    assert len(pages) == 4 and not ErrorPaths({})
    assert pages.path(404) == b"/404.html"
    assert pages.path(403) == "/é.html".encode()
    assert pages.path(500) == b"/errors/50x.html"
    assert pages.path(503) == b"/b usy.html"
    assert pages.path(200) is None
    assert ErrorPaths({"404": "/404.html"}).path(403) is None


@pytest.mark.parametrize("status", ["200", "3xx", "40", "4045", "xx", "4x4", "600", ""])
def test_what_is_no_status_of_an_error_is_refused(status: str) -> None:
    """In a sentence."""
    with pytest.raises(ValueError, match="no status of an error"):
        ErrorPaths({status: "/x.html"})


@pytest.mark.parametrize("path", ["", "404.html", "/", "/a/", "/../x", "/a%2Fb", "/a%00", "https://example.org/x"])
def test_what_is_no_page_is_refused(path: str) -> None:
    """In a sentence."""
    with pytest.raises(ValueError, match="no path of a page"):
        ErrorPaths({"404": path})


@pytest.mark.parametrize(
    "path",
    [b"/", b"/about", b"/users/7", b"/v1.2/users", b"/release/1.2", b"/a/", b"/x.verylongname", b"/a.b-c", b"/a."],
)
def test_navigations(path: bytes) -> None:
    """RFC 9110, 12.5.1: a browser names text/html when it wants a page."""
    for method in (b"GET", b"HEAD"):
        assert is_navigation(CHROME, path, method)
    assert is_navigation(b"TEXT/HTML; charset=utf-8", path, b"GET")
    assert not is_navigation(CHROME, path, b"POST")
    for accept in (
        None,
        b"",
        b"*/*",
        b"text/*",
        b"image/avif,image/webp,*/*;q=0.8",
        b"text/html;q=0, */*",
        b"text/htmlx",
    ):
        assert not is_navigation(accept, path, b"GET")


@pytest.mark.parametrize(
    "path",
    [
        b"/.well-known/security",
        b"/app.js",
        b"/app.3f9a1c2b.js",
        b"/user/jane.doe",
        b"/a.html",
        b"/a.mp4",
        b"/a.7z",
        b"/.env",
        b"/a.webmanif",
    ],
)
def test_files(path: bytes) -> None:
    """What has a file extension stays 404 when it is missing."""
    assert not is_navigation(CHROME, path, b"GET")


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_any_request_has_an_answer(accept: bytes, path: bytes) -> None:
    """And only one that names text/html is a navigation."""
    assert not is_navigation(accept, b"/" + path, b"GET") or b"text/html" in accept.lower()
