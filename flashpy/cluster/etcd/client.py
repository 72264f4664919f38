"""etcd, of which a cluster on several hosts learns who is in it: connections to it, and leases.

aetcd is a thin client. A watch of it dies with its connection, nothing is tried again, and leases are not renewed: so
all work with etcd is a coroutine over one connection, which is begun again over another one when it has failed
(``Etcd.keep``). What etcd has said before holds until then.

aetcd is imported here only, and this module only where etcd is configured.
"""

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Sequence

import aetcd

from flashpy.cluster.membership import endpoint

PREFIX = "/flashpy/"
"""What the keys of a cluster begin with, unless the configuration says otherwise."""
LEASE = 10
"""Seconds after which who does not renew its lease counts as gone."""
TIMEOUT = 3.0
"""Seconds that one request may take."""
FIRST, LONGEST = 0.1, 2.0
"""Pauses in seconds after failures: each is twice as long as the one before, up to a bound."""

_log = logging.getLogger(__name__)

Work = Callable[[aetcd.Client], Awaitable[None]]


class Etcd:
    """A cluster of etcd, by its endpoints: ``host:port`` each."""

    def __init__(self, endpoints: Sequence[str], timeout: float = TIMEOUT) -> None:
        self._endpoints = [endpoint(text) for text in endpoints]
        self._timeout = timeout

    async def keep(self, work: Work) -> None:
        """Do the work over a connection, and again over one to the next endpoint when it fails, until it is cancelled.

        Work that returns is begun again.
        """
        loop = asyncio.get_running_loop()
        pause, said = FIRST, ""
        for host, port in itertools.cycle(self._endpoints):
            begun = loop.time()
            try:
                async with aetcd.Client(host, port, timeout=self._timeout) as client:
                    await work(client)
                said = ""
            except (aetcd.ClientError, OSError, TimeoutError) as error:
                if loop.time() - begun > self._timeout + LONGEST:  # it had worked
                    pause, said = FIRST, ""
                if not said:
                    said = str(error) or type(error).__name__
                    _log.warning("etcd at %s:%d has failed, what it said last holds: %s", host, port, said)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST)


class Lease:
    """A lease, which is granted when it is first needed, and anew when it has ended."""

    def __init__(self, seconds: int = LEASE) -> None:
        self._seconds = seconds
        self._id = 0

    @property
    def pause(self) -> float:
        """Seconds between two renewals: two may fail."""
        return self._seconds / 3

    async def renewed(self, client: aetcd.Client) -> int:
        """Its number, with the whole time before it again."""
        if self._id:
            answer = await client.refresh_lease(self._id)
            if answer is not None and answer.TTL > 0:
                return self._id
        self._id = (await client.lease(self._seconds)).id
        return self._id

    async def revoke(self, client: aetcd.Client) -> None:
        """End it now, and with it all entries under it; where that fails it ends by itself."""
        if self._id:
            try:
                await client.revoke_lease(self._id)
            except aetcd.ClientError as error:
                _log.info("a lease of etcd could not be ended: %s", error)
            self._id = 0
