"""AMPED, asymmetric multi-process event-driven (Flash, section 3.4): one loop, and helper processes for what blocks."""

import asyncio
import os
from typing import Any

from flashpy.arch.events import EventDriven
from flashpy.cache.residency import Residency
from flashpy.event.cpupool import CpuPool, default_helpers
from flashpy.event.eventstreams import EventStreams
from flashpy.event.helpers import HelperPool
from flashpy.event.routing import Routing
from flashpy.event.watcher import Watcher
from flashpy.job.kinds import Runner
from flashpy.site.reloading import ReloadingSite
from flashpy.site.sites import Answering


class Amped(EventDriven):
    """Asks the residency test before it sends of a file, and gives jobs to two pools of helpers."""

    _pool: HelperPool | None = None
    _cpu_pool: CpuPool | None = None
    _streams: EventStreams | None = None
    _watcher: Watcher | None = None

    def _make_residency(self) -> Residency:
        return Residency(self._config.cache.valid)

    async def _start_runner(self) -> Runner:
        config = self._config
        loop = asyncio.get_running_loop()
        roots = tuple(os.fsencode(os.path.abspath(root)) for root in config.served)
        small = config.cache.small_file
        self._pool = HelperPool(loop, config.helpers, small, self._now, self._metrics, self._starter, roots)
        await self._pool.start()
        helpers, most = config.helpers, config.helpers.cpu or default_helpers()
        self._cpu_pool = CpuPool(loop, self._starter, self._now, self._metrics, most, helpers.idle, helpers.timeout)
        if config.server.reload:
            self._streams = EventStreams(loop)
            self._watcher = Watcher(loop, self._starter, self._streams.tell)
            await self._watcher.start()
        return Routing(self._pool, self._cpu_pool)

    def _around(self, site: Answering) -> Answering:
        streams = self._streams
        return super()._around(site if streams is None else ReloadingSite(site, streams.take, streams.is_full))

    async def _close_runner(self) -> None:
        if self._watcher is not None:
            await self._watcher.close()
            self._watcher = None
        if self._cpu_pool is not None:
            await self._cpu_pool.close()
            self._cpu_pool = None
        if self._pool is not None:
            await self._pool.close()
            self._pool = None

    def _tick_runner(self) -> None:
        if self._streams is not None:
            self._streams.tick()
        if self._pool is not None:
            self._pool.tick()
        if self._cpu_pool is not None:
            self._cpu_pool.tick()

    def snapshot(self) -> dict[str, Any]:
        """See Architecture."""
        pools = {"pool": self._pool, "cpu_pool": self._cpu_pool}
        return super().snapshot() | {name: pool.snapshot() if pool else {} for name, pool in pools.items()}
