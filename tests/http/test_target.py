"""The request target: forms, decoding, normalisation."""

import posixpath
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flashpy.http.target import NO_FILE, Target, hidden, normalise, parse_target, quote_path, valid_authority

SEGMENTS = st.sampled_from(
    b" . .. ... %2e %2E%2e .%2E a a.txt .git %61 %2F %252e %00 %zz % + ~x \xc3\xa9 %C3%A9 | %5C.. a%2F..%2Fb * @".split(
        b" "
    )
)
PATHS = st.one_of(
    st.lists(SEGMENTS, min_size=1, max_size=8).map(lambda segments: b"/" + b"/".join(segments)),
    st.binary(max_size=30).map(lambda tail: b"/" + tail),
)


@given(PATHS)
def test_a_path_is_safe_beneath_a_root(target: bytes) -> None:
    """RFC 3986, 5.2.4: whatever is asked for, no segment is "..", ".", empty, or holds a NUL."""
    taken = parse_target(target)
    if taken is None or taken.path == NO_FILE:
        return
    assert taken.path.startswith(b"/")
    segments = taken.path[1:].split(b"/")
    assert b"" not in segments[:-1]
    assert not {b".", b".."} & set(segments)
    assert b"\0" not in taken.path


@given(PATHS)
@example(b"/a/./b/../c//d/")
def test_normalising_agrees_with_another_implementation(target: bytes) -> None:
    """RFC 3986, 5.2.4, as posixpath knows it."""
    taken = parse_target(target)
    raw = target.partition(b"?")[0]
    if taken is None or taken.path == NO_FILE or b"%2f" in raw.lower():
        return
    expected = b"/" + posixpath.normpath(unquote_to_bytes(raw)).lstrip(b"/")
    assert (taken.path.rstrip(b"/") or b"/") == expected


@given(PATHS)
def test_normalising_is_idempotent(target: bytes) -> None:
    """RFC 3986, 2.4: what was decoded and quoted again leads to the same path, with nothing decoded twice."""
    taken = parse_target(target)
    if taken is not None and taken.path != NO_FILE:
        assert parse_target(quote_path(taken.path)) == Target(taken.path, b"")


@given(st.lists(st.binary(min_size=1, max_size=6), max_size=5), st.booleans())
def test_normalise_keeps_what_is_normal(segments: list[bytes], directory: bool) -> None:
    """Segments that need no normalisation stay as they are, the closing slash too."""
    plain = [segment for segment in segments if segment not in (b".", b"..") and not set(segment) & set(b"\0/")]
    path = b"/" + b"/".join(plain)
    expected = path + b"/" if directory and plain else path
    assert normalise([*plain, b""] if directory else plain) == expected


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"/", b"/"),
        (b"//", b"/"),
        (b"///a", b"/a"),
        (b"/a", b"/a"),
        (b"/a/", b"/a/"),
        (b"/a//", b"/a/"),
        (b"/a/.", b"/a/"),
        (b"/a/..", b"/"),
        (b"/a/b/..", b"/a/"),
        (b"/a/../b", b"/b"),
        (b"/a/./b", b"/a/b"),
        (b"/...", b"/..."),
        (b"/a..", b"/a.."),
        (b"/%61", b"/a"),
        (b"/%2541", b"/%41"),
        (b"/%252e%252e/a", b"/%2e%2e/a"),
        (b"/a+b", b"/a+b"),
        (b"/%C3%A9", b"/\xc3\xa9"),
        (b"/\xc3\xa9", b"/\xc3\xa9"),
        (b"/%5C..%5Ca", b"/\\..\\a"),
        (b"/a%2Fb", NO_FILE),
        (b"/a%2f..%2fb", NO_FILE),
    ],
)
def test_origin_form(target: bytes, path: bytes) -> None:
    """RFC 9112, 3.2.1; decoded exactly once: RFC 3986, 2.4."""
    assert parse_target(target) == Target(path, b"")


