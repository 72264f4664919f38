"""Which coding an Accept-Encoding prefers, and what is worth one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashpy.http.coding import LEAST, MOST, SUFFIXES, choose, is_compressible, is_worth_coding, refuses_identity
from flashpy.http.fields import qualities
from flashpy.resource.media import media_type

ALL = tuple(SUFFIXES)


@pytest.mark.parametrize(
    ("accept", "available", "coding"),
    [
        (None, ALL, None),
        (b"", ALL, None),
        (b"gzip", ALL, b"gzip"),
        (b"GZip", ALL, b"gzip"),
        (b"x-gzip", ALL, b"gzip"),
        (b"gzip, deflate, br, zstd", ALL, b"br"),
        (b"gzip, zstd", ALL, b"zstd"),
        (b"gzip;q=1.0, br;q=0.5", ALL, b"gzip"),
        (b"gzip, br", (b"gzip",), b"gzip"),
        (b"gzip, br", (), None),
        (b"deflate", ALL, None),
        (b"*", ALL, b"br"),
        (b"*;q=0.5, br;q=0", ALL, b"zstd"),
        (b"*;q=0", ALL, None),
        (b"gzip;q=0", ALL, None),
        (b"br;q=0, *", ALL, b"zstd"),
        (b"identity", ALL, None),
        (b"identity, gzip;q=0.5", ALL, None),
        (b"identity;q=0.5, gzip", ALL, b"gzip"),
        (b"identity;q=0.5, gzip;q=0.5", ALL, b"gzip"),
        (b"identity;q=0, *;q=0", ALL, None),
        (b"gzip;q=nonsense", ALL, None),
        (b"gzip;q=0.001", ALL, b"gzip"),
        (b"x-gzip;q=0, *", (b"gzip",), None),  # nothing is better for being named by its old name
        (b"gzip;q=0, x-gzip", ALL, None),
        (b"gzip;q=0.3, *;q=0.5", (b"gzip",), None),  # identity is one of "any": 12.5.3
        (b"gzip;q=0.3, *;q=0.5, identity;q=0.2", (b"gzip",), b"gzip"),
        (b"gzip;q=0.5, zstd;q=0.5, br;q=0.5", ALL, b"br"),  # ties are ours to break
        (b"gzip ; q=1.0 , br ;Q=0.9", ALL, b"gzip"),
        (b"br;q=1.5, gzip;q=0.1", ALL, b"gzip"),  # no weight that there is
        (b"BR", ALL, b"br"),
        (b", ,", ALL, None),
    ],
)
def test_choose(accept: bytes | None, available: tuple[bytes, ...], coding: bytes | None) -> None:
    """RFC 9110, 12.5.3 and 8.4.1.3; without the field, identity."""
    assert choose(accept, available) == coding


NAMES = st.sampled_from([b"br", b"zstd", b"gzip", b"x-gzip", b"identity", b"*", b"deflate"])
FIELDS = st.dictionaries(NAMES, st.integers(0, 1000), min_size=1)


def written(weights: dict[bytes, int]) -> bytes:
    """An Accept-Encoding with these weights, in thousandths."""
    return b", ".join(b"%s;q=%d.%03d" % (name, *divmod(weight, 1000)) for name, weight in weights.items())


def weight_of(weights: dict[bytes, int], coding: bytes) -> int | None:
    """What the field says of a coding: by its name, by the old one, or as one of any."""
    names = [coding, b"x-gzip", b"*"] if coding == b"gzip" else [coding, b"*"]
    return next((weights[name] for name in names if name in weights), None)


@given(FIELDS, st.sets(st.sampled_from(ALL)))
def test_what_is_chosen_is_acceptable_and_best(weights: dict[bytes, int], available: set[bytes]) -> None:
    """RFC 9110, 12.5.3: never a coding of weight 0, nor one that another or identity outweighs."""
    coding = choose(written(weights), tuple(name for name in ALL if name in available))
    best = max((weight_of(weights, name) or 0 for name in available), default=0)
    identity = weight_of(weights, b"identity")
    if coding is None:
        assert best == 0 or (identity is not None and identity > best)
    else:
        assert coding in available
        assert weight_of(weights, coding) == best > 0
        assert identity is None or identity <= best
        preferred = [name for name in ALL if name in available and weight_of(weights, name) == best]
        assert coding == preferred[0]


@given(FIELDS)
def test_identity_is_refused_by_a_weight_of_0_only(weights: dict[bytes, int]) -> None:
    """RFC 9110, 12.5.3: by its name, or by ``*`` without a word on it."""
    assert refuses_identity(written(weights)) is (weight_of(weights, b"identity") == 0)


@given(st.binary(max_size=60) | st.text("brgzipq=01.;, *", max_size=40).map(str.encode), st.sets(st.sampled_from(ALL)))
def test_whatever_a_client_says_is_understood_or_left(accept: bytes, available: set[bytes]) -> None:
    """Nothing raises, and nothing is sent that the field does not name."""
    coding = choose(accept, tuple(available))
    assert coding is None or (coding in available and qualities(accept).keys() & {coding, b"x-gzip", b"*"})
    assert refuses_identity(accept) in (True, False)


def test_without_the_field_identity_will_do() -> None:
    assert not refuses_identity(None)
    assert not refuses_identity(b"")


@pytest.mark.parametrize("name", [b"a.html", b"a.css", b"a.js", b"a.mjs", b"a.json", b"a.map", b"a.svg", b"a.xml"])
def test_texts_are_compressible(name: bytes) -> None:
    assert is_compressible(media_type(name))


@pytest.mark.parametrize("name", [b"a.txt", b"a.md", b"a.webmanifest", b"a.atom", b"a.wasm", b"a.ttf", b"a.ico"])
def test_so_are_others(name: bytes) -> None:
    assert is_compressible(media_type(name))


@pytest.mark.parametrize("name", [b"a.png", b"a.jpg", b"a.woff", b"a.woff2", b"a.mp4", b"a.gz", b"a.br", b"a"])
def test_what_is_compressed_by_itself_is_not(name: bytes) -> None:
    assert not is_compressible(media_type(name))


@pytest.mark.parametrize("kind", [b"Text/HTML; charset=utf-8", b"APPLICATION/JSON ;x=1", b"application/vnd.x+json"])
def test_case_and_parameters_do_not_matter(kind: bytes) -> None:
    assert is_compressible(kind)


def test_what_is_small_or_very_large_is_left() -> None:
    for size, worth in ((LEAST - 1, False), (LEAST, True), (MOST, True), (MOST + 1, False)):
        assert is_worth_coding(b"text/html", size) is worth
    assert not is_worth_coding(b"image/png", LEAST)
