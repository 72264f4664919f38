"""The form of the access log's lines: pure."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime

from flashpy.http.request import Block, Request, RequestLine

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_UNSAFE = re.compile(rb"[^\x20\x21\x23-\x5b\x5d-\x7e]")


Record = tuple[str, float, Request, int, int, float]
"""One answered request: the client, the wall clock at its end, the request, the status, the bytes of the body that were
sent, and the seconds from the arrival of the head to the last byte given to the kernel."""


def escape(value: bytes) -> bytes:
    """A client's bytes so that they can neither end a quoted field nor a line: others than printable ASCII, the quote
    and the backslash become ``\\xHH``, as nginx writes them."""
    return _UNSAFE.sub(lambda match: b"\\x%02X" % match[0][0], value)


def combined(records: Iterable[Record]) -> bytes:
    """The lines of some records in the combined format (Apache's, nginx's), with the time taken behind it."""
    lines = []
    before: tuple[str, float] | None = None
    for client, wall, request, status, sent, seconds in records:
        if (client, wall) != before:
            before = client, wall
            beginning = b"%s - - [%s] " % (client.encode(), log_time(wall))
        line = request.line.logged or _quoted_line(request.line)
        fields = request.block.logged or _quoted_fields(request.block)
        lines.append(b"%s%s %d %d %s %.6f\n" % (beginning, line, status, sent, fields, seconds))
    return b"".join(lines)


def _quoted_line(line: RequestLine) -> bytes:
    method, target = escape(line.method) or b"-", escape(line.target) or b"-"
    line.logged = b'"%s %s HTTP/1.%d"' % (method, target, line.minor)
    return line.logged


def _quoted_fields(block: Block) -> bytes:
    referer, user_agent = (escape(block.fields.get(name, b"")) or b"-" for name in (b"referer", b"user-agent"))
    block.logged = b'"%s" "%s"' % (referer, user_agent)
    return block.logged


def log_time(wall: float) -> bytes:
    """``10/Oct/2000:13:55:36 +0000``; always UTC."""
    moment = datetime.fromtimestamp(int(wall), UTC)
    return b"%02d/%s/%04d:%02d:%02d:%02d +0000" % (
        moment.day,
        _MONTHS[moment.month - 1].encode(),
        moment.year,
        moment.hour,
        moment.minute,
        moment.second,
    )
