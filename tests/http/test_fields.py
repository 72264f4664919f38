"""Dates, lists, entity tags, Accept."""

import time
from datetime import UTC, datetime
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashpy.http.fields import (
    EntityTag,
    check_field,
    http_date,
    parse_entity_tag,
    parse_entity_tags,
    parse_http_date,
    prefers_html,
    qualities,
    tokens,
)

NOW = 1_700_000_000.0  # 2023
FIRST, LAST = -62135596800, 253402300799  # the years 1 and 9999


@given(st.floats(FIRST, LAST))
def test_date_round_trip(seconds: float) -> None:
    """RFC 9110, 5.6.7: what we write we read, in whole seconds, rounded down."""
    assert parse_http_date(http_date(seconds), NOW) == seconds // 1


@given(st.integers(0, LAST))
def test_dates_agree_with_the_standard_library(seconds: int) -> None:
    """RFC 9110, 5.6.7: the preferred form."""
    assert http_date(seconds) == formatdate(seconds, usegmt=True).encode()


@given(st.integers(0, LAST))
def test_asctime_form(seconds: int) -> None:
    """RFC 9110, 5.6.7: an obsolete form, which must be accepted."""
    assert parse_http_date(time.asctime(time.gmtime(seconds)).encode(), NOW) == seconds


@given(st.integers(int(NOW) - 45 * 31_556_952, int(NOW) + 45 * 31_556_952))
def test_rfc850_form(seconds: int) -> None:
    """RFC 9110, 5.6.7: an obsolete form, which must be accepted."""
    text = datetime.fromtimestamp(seconds, UTC).strftime("%A, %d-%b-%y %H:%M:%S GMT")
    assert parse_http_date(text.encode(), NOW) == seconds


@pytest.mark.parametrize(("year", "meant"), [(b"23", 2023), (b"73", 2073), (b"74", 1974), (b"99", 1999), (b"00", 2000)])
def test_a_year_of_two_digits(year: bytes, meant: int) -> None:
    """RFC 9110, 5.6.7: more than 50 years in the future means the past century."""
    seconds = parse_http_date(b"Monday, 01-Jan-" + year + b" 00:00:00 GMT", NOW)
    assert seconds is not None
    assert datetime.fromtimestamp(seconds, UTC).year == meant


def test_the_dates_of_the_rfc() -> None:
    """RFC 9110, 5.6.7: its three examples are one moment."""
    forms = (b"Sun, 06 Nov 1994 08:49:37 GMT", b"Sunday, 06-Nov-94 08:49:37 GMT", b"Sun Nov  6 08:49:37 1994")
    assert {parse_http_date(form, NOW) for form in forms} == {784111777}


def test_a_leap_second() -> None:
    """RFC 9110, 5.6.7: the grammar allows a second 60."""
    assert parse_http_date(b"Sat, 31 Dec 2016 23:59:60 GMT", NOW) == 1483228799


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"now",
        b"0",
        b"1700000000",
        b"Sun, 06 Nov 1994 08:49:37",
        b"Sun, 06 Nov 1994 08:49:37 UTC",
        b"Sun, 06 Nov 1994 08:49:37 +0000",
        b"sun, 06 nov 1994 08:49:37 gmt",
        b"Sun, 6 Nov 1994 08:49:37 GMT",
        b"Sun, 31 Feb 1994 08:49:37 GMT",
        b"Sun, 06 Nov 1994 24:00:00 GMT",
        b"Sun, 06 Nov 1994 08:60:00 GMT",
        b"Sun, 06 Nov 1994 08:49:61 GMT",
        b"Sun, 06 Nov 0000 08:49:37 GMT",
        b" Sun, 06 Nov 1994 08:49:37 GMT",
        b"Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 0٦ Nov 1994 08:49:37 GMT".encode(),
    ],
)
def test_no_date(value: bytes) -> None:
    """RFC 9110, 5.6.7 and 13.1.3: what is no HTTP-date is to be ignored, so it must be known as such."""
    assert parse_http_date(value, NOW) is None


OPAQUE = st.text(
    st.characters(codec="latin-1", categories=["L", "N", "P", "S"], exclude_characters='"'), max_size=8
).map(lambda text: b'"' + text.encode("latin-1") + b'"')
TAGS = st.builds(EntityTag, OPAQUE, st.booleans())
GAPS = st.sampled_from([b",", b", ", b" ,\t", b",,", b", , "])


@given(st.lists(st.tuples(TAGS, GAPS), max_size=6), st.sampled_from([b"", b",", b" , ", b"\t"]))
def test_entity_tag_lists(tags: list[tuple[EntityTag, bytes]], lead: bytes) -> None:
    """RFC 9110, 8.8.3 and 5.6.1.2: any list of tags, with empty elements, is read as it was written."""
    value = lead + b"".join(bytes(tag) + gap for tag, gap in tags)
    assert parse_entity_tags(value) == [tag for tag, _ in tags]


@given(TAGS)
def test_one_entity_tag(tag: EntityTag) -> None:
    """RFC 9110, 8.8.3."""
    assert parse_entity_tag(bytes(tag)) == tag


