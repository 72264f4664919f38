"""HTTP/1.1 as the front-end speaks it to a node: the head of a request that is handed on, and that of its answer.

What belongs to one connection alone is not handed on (RFC 9110, 7.6.1). Pure.
"""

import re
from typing import NamedTuple

from flashpy.http.fields import tokens
from flashpy.http.request import Fields, Request
from flashpy.http.response import BODILESS, FieldList

VIA = b"1.1 flashpy"
LONGEST_HEAD = 64 * 1024
"""Bytes of the head of an answer at most."""

_HOP_BY_HOP = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade"}
    | {b"proxy-authenticate", b"proxy-authorization", b"http2-settings"}
)
_OF_THE_BODY = frozenset({b"content-length", b"expect"})
"""What is not handed on of a request, for its body is not: no static resource wants one."""
_ADDED = frozenset({b"host", b"via", b"x-forwarded-for"})
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-5]\d\d)(?: [\t \x21-\x7e\x80-\xff]*)?")
_FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[\t ]*([\t \x21-\x7e\x80-\xff]*?)[\t ]*")
_LENGTH = re.compile(rb"\d{1,18}")


class BadAnswer(ValueError):
    """What a node says is no answer that can be handed on; the text says why, for the log."""


class AnswerHead(NamedTuple):
    """The head of an answer. ``fields`` are those that are handed on; ``length`` is that of the body that follows."""

    status: int
    fields: FieldList
    length: int
    keep_alive: bool


def request_head(request: Request, client: str, host: bytes) -> bytes:
    """The head of a request for a node, with what the node has to know of who asks; ``host`` is for a request that
    names none."""
    fields = request.fields
    dropped = _HOP_BY_HOP | _OF_THE_BODY | _ADDED | _nominated(fields)
    lines = [b"%s %s HTTP/1.1\r\nHost: %s\r\n" % (request.method, request.target, request.host or host)]
    lines += [b"%s: %s\r\n" % field for field in fields.items() if field[0] not in dropped]
    before = [fields[b"x-forwarded-for"]] if b"x-forwarded-for" in fields else []
    via = [fields[b"via"]] if b"via" in fields else []
    lines.append(b"X-Forwarded-For: %s\r\n" % b", ".join([*before, client.encode()]))
    lines.append(b"Via: %s\r\n\r\n" % b", ".join([*via, VIA]))
    return b"".join(lines)


def answer_head(head: bytes, method: bytes) -> AnswerHead:
    """What a head says (all before the empty line), of an answer to a request of this method.

    Raises:
        BadAnswer: it is malformed, or its body is framed in a way that no node of ours uses.
    """
    first, *lines = head.split(b"\r\n")
    match = _STATUS_LINE.fullmatch(first)
    if match is None:
        raise BadAnswer("its status line is malformed")
    status, fields = int(match[2]), []
    named: dict[bytes, bytes] = {}
    for line in lines:
        field = _FIELD.fullmatch(line)
        if field is None:
            raise BadAnswer("a field is malformed")
        name, value = field.groups()
        fields.append((name, value))
        lower = name.lower()
        if lower == b"content-length" and named.get(lower, value) != value:
            raise BadAnswer("it has two lengths")
        named[lower] = named[lower] + b", " + value if lower in named and lower != b"content-length" else value
    if b"transfer-encoding" in named:
        raise BadAnswer("its body has no length")
    dropped = _HOP_BY_HOP | {b"date"} | _nominated(named)
    kept = tuple((name, value) for name, value in fields if name.lower() not in dropped)
    options = tokens(named.get(b"connection", b""))
    keep_alive = b"close" not in options and (match[1] == b"1" or b"keep-alive" in options)
    return AnswerHead(status, kept, _length(status, method, named), keep_alive)


def _length(status: int, method: bytes, named: Fields) -> int:
    """How long the body is (RFC 9112, 6.3)."""
    if method == b"HEAD" or status in BODILESS or status < 200:
        return 0
    length = named.get(b"content-length")
    if length is None or not _LENGTH.fullmatch(length):
        raise BadAnswer("its body has no length")
    return int(length)


def _nominated(fields: Fields) -> frozenset[bytes]:
    """What Connection says belongs to the connection alone."""
    value = fields.get(b"connection")
    return frozenset(tokens(value)) if value else frozenset()
