"""What all connections of one server share."""

import asyncio
import socket
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, NamedTuple

from flashpy.access.forwarding import Forwarding
from flashpy.access.networks import household
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
    from flashpy.tls.contexts import Contexts

Take = Callable[[socket.SocketType, str], None]
"""Takes a connection over, with its client's address."""


class Successor(NamedTuple):
    """Another process that goes on with what this one has begun. ``listens`` are the listening sockets (by descriptor)
    that it has too; at the others, nobody will listen any more."""

    take: Take
    listens: Collection[int]


class Secured(NamedTuple):
    """Where TLS is spoken: at which listening sockets (by descriptor), and as whom."""

    listens: Collection[int]
    contexts: "Contexts"


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
        "forwarding",
        "http1",
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
        forwarding: Forwarding | None = None,
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
        self.forwarding = forwarding  # the proxies that are trusted, if any are
        self.per_client: dict[str, int] = {}  # connections of each client, where they are limited
        self.wires: dict[str, Callable[[Connection], Wire]] = {}  # others than HTTP/1, by their names in ALPN
        self.connections = 0  # open now
        self.draining = False
        self.drained: Callable[[], None] | None = None  # called when the last connection has gone
        self.take_over: Take | None = None  # who gets the connections while draining
        self.deadlines = Deadlines(
            {
                State.HANDSHAKE: limits.timeout_handshake,
                State.HEAD: limits.timeout_head,
                State.IDLE: limits.timeout_keep_alive,
                State.SENDING: limits.timeout_send,
                State.LINGERING: LINGER_SECONDS,
            }
        )

    def admits(self, client: str) -> bool:
        """Count a connection of this client, if it may have one more. Proxies that are trusted may have any number, for
        each speaks for many clients."""
        most = self.limits.connections_per_client
        if not most or (self.forwarding is not None and self.forwarding.trusts(client)):
            return True
        client = household(client)
        count = self.per_client.get(client, 0)
        if count >= most:
            return False
        self.per_client[client] = count + 1
        return True

    def gone(self, connection: "Connection") -> None:
        """A connection has been closed."""
        self.left(connection.client)

    def left(self, client: str) -> None:
        """A client that had been let in is one connection less."""
        if self.per_client:
            client = household(client)
            if client in self.per_client:  # trusted proxies are not
                self.per_client[client] -= 1
                if not self.per_client[client]:
                    del self.per_client[client]
        self.ended()

    def ended(self) -> None:
        """There is one connection less, of whomever."""
        self.connections -= 1
        if self.draining and self.drained and not self.connections:
            self.drained()
