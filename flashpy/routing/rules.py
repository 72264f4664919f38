"""Rules for the fields of answers: by path and by media type; and what names with a content hash get by themselves."""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from flashpy.http.fields import check_field
from flashpy.routing.content_hash import has_content_hash
from flashpy.routing.globs import compile_globs

IMMUTABLE = "public, max-age=31536000, immutable"
"""Cache-Control of what never changes: a year, and no revalidation on reload (RFC 8246)."""

_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+*-]+/[A-Za-z0-9!#$&^_.+*-]+")

Fields = tuple[tuple[bytes, bytes], ...]


class Rule(NamedTuple):
    """A rule as it is written.

    ``match`` is of globs for paths, ``types`` of media types, in which ``*`` stands for anything ("image/*"); where
    either is empty, it holds for all. ``headers`` are fields to set; one with an empty value is removed.
    ``cache_control`` is the field Cache-Control.
    """

    match: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    headers: Mapping[str, str] = {}
    cache_control: str | None = None


class Rules:
    """A table of rules, compiled.

    ``base`` is of fields that all answers have, unless a rule says otherwise. ``immutable`` lets names with a content
    hash be kept for a year, unless the base or a rule has a Cache-Control for them. ``cache_control`` is for what is
    left.

    Raises:
        ValueError: a pattern, type, name or value is wrong; in one sentence.
    """

    __slots__ = ("_base", "_immutable", "_otherwise", "_rules")

    def __init__(
        self,
        rules: Iterable[Rule] = (),
        base: Mapping[str, str] = {},
        immutable: bool = True,
        cache_control: str = "",
    ) -> None:
        self._rules = [_Compiled(rule) for rule in rules]
        self._base = _encoded(base)
        self._otherwise = _encoded({"Cache-Control": cache_control} if cache_control else {})
        self._immutable = immutable

    def fields(self, path_asked: bytes, path_served: bytes, media_type: bytes) -> Fields:
        """The fields for an answer: a pure function, for whoever makes an entry of a cache.

        A rule applies if it matches the path that was asked for or the path of the file that answers. All that apply
        do so in order; what a later one says of a field counts.
        """
        found = self._otherwise.copy()
        if self._immutable and _never_changes(path_asked, path_served, media_type):
            found[b"cache-control"] = (b"Cache-Control", IMMUTABLE.encode())
        found.update(self._base)
        for rule in self._rules:
            if rule.applies(path_asked, path_served, media_type):
                found.update(rule.fields)
        return tuple(field for field in found.values() if field[1])

    def aspect(self, path_asked: bytes) -> bytes:
        """All that the fields of answers depend on of a path that is asked for: any of those with the same aspect may
        stand for the others."""
        marks = [b"%d" % number for number, rule in enumerate(self._rules) if rule.names(path_asked)]
        if self._immutable and has_content_hash(path_asked.rpartition(b"/")[2]):
            marks.append(b"#")
        return b",".join(marks)


class _Compiled:
    """A rule that can be asked; its fields by their names in lower case."""

    __slots__ = ("_paths", "_types", "fields")

    def __init__(self, rule: Rule) -> None:
        self._paths = compile_globs(rule.match)
        self._types = _compile_types(rule.types)
        headers = dict(rule.headers)
        if rule.cache_control is not None:
            if any(name.lower() == "cache-control" for name in headers):
                raise ValueError("Cache-Control is given twice, by itself and among the headers; leave one out")
            headers["Cache-Control"] = rule.cache_control
        self.fields = _encoded(headers)

    def names(self, path: bytes) -> bool:
        """Whether it names a path, and not just all."""
        return self._paths is not None and self._paths.fullmatch(path) is not None

    def applies(self, path_asked: bytes, path_served: bytes, media_type: bytes) -> bool:
        """Whether it is a rule for this answer."""
        if self._paths and not (self.names(path_asked) or self.names(path_served)):
            return False
        return not self._types or self._types.fullmatch(_essence(media_type)) is not None


def _never_changes(path_asked: bytes, path_served: bytes, media_type: bytes) -> bool:
    """Whether both names have a hash, and the answer is no page: a rewrite or a fallback says nothing for ever."""
    return (
        has_content_hash(path_served.rpartition(b"/")[2])
        and has_content_hash(path_asked.rpartition(b"/")[2])
        and _essence(media_type) != b"text/html"
    )


def _essence(media_type: bytes) -> bytes:
    """A media type without its parameters."""
    return media_type.partition(b";")[0].strip().lower()


def _compile_types(types: Iterable[str]) -> re.Pattern[bytes] | None:
    expressions = []
    for text in types:
        if not _TYPE.fullmatch(text):
            raise ValueError(f'{text!r} is no media type; write one such as "text/css" or "image/*"')
        expressions.append(re.sub(rb"(?:\\\*)+", rb"[^/]*", re.escape(text.lower().encode())))
    return re.compile(b"|".join(expressions)) if expressions else None


def _encoded(headers: Mapping[str, str]) -> dict[bytes, tuple[bytes, bytes]]:
    for name, value in headers.items():
        check_field(name, value)
    return {name.lower().encode(): (name.encode(), value.strip().encode("latin-1")) for name, value in headers.items()}
