"""The residency test: whether a window of a file is in memory, so that sending it cannot wait for the disk.

Flash asked mincore(2). Today's means, each with its gap:

- ``preadv2(RWF_NOWAIT)`` of one byte says for one page whether it can be read at once. It works for every user, but
  not on overlayfs and tmpfs (ENOTSUP).
- ``cachestat(2)`` counts the pages of a whole window, but counts those that are still being read, answers 0 always on
  overlayfs, and EPERM for a file that the process neither owns nor may write.

So the means are chosen per device, by trying them on a page that a helper has just read. With RWF_NOWAIT windows are
probed at their start, at each 64 KiB and at their end; after cachestat has seen the whole, at start and end. Without,
a window counts as resident for a while after a helper has loaded it: cachestat alone would promise too much.
"""

import ctypes
import errno
import os
from enum import Enum, auto

from flashpy.buffers import IN_MEMORY, Descriptor

_SYS_CACHESTAT = 451
PAGE = 4096
WINDOW = 512 * 1024
"""Files are sent, tested and loaded in windows of this size, which lie on a grid from the file's beginning."""
FIRST_LOAD = 128 * 1024
"""How much is loaded of a file's beginning: what kernels read ahead at most by default."""
PROBE_STEP = 64 * 1024
"""Between two probes: the largest read-ahead that arrives as one piece is about this."""


TESTED = 0.25
"""Seconds for which a window that was found resident is sent without another test, while its device is not busy: what
is asked for so often stays in memory, and if it does not, the count of mispredictions says so."""
BUSY = 1.0
"""Seconds for which a device counts as busy after a window had to be loaded from it."""


ABSENT = -1
"""What ``Residency.read_into`` says of what is not in memory."""


class Means(Enum):
    """What tells residency on a device."""

    PROBES_AND_CACHESTAT = auto()
    PROBES = auto()
    MEMORY = auto()  # our own, of what helpers have loaded


class _Range(ctypes.Structure):
    _fields_ = (("off", ctypes.c_uint64), ("len", ctypes.c_uint64))


class _Cachestat(ctypes.Structure):
    _fields_ = (
        ("nr_cache", ctypes.c_uint64),
        ("nr_dirty", ctypes.c_uint64),
        ("nr_writeback", ctypes.c_uint64),
        ("nr_evicted", ctypes.c_uint64),
        ("nr_recently_evicted", ctypes.c_uint64),
    )


_libc = ctypes.CDLL(None, use_errno=True)
_range, _stat = _Range(), _Cachestat()
_range_pointer, _stat_pointer = ctypes.byref(_range), ctypes.byref(_stat)
_byte = bytearray(1)


def cached_pages(fd: int, offset: int, length: int) -> int:
    """The number of pages of a range that are in the page cache, by cachestat(2).

    Raises:
        OSError: the kernel has no cachestat (ENOSYS), or refuses it for this file (EPERM).
    """
    _range.off, _range.len = offset, length
    if _libc.syscall(_SYS_CACHESTAT, fd, _range_pointer, _stat_pointer, 0):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return int(_stat.nr_cache)


def readable_now(fd: int, offset: int) -> bool:
    """Whether the byte at ``offset`` (or the end of the file there) can be read without waiting.

    Raises:
        OSError: the file system does not know RWF_NOWAIT (EOPNOTSUPP).
    """
    try:
        os.preadv(fd, [_byte], offset, os.RWF_NOWAIT)
    except BlockingIOError:
        return False
    return True


def window_of(offset: int, length: int) -> int:
    """How much of ``length`` bytes from ``offset`` lies in the window of ``offset``."""
    return min(length, WINDOW - offset % WINDOW)


def load_window_of(offset: int, length: int) -> int:
    """How much of it is loaded at once: at a file's beginning less, so that its first bytes do not wait for what may
    never be asked for; twice as much each time, until it is a window."""
    end = FIRST_LOAD
    while end <= offset and end < WINDOW:
        end *= 2
    return min(length, end - offset) if offset < end else window_of(offset, length)


