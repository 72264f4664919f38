"""What is known of an answered request, and how bytes and times are written into a line."""

import re
from datetime import UTC, datetime
from enum import Enum
from functools import lru_cache

from flashpy.http.request import Request
from flashpy.http.response import Head

_MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
_UNSAFE = re.compile(rb"[^\x20\x21\x23-\x5b\x5d-\x7e]")


class Cache(Enum):
    """What the caches did for an answer (nginx's ``$upstream_cache_status`` has the same words)."""

    HIT = b"hit"  # answered at once from what was known
    MISS = b"miss"  # a helper had to look for the file, or to load a part of it
    REVALIDATED = b"revalidated"  # a helper had to look whether it had changed; it had not


Record = tuple[str, float, Request, Head, int, float, Cache]
"""One answered request: the client, the wall clock at its end, the request, the head of the answer, the bytes of the
body that were sent, the seconds from the arrival of the head to the last byte given to the kernel, and what the caches
did for it, if it was one that asks them (``asks_caches``)."""


def asks_caches(request: Request) -> bool:
    """Whether the answer to a request depends on the caches: not to a bad one, nor one with another method."""
    return not request.fault and request.method in (b"GET", b"HEAD")


def escape(value: bytes) -> bytes:
    """A client's bytes so that they can neither end a quoted field nor a line: others than printable ASCII, the quote
    and the backslash become ``\\xHH``, as nginx writes them."""
    return _UNSAFE.sub(_hexadecimal, value)


def _hexadecimal(match: re.Match[bytes]) -> bytes:
    return b"\\x%02X" % match[0][0]


def escape_with(delimiter: bytes, value: bytes) -> bytes:
    """As ``escape``, and one more character: what stands behind the value and says where it ends."""
    return escape(value).replace(delimiter, b"\\x%02X" % delimiter[0])


@lru_cache(16)
def log_time(wall: int) -> bytes:
    """``10/Oct/2000:13:55:36 +0000``; always UTC."""
    moment = datetime.fromtimestamp(wall, UTC)
    clock = moment.hour, moment.minute, moment.second
    return b"%02d/%s/%04d:%02d:%02d:%02d +0000" % (moment.day, _MONTHS[moment.month - 1], moment.year, *clock)


@lru_cache(16)
def timestamp(wall: int) -> bytes:
    """``2000-10-10T13:55:36Z`` (RFC 3339, section 5.6)."""
    return datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0").encode()
