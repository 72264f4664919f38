"""A request as it stands in its head: immutable, and a pure function of the head's bytes."""

from collections.abc import Mapping

Fields = Mapping[bytes, bytes]

KNOWN_METHODS = frozenset({b"GET", b"HEAD", b"OPTIONS", b"POST", b"PUT", b"DELETE", b"PATCH", b"TRACE", b"CONNECT"})
"""The methods of RFC 9110, section 9.3, and PATCH (RFC 5789); others are answered 501."""


class RequestLine:
    """A request line taken apart: ``target`` as it was sent, and what http.target has read in it.

    ``major`` and ``minor`` are the version of HTTP. ``logged`` is for whoever logs it: what it rendered of the line,
    which is shared by all requests that have it. A server logs in one form.
    """

    __slots__ = ("authority", "get", "logged", "major", "method", "minor", "path", "query", "target")

    def __init__(
        self,
        method: bytes,
        target: bytes,
        path: bytes,
        query: bytes,
        minor: int,
        authority: bytes | None = None,
        major: int = 1,
    ) -> None:
        self.method = method
        self.target = target
        self.path = path
        self.query = query
        self.major = major
        self.minor = minor
        self.authority = authority
        self.get = method == b"GET"
        self.logged: bytes | None = None


class Block:
    """What a block of fields says.

    ``fields`` maps lower-case names to values, repeated ones joined by ", " (RFC 9110, 5.3). ``host`` is the value of
    Host, empty if there is none. ``plain`` says that no field could change the answer to a GET to other than a whole
    200 (no condition, range or expectation; a resource that negotiates must still look at Accept-Encoding).
    ``has_body`` says that a body follows. ``logged`` is as in RequestLine. ``more`` is a field beside those given (not
    Host), which is put to them when somebody asks: for most answers nobody does.
    """

    __slots__ = ("_fields", "_more", "has_body", "host", "keep_alive", "logged", "plain")

    def __init__(
        self, fields: Fields, keep_alive: bool, plain: bool, has_body: bool, more: tuple[bytes, bytes] | None = None
    ) -> None:
        self._fields = fields
        self._more = more
        self.host = fields.get(b"host", b"")
        self.keep_alive = keep_alive
        self.plain = plain
        self.has_body = has_body
        self.logged: bytes | None = None

    @property
    def fields(self) -> Fields:
        """All fields."""
        if self._more is not None:
            name, value = self._more
            self._fields = {**self._fields, name: value}
            self._more = None
        return self._fields


class Request:
    """One request: a line and a block, with what is most asked for at hand. Never changed after it is made, so equal
    heads may share one, and different heads the parts that are equal.

    ``plain`` says that this is a GET that only a whole 200 can answer, if there is a file. ``fault`` is 0 or the status
    with which a request that cannot be served must be answered.

    ``unmodified`` is for whoever judges its conditions: the 304 that they led to, so that a head that repeats is not
    judged again while that is still the answer at hand.
    """

    __slots__ = ("block", "fault", "keep_alive", "line", "minor", "path", "plain", "unmodified")

    def __init__(self, line: RequestLine, block: Block, fault: int = 0) -> None:
        self.line = line
        self.block = block
        self.path = line.path
        self.minor = line.minor
        self.keep_alive = block.keep_alive
        self.plain = line.get and block.plain
        self.fault = fault
        self.unmodified: object = None

    @property
    def fields(self) -> Fields:
        """Lower-case names and values."""
        return self.block.fields

    @property
    def method(self) -> bytes:
        """As it was sent; case matters (RFC 9110, 9.1)."""
        return self.line.method

    @property
    def target(self) -> bytes:
        """As it was sent."""
        return self.line.target

    @property
    def host(self) -> bytes:
        """The host that is meant, with its port: the target's if it names one, and then Host does not count (RFC 9112,
        3.2.2). Empty if the client names none, as HTTP/1.0 allows."""
        authority = self.line.authority
        return authority if authority is not None else self.block.host

    @property
    def query(self) -> bytes:
        """Without its "?"."""
        return self.line.query

    def __repr__(self) -> str:
        fault = f" fault={self.fault}" if self.fault else ""
        return f"<Request {self.method.decode('latin-1')} {self.target.decode('latin-1')}{fault}>"


def faulty(status: int, line: bytes = b"") -> Request:
    """What stands in a request's place when its head or framing is bad: after it, nothing can be read any more."""
    method, _, rest = line.partition(b" ")
    target = rest.rpartition(b" ")[0] or rest
    nothing = Block({}, keep_alive=False, plain=False, has_body=False)  # of its own: each server logs in its own form
    return Request(RequestLine(method, target, b"", b"", 1), nothing, fault=status)
