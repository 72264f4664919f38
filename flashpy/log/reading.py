"""Reading access logs again: what was asked for, from lines of the combined form, of JSON, or of plain addresses."""

import json
import re
from typing import NamedTuple

_COMBINED = re.compile(
    rb'\S+ \S+ .*?\[[^\]]*\] "(?P<method>\S+) (?P<target>\S+)(?: HTTP/[0-9.]+)?" (?P<status>\d{3}) (?P<size>\d*)',
    re.DOTALL,
)
_ESCAPED = re.compile(rb"\\x([0-9A-Fa-f]{2})")
_GOOD = frozenset({200, 206, 304})


class Sent(NamedTuple):
    """A target, the status of the answer, and the size of its body in bytes (0 where nothing says it)."""

    target: bytes
    status: int
    size: int


def wanted(line: bytes) -> bytes | None:
    """The target of a request that was answered with a file; None for any other line.

    A line that begins with a slash is a target itself. In JSON the names are those of log.jsonlines.
    """
    found = sent(line)
    return found.target if found is not None else None


def sent(line: bytes) -> Sent | None:
    """The same, with what was sent."""
    line = line.strip()
    if line.startswith(b"/"):
        return Sent(line, 200, 0)
    found = _from_json(line) if line.startswith(b"{") else _from_combined(line)
    return found if found is not None and found.target.startswith(b"/") else None


def _from_combined(line: bytes) -> Sent | None:
    match = _COMBINED.match(line)
    if match is None or match["method"] != b"GET" or int(match["status"]) not in _GOOD:
        return None
    target = _ESCAPED.sub(lambda escaped: bytes([int(escaped[1], 16)]), match["target"])
    return Sent(target, int(match["status"]), int(match["size"] or 0))


def _from_json(line: bytes) -> Sent | None:
    try:
        said = json.loads(line)
    except ValueError:
        return None
    path, query = said.get("url.path"), said.get("url.query")
    status, size = said.get("http.response.status_code"), said.get("http.response.body.size")
    if said.get("http.request.method") != "GET" or status not in _GOOD or not isinstance(path, str):
        return None
    return Sent((f"{path}?{query}" if query else path).encode(), status, size if isinstance(size, int) else 0)
