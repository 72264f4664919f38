"""What all connections of one server share."""

import asyncio
import socket
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, NamedTuple

from flashpy.cache.residency import Residency
from flashpy.event.accesslog import AccessLog
from flashpy.event.deadlines import Deadlines, State
from flashpy.http.http1 import Http1Shared
from flashpy.http.wire import Wire
from flashpy.job.kinds import Runner
from flashpy.metrics import Metrics
from flashpy.now import Now
from flashpy.settings import LimitsSection
from flashpy.site.sites import Answering

if TYPE_CHECKING:
    from flashpy.event.connection import Connection

Take = Callable[[socket.SocketType, str], None]
"""Takes a connection over, with its client's address."""


class Successor(NamedTuple):
    """Another process that goes on with what this one has begun. ``listens`` are the listening sockets (by descriptor)
    that it has too; at the others, nobody will listen any more."""

    take: Take
    listens: Collection[int]


HTTP2 = "h2"
"""The name of HTTP/2 among protocols (RFC 9113, 3.1: its identifier in ALPN)."""
LINGER_SECONDS = 5.0
"""How long a client may go on sending after its last answer (nginx's lingering_timeout)."""


class Service:
    """The context of connections: made by the server, read by all, owned by one loop."""

    __slots__ = (
        "connections",
        "deadlines",
        "drained",
        "draining",
        "http1",
        "iteration",
        "limits",
        "log",
        "loop",
        "metrics",
        "now",
        "per_client",
        "residency",
        "runner",
        "site",
        "take_over",
        "wires",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        limits: LimitsSection,
        http1: Http1Shared,
        site: Answering,
        runner: Runner,
        residency: Residency,
        now: Now,
        metrics: Metrics,
        log: AccessLog | None,
    ) -> None:
        self.loop = loop
        self.limits = limits
        self.http1 = http1
        self.site = site
        self.runner = runner
        self.residency = residency
        self.now = now
        self.metrics = metrics
        self.log = log
        self.iteration = _iteration_clock(loop)
        self.per_client: dict[str, int] = {}
        self.wires: dict[str, Callable[[Connection], Wire]] = {}  # others than HTTP/1, by their names in ALPN
        self.connections = 0  # open now
        self.draining = False
        self.drained: Callable[[], None] | None = None  # called when the last connection has gone
        self.take_over: Take | None = None  # who gets the connections while draining
        self.deadlines = Deadlines(
            {
                State.HEAD: limits.timeout_head,
                State.IDLE: limits.timeout_keep_alive,
                State.SENDING: limits.timeout_send,
                State.LINGERING: LINGER_SECONDS,
            }
        )

    def gone(self, connection: "Connection") -> None:
        """A connection has been closed."""
        self.connections -= 1
        if self.limits.connections_per_client:
            left = self.per_client[connection.client] - 1
            if left:
                self.per_client[connection.client] = left
            else:
                del self.per_client[connection.client]
        if self.draining and self.drained and not self.connections:
            self.drained()


def _iteration_clock(loop: asyncio.AbstractEventLoop) -> Callable[[], float]:
    """When the loop's present iteration began, in monotonic seconds.

    libuv reads its clock once per iteration, after it has polled, and uvloop's ``time`` hands that on. The loops of
    asyncio read it at each call: there no stalls are seen, rather than wrong ones.
    """
    return loop.time
