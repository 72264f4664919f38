"""Walking through a directory and all beneath it, for an archive: what is in it, and how long the archive will be.

Links are followed as a client would follow them, but not into a directory that they lie in themselves. What cannot be
read is left out, so that the archive will not break off there.
"""

import os

from flashpy.job.directory import Directory, Shown, opened
from flashpy.job.entries import Entry, pack_tree, packed
from flashpy.job.kinds import Outcome, Result, Walk
from flashpy.job.places import failure, identity_of, root_of
from flashpy.job.tar import END, length

_LONGEST_PATH = 4095
"""Bytes: no longer path can be opened (PATH_MAX, with its NUL)."""

_Above = frozenset[tuple[int, int]]


class _TooLarge(Exception):
    """There are more entries, or more bytes, than are wanted."""


def walk(job: Walk) -> Result:
    """All that is in a directory, as far as it is shown and can be read, in the order in which it is archived.

    Raises:
        OSError: it is no directory, is not beneath the roots, or may not be read.
    """
    root = root_of(job.roots)
    try:
        walker = _Walker(job, root)
        walker.go()
        return Result(Outcome.WALKED, file=pack_tree(walker.length, walker.found))
    except _TooLarge:
        return Result(Outcome.TOO_LARGE)
    finally:
        os.close(root)


class _Walker:
    """One walk. It is in no more than one directory at a time, however deep."""

    def __init__(self, job: Walk, root: int) -> None:
        self._job = job
        self._root = root
        self._shown = Shown(job.dotfiles, job.hide, job.prefix)
        self.found: list[bytes] = []
        self.length = len(END)
        self._seen = 0  # names, shown or not: they take time too

    def go(self) -> None:
        """Take up all that is there, each directory before what is in it."""
        waiting: list[tuple[Entry | None, _Above]] = [(None, frozenset())]
        while waiting:
            entry, above = waiting.pop()
            try:
                below = self._enter(entry, above)
            except OSError as error:
                if entry is None or failure(error).outcome not in (Outcome.MISSING, Outcome.FORBIDDEN):
                    raise
            else:
                waiting += reversed(below)

    def _enter(self, entry: Entry | None, above: _Above) -> list[tuple[Entry | None, _Above]]:
        """Take up a directory (the first is the one that is asked for) and its files; the directories in it."""
        relative = entry.name + b"/" if entry is not None else b""
        path = self._job.path + relative
        with opened(self._root, self._job.roots, path) as directory:
            place = os.fstat(directory.fd)
            if (place.st_dev, place.st_ino) in above:
                return []
            inside = above | {(place.st_dev, place.st_ino)}
            if entry is None:
                entry = Entry(b"", True, 0, identity_of(place).mtime_ns)
            self._take(entry)
            below: list[tuple[Entry | None, _Above]] = []
            for name in self._names(directory, path):
                found = directory.look(name)
                if found is None:
                    continue
                found = found._replace(name=relative + name)
                if found.is_directory:
                    below.append((found, inside))
                elif os.access(name, os.R_OK, dir_fd=directory.fd, effective_ids=True):
                    self._take(found)
            return below

    def _names(self, directory: Directory, path: bytes) -> list[bytes]:
        names = []
        for found in directory.entries():
            self._seen += 1
            if self._seen > self._job.most_entries:
                raise _TooLarge
            if self._shown(path, found.name) and len(path) + len(found.name) <= _LONGEST_PATH:
                names.append(found.name)
        return sorted(names)

    def _take(self, entry: Entry) -> None:
        self.length += length(self._job.name, entry)
        if self.length > self._job.most_bytes:
            raise _TooLarge
        self.found.append(packed(entry))
