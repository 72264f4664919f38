"""The request target: its forms (RFC 9112, 3.2), and its path, decoded once and normalised (RFC 3986).

What comes out is safe to hand to a file system beneath a root: it begins with "/", has no "." or ".." segment, no
empty segment, no NUL, and was decoded exactly once. (The kernel confines it all the same: job.perform.)
"""

import re
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

_PLAIN_PATH = re.compile(rb"(?:/[A-Za-z0-9_~-][A-Za-z0-9_.~-]*)*/?")
_TARGET_PATH = re.compile(rb"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/|\"<>\[\]\\^`{}\x80-\xff]|%[0-9A-Fa-f]{2})*")
_AUTHORITY = re.compile(
    rb"(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})*(?::\d{0,5})?|\[[0-9A-Fa-f:.]+\](?::\d{0,5})?"
)
_ABSOLUTE = re.compile(rb"https?://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)
_UNRESERVED_PATH = re.compile(rb"[^A-Za-z0-9\-._~!$&'()*+,;=:@/]")
_NOT_IN_QUERY = re.compile(rb"[^A-Za-z0-9\-._~!$&'()*+,;=:@/?%]|%(?![0-9A-Fa-f]{2})")


class Target(NamedTuple):
    """A request target taken apart. ``path`` is b"*" for the asterisk-form; ``query`` is without its "?"."""

    path: bytes
    query: bytes
    authority: bytes | None = None


def parse_target(target: bytes) -> Target | None:
    """Origin-form, absolute-form or ``*``; None for anything else, which is to be answered 400.

    None too for an invalid percent-encoding, an encoded NUL, a fragment, or ".." segments that lead above "/".
    """
    if _PLAIN_PATH.fullmatch(target) and target:
        return Target(target, b"")
    if target == b"*":
        return Target(target, b"")
    authority = None
    if not target.startswith(b"/"):
        match = _ABSOLUTE.fullmatch(target)
        if not match or match[1][:1] in (b"", b":") or not valid_authority(match[1]):
            return None  # RFC 9110, 4.2.1: an empty host is invalid
        authority, target = match[1], match[2]
        if not target.startswith(b"/"):
            target = b"/" + target
    raw, _, query = target.partition(b"?")
    if b"#" in query or not _TARGET_PATH.fullmatch(raw):
        return None
    path = normalise(unquote_segments(raw))
    return None if path is None else Target(path, query, authority)


def valid_authority(value: bytes) -> bool:
    """Whether a Host value or an authority is ``host[:port]``, possibly empty (RFC 9110, 7.2); no userinfo (4.2.4)."""
    return _AUTHORITY.fullmatch(value) is not None


def unquote_segments(raw: bytes) -> list[bytes]:
    """The segments after the first "/", each decoded once; an encoded "/" stays inside its segment."""
    segments = raw[1:].split(b"/")
    return [unquote_to_bytes(segment) for segment in segments] if b"%" in raw else segments


def normalise(segments: list[bytes]) -> bytes | None:
    """The path of decoded segments without ".", ".." (RFC 3986, 5.2.4) and empty segments, as nginx merges slashes.

    None if it leads above the root or holds a NUL. A segment with an encoded "/" names no file: such a path becomes
    one that cannot exist (``NO_FILE``).
    """
    kept: list[bytes] = []
    for segment in segments:
        if b"\0" in segment:
            return None
        if segment == b"..":
            if not kept:
                return None
            kept.pop()
        elif segment not in (b"", b"."):
            kept.append(segment)
    if any(b"/" in segment for segment in kept):
        return NO_FILE
    directory = not kept or segments[-1] in (b"", b".", b"..")
    return b"/" + b"/".join(kept) + (b"/" if directory and kept else b"")


NO_FILE = b"/\0"
"""A path that no file can have: NUL ends names in every file system."""


def quote_path(path: bytes) -> bytes:
    """A decoded path as it stands in a URI, percent-encoded (RFC 3986, 2.1)."""
    return _UNRESERVED_PATH.sub(lambda match: b"%%%02X" % match[0][0], path)


def quote_query(query: bytes) -> bytes:
    """A query as it was sent, with what cannot stand in a URI percent-encoded (RFC 3986, 3.4)."""
    return _NOT_IN_QUERY.sub(lambda match: b"%%%02X" % match[0][0], query)


def hidden(path: bytes) -> bool:
    """Whether a segment begins with a dot; a leading ``/.well-known/`` is meant for the public (RFC 8615)."""
    return b"/." in (path[len(b"/.well-known") :] if path.startswith(b"/.well-known/") else path)
