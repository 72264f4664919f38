"""What listings and archives need of directories: to open one beneath the roots, and to look at what is in it."""

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from flashpy.job.entries import Entry
from flashpy.job.kinds import Outcome
from flashpy.job.places import failure, identity_of, open_place

_READ = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Directory:
    """An open directory beneath a root: ``root`` is the root's descriptor (O_PATH), ``roots`` and ``path`` are as in
    the kinds of jobs."""

    __slots__ = ("_path", "_root", "_roots", "fd")

    def __init__(self, root: int, roots: tuple[bytes, ...], path: bytes, fd: int) -> None:
        self._root = root
        self._roots = roots
        self._path = path
        self.fd = fd

    def entries(self) -> Iterator["os.DirEntry[bytes]"]:
        """All that is in it, as far as the directory itself tells: files, directories and links."""
        with os.scandir(b"/proc/self/fd/%d" % self.fd) as entries:  # by a path, for names that are bytes
            for entry in entries:
                if entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False) or entry.is_symlink():
                    yield entry

    def look(self, name: bytes) -> Entry | None:
        """What a name leads to, beneath the roots: a file or a directory; None if that cannot be served.

        Raises:
            OSError: it may well be there, but cannot be looked at now.
        """
        try:
            found = self._stat(name)
        except OSError as error:
            if failure(error).outcome in (Outcome.MISSING, Outcome.FORBIDDEN):
                return None
            raise
        is_directory = stat.S_ISDIR(found.st_mode)
        if not is_directory and not stat.S_ISREG(found.st_mode):
            return None
        identity = identity_of(found)
        return Entry(name, is_directory, identity.size, identity.mtime_ns)

    def _stat(self, name: bytes) -> os.stat_result:
        found = os.stat(name, dir_fd=self.fd, follow_symlinks=False)
        if not stat.S_ISLNK(found.st_mode):
            return found
        place = open_place(self._root, self._path[1:] + name, self._roots)
        try:
            return os.fstat(place)
        finally:
            os.close(place)


@contextmanager
def opened(root: int, roots: tuple[bytes, ...], path: bytes) -> Iterator[Directory]:
    """The directory at a path, open while the block runs.

    Raises:
        OSError: there is none beneath the roots, or it may not be read.
    """
    place = open_place(root, path[1:] or b".", roots)
    try:
        fd = os.open(b"/proc/self/fd/%d" % place, _READ)
    finally:
        os.close(place)
    try:
        yield Directory(root, roots, path, fd)
    finally:
        os.close(fd)


class Shown:
    """Which paths are not to be left out: ``dotfiles``, ``hide`` and ``prefix`` are as in the kinds of jobs."""

    __slots__ = ("_dotfiles", "_hide", "_prefix")

    def __init__(self, dotfiles: bool, hide: tuple[bytes, ...], prefix: bytes) -> None:
        self._prefix = prefix
        self._dotfiles = dotfiles
        self._hide = re.compile(b"|".join(b"(?:%s)" % each for each in hide), re.DOTALL) if hide else None

    def __call__(self, path: bytes, name: bytes) -> bool:
        """Whether a name in the directory at ``path`` is shown."""
        if name.startswith(b".") and not self._dotfiles:
            return False
        return self._hide is None or not self._hide.fullmatch(self._prefix + path + name)
