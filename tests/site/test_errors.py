"""A site's own pages for errors: theirs is the content, the status and all else is the error's."""

import os
from collections.abc import Callable
from functools import partial

import pytest

from flashpy.job.kinds import Outcome, Result, Translate
from tests.site.conftest import Serve
from tests.site.serving import Serving

STATUSES = ["401", "403", "404", "405", "412", "416", "501", "503"]


def serving_all(serve: Serve) -> Serving:
    """A site with a page for each."""
    serving = serve(
        error_pages={status: f"/errors/{status}.html" for status in STATUSES},
        access=[{"match": ["/net/**"], "deny": ["127.0.0.0/8"]}, {"match": ["/pw"], "users": {}, "keys": ["0" * 16]}],
        headers={"X-Frame-Options": "DENY"},
        cache_control="max-age=1000",
    )
    for status in STATUSES:
        serving.write(f"errors/{status}.html", f"page of {status}")

    def bend(result: Result) -> Result:
        busy = isinstance(result.job, Translate) and result.job.path == b"/busy"
        return result._replace(outcome=Outcome.NO_DESCRIPTORS) if busy else result

    serving.runner.bend = bend
    return serving


@pytest.mark.parametrize(
    ("status", "target", "method", "fields", "has"),
    [
        (403, "/net/x", "GET", (), {"cache-control": "no-store"}),
        (403, "/pw", "GET", (), {"cache-control": "no-store"}),
        (404, "/nothing", "GET", (), {}),
        (404, "/.hidden", "GET", (), {}),
        (404, "/a%2Fb", "GET", (), {}),
        (405, "/index.html", "POST", ("Content-Length: 0",), {"allow": "GET, HEAD, OPTIONS"}),
        (412, "/index.html", "GET", ("If-Match: x",), {}),
        (416, "/index.html", "GET", ("Range: bytes=100-",), {"content-range": "bytes */10"}),
        (501, "/index.html", "BREW", (), {}),
        (503, "/busy", "GET", (), {"retry-after": "1"}),
    ],
)
def test_pages_of_errors(
    serve: Serve, status: int, target: str, method: str, fields: tuple[str, ...], has: dict[str, str]
) -> None:
    """The status is kept, and the fields that belong to it; no condition or range is about the page."""
    serving = serving_all(serve)
    for _ in range(2):
        seen = serving.ask(target, *fields, method=method)
        assert (seen.status, seen.body) == (status, f"page of {status}".encode())
        assert seen.fields["content-type"] == "text/html; charset=utf-8"
        assert seen.fields["x-frame-options"] == "DENY"
        assert has.items() <= seen.fields.items()
        for name in ("etag", "last-modified", "accept-ranges"):
            assert name not in seen.fields
        assert seen.fields.get("cache-control") in (None, "no-store")


@pytest.mark.parametrize(("target", "status"), [("/nothing", 404), ("/net/x", 403), ("/busy", 503)])
def test_head(serve: Serve, target: str, status: int) -> None:
    """RFC 9110, 9.3.2: the fields of GET, and no content."""
    serving = serving_all(serve)
    whole, head = serving.ask(target), serving.ask(target, method="HEAD")
    assert (head.status, head.fields, head.body) == (status, whole.fields, b"")


def test_a_page_that_is_not_there_or_not_for_clients(serve: Serve) -> None:
    """Missing, hidden, a directory, a link that leads outside, a FIFO: the error is told plainly."""
    serving = serve(error_pages={"404": "/404.html"}, hide=["/404.html"])
    serving.write("404.html", "never")
    assert serving.ask("/nothing").body.startswith(b"404 Not Found")
    serving = serve(error_pages={"404": "/oops.html"})
    page = serving.root / "oops.html"
    made: list[Callable[[], None]] = [page.mkdir, partial(page.symlink_to, "/etc/passwd"), partial(os.mkfifo, page)]
    for make in made:
        make()
        serving.later(10)
        assert serving.ask("/nothing").body.startswith(b"404 Not Found")
        page.rmdir() if page.is_dir() else page.unlink()


def test_a_large_page(serve: Serve) -> None:
    """One that is sent from a descriptor."""
    serving = serve(error_pages={"404": "/404.html"})
    serving.write("404.html", b"x" * 100_000)
    seen = serving.ask("/nothing")
    assert (seen.status, len(seen.body)) == (404, 100_000)


def test_the_page_is_never_coded(serve: Serve) -> None:
    """It is asked for without the client's fields; a coding is none of the error's."""
    serving = serve(error_pages={"404": "/404.html"}, precompressed=["gzip"], encode=["gzip"])
    serving.write("404.html", b"words " * 1000)
    serving.write("404.html.gz", b"packed")
    seen = serving.ask("/nothing", "Accept-Encoding: gzip")
    assert seen.body == b"words " * 1000 and "content-encoding" not in seen.fields


def test_a_change_of_the_page_is_seen(serve: Serve) -> None:
    serving = serve(error_pages={"404": "/404.html"})
    for text in ("one", "another"):
        serving.write("404.html", text)
        assert serving.ask("/nothing").body == text.encode()
        serving.later(10)
