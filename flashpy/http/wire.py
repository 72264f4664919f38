"""What every protocol of a connection offers to its connection: bytes in, requests out; responses in, pieces out."""

from collections.abc import Sequence
from typing import Protocol

from flashpy.buffers import Aggregate
from flashpy.http.request import Request
from flashpy.http.response import Response

Sendable = tuple[Aggregate, Sequence[tuple[Request, Response]]]
"""Pieces to send next, and the requests whose answers end with them."""


class Tails:
    """The ends of HTTP/1 heads: Date, Connection and the empty line, rendered once a second for all connections; and
    the Date alone."""

    __slots__ = ("close", "date", "keep_alive", "keep_alive_10")

    def __init__(self, date: bytes) -> None:
        self.set(date)

    def set(self, date: bytes) -> None:
        """Render for an IMF-fixdate."""
        self.date = date
        field = b"Date: " + date + b"\r\n"
        self.keep_alive = field + b"\r\n"
        self.keep_alive_10 = field + b"Connection: keep-alive\r\n\r\n"
        self.close = field + b"Connection: close\r\n\r\n"


class Wire(Protocol):
    """A sans-IO protocol of one connection (the shape of h11 and of hyper-h2)."""

    multiplexed: bool
    """Requests are independent of each other: one may be taken back, answers leave in any order, and more is read while
    some are due. The connection cannot go on in another process."""

    preface: bytes
    """Not empty: the client speaks HTTP/2 on this connection, from these bytes on."""

    closing: bool
    """The connection is to be closed when all that was pulled has been sent."""

    held: bool
    """Complete requests may be waiting behind those given out or not yet pulled, whose number has reached the limit;
    or, if it is multiplexed, more than may be done at a time: ask again with ``receive(b"")`` when the answers have
    been pulled."""

    unread: bool
    """The peer has sent more than was read: the connection must linger, or a reset would overtake the last answer."""

    @property
    def unanswered(self) -> int:
        """Requests given out by ``receive`` and not yet answered, and answers that wait for a job."""
        ...

    @property
    def blocked(self) -> bool:
        """There is something to send that the client does not take yet, though the socket would."""
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

    def awaits(self, request: Request) -> bool:
        """Whether the answer to a request that was given out is still wanted."""
        ...

    def respond(self, request: Request, response: Response) -> None:
        """Answer a request; answers may come in any order and leave in the protocol's."""
        ...

    def pull(self) -> Sendable | None:
        """What is to be sent next, or None."""
        ...

    def cut_off(self) -> Sequence[tuple[Request, Response]]:
        """The connection is gone: the requests that were not answered to the end, with what was sent of their answers
        (``length``); of those that it has pulled, who pulled them knows."""
        ...

    def last_words(self, response: Response | None) -> Aggregate:
        """What is to be sent at the very end, when nothing else is; with a response if the end is a fault of either
        side's."""
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
