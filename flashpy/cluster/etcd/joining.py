"""Tells a front-end on this host who is in the cluster, at its control socket."""

import asyncio
import logging
import socket
from collections.abc import Collection, Sequence
from urllib.parse import urlencode

import msgspec

from flashpy.cluster.membership import Member
from flashpy.report import ClusterState

PERIOD = 1.0
"""Seconds between two looks whether the front-end has them all: it may have been started anew."""
PATIENCE = 5.0
"""Seconds that it has for an answer."""

_log = logging.getLogger("flashpy.cluster")


class Joining:
    """Lets the front-end have the members, and nobody else but the ``fixed`` ones of its configuration."""

    def __init__(self, control: str, fixed: Collection[str]) -> None:
        self._control = control
        self._fixed = frozenset(fixed)
        self._members: dict[str, Member] | None = None  # not known yet
        self._joined: dict[str, Member] = {}
        self._news = asyncio.Event()

    def changed(self, members: Sequence[Member]) -> None:
        """These are the members now. One that is called as one of the configuration is left out."""
        self._members = {member.name: member for member in members if member.name not in self._fixed}
        self._news.set()

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            try:
                await self._reconcile()
            except (OSError, EOFError, ValueError, TimeoutError) as error:
                _log.debug("The front-end cannot be told who is in the cluster: %s", error)
            self._news.clear()
            try:
                async with asyncio.timeout(PERIOD):
                    await self._news.wait()
            except TimeoutError:
                pass

    async def _reconcile(self) -> None:
        """Let those leave that are no members, and those join that it does not have, or has as they were before."""
        wanted = self._members
        if wanted is None:
            return
        there = msgspec.json.decode(await self._ask("GET", "/state"), type=ClusterState).nodes
        for name in there.keys() - wanted.keys() - self._fixed:
            await self._ask("POST", "/leave", node=name)
        for name, member in wanted.items():
            if name not in there or self._joined.get(name) != member:
                address = await self._numeric(member.address)
                await self._ask("POST", "/join", node=name, address=address, weight=str(member.weight))
                self._joined[name] = member

    async def _numeric(self, address: str) -> str:
        """An address without a name to be looked up."""
        if address.startswith("unix:"):
            return address
        host, _, port = address.rpartition(":")
        loop = asyncio.get_running_loop()
        family, _, _, _, place = (await loop.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM))[0]
        number = str(place[0])
        return f"[{number}]:{port}" if family == socket.AF_INET6 else f"{number}:{port}"

    async def _ask(self, method: str, path: str, **query: str) -> bytes:
        """The body of what the front-end answers.

        Raises:
            ValueError: it refuses; the text is what it said.
        """
        target = f"{path}?{urlencode(query)}" if query else path
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_unix_connection(self._control)
            try:
                writer.write(f"{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
                head, _, body = (await reader.read(-1)).partition(b"\r\n\r\n")
            finally:
                writer.close()
        if head.split(b" ", 2)[1:2] != [b"200"]:
            raise ValueError(body.decode(errors="replace").strip() or "it said nothing")
        return body