@pytest.mark.parametrize(
    "target",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"a", id="relative"),
        pytest.param(b"**", id="no-asterisk-form"),
        pytest.param(b"*/", id="asterisk-with-path"),
        pytest.param(b"/..", id="above"),
        pytest.param(b"/a/../..", id="above-after-all"),
        pytest.param(b"/%2e%2e", id="above-encoded"),
        pytest.param(b"/.%2E/etc/passwd", id="above-half-encoded"),
        pytest.param(b"/%zz", id="no-hex"),
        pytest.param(b"/%4", id="cut-off"),
        pytest.param(b"/%", id="lone-percent"),
        pytest.param(b"/%00", id="NUL"),
        pytest.param(b"/a%00.html", id="NUL-inside"),
        pytest.param(b"/a%00/../b", id="NUL-in-a-dropped-segment"),
        pytest.param(b"/a#b", id="fragment"),
        pytest.param(b"/a?b#c", id="fragment-after-query"),
        pytest.param(b"ftp://a/", id="other-scheme"),
        pytest.param(b"http:///a", id="no-host"),
        pytest.param(b"http://:80/a", id="port-without-host"),
        pytest.param(b"http://user@a/", id="userinfo"),
        pytest.param(b"http://a b/", id="space"),
        pytest.param(b"http:/a", id="one-slash"),
        pytest.param(b"example.com:80", id="authority-form"),
    ],
)
def test_bad_targets(target: bytes) -> None:
    """RFC 9112, 3.2; RFC 9110, 4.2.1 (empty host) and 4.2.4 (userinfo); RFC 3986, 2.1."""
    assert parse_target(target) is None


@pytest.mark.parametrize(
    ("target", "taken"),
    [
        (b"http://a", Target(b"/", b"", b"a")),
        (b"HTTP://a:80/b", Target(b"/b", b"", b"a:80")),
        (b"https://[::1]/b?c", Target(b"/b", b"c", b"[::1]")),
        (b"http://a?c", Target(b"/", b"c", b"a")),
        (b"http://a/../b", None),
    ],
)
def test_absolute_form(target: bytes, taken: Target | None) -> None:
    """RFC 9112, 3.2.2: a server must accept the absolute-form."""
    assert parse_target(target) == taken


def test_asterisk_form() -> None:
    """RFC 9112, 3.2.4."""
    assert parse_target(b"*") == Target(b"*", b"")


@pytest.mark.parametrize(
    ("target", "query"), [(b"/a?", b""), (b"/a?b", b"b"), (b"/a?b?c", b"b?c"), (b"/a?%zz%00", b"%zz%00")]
)
def test_the_query_is_left_as_it_is(target: bytes, query: bytes) -> None:
    """RFC 3986, 3.4: it is not ours to decode."""
    assert parse_target(target) == Target(b"/a", query)


@pytest.mark.parametrize(
    ("value", "valid"),
    [
        (b"", True),
        (b"example.com", True),
        (b"example.com:80", True),
        (b"example.com:", True),
        (b"127.0.0.1:65535", True),
        (b"[::1]", True),
        (b"[::1]:8080", True),
        (b"b%C3%BCcher.example", True),
        (b"a/b", False),
        (b"a@b", False),
        (b"a b", False),
        (b"a,b", True),  # a sub-delim of a reg-name: RFC 3986, 3.2.2
        (b"a:b", False),
        (b"a:123456", False),
        (b"[::1", False),
        (b"::1", False),
        (b"a%zz", False),
        (b"a?b", False),
        (b"a\\b", False),
        (b"\xe9", False),
    ],
)
def test_valid_authority(value: bytes, valid: bool) -> None:
    """RFC 9110, 7.2: Host is uri-host [":" port]."""
    assert valid_authority(value) is valid


@given(st.binary(max_size=40))
def test_quoting_round_trip(path: bytes) -> None:
    """RFC 3986, 2.1: quoted, it is visible ASCII, and decoded it is what it was."""
    quoted = quote_path(path)
    assert all(0x21 <= byte < 0x7F for byte in quoted)
    assert not set(quoted) & set(b'"<>\\^`{|}?#')
    assert unquote_to_bytes(quoted) == path


@pytest.mark.parametrize(
    ("path", "secret"),
    [
        (b"/", False),
        (b"/a.b/c.d", False),
        (b"/.git", True),
        (b"/a/.git/config", True),
        (b"/a/.well-known/b", True),
        (b"/.well-known", True),
        (b"/.well-known/security.txt", False),
        (b"/.well-known/.git", True),
        (b"/.well-knownx/a", True),
    ],
)
def test_hidden(path: bytes, secret: bool) -> None:
    """RFC 8615: /.well-known/ is public; other names that begin with a dot are not."""
    assert hidden(path) is secret
