"""Carrying out jobs. These functions block; they run in helper processes, or wherever blocking is meant.

Paths are confined by the kernel (job.places). Nothing is opened for reading before ``fstat`` has said that it is a
regular file, so that no FIFO or device can hang a helper.
"""

import errno
import mmap
import os
import stat
from _blake2 import blake2b  # hashlib's, which brings OpenSSL with it; and a confined helper can import nothing later
from functools import partial

from flashpy.buffers import Descriptor
from flashpy.job.kinds import Check, Encode, Identity, Job, List, Load, Outcome, Result, Translate, Verify, Walk
from flashpy.job.listing import list_directory
from flashpy.job.places import failure, identity_of, open_place, root_of
from flashpy.job.walk import walk

_TRIES = 3
_DIGEST = 12  # bytes: nobody finds another content with the same 96 bits by chance


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
        if isinstance(job, List):
            return list_directory(job)
        assert isinstance(job, Walk)
        return walk(job)
    except (OSError, MemoryError) as error:
        return failure(error)


def translate(job: Translate) -> Result:
    """Pathname translation (Flash, section 5.2): from a path to an open file, in one trip."""
    root = root_of(job.roots)
    try:
        release = _release_of(os.fstat(root))
        if job.release == release:
            return _translate(root, job)._replace(release=release)
        place = os.readlink(b"/proc/self/fd/%d" % root)
        result = Result(Outcome.MOVED) if job.release else _translate(root, job)
        return result._replace(release=release, place=place)
    finally:
        os.close(root)


def _translate(root: int, job: Translate) -> Result:
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


def _release_of(root: os.stat_result) -> bytes:
    """What tells a directory from one that has come into its place."""
    return b"%x:%x" % (root.st_dev, root.st_ino)


def check(job: Check) -> Result:
    """Whether each path still leads to the known version. No confinement is needed: whatever the way, at its end is the
    very file that a translation has found inside the roots."""
    known = partial(_is_known, {})
    return Result(Outcome.CHECKED, body=bytes(map(known, job.translations)))


def _is_known(releases: dict[bytes, bytes], translation: Translate) -> bool:
    """Whether one is; ``releases`` remembers what the roots are."""
    if translation.release:
        root = translation.roots[0]
        release = releases.get(root)
        if release is None:
            try:
                release = releases[root] = _release_of(os.stat(root))
            except OSError:
                return False
        if release != translation.release:
            return False
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
    digest = _digest(file.fd, identity, body) if job.digest else b""
    return Result(Outcome.FILE, identity, file if body is None else None, body, suffixes, digest=digest)


def _digest(fd: int, identity: Identity, body: bytes | None) -> bytes:
    """A digest of a file's content; empty if that changes meanwhile."""
    if body is not None:
        return blake2b(body, digest_size=_DIGEST).hexdigest().encode()
    made, position = blake2b(digest_size=_DIGEST), 0
    while count := os.preadv(fd, [_SCRATCH], position):
        made.update(memoryview(_SCRATCH)[:count])
        position += count
    return made.hexdigest().encode() if identity_of(os.fstat(fd)) == identity else b""


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