class Residency:
    """The test with the means of each device, learned from what helpers have just loaded.

    ``remembered`` is for how many seconds a loaded window counts as resident where nothing else tells.
    """

    __slots__ = ("_buffer", "_busy_until", "_means", "_remembered")

    def __init__(self, remembered: float) -> None:
        self._means: dict[int, Means] = {}
        self._buffer = memoryview(bytearray(WINDOW))
        self._busy_until: dict[int, float] = {}
        self._remembered = remembered

    def means(self) -> dict[int, str]:
        """The means in use, by device number."""
        return {device: means.name.lower() for device, means in self._means.items()}

    def resident(self, file: Descriptor, offset: int, length: int, now: float) -> bool:
        """Whether the window can be sent without waiting for a disk.

        On a device whose means are not known yet the answer is no: the load that follows lets them be found.
        """
        means = self._means.get(file.device)
        if means is None:
            return file.device == IN_MEMORY
        trusted = means is Means.MEMORY or not self.busy(file, now)
        if file.loaded is not None and trusted:
            first, end, until = file.loaded.get(offset // WINDOW, (0, 0, 0.0))
            if first <= offset and offset + length <= end and now < until:
                return True
        if means is Means.MEMORY or not self._tested(file, offset, length, means):
            return False
        if trusted:
            self._remember(file, offset, length, now + TESTED)
        return True

    def _tested(self, file: Descriptor, offset: int, length: int, means: Means) -> bool:
        last = offset + length - 1
        step = PROBE_STEP
        if means is Means.PROBES_AND_CACHESTAT:
            cached = self._all_cached(file.fd, offset, length)
            if cached is False:
                return False
            if cached:
                step = length  # what is being read while no helper reads is read ahead: it begins here, or ends here
        try:
            return readable_now(file.fd, last) and all(
                readable_now(file.fd, position) for position in range(offset, last, step)
            )
        except OSError:
            return False  # a helper will find out what is wrong

    def _remember(self, file: Descriptor, offset: int, length: int, until: float) -> None:
        if file.loaded is None:
            file.loaded = {}
        file.loaded[offset // WINDOW] = (offset, offset + length, until)

    def to_load(self, file: Descriptor, offset: int, length: int) -> int:
        """How much to load of what was not resident. Where nothing but our memory tells, that is all of the window,
        because the memory is of windows."""
        whole = self._means.get(file.device) is Means.MEMORY
        return window_of(offset, length) if whole else load_window_of(offset, length)

    def loaded(self, file: Descriptor, offset: int, length: int, now: float) -> None:
        """A helper has just read this window: learn the device's means from it, or remember it."""
        means = self._means.get(file.device)
        if means is None:
            means = self._choose(file.fd, offset)
            if means is None:
                return
            self._means[file.device] = means
        if means is Means.MEMORY:
            self._remember(file, offset, length, now + self._remembered)
        else:
            self._busy_until[file.device] = now + BUSY

    def busy(self, file: Descriptor, now: float) -> bool:
        """Whether windows of the file's device had to be loaded lately: then what was true may soon not be."""
        return self._busy_until.get(file.device, 0.0) > now

    def read_now(self, file: Descriptor, offset: int, length: int) -> memoryview | None:
        """What can be read of a window without waiting, which is test and read in one and cannot mispredict.

        Empty if its first page is not in memory; None where the device does not know RWF_NOWAIT. The bytes are good
        until the next call.
        """
        if self._means.get(file.device) in (None, Means.MEMORY):
            return None
        try:
            count = os.preadv(file.fd, [self._buffer[:length]], offset, os.RWF_NOWAIT)
        except BlockingIOError:
            return self._buffer[:0]
        except OSError:
            return None
        return self._buffer[:count] if count else None

    def read_into(self, file: Descriptor, offset: int, room: memoryview) -> int | None:
        """Read what can be read without waiting, into as much room as there is. The number of bytes, 0 at the end of
        the file; ABSENT if the first page is not in memory; None where nothing but ``resident`` tells."""
        if self._means.get(file.device) in (None, Means.MEMORY):
            return None
        try:
            return os.preadv(file.fd, [room], offset, os.RWF_NOWAIT)
        except BlockingIOError:
            return ABSENT
        except OSError:
            return None

    def _all_cached(self, fd: int, offset: int, length: int) -> bool | None:
        """Whether all pages are there, though some may be being read; None if we may not know (EPERM: not our file)."""
        first, last = offset // PAGE, (offset + length - 1) // PAGE
        try:
            return cached_pages(fd, offset, length) > last - first
        except OSError:
            return None

    def _choose(self, fd: int, offset: int) -> Means | None:
        try:
            if not readable_now(fd, offset):
                return None  # evicted already: no ground for a judgement
        except OSError as error:
            unknown = error.errno in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)
            return Means.MEMORY if unknown else None
        try:
            return Means.PROBES_AND_CACHESTAT if cached_pages(fd, offset, 1) else Means.PROBES
        except OSError as error:
            return Means.PROBES_AND_CACHESTAT if error.errno == errno.EPERM else Means.PROBES
