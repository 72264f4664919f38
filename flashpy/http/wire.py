"""What every protocol of a connection offers to its connection: bytes in, requests out; responses in, pieces out."""

from collections.abc import Sequence
from typing import Protocol

from flashpy.buffers import Aggregate
from flashpy.http.request import Request
from flashpy.http.response import Response

Sendable = tuple[Aggregate, Sequence[tuple[Request, Response]]]
"""Pieces to send next, and the requests whose answers end with them."""


class Tails:
    """The ends of HTTP/1 heads: Date, Connection and the empty line, rendered once a second for all connections."""

    __slots__ = ("close", "keep_alive", "keep_alive_10")

    def __init__(self, date: bytes) -> None:
        self.set(date)

    def set(self, date: bytes) -> None:
        """Render for an IMF-fixdate."""
        field = b"Date: " + date + b"\r\n"
        self.keep_alive = field + b"\r\n"
        self.keep_alive_10 = field + b"Connection: keep-alive\r\n\r\n"
        self.close = field + b"Connection: close\r\n\r\n"


class Wire(Protocol):
    """A sans-IO protocol of one connection (the shape of h11 and of hyper-h2)."""

    closing: bool
    """The connection is to be closed when all that was pulled has been sent."""

    held: bool
    """Complete requests may be waiting behind those given out or not yet pulled, whose number has reached the limit:
    ask again with ``receive(b"")`` when the answers have been pulled."""

    unread: bool
    """The peer has sent more than was read: the connection must linger, or a reset would overtake the last answer."""

    @property
    def unanswered(self) -> int:
        """Requests given out by ``receive`` and not yet answered."""
        ...

    @property
    def partial(self) -> bool:
        """A request has begun to arrive and is not complete."""
        ...

    @property
    def quiet(self) -> bool:
        """Nothing has begun to arrive, nothing is to be answered, and the connection goes on."""
        ...

    def receive(self, data: bytes) -> Sequence[Request]:
        """Take in bytes and give out the requests they complete. Never raises for what a peer sends: a fault is
        the last item, so that the requests before it are answered first."""
        ...

    def respond(self, request: Request, response: Response) -> None:
        """Answer a request; answers may come in any order and leave in the protocol's."""
        ...

    def pull(self) -> Sendable | None:
        """What is to be sent next, or None."""
        ...

    def admit(self, request: Request) -> None:
        """Take a request that was not received but recalled from its bytes (http.head), while nothing else is there to
        be answered."""
        ...

    def end(self) -> None:
        """Such a request has been answered without the wire, and was the last: read nothing more."""
        ...

    def shut(self) -> None:
        """Come to an end: the next answer after which none is due says that it is the last."""
        ...
