"""The syntax of globs: from a pattern's text to its elements (their meaning is in globs)."""

import re
from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

MOST_ALTERNATIVES = 256
"""Patterns without braces that one with braces may stand for."""

_CLASS = re.compile(r"\[(?P<negated>[!^]?)(?P<members>\]?(?:\\.|[^\]\\])*)\]", re.DOTALL)
_PLACEHOLDER = re.compile(r":(?P<name>[A-Za-z_][A-Za-z0-9_]*)")
_STARS = re.compile(r"\*+")
_IMPOSSIBLE = re.compile(r"(?:^|/)\.{1,2}(?:/|$)|//")
_SPECIAL = re.compile(r"([\\*?\[\]{},:])")


class OneOf(NamedTuple):
    """One character: any but a slash, or one of a class of ASCII characters, or (``negated``) of all others."""

    members: bytes = b""
    negated: bool = True


class Star(NamedTuple):
    """``*`` or ``:name``: characters of one segment, ``least`` of them at least."""

    name: str
    least: int


class Span(NamedTuple):
    """``**``: any characters; if ``whole``, up to where a segment begins. Without a name it is not captured."""

    name: str
    whole: bool


Element = bytes | OneOf | Star | Span
"""A part of a pattern; bytes are one character that stands for itself."""


def read(pattern: str) -> list[list[Element]]:
    """The elements of each of the patterns without braces that a pattern stands for.

    Raises:
        ValueError: it is no pattern; in one sentence.
    """
    if not pattern:
        raise ValueError("a pattern must not be empty")
    found: list[list[Element]] = []
    for text in expand(pattern):
        if _IMPOSSIBLE.search(text):
            raise ValueError(f'{pattern!r} matches nothing: no path has "//", "." or ".." in it')
        if "/" in text:
            found.append(list(_elements(text if text[0] == "/" else "/" + text, pattern)))
        elif text:
            anywhere: list[Element] = [b"/", Span("", True), *_elements(text, pattern)]
            found += anywhere, [*anywhere, b"/"]
        else:
            raise ValueError(f"{pattern!r} has an alternative that is empty as a whole")
    return found


def escape(text: str) -> str:
    """The pattern that matches a text as it stands."""
    return _SPECIAL.sub(r"\\\1", text)


def expand(pattern: str) -> list[str]:
    """The patterns without braces that a pattern stands for.

    Raises:
        ValueError: a brace or bracket is not closed, or they are too many.
    """
    parts: list[list[str]] = []
    total = 1
    position = 0
    while position < len(pattern):
        end = _end(pattern, position)
        text = pattern[position:end]
        part = [each for inner in _split(text) for each in expand(inner)] if text[0] == "{" else [text]
        total *= len(part)
        if total > MOST_ALTERNATIVES:
            raise ValueError(f"{pattern!r} stands for more than {MOST_ALTERNATIVES} patterns; write several")
        parts.append(part)
        position = end
    return ["".join(each) for each in product(*parts)]


def _end(pattern: str, position: int) -> int:
    """Where the character, class or group in braces ends that begins at a position."""
    first = pattern[position]
    if first == "\\":
        if position + 1 == len(pattern):
            raise ValueError(f"{pattern!r} ends in a backslash; write two for one")
        return position + 2
    if first == "[":
        match = _CLASS.match(pattern, position)
        if not match:
            raise ValueError(f"{pattern!r} has a bracket that is not closed; write \\[ for the character")
        return match.end()
    if first == "}":
        raise ValueError(f"{pattern!r} closes a brace that is not open; write \\}} for the character")
    if first != "{":
        return position + 1
    position += 1
    while pattern[position : position + 1] != "}":
        if position == len(pattern):
            raise ValueError(f"{pattern!r} has a brace that is not closed; write \\{{ for the character")
        position = _end(pattern, position)
    return position + 1


def _split(group: str) -> list[str]:
    """What stands between the commas of a group in braces."""
    parts = [""]
    position = 1
    while position < len(group) - 1:
        end = _end(group, position)
        if group[position] == ",":
            parts.append("")
        else:
            parts[-1] += group[position:end]
        position = end
    return parts


def _elements(text: str, pattern: str) -> Iterator[Element]:
    """The elements of a text without braces; names are given by number, but those of placeholders."""
    names: set[str] = set()
    number = position = 0
    while position < len(text):
        begins = position == 0 or text[position - 1] == "/"
        end = _end(text, position)
        if text[position] == "*":
            end = _after(_STARS, text, position)
            number += 1
            if end - position == 1:
                yield Star(str(number), int(begins and text[end : end + 1] in ("", "/")))
            else:
                whole = begins and text[end : end + 1] == "/"
                end += whole
                yield Span(str(number), whole)
        elif begins and (placeholder := _PLACEHOLDER.match(text, position)):
            name, end = placeholder["name"], placeholder.end()
            if text[end : end + 1] not in ("", "/"):
                raise ValueError(f"{pattern!r}: :{name} must be a whole segment; write \\: for the character")
            if name in names or name == "splat":
                raise ValueError(f"{pattern!r}: the name {name!r} is given twice")
            names.add(name)
            yield Star(name, 1)
        elif text[position] == "?":
            yield OneOf()
        elif text[position] == "[":
            yield _class(text[position:end], pattern)
        else:
            yield text[end - 1].encode()
        position = end


def _after(expression: re.Pattern[str], text: str, position: int) -> int:
    match = expression.match(text, position)
    return match.end() if match else position


def _class(text: str, pattern: str) -> OneOf:
    """A class in brackets."""
    match = _CLASS.fullmatch(text)
    assert match  # it has been found by the same expression
    listed = re.findall(r"\\?(.)(?:-\\?([^\]]))?", match["members"], re.DOTALL)
    members: set[int] = set()
    for first, last in listed:
        if not (first + last).isascii():
            raise ValueError(f"{pattern!r}: a class in brackets may have ASCII characters only; use braces")
        if last and last < first:
            raise ValueError(f"{pattern!r}: the range {first}-{last} is empty; write {last}-{first}")
        members.update(range(ord(first), ord(last or first) + 1))
    members.discard(ord("/"))
    if not members:
        raise ValueError(f"{pattern!r}: {text} matches nothing: no class has a slash")
    return OneOf(bytes(sorted(members)), bool(match["negated"]))