@given(TAGS, TAGS)
def test_comparison(one: EntityTag, other: EntityTag) -> None:
    """RFC 9110, 8.8.3.2: strong comparison implies weak, and both are symmetric."""
    assert one.matches_strongly(other) == other.matches_strongly(one) == (one == other and not one.weak)
    assert one.matches_weakly(other) == other.matches_weakly(one) == (one.opaque == other.opaque)


@pytest.mark.parametrize(
    ("one", "other", "strong", "weak"),
    [
        (b'W/"1"', b'W/"1"', False, True),
        (b'W/"1"', b'W/"2"', False, False),
        (b'W/"1"', b'"1"', False, True),
        (b'"1"', b'"1"', True, True),
    ],
)
def test_the_comparisons_of_the_rfc(one: bytes, other: bytes, strong: bool, weak: bool) -> None:
    """RFC 9110, 8.8.3.2: its table."""
    first, second = parse_entity_tag(one), parse_entity_tag(other)
    assert first is not None and second is not None
    assert (first.matches_strongly(second), first.matches_weakly(second)) == (strong, weak)


@pytest.mark.parametrize("value", [b"", b"x", b'"', b'w/"x"', b'W/ "x"', b'"a b"', b'"a"b"', b"'a'", b'"a" ', b"*"])
def test_no_entity_tag(value: bytes) -> None:
    """RFC 9110, 8.8.3."""
    assert parse_entity_tag(value) is None


@pytest.mark.parametrize(
    ("value", "count"),
    [(b"x", 0), (b'"a", x, "b"', 1), (b'"a" "b"', 1), (b'"a""b"', 1), (b'"a", "b', 1), (b'*, "a"', 0)],
)
def test_reading_stops_at_what_is_no_tag(value: bytes, count: int) -> None:
    """RFC 9110, 8.8.3: what follows garbage may have been meant otherwise."""
    assert len(parse_entity_tags(value)) == count


def test_tokens() -> None:
    """RFC 9110, 5.6.1: empty elements are passed over; case does not matter."""
    assert tokens(b", Close ,,\tkeep-Alive;x=1 , ") == [b"close", b"keep-alive"]
    assert tokens(b"") == []


@pytest.mark.parametrize(
    ("value", "weights"),
    [
        (b"", {}),
        (b"gzip", {b"gzip": 1.0}),
        (b"gzip;q=0.5", {b"gzip": 0.5}),
        (b"GZIP ; Q=0.123 , br;q=1.000", {b"gzip": 0.123, b"br": 1.0}),
        (b"gzip;q=0, *;q=0.", {b"gzip": 0.0, b"*": 0.0}),
        (b"gzip;q=2, br;q=x, zstd;q=0.1234, a;q=-1, b;q=", dict.fromkeys((b"gzip", b"br", b"zstd", b"a", b"b"), 0.0)),
        (b"text/html;level=1;q=0.4", {b"text/html": 0.4}),
        (b"gzip;q=0.1, gzip;q=0.9", {b"gzip": 0.1}),
        (b",, ;q=1, gzip", {b"gzip": 1.0}),
    ],
)
def test_qualities(value: bytes, weights: dict[bytes, float]) -> None:
    """RFC 9110, 12.4.2: weights are 0 to 1 with at most three decimals."""
    assert qualities(value) == weights


@pytest.mark.parametrize(
    ("accept", "html"),
    [
        (None, False),
        (b"", False),
        (b"*/*", False),
        (b"text/*", False),
        (b"text/plain", False),
        (b"text/html", True),
        (b"TEXT/HTML", True),
        (b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", True),
        (b"text/html, */*", True),
        (b"text/html, text/plain", False),
        (b"text/html;q=0.5, text/plain", False),
        (b"text/html;q=0.5, */*;q=0.8", False),
        (b"text/html;q=0", False),
        (b"text/html;q=0, */*;q=0", False),
        (b"application/json", False),
        (b"text/plain;q=0.1, text/*;q=0.5", True),
    ],
)
def test_prefers_html(accept: bytes | None, html: bool) -> None:
    """RFC 9110, 12.5.1: the most specific range that fits gives the weight."""
    assert prefers_html(accept) is html


def test_fields_that_a_configuration_may_set() -> None:
    """RFC 9110, 5.1 and 5.5: tokens and visible characters; not what the server says of a representation itself."""
    for name, value in (("X-Frame-Options", "DENY"), ("x", ""), ("Link", '</a>; title="\xe9"\t')):
        check_field(name, value)


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("", "x", "is not a field name"),
        ("X Y", "x", "is not a field name"),
        ("X:", "x", "is not a field name"),
        ("X\n", "x", "is not a field name"),
        ("ETag", "x", "set by the server itself"),
        ("X", "a\r\nb", "a character that"),
        ("X", "a\n", "a character that"),
        ("X", "\u20ac", "a character that"),
    ],
)
def test_fields_that_it_may_not_set(name: str, value: str, why: str) -> None:
    """In a sentence that says why."""
    with pytest.raises(ValueError, match=why):
        check_field(name, value)
