"""A request as it stands in its head: immutable, and a pure function of the head's bytes."""

from collections.abc import Mapping

Fields = Mapping[bytes, bytes]

KNOWN_METHODS = frozenset({b"GET", b"HEAD", b"OPTIONS", b"POST", b"PUT", b"DELETE", b"PATCH", b"TRACE", b"CONNECT"})
"""The methods of RFC 9110, section 9.3, and PATCH (RFC 5789); others are answered 501."""


class Request:
    """One request. Never changed after it is made, so equal heads may share one.

    ``path`` is decoded once and normalised (http.target); ``target`` is as it was sent. ``fields`` maps lower-case
    names to values, repeated ones joined by ", " (RFC 9110, 5.3). ``plain`` says that this is a GET without any field
    that could change the answer to other than a whole 200 (no condition, range or expectation; a resource that
    negotiates must still look at Accept-Encoding). ``fault`` is 0, or the status with which a request that cannot be
    served must be answered. ``has_body`` says that a body follows the head.

    ``unmodified`` is for whoever judges its conditions: the 304 that they led to, so that a head that repeats is not
    judged again while that is still the answer at hand.
    """

    __slots__ = (
        "fault",
        "fields",
        "has_body",
        "keep_alive",
        "logged",
        "method",
        "minor",
        "path",
        "plain",
        "query",
        "target",
        "unmodified",
    )

    def __init__(
        self,
        method: bytes,
        target: bytes,
        path: bytes,
        query: bytes,
        minor: int,
        fields: Fields,
        keep_alive: bool,
        plain: bool,
        fault: int = 0,
        has_body: bool = False,
    ) -> None:
        self.method = method
        self.target = target
        self.path = path
        self.query = query
        self.minor = minor
        self.fields = fields
        self.keep_alive = keep_alive
        self.plain = plain
        self.fault = fault
        self.has_body = has_body
        self.unmodified: object = None
        self.logged: tuple[bytes, bytes] | None = None

    def __repr__(self) -> str:
        fault = f" fault={self.fault}" if self.fault else ""
        return f"<Request {self.method.decode('latin-1')} {self.target.decode('latin-1')}{fault}>"


def faulty(status: int, line: bytes = b"") -> Request:
    """What stands in a request's place when its head or framing is bad: after it, nothing can be read any more."""
    method, _, rest = line.partition(b" ")
    target = rest.rpartition(b" ")[0] or rest
    return Request(method, target, b"", b"", 1, {}, keep_alive=False, plain=False, fault=status)
