"""Signed addresses."""

import hmac
from base64 import urlsafe_b64encode
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote_to_bytes, urlencode

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from flashpy.access.signed import Verdict, read_keys, sign, verify
from flashpy.errors import ConfigError
from flashpy.http.target import NO_FILE, normalise, parse_target, quote_path

KEY, OLD = b"0123456789abcdef0123", b"fedcba9876543210"
UNTIL = 1_800_000_000
BEFORE, AFTER = UNTIL - 1.0, float(UNTIL)

SEGMENTS = st.lists(st.binary(min_size=1, max_size=5), max_size=4)
PATHS = SEGMENTS.map(normalise).filter(lambda path: path is not None and path != NO_FILE)
QUERIES = st.sampled_from([b"", b"download=1", b"a=b&c", b"&", b"q=%26x", b"x=expires=3"])


@given(PATHS, QUERIES)
def test_what_is_signed_is_good_until_it_expires(path: bytes, query: bytes) -> None:
    """For exactly this path and query."""
    signed = sign(KEY, path, UNTIL, query=query)
    assert verify((KEY,), path, signed, BEFORE) is Verdict.GOOD
    assert verify((OLD, KEY), path, signed, BEFORE) is Verdict.GOOD
    assert verify((OLD,), path, signed, BEFORE) is Verdict.BAD
    assert verify((KEY,), path, signed, AFTER) is Verdict.EXPIRED
    assert verify((KEY,), path + b"x", signed, BEFORE) is Verdict.BAD
    assert verify((KEY,), path, signed + b"&y", BEFORE) is Verdict.BAD
    assert verify((KEY,), path, query, BEFORE) is Verdict.MISSING
    target = parse_target(quote_path(path) + b"?" + signed)  # it can stand in a request
    assert target is not None and verify((KEY,), target.path, target.query, BEFORE) is Verdict.GOOD


@given(PATHS, QUERIES, st.integers(0, 500), st.integers(1, 255))
def test_any_other_byte_refuses(path: bytes, query: bytes, place: int, change: int) -> None:
    """In the path or in the query, in the signature or in what it signs."""
    signed = sign(KEY, path, UNTIL, query=query)
    text = bytearray(path + b"?" + signed)
    place %= len(text)
    assume(place != len(path))
    text[place] ^= change
    other, changed = bytes(text[: len(path)]), bytes(text[len(path) + 1 :])
    assert verify((KEY,), other, changed, BEFORE) in (Verdict.BAD, Verdict.MISSING)


@given(PATHS, PATHS)
@example(b"/media/", b"/media/film/1.ts")
@example(b"/media/", b"/mediaeval/1.ts")
def test_a_prefix_is_good_for_all_beneath(prefix: bytes, path: bytes) -> None:
    """And for nothing else; a player may have parameters of its own."""
    prefix = prefix.rstrip(b"/") + b"/"
    signed = sign(KEY, prefix, UNTIL, prefix=True)
    assert verify((KEY,), prefix, signed, BEFORE) is Verdict.GOOD
    assert verify((KEY,), prefix + path[1:], signed, BEFORE) is Verdict.GOOD
    assert verify((KEY,), prefix + path[1:], b"_HLS_msn=3&" + signed + b"&x", BEFORE) is Verdict.GOOD
    assert verify((KEY,), prefix, signed, AFTER) is Verdict.EXPIRED
    beneath = path.startswith(prefix)
    assert verify((KEY,), path, signed, BEFORE) is (Verdict.GOOD if beneath else Verdict.BAD)


@given(PATHS, st.integers(0, 500), st.integers(1, 255))
def test_any_other_prefix_refuses(prefix: bytes, place: int, change: int) -> None:
    """Unless it is the same one, written otherwise (%2f for %2F)."""
    prefix = prefix.rstrip(b"/") + b"/"
    signed = sign(KEY, prefix, UNTIL, prefix=True)
    changed = bytearray(signed)
    changed[place % len(signed)] ^= change
    if unquote_to_bytes(bytes(changed)) != unquote_to_bytes(signed):
        assert verify((KEY,), prefix, bytes(changed), BEFORE) in (Verdict.BAD, Verdict.MISSING)


def test_a_prefix_that_a_client_has_written_anew() -> None:
    """As a browser's URLSearchParams writes it."""
    signed = sign(KEY, b"/a b/&=/", UNTIL, prefix=True)
    pairs = {name.decode(): values[0].decode() for name, values in parse_qs(signed).items()}
    assert b"%2F" in urlencode(pairs, quote_via=quote, safe="").encode()
    anew = urlencode(pairs, quote_via=quote, safe="").encode()
    assert verify((KEY,), b"/a b/&=/x", anew, BEFORE) is Verdict.GOOD


