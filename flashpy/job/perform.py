"""Carrying out jobs. These functions block; they run in helper processes, or wherever blocking is meant.

Paths are confined by the kernel (job.places). Nothing is opened for reading before ``fstat`` has said that it is a
regular file, so that no FIFO or device can hang a helper.
"""

import errno
import mmap
import os
import stat

from flashpy.buffers import Descriptor
from flashpy.job.kinds import Check, Encode, Identity, Job, List, Load, Outcome, Result, Translate, Verify
from flashpy.job.listing import list_directory
from flashpy.job.places import failure, identity_of, open_place, root_of
from flashpy.job.walk import walk

_TRIES = 3


def perform(job: Job) -> Result:
    """Do a job, however long it takes. Errors of the operating system become outcomes."""
    try:
        if isinstance(job, Translate):
            return translate(job)
        if isinstance(job, Load):
            return load(job)
        if isinstance(job, Check):
            return check(job)
        if isinstance(job, Encode | Verify):
            from flashpy.job import cpu  # a disk helper has no use for it

            return cpu.perform(job)
        return list_directory(job) if isinstance(job, List) else walk(job)
    except OSError as error:
        return failure(error)
    except MemoryError:
        return Result(Outcome.NO_DESCRIPTORS, error=errno.ENOMEM)


def translate(job: Translate) -> Result:
    """Pathname translation (Flash, section 5.2): from a path to an open file, in one trip."""
    root = root_of(job.roots)
    try:
        relative = job.path[1:]
        if job.path.endswith(b"/"):
            for name in job.index_names:
                result = _find(root, relative + name, job)
                if result.outcome is Outcome.DIRECTORY:
                    continue  # a directory named like an index file is none
                if result.outcome is not Outcome.MISSING:
                    return result._replace(name=name)
            return Result(Outcome.MISSING, error=errno.ENOENT)
        return _find(root, relative, job)
    finally:
        os.close(root)


def check(job: Check) -> Result:
    """Whether each path still leads to the known version. No confinement is needed: whatever the way, at its end is the
    very file that a translation has found inside the roots."""
    return Result(Outcome.CHECKED, body=bytes(map(_is_known, job.translations)))


def _is_known(translation: Translate) -> bool:
    path = translation.roots[0] + translation.path
    for name in translation.index_names if path.endswith(b"/") else (b"",):
        try:
            found = os.stat(path + name)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR):
                continue  # the next index name may be the one
            return False
        if not stat.S_ISDIR(found.st_mode):
            return identity_of(found) == translation.known
    return False


def _find(root: int, relative: bytes, job: Translate) -> Result:
    try:
        place = open_place(root, relative, job.roots)
    except OSError as error:
        return failure(error)
    try:
        found = os.fstat(place)
        if stat.S_ISDIR(found.st_mode):
            return Result(Outcome.DIRECTORY)
        if not stat.S_ISREG(found.st_mode):
            return Result(Outcome.MISSING, error=errno.ENODEV)
        identity = identity_of(found)
        suffixes = tuple(suffix for suffix in job.suffixes if _is_file(root, relative + suffix))
        if identity == job.known:
            return Result(Outcome.UNCHANGED, identity, suffixes=suffixes)
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
        file = Descriptor(os.open(b"/proc/self/fd/%d" % place, flags), identity.device)
    finally:
        os.close(place)
    identity, body = _read_small(file.fd, job.small)
    return Result(Outcome.FILE, identity, file if body is None else None, body, suffixes)


def _is_file(root: int, relative: bytes) -> bool:
    try:
        return stat.S_ISREG(os.stat(relative, dir_fd=root).st_mode)
    except OSError:
        return False


def _read_small(fd: int, small: int) -> tuple[Identity, bytes | None]:
    """The file's identity, and its bytes if they are few and the file was the same before and after the reading."""
    identity = identity_of(os.fstat(fd))
    for _ in range(_TRIES):
        if identity.size > small:
            break
        body = _read_all(fd, identity.size + 1)
        again = identity_of(os.fstat(fd))
        if again == identity and len(body) == identity.size:
            return identity, body
        identity = again
    return identity, None


def _read_all(fd: int, size: int) -> bytes:
    body = os.pread(fd, size, 0)
    while 0 < len(body) < size:
        more = os.pread(fd, size - len(body), len(body))
        if not more:
            break
        body += more
    return body


_MADV_POPULATE_READ = 22
_SCRATCH = bytearray(256 * 1024)


def load(job: Load) -> Result:
    """Bring a window into memory, and wait until it is there (readahead(2) alone does not wait).

    By a mapping that is populated (madvise(2), Linux 5.14): unlike a read it does not count as use, so that what is
    asked for once stays the first to go when memory is short, and does not drive out what is asked for often.
    """
    os.posix_fadvise(job.file.fd, job.offset, job.length, os.POSIX_FADV_WILLNEED)
    begin = job.offset - job.offset % mmap.ALLOCATIONGRANULARITY
    length = job.offset + job.length - begin
    try:
        with mmap.mmap(job.file.fd, length, mmap.MAP_SHARED, mmap.PROT_READ, offset=begin) as mapping:
            mapping.madvise(mmap.MADV_SEQUENTIAL)  # whose pages do not count as used when they are unmapped
            mapping.madvise(_MADV_POPULATE_READ)
    except (OSError, ValueError):  # an older kernel, a file system without mappings, or a file that has become shorter
        _read(job)
    return Result(Outcome.LOADED)


def _read(job: Load) -> None:
    position, end = job.offset, job.offset + job.length
    while position < end:
        count = os.preadv(job.file.fd, [memoryview(_SCRATCH)[: end - position]], position)
        if not count:
            break
        position += count
