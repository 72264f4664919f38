"""Wires and requests as the tests of several modules need them."""

from typing import Any

from flashpy.http.http1 import Http1, Http1Shared
from flashpy.http.request import Request
from flashpy.http.wire import Tails
from flashpy.settings import LimitsSection

DATE = b"Tue, 02 Jan 2024 03:04:05 GMT"


def shared(**limits: Any) -> Http1Shared:
    """What the wires of a server share, with these limits."""
    return Http1Shared(LimitsSection(**limits), Tails(DATE), 100_000)


def wire(**limits: Any) -> Http1:
    """The wire of a new connection."""
    return Http1(shared(**limits))


def request(target: bytes = b"/", method: bytes = b"GET", **fields: bytes) -> Request:
    """A request as the wire gives it out; ``if_range=...`` is the field If-Range."""
    block = b"".join(name.replace("_", "-").encode() + b": " + value + b"\r\n" for name, value in fields.items())
    (found,) = wire().receive(method + b" " + target + b" HTTP/1.1\r\nHost: example\r\n" + block + b"\r\n")
    return found


def facts(request: Request) -> tuple[object, ...]:
    """All that a request says, to compare it with another."""
    names = ("fault", "method", "target", "path", "query", "host", "minor", "fields", "keep_alive", "plain")
    return *(getattr(request, name) for name in names), request.block.has_body
