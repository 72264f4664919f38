"""Byte ranges, against a model that marks single bytes."""

import os
from collections.abc import Sequence
from email.parser import BytesParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flashpy.buffers import Descriptor, Slice, length_of
from flashpy.http.ranges import PART_COST, Span, Unsatisfiable, content_range, cut, merge, multipart, select

LIMIT = 20
Asked = tuple[int | None, int | None]
"""First and last byte; the last alone is a suffix length."""

NUMBERS = st.one_of(st.integers(0, 2000), st.integers(0, 10**25))
INTERVALS = st.tuples(NUMBERS, st.one_of(st.none(), NUMBERS)).map(
    lambda pair: pair if pair[1] is None or pair[0] <= pair[1] else (pair[1], pair[0])
)
SUFFIXES = st.tuples(st.none(), NUMBERS)
ASKED: st.SearchStrategy[list[Asked]] = st.lists(st.one_of(INTERVALS, SUFFIXES), min_size=1, max_size=8)
GAPS = st.sampled_from([b",", b", ", b" , ", b",,", b"\t,"])


def spell(asked: Sequence[Asked], gap: bytes = b",") -> bytes:
    """The Range field."""
    members = [
        (b"" if first is None else b"%d" % first) + b"-" + (b"" if last is None else b"%d" % last)
        for first, last in asked
    ]
    return b"bytes=" + gap.join(members)


def wanted(one: Asked, size: int) -> range:
    """The bytes that one member names (RFC 9110, 14.1.2)."""
    first, last = one
    if first is None:
        assert last is not None
        return range(max(0, size - last), size)
    return range(min(first, size), size if last is None else min(last + 1, size))


def model(asked: Sequence[Asked], size: int) -> list[Span]:
    """Mark each byte, fill the short gaps, and take the runs, in the order in which they were first asked for."""
    marks = bytearray(size)
    for one in asked:
        for place in wanted(one, size):
            marks[place] = 1
    filled = bytes(marks)
    for gap in range(PART_COST - 1, 0, -1):
        filled = filled.replace(b"\1" + b"\0" * gap + b"\1", b"\1" * (gap + 2))
    runs, place = [], 0
    while (place := filled.find(b"\1", place)) >= 0:
        end = filled.find(b"\0", place)
        end = size if end < 0 else end
        runs.append(Span(place, end - place))
        place = end
    starts = [next(iter(there)) for one in asked if (there := wanted(one, size))]
    return sorted(runs, key=lambda run: next(i for i, start in enumerate(starts) if run.offset <= start < run.end))


@given(ASKED, st.integers(1, 3000), GAPS)
@example([(0, 9), (100, 109), (50, 59)], 3000, b",")
@example([(1000, None), (0, 0), (None, 1)], 3000, b", ")
@example([(0, 9), (10 + PART_COST, 99)], 3000, b",")
@example([(0, 9), (9 + PART_COST, 99)], 3000, b",")
def test_select_against_the_model(asked: list[Asked], size: int, gap: bytes) -> None:
    """RFC 9110, 14.1.2, 14.2 and 15.3.7.2: what is sent is what was asked for, merged, in the order asked."""
    expected = model(asked, size)
    if not expected:
        with pytest.raises(Unsatisfiable):
            select(spell(asked, gap), size, LIMIT)
        return
    spans = select(spell(asked, gap), size, LIMIT)
    if len(expected) > 1 and sum(span.length + PART_COST for span in expected) > size:
        assert spans is None
    else:
        assert spans == expected
        content = os.urandom(size)
        assert [cut(content, span) for span in spans] == [content[span.offset : span.end] for span in expected]


@given(st.lists(st.builds(Span, st.integers(0, 5000), st.integers(1, 500)), max_size=10))
def test_merged_spans_lie_apart_and_merge_no_further(spans: list[Span]) -> None:
    """RFC 9110, 15.3.7.2."""
    merged = merge(spans)
    ordered = sorted(merged)
    assert all(after.offset - before.end >= PART_COST for before, after in pairwise(ordered))
    assert merge(merged) == merged


