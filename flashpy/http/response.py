"""Responses: a rendered head and a body that is an aggregate."""

from collections.abc import Iterable
from html import escape
from http import HTTPStatus

from flashpy.buffers import Aggregate, length_of
from flashpy.http.fields import prefers_html

FieldList = tuple[tuple[bytes, bytes], ...]

REASONS = {status.value: status.phrase.encode() for status in HTTPStatus} | {
    413: b"Content Too Large",
    414: b"URI Too Long",
    416: b"Range Not Satisfiable",
}
"""The reason phrases of RFC 9110, section 15 (some of the standard library's are those of older RFCs)."""

JOIN_LIMIT = 16 * 1024
"""Bodies below this many bytes are joined with their head into one buffer, which is kept while its Date is good. Above,
``sendmsg`` is as fast as a copy, and keeping takes too much memory."""

BODILESS = frozenset({204, 304})
"""Statuses whose answers never have a body (RFC 9110, 15.3.5 and 15.4.5)."""


class Head:
    """Status and fields, rendered for HTTP/1 when it is made, not per request; Date and Connection are the wire's."""

    __slots__ = ("http1", "status")

    def __init__(self, status: int, fields: Iterable[tuple[bytes, bytes]]) -> None:
        self.status = status
        line = b"HTTP/1.1 %d %s\r\n" % (status, REASONS.get(status, b""))
        self.http1 = line + b"".join(b"%s: %s\r\n" % field for field in fields)

    @property
    def fields(self) -> FieldList:
        """The fields. They are seldom asked for, and take twice the memory of their rendering."""
        parts = (line.partition(b": ") for line in self.http1.split(b"\r\n")[1:-1])
        return tuple((name, value) for name, _, value in parts)


class Response:
    """An answer that may be shared by many requests. ``body`` is already empty where the method was HEAD.

    ``flat`` is the body of an answer that is small and in memory, after which the connection goes on; else None.
    ``prepared`` is the wire's: such an answer rendered whole, with the end of the head that it was rendered with.
    """

    __slots__ = ("body", "close", "flat", "head", "length", "prepared", "sliced")

    def __init__(self, head: Head, body: Aggregate = (), close: bool = False) -> None:
        self.head = head
        self.body = body
        self.close = close  # the connection must end after this answer
        self.length = length_of(body)
        self.sliced = any(not isinstance(piece, bytes) for piece in body)  # some of it comes from a file
        self.flat: bytes | None = None
        if not self.sliced and not close and self.length < JOIN_LIMIT:
            self.flat = b"".join(body)  # type: ignore[arg-type]  # no slice is in it; one piece is not copied
        self.prepared: tuple[bytes, bytes] | None = None

    def __repr__(self) -> str:
        return f"<Response {self.head.status} {self.length} bytes>"


def fixed(status: int, fields: Iterable[tuple[bytes, bytes]] = (), close: bool = False) -> Response:
    """An answer without content; Content-Length 0 unless the status forbids the field (RFC 9110, 8.6)."""
    length = () if status in BODILESS else ((b"Content-Length", b"0"),)
    return Response(Head(status, (*fields, *length)), (), close)


def error(
    status: int,
    accept: bytes | None,
    fields: Iterable[tuple[bytes, bytes]] = (),
    *,
    with_body: bool = True,
    close: bool = False,
    advice: str | None = None,
) -> Response:
    """A small error page: HTML if the client's Accept prefers it, else plain text (RFC 9110, 15.5 and 12.5.1).
    ``advice`` is a sentence in place of the usual one of the status."""
    phrase = REASONS.get(status, b"Error").decode()
    sentence = _ADVICE.get(status, "") if advice is None else advice
    if prefers_html(accept):
        kind = b"text/html; charset=utf-8"
        title = escape(f"{status} {phrase}")
        text = (
            f'<!DOCTYPE html>\n<html lang="en"><meta charset="utf-8"><meta name="color-scheme" content="light dark">'
            f"<title>{title}</title>\n<h1>{title}</h1>\n<p>{escape(sentence)}</p>\n</html>\n"
        )
    else:
        kind = b"text/plain; charset=utf-8"
        text = f"{status} {phrase}\n{sentence}\n"
    body = text.encode()
    described = ((b"Content-Type", kind), (b"Content-Length", b"%d" % len(body)), (b"Vary", b"Accept"))
    head = Head(status, (*fields, *described))
    return Response(head, (body,) if with_body else (), close)


_ADVICE = {
    400: "The request could not be understood.",
    401: "This takes a user name and a password.",
    403: "You may not read this, or the server may not read it.",
    404: "There is nothing at this address.",
    405: "Files can be read here, not changed.",
    408: "The request took too long to arrive.",
    410: "This address was good for some time, which is over.",
    412: "A condition of the request does not hold.",
    413: "The request's body is too large.",
    414: "The address is too long.",
    416: "The file has no such part.",
    417: "The request expects what this server does not do.",
    429: "There were too many requests or attempts; please try again later.",
    431: "The request's fields are too large.",
    500: "The server failed at this request.",
    501: "The server does not know this method or coding.",
    503: "The server is busy; please try again soon.",
    505: "The server speaks HTTP/1.0 and HTTP/1.1.",
}
