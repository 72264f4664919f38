"""AMPED, asymmetric multi-process event-driven (Flash, section 3.4): one loop, and helper processes for what blocks."""

import asyncio
import os
from typing import Any

from flashpy.arch.events import EventDriven
from flashpy.cache.residency import Residency
from flashpy.event.helpers import HelperPool
from flashpy.job.kinds import Runner


class Amped(EventDriven):
    """Asks the residency test before it sends of a file, and gives jobs to a pool of helpers."""

    _pool: HelperPool | None = None

    def _make_residency(self) -> Residency:
        return Residency(self._config.cache.valid)

    async def _start_runner(self) -> Runner:
        config = self._config
        loop = asyncio.get_running_loop()
        roots = tuple(os.fsencode(os.path.abspath(root)) for root in config.served)
        small = config.cache.small_file
        self._pool = HelperPool(loop, config.helpers, small, self._now, self._metrics, self._starter, roots)
        await self._pool.start()
        return self._pool

    async def _close_runner(self) -> None:
        if self._pool is not None:
            await self._pool.close()
            self._pool = None

    def _tick_runner(self) -> None:
        if self._pool is not None:
            self._pool.tick()

    def snapshot(self) -> dict[str, Any]:
        """See Architecture."""
        return {**super().snapshot(), "pool": self._pool.snapshot() if self._pool else {}}
