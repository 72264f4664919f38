"""Records as the tests of several forms need them."""

from flashpy.http.request import Block, Request, RequestLine
from flashpy.http.response import Head
from flashpy.log.record import Cache, Record


def record(
    method: bytes = b"GET",
    target: bytes = b"/",
    path: bytes = b"/",
    query: bytes = b"",
    *,
    fields: dict[bytes, bytes] | None = None,
    fault: int = 0,
    client: str = "127.0.0.1",
    head: Head | None = None,
    sent: int = 12,
    seconds: float = 0.0015,
    cache: Cache = Cache.HIT,
) -> Record:
    """An answered request of which all that is logged is as given, at 2026-11-22T16:00:00Z."""
    request = Request(RequestLine(method, target, path, query, 1), Block(fields or {}, True, True, False), fault)
    return client, 1795363200.9, request, head or Head(fault or 200, ()), sent, seconds, cache
