"""The sandbox of a disk helper: it may read beneath the roots of the site and nowhere else (flashpy.landlock).

Its rights belong to the directories that the roots were when it was born. When a path has come to lead to another
one (a deployment that renames a directory or switches a link, a disk that was mounted again), what it opens there is
refused: then the job ends as STALE and the helper with it, and one that was born since does the job.
"""

import os
from collections.abc import Callable, Iterable
from functools import partial

from flashpy.job.kinds import Job, List, Outcome, Result, Translate, Walk
from flashpy.job.perform import perform
from flashpy.landlock import restrict

_Mark = tuple[int, int, bool] | None
_Marks = dict[bytes, _Mark]


def confine(roots: Iterable[bytes]) -> Callable[[Job], Result]:
    """Let this process read beneath the roots only, for good; without roots, or without Landlock, it stays as it is.

    Returns what carries out its jobs from now on.

    Raises:
        OSError: it cannot be confined (flashpy.landlock.restrict).
    """
    marks = _marks(roots)  # before: what a root becomes in between is found to be another
    if not marks or not restrict(list(marks)):
        return perform
    return partial(_perform, marks)


def _perform(marks: _Marks, job: Job) -> Result:
    result = perform(job)
    if isinstance(job, Translate | List | Walk) and result.outcome is Outcome.FORBIDDEN and _marks(marks) != marks:
        return Result(Outcome.STALE, error=result.error)
    return result


def _marks(roots: Iterable[bytes]) -> _Marks:
    return {root: _mark(root) for root in roots}


def _mark(root: bytes) -> _Mark:
    """Which directory a root is, and whether this process may list it; None if it is not there.

    On a disk that was mounted again all numbers are as before, but no right to the old mount is one to the new.
    """
    may_list = _may_list(root)
    try:
        found = os.stat(root)
    except OSError:
        return None
    return found.st_dev, found.st_ino, may_list


def _may_list(root: bytes) -> bool:
    try:
        os.close(os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
    except OSError:
        return False
    return True
