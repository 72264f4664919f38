"""Who has handed a request on, read from the end of the field."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashpy.http.forwarded import MOST, forwarded, x_forwarded_for


@pytest.mark.parametrize(
    ("value", "hops"),
    [
        (b"for=192.0.2.43", ["192.0.2.43"]),
        (b"for=192.0.2.43, for=198.51.100.17", ["198.51.100.17", "192.0.2.43"]),
        (b'For="[2001:db8:cafe::17]:4711"', ["2001:db8:cafe::17"]),
        (b"for=192.0.2.60;proto=http;by=203.0.113.43", ["192.0.2.60"]),
        (b"proto=https;FOR=192.0.2.60:80", []),  # a colon takes quotation marks
        (b'proto=https;FOR="192.0.2.60:80"', ["192.0.2.60"]),
        (b'for="192.0.2.60:_port"', ["192.0.2.60"]),
        (b'for="\\1\\92.0.2.60"', ["192.0.2.60"]),
        (b'for="_gazonk"', [None]),
        (b"for=unknown, for=192.0.2.1", ["192.0.2.1", None]),
        (b"for=192.0.2.1, by=192.0.2.9", [None, "192.0.2.1"]),
        (b"for=192.0.2.1,, ,", ["192.0.2.1"]),
        (b'for=192.0.2.1;host="a, for=6.6.6.6"', ["192.0.2.1"]),
        (b'for=192.0.2.1;host="for=6.6.6.6"', ["192.0.2.1"]),
        (b'for=192.0.2.1;host="a;for=6.6.6.6"', ["192.0.2.1"]),
        (b'for=", for=192.0.2.1', ["192.0.2.1"]),  # somebody has left a quotation mark open
        (b'x="a;for=6.6.6.6, for="[2001:db8::1]"', ["2001:db8::1"]),
        (b'for="[2001:db8::1]', []),
        (b'for="192.0.2.1", x', []),
        (b"for=2001:db8::1", []),
        (b'for="[::ffff:192.0.2.1]"', ["192.0.2.1"]),
        (b"for=300.0.2.1", [None]),
        (b"", []),
    ],
)
def test_forwarded(value: bytes, hops: list[str | None]) -> None:
    """RFC 7239, sections 4 and 6."""
    assert list(forwarded(value)) == hops


@pytest.mark.parametrize(
    ("value", "hops"),
    [
        (b"192.0.2.43", ["192.0.2.43"]),
        (b"6.6.6.6, 192.0.2.43,198.51.100.17", ["198.51.100.17", "192.0.2.43", "6.6.6.6"]),
        (b"2001:db8::1, [2001:DB8::2]:443, 192.0.2.1:80", ["192.0.2.1", "2001:db8::2", "2001:db8::1"]),
        (b"unix:, unknown, 192.0.2.01", [None, None, None]),
        (b"192.0.2.1, , ", ["192.0.2.1"]),
        (b"192.0.2.1, 192.0.2.1x", [None, "192.0.2.1"]),
        (b"::ffff:192.0.2.1", ["192.0.2.1"]),
        (b"fe80::1%eth0", [None]),
        (b"", []),
    ],
)
def test_x_forwarded_for(value: bytes, hops: list[str | None]) -> None:
    assert list(x_forwarded_for(value)) == hops


@given(st.binary(max_size=80))
def test_what_a_client_says_changes_nothing_of_what_is_added(said: bytes) -> None:
    """The element of the nearest proxy is the last that there is."""
    for added, node in ((b"for=192.0.2.1", "192.0.2.1"), (b'proto=http;for="[2001:db8::1]:80"', "2001:db8::1")):
        assert next(forwarded(said + b", " + added)) == node
    assert next(x_forwarded_for(said + b", 192.0.2.1")) == "192.0.2.1"


@given(st.binary(max_size=200))
def test_nothing_is_raised(value: bytes) -> None:
    assert len([*forwarded(value), *x_forwarded_for(value)]) <= 2 * MOST


def test_a_long_field_is_not_read_to_its_beginning() -> None:
    assert len(list(x_forwarded_for(b"192.0.2.1," * 10_000))) < MOST
    assert len(list(forwarded(b'"' + b"for=192.0.2.1," * 10_000))) < MOST
