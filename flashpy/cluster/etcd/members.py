"""Members of a cluster in etcd: a node has an entry under a lease, and a front watches all entries."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import Any

import aetcd

from flashpy.cluster.etcd.client import LEASE, PREFIX, Etcd, Lease
from flashpy.cluster.membership import Member, Register, encode

NODES = "nodes/"
"""Beneath this part of the prefix are the nodes, by their names."""
SILENCE = 5.0
"""Seconds without an event after which all is read, in case that the watch is dead and does not know it."""

_log = logging.getLogger(__name__)


class EtcdMembership:
    """The members that have entries. While etcd cannot be asked, the last known ones hold."""

    def __init__(self, etcd: Etcd, prefix: str = PREFIX, silence: float = SILENCE) -> None:
        self._etcd = etcd
        self._prefix = (prefix + NODES).encode()
        self._register = Register(self._prefix)
        self._silence = silence
        self._told: tuple[Member, ...] | None = None

    async def run(self, changed: Callable[[Sequence[Member]], None]) -> None:
        """Tell all members, by name, at first and whenever they are others, until it is cancelled."""

        def tell() -> None:
            if (members := self._register.members()) != self._told:
                self._told = members
                changed(members)

        await self._etcd.keep(lambda client: self._follow(client, tell))

    async def _follow(self, client: aetcd.Client, tell: Callable[[], None]) -> None:
        """Watch from where the last watch has broken off; where that was compacted away, all is read again."""
        if not self._register.revision:
            await self._read(client)
            tell()
        watch = await client.watch_prefix(self._prefix, start_revision=self._register.revision + 1)
        events = aiter(watch)
        event = asyncio.ensure_future(anext(events))
        try:
            while True:
                await asyncio.wait({event}, timeout=self._silence)
                if event.done():
                    self._apply(event.result())
                    event = asyncio.ensure_future(anext(events))
                else:
                    await self._read(client)
                tell()
        except aetcd.RevisionCompactedError:
            self._register.forget_revision()
        finally:
            event.cancel()
            with contextlib.suppress(asyncio.CancelledError, StopAsyncIteration, aetcd.ClientError):
                await event

    async def _read(self, client: aetcd.Client) -> None:
        found = await client.get_prefix(self._prefix)
        for wrong in self._register.read(found.header.revision, {entry.key: entry.value for entry in found}):
            _log.warning("%s", wrong)

    def _apply(self, event: Any) -> None:
        entry = event.kv
        if event.kind == aetcd.EventKind.DELETE:
            self._register.deleted(entry.mod_revision, entry.key)
        elif wrong := self._register.put(entry.mod_revision, entry.key, entry.value):
            _log.warning("%s", wrong)


class Registration:
    """A node's own entry, which is there while this runs, and until the lease ends after a crash."""

    def __init__(self, etcd: Etcd, member: Member, prefix: str = PREFIX, lease: int = LEASE) -> None:
        self._etcd = etcd
        self._key = f"{prefix}{NODES}{member.name}".encode()
        self._value = encode(member)
        self._lease = Lease(lease)

    async def run(self) -> None:
        """Keep the entry until it is cancelled: it goes at once then."""
        await self._etcd.keep(self._keep)

    async def _keep(self, client: aetcd.Client) -> None:
        written = 0
        try:
            while True:
                lease = await self._lease.renewed(client)
                if lease != written:
                    await client.put(self._key, self._value, lease=lease)
                    written = lease
                await asyncio.sleep(self._lease.pause)
        except asyncio.CancelledError:
            await self._lease.revoke(client)
            raise
