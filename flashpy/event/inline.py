"""A runner that does jobs on the spot, in the loop: what AMPED is not. For comparison in tests and benchmarks."""

from collections.abc import Callable

from flashpy.buffers import Descriptor
from flashpy.cache.residency import Residency
from flashpy.job.kinds import Job, Result
from flashpy.job.perform import perform


class InlineRunner:
    """Blocks the loop for as long as a job takes (a job.kinds.Runner)."""

    def run(self, job: Job, done: Callable[[Result], None]) -> None:
        """Do the job and deliver its result before returning."""
        done(perform(job)._replace(job=job))


class Unasked(Residency):
    """No residency test: every window is sent at once, resident or not."""

    __slots__ = ()

    def resident(self, file: Descriptor, offset: int, length: int, now: float) -> bool:
        """Always."""
        return True
