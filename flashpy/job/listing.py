"""Listing a directory: one page of it, sorted, in bounded memory and with a bounded number of calls.

1. Up to ``MOST_SORTED`` entries are all looked at (stat(2)), so that they can be sorted by anything.
2. Of more, only names and what the directory itself says of their kinds are known: they are sorted by name, and only
   the page's entries are looked at. What cannot be served (a link that leads outside) is then missing from its page,
   though the total counts it; a link is among the files, wherever it leads.
3. No more names are kept than it takes to know the page, and never more than ``MOST_NAMES``: pages end there, though
   the total and a search go over all.
"""

import os
from collections.abc import Iterator

from flashpy.job.directory import Directory, Shown, opened
from flashpy.job.entries import Entry, Listing, pack
from flashpy.job.kinds import List, Outcome, Result, Sort
from flashpy.job.places import identity_of, root_of

MOST_SORTED = 10_000
"""Entries that are all looked at."""
MOST_NAMES = 200_000
"""Names that can be paged through: with names of 50 bytes, some 30 MB while they are sorted."""


def list_directory(job: List) -> Result:
    """One page of a directory.

    Raises:
        OSError: it is none, is not beneath the roots, or may not be read.
    """
    root = root_of(job.roots)
    try:
        with opened(root, job.roots, job.path) as directory:
            return Result(Outcome.LISTED, identity_of(os.fstat(directory.fd)), pack(_page(job, directory)))
    finally:
        os.close(root)


def _page(job: List, directory: Directory) -> Listing:
    names, total = _needed(job, directory)
    sortable = total <= MOST_SORTED
    sort = job.sort if sortable else Sort.NAME
    if sortable:
        found = _looked_at(directory, names)
        _sort(found, sort, job.descending)
        total = len(found)
    pages = max(1, -(-min(total, MOST_NAMES) // job.length))
    page = min(job.page, pages)
    start = (page - 1) * job.length
    if sortable:
        entries = found[start : start + job.length]
    else:
        _sort_names(names, job.descending)
        entries = _looked_at(directory, names[start : min(start + job.length, MOST_NAMES)])
    return Listing(tuple(entries), page, pages, total, sort, job.descending, sortable)


def _needed(job: List, directory: Directory) -> tuple[list[bytes], int]:
    """The names of which some may be on the page, each after its mark, and how many there are in all."""
    names: list[bytes] = []
    total = 0
    needed = min(job.page * job.length, MOST_NAMES)
    most = 2 * max(needed, MOST_SORTED)
    for name in _names(job, directory):
        names.append(name)
        total += 1
        if len(names) >= most:
            _sort_names(names, job.descending)
            del names[needed:]
    return names, total


def _names(job: List, directory: Directory) -> Iterator[bytes]:
    """All names that are shown, each after a mark that puts directories first, and costs less than a tuple."""
    first, second = (b"1", b"0") if job.descending else (b"0", b"1")
    shown, search = Shown(job.dotfiles, job.hide, job.prefix), _folded(job.search)
    for entry in directory.entries():
        name = entry.name
        if shown(job.path, name) and (not search or search in _folded(name)):
            yield (first if entry.is_dir(follow_symlinks=False) else second) + name


def _looked_at(directory: Directory, names: list[bytes]) -> list[Entry]:
    """The entries of these names, without those that cannot be served."""
    return [entry for marked in names if (entry := directory.look(marked[1:])) is not None]


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
    if sort is Sort.SIZE:
        entries.sort(key=lambda entry: 0 if entry.is_directory else entry.size, reverse=descending)
    elif sort is Sort.TIME:
        entries.sort(key=lambda entry: entry.mtime_ns, reverse=descending)
    entries.sort(key=lambda entry: not entry.is_directory)
