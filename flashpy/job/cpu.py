"""Carrying out jobs that take a processor's time: content codings and passwords.

The libraries that do the work are optional, and imported by whoever does it: a helper of the pool for such work, or
(SPED, MP, MT) the server itself.
"""

import errno
import signal
from contextlib import suppress

from flashpy.job import passwords
from flashpy.job import perform as every
from flashpy.job.encode import encode, encoder
from flashpy.job.kinds import LEVELS, CpuJob, Encode, Job, Outcome, Result, Verify
from flashpy.job.programs import Perform
from flashpy.landlock import restrict

CPU_SECONDS = 30.0
"""Seconds of the processor that a helper may spend on one job; then it ends (SIGPROF, setitimer(2))."""


def perform(job: CpuJob) -> Result:
    """Do a job. Without its library it fails with ENOPKG.

    Raises:
        OSError: as job.encode.encode has it.
    """
    try:
        return encode(job) if isinstance(job, Encode) else _verify(job)
    except ImportError:
        return Result(Outcome.FAILED, error=errno.ENOPKG)


def _verify(job: Verify) -> Result:
    return Result(Outcome.PASSED if passwords.verify(job.hashed, job.password) else Outcome.REFUSED)


def import_libraries() -> None:
    """Have all libraries that are installed in memory: once, before helpers are forked and confined."""
    for coding in LEVELS:
        with suppress(ImportError):
            encoder(coding)
    passwords.prepare()


def begin(confined: bool) -> Perform:
    """Become a helper, ``confined`` by Landlock: it opens nothing, but is given what it reads. What does its jobs.

    Raises:
        OSError: it cannot be confined (flashpy.landlock.restrict).
    """
    if confined:
        restrict()
    return _perform_in_time


def _perform_in_time(job: Job) -> Result:
    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
    try:
        return every.perform(job)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
