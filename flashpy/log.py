"""The form of the access log's lines: pure."""

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_UNSAFE = re.compile(rb"[^\x20\x21\x23-\x5b\x5d-\x7e]")


class Record(NamedTuple):
    """One answered request. ``seconds`` is from the arrival of its head to the last byte given to the kernel."""

    client: str
    wall: float
    method: bytes
    target: bytes
    minor: int
    status: int
    sent: int
    referer: bytes
    user_agent: bytes
    seconds: float


def escape(value: bytes) -> bytes:
    """A client's bytes so that they can neither end a quoted field nor a line: others than printable ASCII, the quote
    and the backslash become ``\\xHH``, as nginx writes them."""
    return _escape_often(value) if len(value) <= 256 else _escape(value)


def _escape(value: bytes) -> bytes:
    return _UNSAFE.sub(lambda match: b"\\x%02X" % match[0][0], value)


_escape_often = lru_cache(4096)(_escape)  # most targets, referers and user agents come again


def combined(record: Record) -> bytes:
    """A line of the combined format (Apache's, nginx's), with the time taken in seconds behind it."""
    return b'%s - - [%s] "%s %s HTTP/1.%d" %d %d "%s" "%s" %.6f\n' % (
        record.client.encode(),
        log_time(record.wall),
        escape(record.method) or b"-",
        escape(record.target) or b"-",
        record.minor,
        record.status,
        record.sent,
        escape(record.referer) or b"-",
        escape(record.user_agent) or b"-",
        record.seconds,
    )


def log_time(wall: float) -> bytes:
    """``10/Oct/2000:13:55:36 +0000``; always UTC."""
    return _log_time(int(wall))


@lru_cache(4)
def _log_time(second: int) -> bytes:
    moment = datetime.fromtimestamp(second, UTC)
    return b"%02d/%s/%04d:%02d:%02d:%02d +0000" % (
        moment.day,
        _MONTHS[moment.month - 1].encode(),
        moment.year,
        moment.hour,
        moment.minute,
        moment.second,
    )
