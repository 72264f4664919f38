"""What a front-end and a node on the same host tell each other, on an event.link (MessagePack). Pure.

    front-end                                   node
       | Handed + the client's socket   -------> |  it answers the client directly
       | Introduced + a socket          -------> |  requests of another part of the cluster come on it
       | <-------                         Asks   |  of requests of a batch: who has their targets?
       | Told                           -------> |  it has them itself, or fetches the answers from who is named
       | <-------        Introduces + a socket   |  for that: to be passed on to another node
       | <-------                      Fetched   |  that is over
       | Disowned                       -------> |
       | Recalled                       -------> |  all connections are to come back, each when it is between requests
       | <-------   Back + the client's socket   |  a request on it may be another's, or it has been idle for long
       | <-------                     Finished   |  connections that have ended
       | <-------                     Reported   |  once a second: also the sign that the node lives
       | <-------                      Leaving   |  it is about to end; who takes its place listens already

1. A node answers the first request that it is handed, whoever's it is: so no request goes back and forth.
2. What comes later on that connection it answers as well if the target has been handed to it before and has not been
   disowned since, or if the connection ``stays``. Else the connection goes back with the bytes that it has read, and
   the front-end chooses again.
3. A connection between two requests goes back too, after a while: then it is no load of the node's any more.
4. Each connection that was handed comes back once, or is finished once. When a link breaks, all are finished.
5. Requests that have come together on a connection, pipelined, do not wait for each other's nodes: in place of a return
   the node asks, and what is another's it fetches from there (Aron et al., USENIX ATC 1999: back-end forwarding). Each
   that is fetched counts 1/N as the other's load until it is over, or the link breaks. What cannot be fetched is
   answered by the node that has the connection: every node has all files.
"""

from collections.abc import Iterable, Iterator
from typing import Annotated

from msgspec import Meta, Struct

from flashpy.cluster.choosing import Report

ROOM = 160 * 1024
"""Bytes of a message at most: well below what a packet of a Unix socket can have (net.core.wmem_default)."""


OVERHEAD = 16
"""Bytes for each of several in a message, and for the message itself, at most (MessagePack)."""


class Handed(Struct, tag=True, array_like=True):
    """A client's connection (its address as text) with what has been read from it, which begins with a request.

    ``expected``: the node is believed to have the target in memory. ``stays``: all that comes on the connection is the
    node's, for whoever chooses does not look at targets.
    """

    client: str
    data: bytes
    expected: bool = False
    stays: bool = False


class Introduced(Struct, tag=True, array_like=True):
    """Another part of the cluster speaks HTTP/1.1 on the socket beside it: no client, but believed in what it says of
    clients (X-Forwarded-For). Its requests are the node's, whatever their targets. It has no answer from the node to
    say that it has ended: it is no load. ``logged``: the node logs what it answers there; a neighbour, which answers
    the client with it, does that itself."""

    logged: bool = True


class Disowned(Struct, tag=True, array_like=True):
    """These targets are others' now."""

    targets: list[bytes]


class Recalled(Struct, tag=True, array_like=True):
    """All that was handed is to come back, each connection when it is between two requests; or no more."""

    wanted: bool = True


class Question(Struct, array_like=True):
    """A request for a target, one of a batch of so many. The number is the node's, for the answer."""

    number: int
    target: bytes
    batch: Annotated[int, Meta(ge=1)]


class Asks(Struct, tag=True, array_like=True):
    """Who is to answer these? They are on connections that the node has."""

    questions: list[Question]


class Advice(Struct, array_like=True):
    """Of the request of this number: the answer is to be fetched from the node of this name; or, if it is empty, to be
    given by the node that has asked. ``own``: the target is its own then, and ``expected`` is as in Handed."""

    number: int
    name: str = ""
    own: bool = False
    expected: bool = False


class Told(Struct, tag=True, array_like=True):
    """What has been asked."""

    advice: list[Advice]


class Introduces(Struct, tag=True, array_like=True):
    """The socket beside it is for the node of this name, which is to answer requests on it."""

    name: str


class Fetched(Struct, tag=True, array_like=True):
    """The other nodes are done with what these requests took them."""

    numbers: list[int]


class Back(Struct, tag=True, array_like=True):
    """A connection that was handed comes back, with what has been read from it and not been answered."""

    client: str
    data: bytes


class Finished(Struct, tag=True, array_like=True):
    """So many connections that were handed have ended."""

    count: int


class Reported(Struct, tag=True, array_like=True):
    """How a node is. ``held`` are the connections that it has from this link, ``others`` those from elsewhere.
    ``predictions`` count the first requests of the connections that were handed to it since it began, as in
    cluster.affinity: true hits, false hits, true misses, false misses. ``fetched`` are the answers that it has fetched
    from other nodes since then. ``memory`` is what it may use, in bytes."""

    held: int
    others: int
    report: Report
    predictions: tuple[int, int, int, int] = (0, 0, 0, 0)
    fetched: int = 0
    memory: int = 0


class Leaving(Struct, tag=True, array_like=True):
    """Hand over no more on this link: connect anew."""


ToNode = Handed | Introduced | Told | Disowned | Recalled
FromNode = Back | Finished | Asks | Introduces | Fetched | Reported | Leaving


def parts_of(targets: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Targets in parts for which a message has room."""
    part: list[bytes] = []
    size = OVERHEAD
    for target in targets:
        cost = len(target) + OVERHEAD
        if part and size + cost > ROOM:
            yield part
            part, size = [], OVERHEAD
        part.append(target)
        size += cost
    if part:
        yield part
