"""What listings and walks find, and how it travels: packed in a file without a name (memfd_create(2)), because it may
be longer than a message of the pipe, and a helper may write to no other file. To read it is to copy memory."""

import os
import struct
from collections.abc import Iterable
from typing import NamedTuple

from flashpy.buffers import Descriptor
from flashpy.job.kinds import Sort

_LISTING = struct.Struct("=IIQIB??")
_TREE = struct.Struct("=Q")
_ENTRY = struct.Struct("=?qqH")
_LONGEST_NAME = 4096


class Entry(NamedTuple):
    """A file or a directory; of a link, what it leads to. The size is in bytes, and says nothing of a directory."""

    name: bytes
    is_directory: bool
    size: int
    mtime_ns: int


class Listing(NamedTuple):
    """A page of a directory. ``total`` counts what is in all pages, as far as it has been looked at (see job.listing);
    ``sort`` and ``descending`` say how they are sorted, which is by name where there are too many (``sortable``)."""

    entries: tuple[Entry, ...]
    page: int
    pages: int
    total: int
    sort: Sort
    descending: bool
    sortable: bool


def pack(listing: Listing) -> Descriptor:
    """A file with the listing in it."""
    counts = (listing.page, listing.pages, listing.total, len(listing.entries))
    head = _LISTING.pack(*counts, listing.sort, listing.descending, listing.sortable)
    return _file(head, *map(packed, listing.entries))


def unpack(file: Descriptor) -> Listing:
    """The listing in such a file."""
    data = os.pread(file.fd, os.fstat(file.fd).st_size, 0)
    page, pages, total, count, sort, descending, sortable = _LISTING.unpack_from(data)
    entries, position = [], _LISTING.size
    for _ in range(count):
        entry, length = _unpacked(data, position)
        entries.append(entry)
        position += length
    return Listing(tuple(entries), page, pages, total, Sort(sort), descending, sortable)


def pack_tree(length: int, entries: Iterable[bytes]) -> Descriptor:
    """A file with packed entries of a walk, and the length of an archive of them; to be read one after the other."""
    return _file(_TREE.pack(length), *entries)


def tree_length(file: Descriptor) -> int:
    """The length in such a file."""
    length: int
    (length,) = _TREE.unpack(os.pread(file.fd, _TREE.size, 0))
    return length


TREE_BEGIN = _TREE.size
"""Where the first entry is in such a file."""


def tree_entry(file: Descriptor, position: int) -> tuple[Entry, int] | None:
    """The entry at a position, and where the next one is; None at the end."""
    data = os.pread(file.fd, _ENTRY.size + _LONGEST_NAME, position)
    if not data:
        return None
    entry, length = _unpacked(data, 0)
    return entry, position + length


def packed(entry: Entry) -> bytes:
    """An entry as it is in these files."""
    name, is_directory, size, mtime_ns = entry
    return _ENTRY.pack(is_directory, size, mtime_ns, len(name)) + name


def _unpacked(data: bytes, position: int) -> tuple[Entry, int]:
    """The entry at a position, and how long it is."""
    is_directory, size, mtime_ns, length = _ENTRY.unpack_from(data, position)
    start = position + _ENTRY.size
    return Entry(data[start : start + length], is_directory, size, mtime_ns), _ENTRY.size + length


def _file(*parts: bytes) -> Descriptor:
    file = Descriptor(os.memfd_create("flashpy entries", os.MFD_CLOEXEC))
    with open(file.fd, "wb", closefd=False) as writer:
        writer.writelines(parts)
    return file
