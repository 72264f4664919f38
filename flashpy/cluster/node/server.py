"""A node as an architecture: AMPED, and one more listener, at which front-ends connect (arch.architecture)."""

import asyncio
import contextlib
import socket
import time

from flashpy.arch.amped import Amped
from flashpy.cluster.choosing import Report
from flashpy.cluster.node.connection import HandedConnection
from flashpy.cluster.node.frontlink import FrontLink
from flashpy.cluster.node.reporting import Reporting
from flashpy.cluster.node.targets import Targets
from flashpy.event.crowd import Crowd
from flashpy.event.deadlines import State
from flashpy.event.listener import Listener
from flashpy.event.service import Service, Successor
from flashpy.memory import memory_limit
from flashpy.site.sites import Answering

FLUSH = 3.0
"""Seconds that the last messages to the front-ends may take."""


class LinkListener(Listener):
    """Accepts front-ends."""

    def __init__(self, service: Service, sock: socket.socket, crowd: Crowd, node: "NodeServer") -> None:
        super().__init__(service, sock, crowd, proxied=False)
        self._node = node

    def welcome(self, sock: socket.SocketType, address: object) -> None:
        """See Listener: a front-end has connected."""
        self._node.link(socket.socket(fileno=sock.detach()))


class NodeServer(Amped):
    """Serves what front-ends hand over, and its own addresses, if it has any."""

    _links: tuple[FrontLink, ...] = ()
    _reporting: Reporting | None = None

    def _make_listeners(self, service: Service, inner: Answering) -> list[Listener]:
        self._targets = Targets()
        self._memory = memory_limit()
        self._reporting = Reporting(self._metrics)
        listeners = super()._make_listeners(service, inner)
        for address in self._config.cluster.addresses:
            for sock in self._sockets[address]:
                listeners.append(LinkListener(service, sock, Crowd(service), self))
        return listeners

    def link(self, sock: socket.socket) -> None:
        """A front-end has connected."""
        assert self._service is not None
        link = FrontLink(self._service, sock, self._targets, self._config.cluster, self._memory)
        self._links = (*self._links, link)
        link.report(Report(seconds=0.0), self._service.connections)

    def _forget_links(self) -> None:
        """Those to front-ends that have gone, when what is fetched from nodes that they have named is over."""
        gone = [link for link in self._links if not link.is_open and not link.neighbours.under_way]
        for link in gone:
            link.neighbours.close()
        self._links = tuple(link for link in self._links if link not in gone)

    def _tick_runner(self) -> None:
        super()._tick_runner()
        service = self._service
        if service is None or self._reporting is None or not self._links:
            return
        idle = time.monotonic() - self._config.cluster.idle
        for timed in service.deadlines.all((State.IDLE,)):
            if isinstance(timed, HandedConnection) and timed.is_idle_since(idle):
                timed.go_back()
        pool = self._pool.snapshot() if self._pool is not None else {}
        report = self._reporting.report(pool, self._targets, time.monotonic())
        for link in self._links:
            link.report(report, service.connections)
            link.neighbours.sweep()
        self._forget_links()

    async def drain(self, timeout: float | None, successor: Successor | None = None) -> None:
        """See Architecture. Connections that were handed over go back."""
        for link in self._links:
            link.leave()
        await super().drain(timeout, successor)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FLUSH):
                while not all(link.is_flushed for link in self._links):
                    await asyncio.sleep(0.01)

    async def close(self) -> None:
        """See Architecture."""
        for link in self._links:
            link.close()
            link.neighbours.close()
        self._links = ()
        await super().close()
