"""Cross-origin resource sharing, by the Fetch standard's "CORS protocol"."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flashpy.http.cors import LONGEST_ORIGIN, MOST_REMEMBERED, Cors
from flashpy.http.response import FieldList
from tests.http.making import request

ALLOW, ALLOW_HEADERS = b"Access-Control-Allow-Origin", b"Access-Control-Allow-Headers"
LISTED = ("https://example.org", "https://*.example.com", "http://localhost:*")


def answered(cors: Cors, origin: bytes | None) -> dict[bytes, bytes]:
    """The fields of an answer to a request with this Origin."""
    fields = (*cors.static, *cors.fields_for(origin))
    assert len(dict(fields)) == len(fields)
    return dict(fields)


def preflight(cors: Cors, origin: bytes, headers: bytes = b"", method: bytes = b"GET") -> FieldList:
    """The fields of the answer to a preflight."""
    fields = {"origin": origin, "access_control_request_method": method}
    if headers:
        fields["access_control_request_headers"] = headers
    answer = cors.preflight(request(b"/a", b"OPTIONS", **fields))
    assert answer is not None
    return answer


def test_every_origin() -> None:
    """The same fields for every request, so that no cache needs Vary."""
    cors = Cors(("*",))
    assert not cors.per_request
    assert cors.static[0] == (ALLOW, b"*")
    assert b"ETag" in dict(cors.static)[b"Access-Control-Expose-Headers"]
    assert cors.fields_for(b"https://a") == cors.fields_for(None) == ()
    assert Cors(("*", "https://example.org")).static == cors.static


def test_one_origin_alone() -> None:
    """It may be told to everybody: browsers compare it with their own."""
    cors = Cors(("https://example.org",), expose=(), credentials=True)
    assert not cors.per_request
    assert cors.static == ((ALLOW, b"https://example.org"), (b"Access-Control-Allow-Credentials", b"true"))
    assert cors.fields_for(b"https://other") == ()


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (b"https://example.org", True),
        (b"https://a.example.com", True),
        (b"https://a.b-c.example.com", True),
        (b"http://localhost:3000", True),
        (b"http://localhost", True),
        (b"http://example.org", False),
        (b"https://example.org:8443", False),
        (b"https://example.org.", False),
        (b"https://example.org.evil.net", False),
        (b"https://example.com", False),
        (b"https://.example.com", False),
        (b"https://a..example.com", False),
        (b"https://evilexample.com", False),
        (b"https://evil.net/.example.com", False),
        (b"https://evil.net:80.example.com", False),
        (b"https://evil.net@a.example.com", False),
        (b"https://a.example.com.evil.net", False),
        (b"https://a.example.com:443", False),
        (b"https://a.example.com\n", False),
        (b"http://localhost:3000x", False),
        (b"http://localhost:", False),
        (b"HTTPS://EXAMPLE.ORG", False),
        (b"null", False),
        (b"*", False),
        (b"", False),
        (b"https://" + b"a." * LONGEST_ORIGIN + b"example.com", False),
    ],
)
def test_some_origins(origin: bytes, allowed: bool) -> None:
    """Each is told itself, and no other is told anything; what may be kept says on what it depends."""
    cors = Cors(LISTED)
    assert cors.per_request
    for _ in range(2):
        fields = answered(cors, origin)
        assert fields.get(ALLOW) == (origin if allowed else None)
        assert fields[b"Vary"] == b"Origin"


def test_requests_without_an_origin() -> None:
    """They get Vary, too: a cache would give their answer to the others."""
    assert b"Vary" in answered(Cors(LISTED), None)
    assert ALLOW not in answered(Cors(LISTED), None)
    assert Cors(()).static == () and not Cors(()).per_request


@given(st.binary(max_size=40))
@example(b"https://x.example.org")
def test_no_origin_is_told_of_another(origin: bytes) -> None:
    """With credentials and without."""
    cors = Cors(LISTED, credentials=True)
    fields = answered(cors, origin)
    assert fields.get(ALLOW) in (None, origin)
    assert (ALLOW in fields) == (b"Access-Control-Allow-Credentials" in fields)


def test_a_preflight() -> None:
    """Methods, and those of the fields asked for that may be sent; what is exposed is said with the answer itself."""
    fields = dict(preflight(Cors(LISTED, max_age=60), b"https://example.org", b"range, X-Other,IF-RANGE"))
    assert fields == {
        b"Vary": b"Origin",
        ALLOW: b"https://example.org",
        b"Access-Control-Allow-Methods": b"GET, HEAD",
        b"Access-Control-Max-Age": b"60",
        ALLOW_HEADERS: b"range, if-range",
    }
    assert ALLOW_HEADERS not in dict(preflight(Cors(LISTED), b"https://example.org"))
    assert (
        dict(preflight(Cors(("*",)), b"https://a", b"range", b"PUT"))[b"Access-Control-Allow-Methods"] == b"GET, HEAD"
    )


def test_a_preflight_of_somebody_else() -> None:
    """It is answered, and allows nothing."""
    assert preflight(Cors(LISTED), b"https://evil.net", b"range") == ((b"Vary", b"Origin"),)
    assert preflight(Cors(()), b"https://evil.net", b"range") == ()


def test_every_header() -> None:
    """They are named: "*" would not hold for Authorization. What is no name is left out."""
    fields = dict(preflight(Cors(("*",), headers=("*",)), b"https://a", b"authorization, x-a, b\xff, c d, ,"))
    assert fields[ALLOW_HEADERS] == b"authorization, x-a"


def test_what_is_no_preflight() -> None:
    """An OPTIONS as any other, and a request."""
    cors = Cors(("*",))
    method = {"access_control_request_method": b"GET"}
    assert cors.preflight(request(b"/a", b"OPTIONS", origin=b"https://a")) is None
    assert cors.preflight(request(b"/a", b"OPTIONS", **method)) is None
    assert cors.preflight(request(b"/a", b"GET", origin=b"https://a", **method)) is None


def test_origins_are_taken_as_browsers_write_them() -> None:
    """In lower case, without a port that goes without saying (RFC 6454, 6.2)."""
    assert Cors(("HTTPS://Example.ORG:443",)).static[0] == (ALLOW, b"https://example.org")
    assert Cors(("http://[::1]:8080",)).static[0] == (ALLOW, b"http://[::1]:8080")
    assert Cors(("null",)).static[0] == (ALLOW, b"null")
    assert answered(Cors(("https://*.a.b:8443",)), b"https://x.a.b:8443")[ALLOW]
    assert answered(Cors(("https://pr-*.a.b",)), b"https://pr-7.a.b")[ALLOW]
    assert ALLOW not in answered(Cors(("https://pr-*.a.b",)), b"https://x.a.b")
    assert answered(Cors(("https://*",)), b"https://x.y")[ALLOW]
    assert ALLOW not in answered(Cors(("https://*",)), b"http://x.y")


@pytest.mark.parametrize(
    ("origin", "said"),
    [
        ("example.org", "is no origin"),
        ("https://example.org/", "is no origin"),
        ("https://example.org/path", "is no origin"),
        ("https://user@example.org", "is no origin"),
        ("*://example.org", "is no origin"),
        ("https://exämple.org", "is no origin"),
        ("", "is no origin"),
        ("https://example.*", "other people's hosts"),
        ("https://*example.org", "other people's hosts"),
        ("https://*.", "other people's hosts"),
        ("https://*.*", "other people's hosts"),
    ],
)
def test_what_is_no_origin_is_said(origin: str, said: str) -> None:
    """And what would let in more than is meant."""
    with pytest.raises(ValueError, match=said):
        Cors((origin,))


@pytest.mark.parametrize("origin", ["*", "null", "https://*"])
def test_credentials_take_names(origin: str) -> None:
    """Or every site could read what only the user may."""
    with pytest.raises(ValueError, match=r"[Ww]ith credentials"):
        Cors((origin, "https://example.org"), credentials=True)


def test_field_names_are_checked() -> None:
    """They stand in a field of ours."""
    for wrong in ("a b", "a\r\nb", ""):
        with pytest.raises(ValueError, match=re.escape(f"{wrong!r} is no field name")):
            Cors(("*",), headers=(wrong,))
        with pytest.raises(ValueError, match="is no field name"):
            Cors(("*",), expose=(wrong,))


def test_what_is_remembered_is_bounded() -> None:
    """Clients choose what they say."""
    cors = Cors(LISTED)
    for number in range(MOST_REMEMBERED + 10):
        cors.fields_for(b"https://%d.example.com" % number)
    cors.fields_for(b"x" * (LONGEST_ORIGIN + 1))
    assert cors._remembered is not None
    assert len(cors._remembered) <= MOST_REMEMBERED
    assert all(len(origin) <= LONGEST_ORIGIN for origin in cors._remembered)