def test_a_file_is_no_prefix_and_a_prefix_is_no_file() -> None:
    """Neither signature can be used as the other."""
    file, prefix = sign(KEY, b"/a/", UNTIL), sign(KEY, b"/a/", UNTIL, prefix=True)
    assert verify((KEY,), b"/a/x", file + b"&prefix=/a/", BEFORE) is Verdict.BAD
    assert verify((KEY,), b"/a/", file + b"&prefix=/a/", BEFORE) is Verdict.BAD
    assert verify((KEY,), b"/a/", prefix.replace(b"&prefix=/a/", b""), BEFORE) is Verdict.BAD
    assert verify((KEY,), b"/a/", file + b"&prefix=", BEFORE) is Verdict.BAD


def test_a_line_feed_moves_nothing() -> None:
    """A path may have one in it (%0A); what is signed cannot be cut elsewhere."""
    signed = sign(KEY, b"/x\n/y", UNTIL, query=b"a")
    signature = signed.rpartition(b"=")[2]
    moved = b"a%%0A/x&expires=%d&signature=%s" % (UNTIL, signature)
    assert verify((KEY,), b"/y", moved, BEFORE) is Verdict.BAD
    assert verify((KEY,), b"/y", moved.replace(b"%0A", b"\n"), BEFORE) is Verdict.BAD


@pytest.mark.parametrize(
    "query",
    [
        b"expires=1800000000",
        b"signature=x",
        b"expires=1800000000&expires=1800000000&signature=x",
        b"expires=01800000000&signature=x",
        b"expires=-1&signature=x",
        b"expires=1e9&signature=x",
        b"expires=9999999999999&signature=x",
        b"expires=1800000000&signature=\xff",
        b"expires=1800000000&signature=x&prefix=a/",
        b"expires=1800000000&signature=x&prefix=/a",
        b"expires=1800000000&signature=x&prefix=%zz",
        b"Expires=1800000000&Signature=x",
        b"=&=&&",
    ],
)
def test_nonsense_is_refused(query: bytes) -> None:
    """It is never an error."""
    assert verify((KEY,), b"/a", query, BEFORE) in (Verdict.BAD, Verdict.MISSING)


@given(st.binary(max_size=60))
def test_any_query_has_a_verdict(query: bytes) -> None:
    """And none that was not signed is good."""
    assert verify((KEY,), b"/a", query, 0.0) in (Verdict.BAD, Verdict.MISSING)


def test_the_form_is_fixed() -> None:
    """Other programs make such signatures too: as the module says how."""
    text = b"file\n1800000000\nd=1\n/a b"
    signature = urlsafe_b64encode(hmac.digest(KEY, text, "sha256")).rstrip(b"=")
    assert sign(KEY, b"/a b", UNTIL, query=b"d=1") == b"d=1&expires=1800000000&signature=" + signature
    text = b"prefix\n1800000000\n\n/a b/"
    signature = urlsafe_b64encode(hmac.digest(KEY, text, "sha256")).rstrip(b"=")
    assert sign(KEY, b"/a b/", UNTIL, prefix=True) == b"expires=1800000000&prefix=/a%20b/&signature=" + signature


def test_what_cannot_be_signed() -> None:
    """It would never be good."""
    for path, query, prefix, expires in [
        (b"a", b"", False, UNTIL),
        (b"/a", b"", True, UNTIL),
        (b"/a", b"expires=3", False, UNTIL),
        (b"/a", b"x\ny", False, UNTIL),
        (b"/a", b"", False, 0),
        (b"/a", b"", False, 10**12),
    ]:
        with pytest.raises(ValueError):
            sign(KEY, path, expires, prefix, query)


def test_keys_in_a_file(tmp_path: Path) -> None:
    """One a line; what is no key is said with its line, but not shown."""
    file = tmp_path / "keys"
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read_keys(file)
    file.write_bytes(b"# new\n" + KEY + b"\r\n\n" + OLD + b"\n")
    assert read_keys(file) == (KEY, OLD)
    for text, said in [
        (b"# none\n", "has no key in it"),
        (KEY + b"\nshort\n", "line 2: is no key of 16 or more"),
        (b"\x00" * 32, "line 1: is no key of 16 or more"),
        (b"two words are none", "line 1: is no key of 16 or more"),
    ]:
        file.write_bytes(text)
        with pytest.raises(ConfigError, match=said) as caught:
            read_keys(file)
        assert "short" not in str(caught.value)
