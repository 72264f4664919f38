"""Reading access logs again: what was asked for, from lines of the combined form, of JSON, or of plain addresses."""

import json
import re

_COMBINED = re.compile(
    rb'\S+ \S+ .*?\[[^\]]*\] "(?P<method>\S+) (?P<target>\S+)(?: HTTP/[0-9.]+)?" (?P<status>\d{3}) ', re.DOTALL
)
_ESCAPED = re.compile(rb"\\x([0-9A-Fa-f]{2})")
_GOOD = frozenset({200, 206, 304})


def wanted(line: bytes) -> bytes | None:
    """The target of a request that was answered with a file; None for any other line.

    A line that begins with a slash is a target itself. In JSON the names are those of log.jsonlines.
    """
    line = line.strip()
    if line.startswith(b"/"):
        return line
    return _from_json(line) if line.startswith(b"{") else _from_combined(line)


def _from_combined(line: bytes) -> bytes | None:
    match = _COMBINED.match(line)
    if match is None or match["method"] != b"GET" or int(match["status"]) not in _GOOD:
        return None
    return _if_path(_ESCAPED.sub(lambda escaped: bytes([int(escaped[1], 16)]), match["target"]))


def _from_json(line: bytes) -> bytes | None:
    try:
        said = json.loads(line)
    except ValueError:
        return None
    path, query = said.get("url.path"), said.get("url.query")
    if said.get("http.request.method") != "GET" or said.get("http.response.status_code") not in _GOOD:
        return None
    if not isinstance(path, str):
        return None
    return _if_path((f"{path}?{query}" if query else path).encode())


def _if_path(target: bytes) -> bytes | None:
    return target if target.startswith(b"/") else None