@pytest.mark.parametrize(
    ("value", "spans"),
    [
        (b"bytes=0-499", [Span(0, 500)]),
        (b"bytes=500-999", [Span(500, 500)]),
        (b"bytes=-500", [Span(9500, 500)]),
        (b"bytes=9500-", [Span(9500, 500)]),
        (b"bytes=0-0,-1", [Span(0, 1), Span(9999, 1)]),
        (b"bytes= 0-999, 4500-5499, -1000", [Span(0, 1000), Span(4500, 1000), Span(9000, 1000)]),
        (b"bytes=500-600,601-999", [Span(500, 500)]),
        (b"bytes=500-700,601-999", [Span(500, 500)]),
        (b"BYTES=0-0", [Span(0, 1)]),
        (b"bytes=-20000", [Span(0, 10_000)]),
        (b"bytes=9999-99999999999999999999999999", [Span(9999, 1)]),
        (b"bytes=00000000000000000000001-2", [Span(1, 2)]),
        (b"bytes=0-0, 20000-", [Span(0, 1)]),
    ],
)
def test_the_examples_of_the_rfc(value: bytes, spans: list[Span]) -> None:
    """RFC 9110, 14.1.2: its examples of 10,000 bytes, and their neighbours."""
    assert select(value, 10_000, LIMIT) == spans


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"bytes", id="no-equals"),
        pytest.param(b"bytes=", id="no-member"),
        pytest.param(b"bytes=,", id="empty-members"),
        pytest.param(b"bytes=-", id="no-number"),
        pytest.param(b"bytes=a-b", id="no-digits"),
        pytest.param(b"bytes=5-4", id="last-before-first"),
        pytest.param(b"bytes=0-0,5-4", id="one-bad-spoils-all"),
        pytest.param(b"bytes=0-0,x", id="garbage-behind"),
        pytest.param(b"bytes=+1-2", id="sign"),
        pytest.param(b"bytes=0x1-2", id="hexadecimal"),
        pytest.param(b"bytes=--1", id="two-signs"),
        pytest.param(b"bytes=1 - 2", id="blanks"),
        pytest.param(b"bytes=0-0, bytes=5-5", id="two-fields-joined"),
        pytest.param(b"lines=0-5", id="other-unit"),
        pytest.param(b"bytes 0-5", id="content-range"),
        pytest.param("bytes=٠-١".encode(), id="other-digits"),
        pytest.param(b"bytes=" + b",".join(b"%d-%d" % (n * 200, n * 200) for n in range(LIMIT + 1)), id="too-many"),
        pytest.param(b"bytes=0-4999,5100-", id="more-work-than-the-whole"),
    ],
)
def test_fields_that_are_ignored(value: bytes) -> None:
    """RFC 9110, 14.2: an invalid or excessive Range, or an unknown unit, is as good as none."""
    assert select(value, 10_000, LIMIT) is None


@pytest.mark.parametrize(
    ("value", "size"),
    [(b"bytes=10-", 10), (b"bytes=10-20,30-", 10), (b"bytes=-0", 10), (b"bytes=0-", 0), (b"bytes=-0", 0)],
)
def test_unsatisfiable(value: bytes, size: int) -> None:
    """RFC 9110, 14.1.2 and 15.5.17."""
    with pytest.raises(Unsatisfiable):
        select(value, size, LIMIT)


@pytest.mark.parametrize("value", [b"bytes=-5", b"bytes=0-,-1"])
def test_a_suffix_of_nothing_is_the_whole(value: bytes) -> None:
    """RFC 9110, 14.1.2: a suffix-range is satisfiable if its length is not zero; of an empty file it is the whole."""
    assert select(value, 0, LIMIT) is None


def test_content_range() -> None:
    """RFC 9110, 14.4."""
    assert content_range(Span(42, 1192), 1234) == b"bytes 42-1233/1234"


def test_cutting_a_slice_copies_nothing(tmp_path: Path) -> None:
    """A part of a file stays a slice of the same descriptor."""
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    file = Descriptor(os.open(path, os.O_RDONLY))
    part = cut(Slice(file, 2, 8), Span(3, 4))
    assert isinstance(part, Slice)
    assert part.file is file
    assert os.pread(file.fd, part.length, part.offset) == b"5678"


@st.composite
def bodies_with_spans(draw: st.DrawFn) -> tuple[bytes, list[Span]]:
    """A body and one to five spans of it, which need not be in order."""
    body = draw(st.binary(min_size=1, max_size=200))
    offsets = st.integers(0, len(body) - 1)
    spans = []
    for offset in draw(st.lists(offsets, min_size=1, max_size=5)):
        spans.append(Span(offset, draw(st.integers(1, len(body) - offset))))
    return body, spans


@given(bodies_with_spans(), st.sampled_from([b"text/plain; charset=utf-8", b"image/png"]))
def test_multipart_read_back(case: tuple[bytes, list[Span]], kind: bytes) -> None:
    """RFC 9110, 14.6: another parser finds the same parts, with their types and ranges; the length is exact."""
    body, spans = case
    boundary = b"flashpy-0123456789abcdef"
    aggregate, length = multipart(body, spans, len(body), kind, boundary)
    whole = b"".join(piece for piece in aggregate if isinstance(piece, bytes))
    assert len(whole) == length == length_of(aggregate)
    head = b"Content-Type: multipart/byteranges; boundary=" + boundary + b"\r\n\r\n"
    parts: list[Any] = BytesParser().parsebytes(head + whole).get_payload()  # type: ignore[assignment]
    assert [part["Content-Type"] for part in parts] == [kind.decode()] * len(spans)
    assert [part["Content-Range"] for part in parts] == [content_range(span, len(body)).decode() for span in spans]
    assert [part.get_payload(decode=True) for part in parts] == [body[span.offset : span.end] for span in spans]
