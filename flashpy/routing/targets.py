"""Where a rule leads: a template, filled with what the rule's pattern has captured.

In a target's path, ``$1`` is what the first star has matched, ``:name`` what a placeholder has, ``:splat`` what a star
at the end has; in its query and fragment too. ``\\`` takes its meaning from the character that follows. Else a target
is written as a URI: what is percent-encoded stays so, what cannot stand in a URI is encoded.

What is captured was chosen by a client. It is encoded, so that it is neither a delimiter nor a control character; it
cannot be in the host; and a path never begins with two slashes, which would be another host (RFC 3986, 4.2).
"""

import re
from collections.abc import Collection, Mapping
from urllib.parse import quote_from_bytes, unquote_to_bytes

from flashpy.http.target import normalise, quote_path, quote_query

Captures = Mapping[str, bytes]

_ORIGIN = re.compile(r"https?://(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?", re.IGNORECASE)
_PART = re.compile(r"\\(?P<escaped>.)|(?P<mark>[$:])(?P<name>(?<=\$)\d+|(?<=:)[A-Za-z_][A-Za-z0-9_]*)", re.DOTALL)
_ILLEGAL = re.compile(rb"[^A-Za-z0-9\-._~!$&'()*+,;=:@/%]|%(?![0-9A-Fa-f]{2})")
_SLASHES = re.compile(rb"/{2,}")


class Template:
    """A text with places for what is captured.

    ``names`` are those of the captures that there may be.

    Raises:
        ValueError: a place has no such capture; in one sentence.
    """

    __slots__ = ("_parts",)

    def __init__(self, text: str, names: Collection[str]) -> None:
        self._parts: list[tuple[bytes, str]] = []  # a text, and the name of the capture that follows it
        literal = ""
        position = 0
        for match in _PART.finditer(text):
            literal += text[position : match.start()] + (match["escaped"] or "")
            position = match.end()
            name = match["name"]
            if name:
                if name not in names:
                    raise ValueError(_unknown(text, match[0], names))
                self._parts.append((literal.encode(), name))
                literal = ""
        self._parts.append(((literal + text[position:]).encode(), ""))

    def fill(self, captures: Captures, in_query: bool = False) -> bytes:
        """The text as part of a URI; what is captured is encoded with all that has a meaning in a path or query."""
        written = b""
        for literal, name in self._parts:
            written += quote_query(literal) if in_query else _ILLEGAL.sub(_encode, literal)
            value = captures.get(name, b"")
            written += quote_from_bytes(value, safe="").encode() if in_query else quote_path(value)
        return written

    def fill_decoded(self, captures: Captures) -> bytes | None:
        """The text as a path that is decoded and normalised; None if ".." or a NUL has got into it."""
        written = b""
        for literal, name in self._parts:
            written += unquote_to_bytes(literal) + captures.get(name, b"")
        segments = written[1:].split(b"/")
        return None if b".." in segments else normalise(segments)


class Target:
    """What a redirect leads to: a path ("/new/:splat") or a URI ("https://example.org/$1"), maybe with a query.

    Raises:
        ValueError: it is neither, or a place in it has no such capture; in one sentence.
    """

    __slots__ = ("_fragment", "_origin", "_path", "_query", "has_query")

    def __init__(self, text: str, names: Collection[str]) -> None:
        origin = _ORIGIN.match(text)
        rest = text[origin.end() :] if origin else text
        if not re.match(r"/|[?#]|\Z" if origin else r"/(?!/)", rest):
            raise ValueError(f'{text!r} is no target; write a path such as "/new", or one beginning with https://')
        rest, number, fragment = rest.partition("#")
        path, mark, query = rest.partition("?")
        self._origin = origin[0].encode() if origin else b""
        self._path = Template(path, names)
        self._query = Template(query, names)
        self._fragment = Template(fragment, names) if number else None
        self.has_query = bool(mark)

    def location(self, captures: Captures, query: bytes) -> bytes:
        """The value of Location. The query of the request is passed on, unless the target has its own."""
        path = _SLASHES.sub(b"/", self._path.fill(captures))
        said = self._query.fill(captures, in_query=True) if self.has_query else quote_query(query)
        fragment = b"#" + self._fragment.fill(captures, in_query=True) if self._fragment else b""
        return self._origin + path + (b"?" + said if said else b"") + fragment


def local_path(text: str, names: Collection[str]) -> Template:
    """What a rewrite leads to: a path only.

    Raises:
        ValueError: it is none, or a place in it has no such capture; in one sentence.
    """
    if not re.match(r"/(?!/)[^?#]*\Z", text):
        raise ValueError(f'{text!r} is no target of a rewrite; write a path such as "/index.html", without a query')
    template = Template(text, names)
    if template.fill_decoded({}) is None:
        raise ValueError(f'{text!r} must not have ".." in it')
    return template


def escape(text: str) -> str:
    """The template that is a text as it stands."""
    return re.sub(r"([\\$:])", r"\\\1", text)


def _encode(match: re.Match[bytes]) -> bytes:
    return b"%%%02X" % match[0][0]


def _unknown(text: str, place: str, names: Collection[str]) -> str:
    known = ", ".join(sorted(f"${name}" if name.isdigit() else f":{name}" for name in names))
    return (
        f"{text!r}: the pattern captures nothing as {place} ({f'it has {known}' if known else 'it has no wildcard'}); "
        f"for the characters themselves write \\{place}"
    )
