"""The nodes of a front-end, which may come and go, with the ways to them and the checks of them."""

import asyncio
import contextlib
import socket
from collections.abc import Iterable
from functools import partial
from ipaddress import ip_address

from flashpy.addresses import Tcp, Unix, parse
from flashpy.cluster.backend.pool import Backend, Connect, SocketAddress, connecting, introduced
from flashpy.cluster.front.checks import Check
from flashpy.cluster.front.dispatcher import Dispatcher
from flashpy.cluster.front.member import Member
from flashpy.cluster.front.passing import Keeper, Passing
from flashpy.cluster.front.warming import AT_A_TIME, Warming
from flashpy.errors import StartError
from flashpy.settings import ClusterSection, NodeSection


class Roster:
    """All nodes that there are, and those that have left and still have something to finish."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, settings: ClusterSection, dispatcher: Dispatcher, keeper: Keeper
    ) -> None:
        self._loop = loop
        self._settings = settings
        self._dispatcher = dispatcher
        self._keeper = keeper
        self._checks: dict[str, Check] = {}
        self._left: list[Member] = []

    @property
    def members(self) -> Iterable[Member]:
        """Those that have not left."""
        return self._dispatcher.members.values()

    def join(self, section: NodeSection, address: SocketAddress | None) -> None:
        """There is a node. ``address`` is that of the section; one of this host needs none, because it is asked over
        sockets that are passed to it."""
        settings = self._settings
        member = Member(section, settings.health)
        connect: Connect | None = connecting(address) if address is not None else None
        if section.handoff:
            member.passing = Passing(self._loop, member, self._dispatcher, self._keeper)
            connect = introduced(member.passing.introduce)
        if connect is not None:
            timeout, most, spliced = settings.relay_timeout, settings.pool, settings.splice
            member.backend = Backend(self._loop, connect, timeout, most, spliced)
            backend = partial(Backend, self._loop, connect, timeout, AT_A_TIME, False)
            member.warming = Warming(member, self._dispatcher, backend, settings.warm_timeout)
        if member.passing is None:
            self._checks[section.name] = Check(member, self._dispatcher, settings.health)
        self._dispatcher.join(member)
        self._look_at(member)

    def leave(self, name: str) -> None:
        """A node is no more. What it has under way it may finish.

        Raises:
            KeyError: there is none of this name.
        """
        member = self._dispatcher.leave(name)
        self._checks.pop(name, None)
        if member.passing is not None:
            member.passing.recall(True)
        self._left.append(member)

    def look(self) -> None:
        """Every now and then: whether the nodes are there, and are well."""
        for member in self.members:
            self._look_at(member)

    def _look_at(self, member: Member) -> None:
        if member.passing is not None:
            member.passing.look()
        else:
            self._checks[member.name].look(self._loop)

    def tick(self) -> None:
        """Once a second."""
        now = self._loop.time()
        for member in (*self.members, *self._left):
            if member.backend is not None:
                member.backend.sweep(now)
        for member in [member for member in self._left if not member.node.load]:
            _close(member)
            self._left.remove(member)

    def recall(self) -> None:
        """What the nodes have shall come back, each connection when it is between two requests."""
        for member in self.members:
            if member.passing is not None:
                member.passing.recall(True)

    def close(self) -> None:
        """At the end."""
        for member in (*self.members, *self._left):
            _close(member)


def _close(member: Member) -> None:
    if member.warming is not None:
        member.warming.stop()
    if member.passing is not None:
        member.passing.close()
    if member.backend is not None:
        member.backend.close()


async def resolve(loop: asyncio.AbstractEventLoop, section: NodeSection) -> SocketAddress:
    """Where a node of the configuration is. Names are looked up once, at the start.

    Raises:
        StartError: its name is not known.
    """
    if (address := numeric(section.address)) is not None:
        return address
    try:
        host, _, port = section.address.rpartition(":")
        found = await loop.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
    except OSError as error:
        raise StartError(f"The address {section.address} of the node {section.name} is not known: {error}.") from None
    return found[0][0], found[0][4]


def numeric(text: str) -> SocketAddress | None:
    """Where an address leads to for which no name is to be looked up; None for any other."""
    with contextlib.suppress(ValueError):
        address = parse(text)
        if isinstance(address, Unix):
            return socket.AF_UNIX, address.path
        if isinstance(address, Tcp):
            is_6 = ip_address(address.host).version == 6
            return socket.AF_INET6 if is_6 else socket.AF_INET, (address.host, address.port)
    return None
