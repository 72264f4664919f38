"""Globs over paths: compiled to regular expressions that match in linear time.

A path is decoded and normalised (http.target). In a pattern

- ``*`` stands for any characters of one segment (at least one, where it is the whole segment),
- ``**`` for any characters at all; in ``/**/`` for any number of whole segments, none among them,
- ``?`` for one character, ``[a-z]`` and ``[!a-z]`` for one of a class; none of them for a slash,
- ``{a,b}`` for either, which may be anything, also nothing, and hold other braces,
- ``:name`` for a whole segment, remembered under its name,
- ``\\`` takes its meaning from the character that follows.

A pattern with a slash in it is anchored at the root, whether it begins with one or not. One without matches the last
segment of a path, in whichever directory, and with or without a closing slash (``*.map``, as in .gitignore). Case
matters.

Why it is linear: braces are expanded, so that all that stands between two stars has one length in characters. Then it
is enough to look for it at the first place where it fits, and never again: a later place only leaves less to choose
from, since a star follows. So each such step is an atomic group, which is never tried twice. ``**`` moves on by whole
segments, because what fails after the first fit within a segment fails after all others in it.
"""

import re
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

from flashpy.routing.glob_syntax import Element, OneOf, Span, Star, read

SPLAT = "splat"
"""The name of what a star at the end of a pattern has matched."""

_CONTINUED = rb"[\x80-\xbf]*+"  # the bytes of a character of UTF-8 after its first
_SEGMENTS = rb"(?:[^/]*+/)*?"


class _Captures(NamedTuple):
    """What one alternative captures: from the group ``first`` on, two for each, which mark where it begins and ends."""

    first: int
    elements: tuple[Star | Span, ...]
    splat: bool  # the last is a star at the end


class Glob:
    """A compiled pattern, with what is needed to tell what its parts have matched.

    ``regex`` is for a full match. ``literals`` are the only paths that match, if there is no wildcard, else None.
    ``names`` are those under which something may be captured: "1", "2" and so on for the stars in their order, the
    names of placeholders, and "splat" for a star at the end.

    Raises:
        ValueError: it is no pattern; in one sentence.
    """

    __slots__ = ("_captures", "literals", "names", "regex")

    def __init__(self, pattern: str) -> None:
        alternatives = read(pattern)
        self.regex = re.compile(b"|".join(map(_expression, alternatives)), re.DOTALL)
        self.literals = _literals(alternatives)
        self._captures: dict[int | None, _Captures] = {}  # by the last group of each
        self.names: frozenset[str] = frozenset()
        group = 0
        for elements in alternatives:
            captured = tuple(each for each in elements if isinstance(each, Star | Span) and each.name)
            if captured:
                splat = elements[-1] == captured[-1] and captured[-1].name.isdigit()
                self._captures[group + 2 * len(captured)] = _Captures(group + 1, captured, splat)
                group += 2 * len(captured)
                self.names |= {each.name for each in captured} | ({SPLAT} if splat else set())

    def captures(self, path: bytes) -> dict[str, bytes] | None:
        """What the parts of the pattern have matched in a path; None if it does not match."""
        match = self.regex.fullmatch(path)
        if match is None:
            return None
        found: dict[str, bytes] = {}
        captures = self._captures.get(match.lastindex)
        if captures is None:
            return found
        for group, element in enumerate(captures.elements):
            begin = match.start(captures.first + 2 * group)
            end = match.start(captures.first + 2 * group + 1)
            whole = isinstance(element, Span) and element.whole and end > begin
            found[element.name] = path[begin : end - whole]
        if captures.splat:
            found[SPLAT] = found[captures.elements[-1].name]
        return found


def compile_glob(pattern: str) -> re.Pattern[bytes]:
    """The regular expression of a pattern, for a full match.

    Raises:
        ValueError: it is no pattern; in one sentence.
    """
    return Glob(pattern).regex


def compile_globs(patterns: Iterable[str], beneath: bool = False) -> re.Pattern[bytes] | None:
    """One expression for what any of the patterns matches, or None if there is none.

    With ``beneath``, also for what lies in a directory that matches: a hidden directory hides all that is in it.

    Raises:
        ValueError: one is no pattern; in one sentence.
    """
    expressions = []
    for pattern in patterns:
        for elements in read(pattern):
            expressions.append(_expression(elements))
            if beneath:
                directory = elements if elements[-1] == b"/" else [*elements, b"/"]
                expressions.append(_expression([*directory, Span("", False)]))
    return re.compile(b"|".join(expressions), re.DOTALL) if expressions else None


def _literals(alternatives: list[list[Element]]) -> tuple[bytes, ...] | None:
    found = []
    for elements in alternatives:
        characters = [element for element in elements if isinstance(element, bytes)]
        if len(characters) != len(elements):
            return None
        found.append(b"".join(characters))
    return tuple(found)


# From elements to an expression. What ends in ``final`` reaches to the end of the path.


def _expression(elements: list[Element]) -> bytes:
    """The expression of one alternative."""
    bounds = [position for position, element in enumerate(elements) if isinstance(element, Span)] + [len(elements)]
    (_, written), *stars = _chunks(elements[: bounds[0]])
    written += _stars(stars, final=len(bounds) == 1)
    for begin, end in pairwise(bounds):
        span = elements[begin]
        assert isinstance(span, Span)
        written += _span(span, elements[begin + 1 : end], final=end == len(elements))
    return written + rb"\Z"


_Chunk = tuple[Star | None, bytes]
"""A star, and the expression of what stands between it and the next."""


def _chunks(elements: list[Element]) -> list[_Chunk]:
    """Elements without a span, divided at the stars; the first part has none before it."""
    found: list[_Chunk] = [(None, b"")]
    for element in elements:
        if isinstance(element, Star):
            found.append((element, b""))
        else:
            found[-1] = (found[-1][0], found[-1][1] + _character(element))
    return found


def _character(element: Element) -> bytes:
    if isinstance(element, bytes):
        return re.escape(element)
    assert isinstance(element, OneOf)
    members = b"".join(b"\\x%02x" % member for member in element.members)
    if element.negated:
        return b"[^/\\x80-\\xbf%s]" % members + _CONTINUED
    return b"[%s]" % members


def _mark(element: Star | Span) -> bytes:
    """An empty group: where it stands is where what is captured begins or ends."""
    return b"()" if element.name else b""


def _stars(chunks: list[_Chunk], final: bool) -> bytes:
    written = b""
    for number, (star, chunk) in enumerate(chunks, 1):
        assert star
        some = b"[^/]+" if star.least else b"[^/]*"
        mark = _mark(star)
        if not final or number < len(chunks):
            written += mark + b"(?>" + some + b"?" + mark + chunk + b")"
        elif chunk:
            written += mark + some + b"?" + mark + chunk
        else:
            written += mark + some + b"+" + mark
    return written


def _span(span: Span, group: list[Element], final: bool) -> bytes:
    """A span and what stands between it and the next."""
    mark = _mark(span)
    if final and not group and not span.whole:
        return mark + b".*+" + mark
    (_, chunk), *stars = _chunks(group)
    if span.whole:
        written = mark + _SEGMENTS + mark + chunk
    elif final and not stars:
        written = mark + _SEGMENTS + b"[^/]*?" + mark + chunk
    else:
        written = mark + _SEGMENTS + b"(?>[^/]*?" + mark + chunk + b")"
    written += _stars(stars, final)
    return written if final else b"(?>" + written + b")"
