"""Media types by name."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashpy.resource.media import _TYPES, DEFAULT, media_type


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (b"/index.html", b"text/html; charset=utf-8"),
        (b"/INDEX.HTML", b"text/html; charset=utf-8"),
        (b"/a.b.css", b"text/css; charset=utf-8"),
        (b"/a.js", b"text/javascript; charset=utf-8"),
        (b"/a.svg", b"image/svg+xml"),
        (b"/a.tar.gz", b"application/gzip"),
        (b"/a.woff2", b"font/woff2"),
        (b"/a.wasm", b"application/wasm"),
        (b"/a.unknown", DEFAULT),
        (b"/a", DEFAULT),
        (b"/a.", DEFAULT),
        (b"/.html", DEFAULT),
        (b"/a.html/b", DEFAULT),
        (b"/html", DEFAULT),
        (b"/", DEFAULT),
        (b"/\xff.png", b"image/png"),
    ],
)
def test_by_suffix(path: bytes, kind: bytes) -> None:
    """The suffix of the last segment; a name that only begins with a dot has none. RFC 9239 for scripts."""
    assert media_type(path) == kind


def test_the_table_holds_media_types() -> None:
    """RFC 9110, 8.3.1: type/subtype, with a charset for text; keys in lower case, or they would never be found."""
    for suffix, kind in _TYPES.items():
        assert re.fullmatch(rb"[a-z0-9]+", suffix), suffix
        assert re.fullmatch(rb"[a-z]+/[a-z0-9.+-]+(; charset=utf-8)?", kind), kind
        assert kind.startswith(b"text/") is kind.endswith(b"; charset=utf-8"), kind


@given(st.binary(max_size=30))
def test_any_path_has_one(path: bytes) -> None:
    """Whatever the bytes, the answer is one of the table's or the default."""
    assert media_type(path) in {*_TYPES.values(), DEFAULT}
