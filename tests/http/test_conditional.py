"""Preconditions, against a plain model of RFC 9110, 13.2.2."""

from typing import Literal, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashpy.http.conditional import Validators, Verdict, evaluate, range_applies
from flashpy.http.fields import EntityTag, http_date

NOW = 1_700_000_000.5
ETAG = EntityTag(b'"v1"')
MODIFIED = 1_600_000_000
OURS = Validators(ETAG, MODIFIED)

TAGS = st.sampled_from([ETAG, EntityTag(b'"v1"', weak=True), EntityTag(b'"v2"'), EntityTag(b'""')])
TIMES = st.sampled_from([0, MODIFIED - 1, MODIFIED, MODIFIED + 1, int(NOW), int(NOW) + 10**6])


Tags = list[EntityTag] | Literal["absent", "*"]
Time = int | Literal["absent", "garbage"]


class Conditions(NamedTuple):
    """A request's conditions."""

    match: Tags
    unmodified: Time
    none_match: Tags
    modified: Time


LISTS = st.one_of(st.just("absent"), st.just("*"), st.lists(TAGS, max_size=3))
DATES = st.one_of(st.just("absent"), st.just("garbage"), TIMES)
CONDITIONS = st.builds(Conditions, LISTS, DATES, LISTS, DATES)


def fields_of(conditions: Conditions) -> dict[bytes, bytes]:
    """The conditions as they stand in a request."""
    fields = {}
    for name, tags in ((b"if-match", conditions.match), (b"if-none-match", conditions.none_match)):
        if tags != "absent":
            fields[name] = b"*" if tags == "*" else b", ".join(bytes(tag) for tag in tags)
    for name, time in ((b"if-unmodified-since", conditions.unmodified), (b"if-modified-since", conditions.modified)):
        if time != "absent":
            fields[name] = b"yesterday" if time == "garbage" else http_date(time)
    return fields


def model(conditions: Conditions) -> Verdict:
    """RFC 9110, 13.2.2, step by step, for GET."""
    match, unmodified, none_match, modified = conditions
    if match != "absent":  # 1
        if match != "*" and ETAG not in match:
            return Verdict.FAILED
    elif isinstance(unmodified, int) and unmodified < MODIFIED:  # 2
        return Verdict.FAILED
    if none_match != "absent":  # 3
        if none_match == "*" or any(tag.opaque == ETAG.opaque for tag in none_match):
            return Verdict.NOT_MODIFIED
    elif isinstance(modified, int) and modified >= MODIFIED:  # 4
        return Verdict.NOT_MODIFIED
    return Verdict.PROCEED  # 6


@given(CONDITIONS)
def test_precedence(conditions: Conditions) -> None:
    """RFC 9110, 13.2.2: any combination of conditions."""
    assert evaluate(fields_of(conditions), OURS, NOW) is model(conditions)


@pytest.mark.parametrize(
    ("name", "value", "verdict"),
    [
        pytest.param(b"if-match", b'"v1"', Verdict.PROCEED, id="13.1.1"),
        pytest.param(b"if-match", b'W/"v1"', Verdict.FAILED, id="13.1.1-weak-never-matches"),
        pytest.param(b"if-match", b" * ", Verdict.PROCEED, id="13.1.1-any"),
        pytest.param(b"if-match", b"v1", Verdict.FAILED, id="13.1.1-unquoted"),
        pytest.param(b"if-none-match", b'W/"v1"', Verdict.NOT_MODIFIED, id="13.1.2-weak-matches"),
        pytest.param(b"if-none-match", b'"v0", "v1"', Verdict.NOT_MODIFIED, id="13.1.2-one-of"),
        pytest.param(b"if-none-match", b'"v0"', Verdict.PROCEED, id="13.1.2-none-of"),
        pytest.param(b"if-none-match", b"", Verdict.PROCEED, id="13.1.2-empty"),
        pytest.param(b"if-modified-since", http_date(MODIFIED), Verdict.NOT_MODIFIED, id="13.1.3"),
        pytest.param(b"if-modified-since", http_date(MODIFIED - 1), Verdict.PROCEED, id="13.1.3-older"),
        pytest.param(b"if-modified-since", http_date(2 * 10**9), Verdict.NOT_MODIFIED, id="13.1.3-future"),
        pytest.param(b"if-modified-since", b"Sunday", Verdict.PROCEED, id="13.1.3-no-date"),
        pytest.param(
            b"if-modified-since",
            http_date(MODIFIED) + b", " + http_date(MODIFIED),
            Verdict.PROCEED,
            id="13.1.3-two-members",
        ),
        pytest.param(b"if-unmodified-since", http_date(MODIFIED), Verdict.PROCEED, id="13.1.4"),
        pytest.param(b"if-unmodified-since", http_date(MODIFIED - 1), Verdict.FAILED, id="13.1.4-older"),
        pytest.param(b"if-unmodified-since", b"0", Verdict.PROCEED, id="13.1.4-no-date"),
    ],
)
def test_each_condition(name: bytes, value: bytes, verdict: Verdict) -> None:
    """RFC 9110, 13.1: each alone."""
    assert evaluate({name: value}, OURS, NOW) is verdict


@pytest.mark.parametrize(
    ("value", "applies"),
    [
        pytest.param(None, True, id="absent"),
        pytest.param(b'"v1"', True, id="same-tag"),
        pytest.param(b'"v2"', False, id="other-tag"),
        pytest.param(b'W/"v1"', False, id="weak-tag"),
        pytest.param(b'"v1", "v2"', False, id="a-list-is-none"),
        pytest.param(b"*", False, id="asterisk"),
        pytest.param(http_date(MODIFIED), True, id="same-date"),
        pytest.param(http_date(MODIFIED + 1), False, id="later-date-is-no-match"),
        pytest.param(http_date(MODIFIED - 1), False, id="earlier-date"),
        pytest.param(b"garbage", False, id="garbage"),
    ],
)
def test_if_range(value: bytes | None, applies: bool) -> None:
    """RFC 9110, 13.1.5: only a strong and exact match lets the range count."""
    assert range_applies({} if value is None else {b"if-range": value}, OURS, NOW) is applies


@pytest.mark.parametrize(("age", "applies"), [(0, False), (0.9, False), (1, True), (60, True)])
def test_if_range_with_a_date_that_is_weak(age: float, applies: bool) -> None:
    """RFC 9110, 8.8.2.2: a Last-Modified less than a second old may belong to two versions."""
    young = Validators(ETAG, MODIFIED)
    assert range_applies({b"if-range": http_date(MODIFIED)}, young, MODIFIED + age) is applies
