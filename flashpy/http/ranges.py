"""Byte ranges: reading the Range field, merging, and multipart/byteranges (RFC 9110, section 14)."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from flashpy.buffers import Aggregate, Ready, Slice, length_of


class Span(NamedTuple):
    """A satisfiable range: ``length`` bytes (at least one) from ``offset``."""

    offset: int
    length: int

    @property
    def end(self) -> int:
        """The offset after the last byte."""
        return self.offset + self.length


class Unsatisfiable(Exception):
    """No range of a well-formed set overlaps the representation: 416 (RFC 9110, 15.5.17)."""


_MEMBER = re.compile(rb"(\d+)-(\d*)|-(\d+)")
_UNIT = re.compile(rb"bytes=", re.IGNORECASE)


def select(value: bytes, size: int, limit: int) -> list[Span] | None:
    """The ranges to send, in the order asked for; None where the field is to be ignored and the whole sent.

    Ignored are unknown units, bad syntax (RFC 9110, 14.2), more than ``limit`` ranges, and sets that would be more
    work than the whole representation (14.2 and 17.15). Overlapping ranges, and those nearer to each other than a
    part's own head costs, are merged (15.3.7.2).

    Raises:
        Unsatisfiable: the set is well-formed, but none of it lies within ``size`` bytes.
    """
    unit = _UNIT.match(value)
    if not unit:
        return None
    members = [member.strip(b" \t") for member in value[unit.end() :].split(b",")]
    members = [member for member in members if member]
    if not members or len(members) > limit:
        return None
    spans: list[Span] = []
    for member in members:
        match = _MEMBER.fullmatch(member)
        if not match or (match[1] and match[2] and _number(match[2]) < _number(match[1])):
            return None
        if not size and match[3] and _number(match[3]):
            return None  # RFC 9110, 14.1.2: a suffix of what is empty is satisfiable, and the whole of it
        span = _resolve(match[1], match[2], match[3], size)
        if span:
            spans.append(span)
    if not spans:
        raise Unsatisfiable
    spans = merge(spans)
    if len(spans) > 1 and sum(span.length + PART_COST for span in spans) > size:
        return None
    return spans


def _resolve(first: bytes | None, last: bytes | None, suffix: bytes | None, size: int) -> Span | None:
    if first is None:
        wanted = min(_number(suffix or b"0"), size)
        return Span(size - wanted, wanted) if wanted else None
    start = _number(first)
    if start >= size:
        return None
    end = min(_number(last), size - 1) if last else size - 1
    return Span(start, end - start + 1)


def _number(digits: bytes) -> int:
    """Any number of digits, as the grammar allows; what is beyond every file's size need not be told apart."""
    digits = digits.lstrip(b"0")
    return int(digits or b"0") if len(digits) <= 19 else 10**19


PART_COST = 80
"""About what the head of one part of a multipart body takes (RFC 9110, 15.3.7.2: typically around 80 bytes)."""


def merge(spans: Sequence[Span]) -> list[Span]:
    """Spans that overlap or have less than ``PART_COST`` between them joined; each stands where its first stood."""
    order = sorted(range(len(spans)), key=lambda index: spans[index].offset)
    merged: list[tuple[int, Span]] = []
    for index in order:
        span = spans[index]
        if merged and span.offset - merged[-1][1].end < PART_COST:
            place, last = merged[-1]
            end = max(last.end, span.end)
            merged[-1] = (min(place, index), Span(last.offset, end - last.offset))
        else:
            merged.append((index, span))
    return [span for _, span in sorted(merged, key=lambda pair: pair[0])]


def content_range(span: Span, size: int) -> bytes:
    """The value of Content-Range for a part (RFC 9110, 14.4)."""
    return b"bytes %d-%d/%d" % (span.offset, span.end - 1, size)


def cut(body: Ready, span: Span) -> Ready:
    """The part of a whole body that a span names."""
    if isinstance(body, Slice):
        return Slice(body.file, body.offset + span.offset, span.length)
    return body[span.offset : span.end]


def multipart(body: Ready, spans: Sequence[Span], size: int, kind: bytes, boundary: bytes) -> tuple[Aggregate, int]:
    """A multipart/byteranges body (RFC 9110, 14.6) as an aggregate that copies nothing of a file, and its length."""
    pieces: list[Ready] = []
    lead = b"--"
    for span in spans:
        pieces.append(
            lead
            + boundary
            + b"\r\nContent-Type: "
            + kind
            + b"\r\nContent-Range: "
            + content_range(span, size)
            + b"\r\n\r\n"
        )
        pieces.append(cut(body, span))
        lead = b"\r\n--"
    pieces.append(b"\r\n--" + boundary + b"--\r\n")
    aggregate = tuple(pieces)
    return aggregate, length_of(aggregate)
