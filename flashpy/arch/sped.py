"""SPED, single-process event-driven (Flash, section 3.3): one loop, which waits for the disk itself."""

from flashpy.arch.events import EventDriven
from flashpy.arch.inline import InlineRunner, Unasked
from flashpy.cache.residency import Residency
from flashpy.job.kinds import Runner


class Sped(EventDriven):
    """Does jobs in the loop, and never asks whether a window is resident."""

    def _make_residency(self) -> Residency:
        return Unasked(self._config.cache.valid)

    async def _start_runner(self) -> Runner:
        return InlineRunner()
