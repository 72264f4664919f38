"""The form of the access log's lines: pure."""

import re
from datetime import UTC, datetime
from functools import lru_cache

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_UNSAFE = re.compile(rb"[^\x20\x21\x23-\x5b\x5d-\x7e]")


Asked = tuple[bytes, bytes]
"""What a line says of a request alone: the quoted request line, and the quoted Referer and User-Agent."""


def escape(value: bytes) -> bytes:
    """A client's bytes so that they can neither end a quoted field nor a line: others than printable ASCII, the quote
    and the backslash become ``\\xHH``, as nginx writes them."""
    return _escape_often(value) if len(value) <= 256 else _escape(value)


def _escape(value: bytes) -> bytes:
    return _UNSAFE.sub(lambda match: b"\\x%02X" % match[0][0], value)


_escape_often = lru_cache(4096)(_escape)  # most targets, referers and user agents come again


def asked(method: bytes, target: bytes, minor: int, referer: bytes, user_agent: bytes) -> Asked:
    """The parts of a line that a request brings with it."""
    return (
        b'"%s %s HTTP/1.%d"' % (escape(method) or b"-", escape(target) or b"-", minor),
        b'"%s" "%s"' % (escape(referer) or b"-", escape(user_agent) or b"-"),
    )


def combined(client: str, wall: float, request: Asked, status: int, sent: int, seconds: float) -> bytes:
    """A line of the combined format (Apache's, nginx's), with the time taken behind it: in seconds, from the arrival of
    the request's head to the last byte given to the kernel. ``sent`` counts the bytes of the body."""
    return b"%s%s %d %d %s %.6f\n" % (_beginning(client, wall), request[0], status, sent, request[1], seconds)


@lru_cache(1_024)
def _beginning(client: str, wall: float) -> bytes:
    """The same for all requests of a client while the server's wall clock stands (a second)."""
    return b"%s - - [%s] " % (client.encode(), log_time(wall))


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
