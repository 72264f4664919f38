"""Several sites at one address."""

from pathlib import Path
from typing import Any

import pytest

from tests.site.conftest import Serve
from tests.site.serving import Serving


def two(serve: Serve, tmp_path: Path, **first: Any) -> Serving:
    """Two sites with the same names in them, and other contents."""
    (tmp_path / "other").mkdir()
    for name in ("index.html", "app.js"):
        (tmp_path / "other" / name).write_text(f"the other {name}")
    other = {"root": str(tmp_path / "other"), "hosts": ["other.test", "*.other.test"], "cache_control": "no-cache"}
    return serve(more={"sites": [other]}, **first)


def test_two_sites_with_the_same_names(serve: Serve, tmp_path: Path) -> None:
    """Interleaved, from the caches that they share, each its own file, fields and validators."""
    serving = two(serve, tmp_path)
    for _ in range(3):
        for host, body in (("one.test", b"app.js"), ("other.test", b"the other app.js")):
            seen = serving.ask("/app.js", host=host)
            assert (seen.status, seen.body) == (200, body)
            assert seen.fields.get("cache-control") == ("no-cache" if host == "other.test" else None)
            etag = seen.fields["etag"]
            assert serving.status("/app.js", f"If-None-Match: {etag}", host=host) == 304
            elsewhere = "one.test" if host == "other.test" else "other.test"
            assert serving.status("/app.js", f"If-None-Match: {etag}", host=elsewhere) == 200


@pytest.mark.parametrize(
    ("target", "host", "body"),
    [
        ("/app.js", "OTHER.test.:8080", b"the other app.js"),
        ("/app.js", "a.b.other.test", b"the other app.js"),
        ("/app.js", "another.test", b"app.js"),
        ("/app.js", "", b"app.js"),
        ("http://other.test/app.js", "one.test", b"the other app.js"),
        ("http://one.test/app.js", "other.test", b"app.js"),
    ],
)
def test_which_site(serve: Serve, tmp_path: Path, target: str, host: str, body: bytes) -> None:
    """RFC 9112, 3.2.2: what an absolute form names counts, and Host does not."""
    assert two(serve, tmp_path).ask(target, host=host).body == body


def test_a_host_that_is_none_of_ours(serve: Serve, tmp_path: Path) -> None:
    """RFC 9110, 15.5.20; for any method, and before anything else is asked."""
    serving = two(serve, tmp_path, hosts=["one.test"])
    for method in ("GET", "HEAD", "POST", "OPTIONS"):
        assert serving.status("/app.js", host="three.test", method=method) == 421
    assert serving.status("/app.js", host="one.test") == 200
    alone = serve(hosts=["one.test"])
    assert alone.status("/app.js", host="three.test") == 421


def test_one_file_of_two_sites_with_different_entity_tags(serve: Serve) -> None:
    """The caches go by the file; what the sites say of it is their own."""
    root = serve().root
    serving = serve(more={"sites": [{"root": str(root), "hosts": ["other.test"], "etag": "content"}]})
    for _ in range(2):
        plain, digest = (serving.ask("/app.js", host=host).fields["etag"] for host in ("one.test", "other.test"))
        assert "-" in plain and "-" not in digest
