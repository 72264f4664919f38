"""Which of several fronts is the active one: who has written its name under its lease, where there was none.

Who stands by has no listening socket, and takes over when the lease of the active one has ended. While etcd cannot be
asked, everybody stays what it is: nobody else could take over, and a site shall not end with its etcd. So for a while
there may be two, when etcd is out of reach for the active one only; each serves correctly, with a mapping of its own.
"""

import asyncio
import contextlib
import enum
from collections.abc import Callable
from typing import Any

import aetcd

from flashpy.cluster.etcd.client import LEASE, PREFIX, Etcd, Lease

KEY = "front"
"""Beneath the prefix: who is active."""


class Role(enum.Enum):
    """What a front is."""

    STANDBY = "standby"
    ACTIVE = "active"


class Leadership:
    """The part of one front in the election. ``name`` is for people who look into etcd."""

    def __init__(self, etcd: Etcd, name: str, prefix: str = PREFIX, lease: int = LEASE) -> None:
        self.role = Role.STANDBY
        self._etcd = etcd
        self._key = (prefix + KEY).encode()
        self._name = name.encode()
        self._lease = Lease(lease)

    async def run(self, changed: Callable[[Role], None]) -> None:
        """Take part until it is cancelled: the next one may take over at once then. Tells each change of the role."""
        await self._etcd.keep(lambda client: self._take_part(client, changed))

    async def _take_part(self, client: aetcd.Client, changed: Callable[[Role], None]) -> None:
        try:
            while True:
                lease = await self._lease.renewed(client)
                other = await self._claim(client, lease)
                role = Role.ACTIVE if other is None else Role.STANDBY
                if role != self.role:
                    self.role = role
                    changed(role)
                if other is None:
                    await asyncio.sleep(self._lease.pause)
                else:
                    await self._vacancy(client, other.header.revision + 1)
        except asyncio.CancelledError:
            await self._lease.revoke(client)
            raise

    async def _claim(self, client: aetcd.Client, lease: int) -> Any:
        """Write our name where there is none. Returns the entry of another front, if that is active."""
        terms = client.transactions
        won, answers = await client.transaction(
            compare=[terms.create(self._key) == 0],
            success=[terms.put(self._key, self._name, lease)],
            failure=[terms.get(self._key)],
        )
        if won:
            return None
        ((_, entry),) = answers[0]
        return None if entry.lease == lease else entry

    async def _vacancy(self, client: aetcd.Client, revision: int) -> None:
        """Wait until the entry changes, at this revision of the store or later; or until our lease is to be renewed."""
        with contextlib.suppress(aetcd.WatchTimeoutError):
            event = await client.watch_once(self._key, timeout=self._lease.pause, start_revision=revision)
            if isinstance(event, Exception):  # how the watch tells that it has broken off
                raise aetcd.ClientError(str(event)) from event
