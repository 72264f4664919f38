"""Coded siblings of files, made before they are asked for: ``page.html.br``, ``.zst`` and ``.gz`` beside ``page.html``.

A sibling has its file's modification time: that says of which version it is, and whether it is up to date.
"""

import os
import stat
import tempfile
from collections.abc import Iterator
from enum import Enum, auto
from pathlib import Path
from typing import NamedTuple

from flashpy.buffers import Descriptor
from flashpy.http.coding import SUFFIXES, is_compressible
from flashpy.http.target import hidden
from flashpy.job.encode import Changed, Compressor, encoder, windows
from flashpy.job.kinds import Identity
from flashpy.job.places import identity_of
from flashpy.resource.media import media_type

LEVELS = {b"br": 11, b"zstd": 19, b"gzip": 9}
"""The smallest that each makes and every browser takes (zstd above 19 has too large a window: RFC 9659)."""


class End(Enum):
    """What has become of a sibling."""

    WRITTEN = auto()
    CURRENT = auto()  # it was there already
    GROWN = auto()  # it would not be smaller than the file: there is none now
    FAILED = auto()


class Task(NamedTuple):
    """A sibling that there should be. ``zopfli``: gzip by that encoder, which takes long."""

    path: Path
    coding: bytes
    size: int
    zopfli: bool = False

    @property
    def sibling(self) -> Path:
        """Where it lies."""
        return self.path.with_name(self.path.name + SUFFIXES[self.coding].decode())


class Outcome(NamedTuple):
    """How a task ended: the sibling's bytes if it was written, why if it failed."""

    task: Task
    end: End
    size: int = 0
    why: str = ""


def find(root: Path, least: int) -> Iterator[tuple[Path, int]]:
    """The files beneath a directory that a coding makes smaller and that are served, with their sizes.

    Hidden ones are left out. Links to directories are not followed, links to files only if they stay beneath the root.
    """
    real = os.path.realpath(root)
    for directory, names, files in os.walk(root):
        names[:] = sorted(name for name in names if not _is_hidden(root, directory, name + "/"))
        for name in sorted(files):
            path = Path(directory, name)
            if _is_hidden(root, directory, name) or not is_compressible(media_type(os.fsencode(name))):
                continue
            if path.is_symlink() and not os.path.realpath(path).startswith(os.path.join(real, "")):
                continue
            try:
                found = path.stat()
            except OSError:  # it has gone, or leads nowhere
                continue
            if stat.S_ISREG(found.st_mode) and found.st_size >= least:
                yield path, found.st_size


def _is_hidden(root: Path, directory: str, name: str) -> bool:
    return hidden(b"/" + os.fsencode(os.path.join(os.path.relpath(directory, root), name)).removeprefix(b"./"))


def make(task: Task) -> Outcome:
    """Write a sibling, unless it is there, at one stroke: who serves it meanwhile has the old one or the new one."""
    try:
        file = Descriptor(os.open(task.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK))
        found = os.fstat(file.fd)
        if _is_current(task.sibling, found):
            return Outcome(task, End.CURRENT)
        with tempfile.NamedTemporaryFile(dir=task.path.parent, prefix=".flashpy-", delete=False) as new:
            try:
                size = _encode(task, file, identity_of(found), new.fileno())
                if size < found.st_size:
                    _give_attributes(new.fileno(), found)
                    os.replace(new.name, task.sibling)
                    return Outcome(task, End.WRITTEN, size)
            finally:
                if os.path.exists(new.name):
                    os.unlink(new.name)
        task.sibling.unlink(missing_ok=True)  # it belongs to an older version
        return Outcome(task, End.GROWN)
    except Changed:
        return Outcome(task, End.FAILED, why="it has changed meanwhile")
    except OSError as error:
        return Outcome(task, End.FAILED, why=error.strerror or str(error))
    except MemoryError:
        return Outcome(task, End.FAILED, why="it takes more memory than there is")


def _is_current(sibling: Path, file: os.stat_result) -> bool:
    try:
        found = sibling.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_mtime_ns == file.st_mtime_ns


def _encode(task: Task, file: Descriptor, identity: Identity, fd: int) -> int:
    """Write the coded form; how many bytes it has, or as many as the file if it has no fewer."""
    compressor = _Zopfli() if task.zopfli else encoder(task.coding).begin(LEVELS[task.coding], identity.size)
    size = 0
    for window in windows(file, identity):
        size += _write(fd, compressor.compress(window))
        if size >= identity.size:
            return size
    return size + _write(fd, compressor.flush())


def _write(fd: int, data: bytes) -> int:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]
    return len(data)


def _give_attributes(fd: int, file: os.stat_result) -> None:
    """Whoever may read the file may read its sibling: a server that finds one that it may not read answers 403."""
    try:
        os.fchown(fd, file.st_uid, file.st_gid)
    except PermissionError:
        pass  # only root gives files away; then it is the caller's, as a file that he had written would be
    os.fchmod(fd, stat.S_IMODE(file.st_mode) & 0o666)
    os.fsync(fd)  # before it is in place: after a crash it would count as up to date
    os.utime(fd, ns=(file.st_atime_ns, file.st_mtime_ns))


class _Zopfli(Compressor):
    """zopfli takes the whole at once."""

    def __init__(self) -> None:
        self._content = bytearray()

    def compress(self, data: bytes, /) -> bytes:
        self._content += data
        return b""

    def flush(self) -> bytes:
        from zopfli.gzip import compress

        coded: bytes = compress(bytes(self._content))
        return coded
