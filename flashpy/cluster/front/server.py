"""The front-end as an architecture: all of a server but for sites; nodes answer (arch.architecture)."""

import asyncio
import logging
import os
import socket
from typing import TYPE_CHECKING, Any

from flashpy.arch.sped import Sped
from flashpy.cluster.bequest import Joined
from flashpy.cluster.front.connection import FrontConnection
from flashpy.cluster.front.control import ControlSite
from flashpy.cluster.front.dispatcher import Dispatcher
from flashpy.cluster.front.member import Member
from flashpy.cluster.front.relay import FrontSite
from flashpy.cluster.front.roster import Roster, numeric, resolve
from flashpy.cluster.front.state import state_of
from flashpy.cluster.front.succession import leave, take
from flashpy.event.connection import Connection
from flashpy.event.crowd import Crowd
from flashpy.event.deadlines import State
from flashpy.event.listener import Listener
from flashpy.event.service import Service, Successor
from flashpy.job.kinds import Runner
from flashpy.settings import NodeSection
from flashpy.site.sites import Answering

if TYPE_CHECKING:
    from flashpy.event.handshake import Handshakes

_log = logging.getLogger("flashpy.cluster")

FIRST_LOOK = 2.0
"""Seconds that the nodes have to be found before clients are heard."""
FIRST_MEMBER = 5.0
"""Seconds for which clients wait while nobody is known: members are told once a second, and are looked at then."""


class FrontListener(Listener):
    """Its connections in clear are placed request by request."""

    def __init__(
        self,
        front: FrontSite,
        service: Service,
        sock: socket.socket,
        crowd: Crowd,
        proxied: bool,
        handshakes: "Handshakes | None" = None,
        site: Answering | None = None,
    ) -> None:
        super().__init__(service, sock, crowd, proxied, handshakes, site)
        self._front = front

    def _connection(self, sock: socket.SocketType, client: str, site: Answering | None) -> Connection:
        if site is not None:
            return super()._connection(sock, client, site)
        return FrontConnection(self._service, sock, client, self._front)


class Front(Sped):
    """Accepts, chooses nodes, and hands over."""

    _dispatcher: Dispatcher
    _site: FrontSite
    _roster: Roster | None = None
    _looking: asyncio.TimerHandle | None = None
    _inheriting: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """See Architecture."""
        settings = self._config.cluster
        loop = asyncio.get_running_loop()
        self._dispatcher = Dispatcher(settings, self._now)
        self._site = FrontSite(self._dispatcher)
        self._roster = Roster(loop, settings, self._dispatcher, self)
        for section in settings.node:
            self._roster.join(section, await resolve(loop, section) if not section.handoff else None)
        self._look()
        deadline = loop.time() + FIRST_LOOK
        while loop.time() < deadline and not all(member.health.alive for member in self._roster.members):
            await asyncio.sleep(0.01)
        if settings.etcd.endpoints:
            self._dispatcher.expect(FIRST_MEMBER)
        await super().start()

    def _answering(self, runner: Runner) -> Answering:
        return self._site

    def _make_listeners(self, service: Service, inner: Answering) -> list[Listener]:
        listeners = super()._make_listeners(service, inner)
        assert self._roster is not None
        control = ControlSite(self._dispatcher, self._roster)
        crowd = Crowd(service)
        for address in self._config.cluster.addresses:
            for sock in self._sockets[address]:
                listeners.append(Listener(service, sock, crowd, proxied=False, site=control))
        return listeners

    def _listener(
        self,
        service: Service,
        sock: socket.socket,
        crowd: Crowd,
        proxied: bool,
        handshakes: "Handshakes | None" = None,
        site: Answering | None = None,
    ) -> Listener:
        return FrontListener(self._site, service, sock, crowd, proxied, handshakes, site)

    # As a passing.Keeper

    def away(self, count: int) -> None:
        """See Keeper. They count as ours: for the limit, and when we come to our end."""
        if self._service is not None:
            self._service.connections += max(0, count)
            for _ in range(-count):
                self._service.ended()

    def returned(self, member: Member, fd: int, client: str, data: bytes) -> None:
        """See Keeper."""
        sock = socket.SocketType(fileno=fd)
        service = self._service
        if service is None or not service.admits(client):
            sock.close()
            return
        sock.setblocking(False)
        service.connections += 1
        connection = FrontConnection(service, sock, client, self._site, member.name if data else None)
        if data:
            connection.go_on_with(data)
        else:
            connection.start(State.IDLE)
        if service.draining:
            connection.drain()

    # As an architecture.Heritable

    @property
    def _places(self) -> dict[str, str]:
        """Where the nodes of the configuration are reached."""
        return {node.name: node.handoff or node.address for node in self._config.cluster.node}

    async def bequeath(self) -> int | None:
        """See Heritable: who has which target, and who has joined."""
        if self._inheriting is not None:
            await asyncio.wait([self._inheriting])
        places, mapping = self._places, self._dispatcher.mapping
        living = [member for member in self._dispatcher.members.values() if member.health.alive]
        warm = [member.name for member in living if member.health.warm]
        joined = [
            Joined(member.name, member.section.address, member.section.weight)
            for member in living
            if member.name not in places
        ]
        if mapping is None and not joined:
            return None
        try:
            return await leave(mapping, warm, joined, places, self._now.monotonic)
        except OSError as error:
            _log.error("The next worker has to learn anew who has what: %s.", error.strerror)
            return None

    def inherit(self, fd: int) -> None:
        """See Heritable."""
        self._inheriting = asyncio.get_running_loop().create_task(self._inherit(fd))

    async def _inherit(self, fd: int) -> None:
        mapping = self._dispatcher.mapping
        try:
            names = await take(fd, mapping, self._rejoin, self._places, self._now.monotonic)
            if mapping is not None:
                self._dispatcher.inherited(names)
                _log.info("Who has which of %d targets is known from the worker before.", len(mapping))
        except (OSError, ValueError) as error:
            _log.error("What the worker before has left cannot be used: %s.", error)
        finally:
            os.close(fd)

    def _rejoin(self, node: Joined) -> None:
        """A node has joined the worker before, and was well."""
        address = numeric(node.address)
        if self._roster is not None and address is not None and node.name not in self._dispatcher.members:
            self._roster.join(NodeSection(node.name, address=node.address, weight=node.weight), address)
            member = self._dispatcher.members[node.name]
            member.health.met()
            self._dispatcher.review(member)

    # Every now and then

    async def drain(self, timeout: float | None, successor: Successor | None = None) -> None:
        """See Architecture. What the nodes have comes back first, each connection when it is between two requests."""
        if self._roster is not None:
            self._roster.recall()
        await super().drain(timeout, successor)

    def _look(self) -> None:
        """Every now and then: whether the nodes are there, and are well."""
        loop = asyncio.get_running_loop()
        self._looking = loop.call_later(self._config.cluster.health.interval, self._look)
        if self._roster is not None:
            self._roster.look()

    def _tick_runner(self) -> None:
        if self._roster is not None:
            self._roster.tick()
        self._dispatcher.tick()

    async def _close_runner(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
        if self._inheriting is not None:
            self._inheriting.cancel()
        if self._roster is not None:
            self._roster.close()

    def snapshot(self) -> dict[str, Any]:
        """See Architecture."""
        return {**super().snapshot(), "cluster": state_of(self._dispatcher)}
