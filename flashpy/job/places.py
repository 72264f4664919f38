"""Where a path leads: confined by the kernel, not by looking at names, to the roots that a job names.

``openat2(2)`` with RESOLVE_BENEATH, and where that cannot say (an absolute link that may well stay inside), the place
at which the kernel says the opened object lies. What is opened here is a place (O_PATH), with no right to read.
"""

import ctypes
import errno
import os
import struct

from flashpy.job.kinds import Identity, Outcome, Result

_SYS_OPENAT2 = 437
_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_BENEATH = 0x08
_TRIES = 3

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_HOW = struct.pack("=QQQ", os.O_PATH | os.O_CLOEXEC, 0, _RESOLVE_BENEATH | _RESOLVE_NO_MAGICLINKS)

OUTCOMES = {
    errno.ENOENT: Outcome.MISSING,
    errno.ENOTDIR: Outcome.MISSING,
    errno.ELOOP: Outcome.MISSING,
    errno.ENAMETOOLONG: Outcome.MISSING,
    errno.EINVAL: Outcome.MISSING,  # a name that this file system cannot have
    errno.EILSEQ: Outcome.MISSING,
    errno.ESTALE: Outcome.MISSING,  # NFS: the file has gone
    errno.EXDEV: Outcome.MISSING,  # outside all roots
    errno.EACCES: Outcome.FORBIDDEN,
    errno.EPERM: Outcome.FORBIDDEN,
    errno.EMFILE: Outcome.NO_DESCRIPTORS,
    errno.ENFILE: Outcome.NO_DESCRIPTORS,
    errno.ENOMEM: Outcome.NO_DESCRIPTORS,
}
"""The one table from errno to outcome; what is not in it has FAILED."""


def failure(error: OSError | MemoryError) -> Result:
    """The result of a job that ended with this error."""
    number = errno.ENOMEM if isinstance(error, MemoryError) else error.errno or errno.EIO
    return Result(OUTCOMES.get(number, Outcome.FAILED), error=number)


def root_of(roots: tuple[bytes, ...]) -> int:
    """A descriptor (O_PATH) of the root from which paths are taken."""
    return os.open(roots[0], os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def open_place(root: int, relative: bytes, roots: tuple[bytes, ...]) -> int:
    """A descriptor (O_PATH) of what the path names, which lies beneath the root or another allowed one."""
    if b"\0" in relative:  # it would end the name for the kernel
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    try:
        return _openat2(root, relative)
    except OSError as error:
        # EXDEV: a link leads out of the root, or is absolute and may lead back into it; the others: no openat2 here.
        if error.errno not in (errno.EXDEV, errno.ENOSYS, errno.EPERM, errno.EAGAIN):
            raise
    place = os.open(relative, os.O_PATH | os.O_CLOEXEC, dir_fd=root)
    try:
        where = os.readlink(b"/proc/self/fd/%d" % place)
        beneath = _is_beneath(where, os.readlink(b"/proc/self/fd/%d" % root))
        if not beneath and not any(_is_beneath(where, os.path.realpath(other)) for other in roots[1:]):
            raise OSError(errno.EXDEV, "leads outside the root")
    except BaseException:
        os.close(place)
        raise
    return place


def _openat2(root: int, relative: bytes) -> int:
    for _ in range(_TRIES):
        fd: int = _libc.syscall(
            ctypes.c_long(_SYS_OPENAT2),
            ctypes.c_int(root),
            ctypes.c_char_p(relative),
            ctypes.c_char_p(_HOW),
            ctypes.c_size_t(len(_HOW)),
        )
        if fd >= 0:
            return fd
        number = ctypes.get_errno()
        if number != errno.EAGAIN:  # EAGAIN: something was renamed meanwhile, and ".." could not be judged
            break
    raise OSError(number, os.strerror(number))


def _is_beneath(place: bytes, root: bytes) -> bool:
    return place == root or place.startswith(root.rstrip(b"/") + b"/")


def identity_of(found: os.stat_result) -> Identity:
    """The identity in a stat result; file systems know times that 64 bits of nanoseconds (1677 to 2262) do not hold."""
    modified = max(-(2**63), min(found.st_mtime_ns, 2**63 - 1))
    return Identity(found.st_dev, found.st_ino, found.st_size, modified, found.st_ctime_ns)
