"""Which pool does a job."""

from flashpy.event.cpupool import CpuPool
from flashpy.event.helpers import HelperPool
from flashpy.event.pool import Done, Wanted
from flashpy.job.kinds import Await, Encode, Job, Verify, always


class Routing:
    """Gives what takes a processor's time to one pool, and what may wait for a disk to the other (a Runner)."""

    __slots__ = ("_cpu", "_disk")

    def __init__(self, disk: HelperPool, cpu: CpuPool) -> None:
        self._disk = disk
        self._cpu = cpu

    def run(self, job: Job, done: Done, wanted: Wanted = always) -> None:
        """See Runner."""
        if isinstance(job, Await):
            job.begin(done, wanted)
        elif isinstance(job, Encode | Verify):
            self._cpu.run(job, done, wanted)
        else:
            self._disk.run(job, done, wanted)
