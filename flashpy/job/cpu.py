"""Carrying out jobs that take a processor's time: content codings and passwords.

The libraries that do the work are optional, and imported by whoever does it: a helper of the pool for such work, or
(SPED, MP, MT) the server itself.
"""

import errno
import signal
import time
from contextlib import suppress

from flashpy.job import passwords
from flashpy.job import perform as every
from flashpy.job.codedfiles import CodedFiles, EntryName
from flashpy.job.encode import Changed, encode, encoded, encoder, windows
from flashpy.job.kinds import LEVELS, CpuJob, Encode, Job, Outcome, Result, Verify
from flashpy.job.places import failure
from flashpy.job.programs import Perform
from flashpy.landlock import restrict

CPU_SECONDS = 30.0
"""Seconds of the processor that a helper may spend on one job; then it ends (SIGPROF, setitimer(2))."""
_PAUSE = 60.0
"""Seconds for which nothing is written to a directory that has refused it."""


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


class Helper:
    """A helper for such work, ``confined`` by Landlock: it opens nothing, but is given what it reads. All that it may
    open is in the directory where coded forms are kept, if there is one (job.codedfiles), in ``budget`` bytes."""

    def __init__(self, confined: bool, directory: bytes = b"", budget: int = 0) -> None:
        self._confined = confined
        self._path = directory
        self._budget = budget
        self._files: CodedFiles | None = None
        self._made: tuple[str, Result] | None = None  # what is to be kept, and its name
        self._trouble = 0  # an errno that is to be told
        self._not_before = 0.0  # monotonic; nothing is written again

    def begin(self) -> Perform:
        """Become one. What does its jobs.

        Raises:
            OSError: it cannot be confined (flashpy.landlock.restrict).
        """
        if self._path:
            try:
                self._files = CodedFiles(self._path, self._budget)
            except OSError as error:
                self._fail(error)
        if self._confined:
            restrict(writable=[self._path] if self._files else [])
        return self._perform

    def after(self) -> Result | None:
        """Keep what the last job has made, now that nobody waits for it. What has gone wrong with that."""
        made, self._made = self._made, None
        if made is not None and self._files is not None and time.monotonic() >= self._not_before:
            try:
                self._files.keep(*made)
            except (OSError, MemoryError) as error:
                self._fail(error)
        trouble, self._trouble = self._trouble, 0
        return Result(Outcome.NOT_KEPT, error=trouble) if trouble else None

    def _fail(self, error: OSError | MemoryError) -> None:
        """The directory does not do: that is told, and it gets some rest."""
        self._trouble = failure(error).error
        self._not_before = time.monotonic() + _PAUSE

    def _perform(self, job: Job) -> Result:
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
        try:
            if self._files is not None and isinstance(job, Encode):
                return self._encode(job, self._files)
            return every.perform(job)
        except ImportError:
            return Result(Outcome.FAILED, error=errno.ENOPKG)
        except Changed:
            return Result(Outcome.CHANGED)
        except (OSError, MemoryError) as error:
            return failure(error)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)

    def _encode(self, job: Encode, files: CodedFiles) -> Result:
        tag = encoder(job.coding).tag(job.level)
        asked = EntryName(tag)
        for window in windows(job.source, job.identity):
            asked.add(window)
        try:
            found = files.find(str(asked), job.identity.size)
        except (OSError, MemoryError) as error:
            self._fail(error)
            found = None
        if found is not None:
            return encoded(job, tag, found)
        read = EntryName(
            tag
        )  # should the content be another now, unseen, what is made of it is not kept as what it was
        result = encode(job, read.add)
        if result.outcome is Outcome.ENCODED:
            self._made = str(read), result
        return result
