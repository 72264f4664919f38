"""Listing a directory: one page of it, sorted, in bounded memory and with a bounded number of calls.

1. Up to ``MOST_SORTED`` entries are all looked at (stat(2)), so that they can be sorted by anything.
2. Of more, only names and what the directory itself says of their kinds are known: they are sorted by name, and only
   the page's entries are looked at. What cannot be served (a FIFO, a link that leads outside) is then missing from its
   page, though the total counts it; a link is among the files, wherever it leads.
3. No more names are kept than it takes to know the page, and never more than ``MOST_NAMES``: pages end there, though
   the total and a search go over all.
"""

import os
import re
import stat
from collections.abc import Iterator

from flashpy.job.entries import Entry, Listing, pack
from flashpy.job.kinds import List, Outcome, Result, Sort
from flashpy.job.places import failure, identity_of, open_place, root_of

MOST_SORTED = 10_000
"""Entries that are all looked at."""
MOST_NAMES = 200_000
"""Names that can be paged through: with names of 50 bytes, some 30 MB while they are sorted."""
_READ = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def list_directory(job: List) -> Result:
    """One page of a directory.

    Raises:
        OSError: it is none, is not beneath the roots, or may not be read.
    """
    root = root_of(job.roots)
    try:
        place = open_place(root, job.path[1:] or b".", job.roots)
        try:
            directory = _Directory(job, root, os.open(b"/proc/self/fd/%d" % place, _READ))
        finally:
            os.close(place)
        try:
            return Result(Outcome.LISTED, identity_of(os.fstat(directory.fd)), pack(directory.page()))
        finally:
            os.close(directory.fd)
    finally:
        os.close(root)


class _Directory:
    """An open directory, looked through for one job."""

    def __init__(self, job: List, root: int, fd: int) -> None:
        self._job = job
        self._root = root
        self.fd = fd
        self._search = _folded(job.search)
        self._hide = re.compile(b"|".join(b"(?:%s)" % each for each in job.hide), re.DOTALL) if job.hide else None

    def page(self) -> Listing:
        """The page that is wanted."""
        job = self._job
        names, total = self._names()
        sortable = total <= MOST_SORTED
        sort = job.sort if sortable else Sort.NAME
        if sortable:
            found = self._looked_at(names)
            _sort(found, sort, job.descending)
            total = len(found)
        pages = max(1, -(-min(total, MOST_NAMES) // job.length))
        page = min(job.page, pages)
        start = (page - 1) * job.length
        if sortable:
            entries = found[start : start + job.length]
        else:
            _sort_names(names, job.descending)
            entries = self._looked_at(names[start : min(start + job.length, MOST_NAMES)])
        return Listing(tuple(entries), page, pages, total, sort, job.descending, sortable)

    def _names(self) -> tuple[list[bytes], int]:
        """The names of which some may be on the page, each after its mark, and how many there are in all."""
        names: list[bytes] = []
        job, total = self._job, 0
        needed = min(job.page * job.length, MOST_NAMES)
        most = 2 * max(needed, MOST_SORTED)
        for name in self._read():
            names.append(name)
            total += 1
            if len(names) >= most:
                _sort_names(names, job.descending)
                del names[needed:]
        return names, total

    def _read(self) -> Iterator[bytes]:
        """All names of files, directories and links that are not to be left out. The mark before each puts directories
        first, and costs less than a tuple."""
        first, second = (b"1", b"0") if self._job.descending else (b"0", b"1")
        with os.scandir(b"/proc/self/fd/%d" % self.fd) as entries:  # by a path, for names that are bytes
            for entry in entries:
                if not self._is_wanted(entry.name):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    yield first + entry.name
                elif entry.is_file(follow_symlinks=False) or entry.is_symlink():
                    yield second + entry.name

    def _is_wanted(self, name: bytes) -> bool:
        if name.startswith(b".") and not self._job.dotfiles:
            return False
        if self._search and self._search not in _folded(name):
            return False
        return self._hide is None or not self._hide.fullmatch(self._job.path + name)

    def _looked_at(self, names: list[bytes]) -> list[Entry]:
        """The entries of these names that can be served."""
        entries = []
        for marked in names:
            try:
                found = self._stat(marked[1:])
            except OSError as error:
                if failure(error).outcome in (Outcome.MISSING, Outcome.FORBIDDEN):
                    continue
                raise
            is_directory = stat.S_ISDIR(found.st_mode)
            if is_directory or stat.S_ISREG(found.st_mode):
                identity = identity_of(found)
                entries.append(Entry(marked[1:], is_directory, identity.size, identity.mtime_ns))
        return entries

    def _stat(self, name: bytes) -> os.stat_result:
        """Of what a name leads to, beneath the roots."""
        found = os.stat(name, dir_fd=self.fd, follow_symlinks=False)
        if not stat.S_ISLNK(found.st_mode):
            return found
        place = open_place(self._root, self._job.path[1:] + name, self._job.roots)
        try:
            return os.fstat(place)
        finally:
            os.close(place)


def _folded(name: bytes) -> bytes:
    """A name as it is compared with what is searched for."""
    if name.isascii():
        return name.lower()
    return name.decode("utf-8", "surrogateescape").casefold().encode("utf-8", "surrogateescape")


def _sort_names(names: list[bytes], descending: bool) -> None:
    """By name, whatever the case of ASCII letters; equal ones by their bytes, so that pages are always the same."""
    names.sort(reverse=descending)
    names.sort(key=bytes.lower, reverse=descending)


def _sort(entries: list[Entry], sort: Sort, descending: bool) -> None:
    """Directories first, and what is equal by name; sizes are those of files."""
    by_name = sort is Sort.NAME
    entries.sort(key=lambda entry: (entry.name.lower(), entry.name), reverse=by_name and descending)
    if not by_name:
        size = sort is Sort.SIZE
        entries.sort(
            key=lambda entry: (0 if entry.is_directory else entry.size) if size else entry.mtime_ns, reverse=descending
        )
    entries.sort(key=lambda entry: not entry.is_directory)
