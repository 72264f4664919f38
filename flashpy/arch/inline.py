"""Jobs done on the spot by whoever needs their result: what AMPED is not."""

import time
from collections.abc import Callable
from threading import Lock

from flashpy.buffers import Descriptor
from flashpy.cache.residency import Residency
from flashpy.job.kinds import Await, Job, Result, always
from flashpy.job.perform import perform


def do(job: Job) -> Result:
    """Do a job, however long it takes."""
    began = time.monotonic()
    result = perform(job)
    return result._replace(job=job, took=time.monotonic() - began)


class InlineRunner:
    """Blocks its caller for as long as a job takes (a job.kinds.Runner)."""

    def run(self, job: Job, done: Callable[[Result], None], wanted: Callable[[], bool] = always) -> None:
        """Do the job and deliver its result before returning; but for what comes by itself."""
        if isinstance(job, Await):
            job.begin(done, wanted)
        else:
            done(do(job))


class UnlockingRunner:
    """The same for one of many threads: it holds the lock of the caches when it calls, and not while it waits."""

    def __init__(self, lock: Lock) -> None:
        self._lock = lock

    def run(self, job: Job, done: Callable[[Result], None], wanted: Callable[[], bool] = always) -> None:
        """Do the job while others go on, and deliver its result before returning."""
        self._lock.release()
        try:
            result = do(job)
        finally:
            self._lock.acquire()
        done(result)


class Unasked(Residency):
    """No residency test: every window is sent at once, resident or not."""

    __slots__ = ()

    def resident(self, file: Descriptor, offset: int, length: int, now: float) -> bool:
        """Always."""
        return True
