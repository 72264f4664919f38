"""What a listing says, and how it travels: packed in a file without a name (memfd_create(2)), because a page may be
longer than a message of the pipe, and a helper may write to no other file. To read it is to copy memory."""

import os
import struct
from typing import NamedTuple

from flashpy.buffers import Descriptor
from flashpy.job.kinds import Sort

_LISTING = struct.Struct("=IIQIB??")
_ENTRY = struct.Struct("=?qqH")


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
    parts = [_LISTING.pack(*counts, listing.sort, listing.descending, listing.sortable)]
    for name, is_directory, size, mtime_ns in listing.entries:
        parts += (_ENTRY.pack(is_directory, size, mtime_ns, len(name)), name)
    file = Descriptor(os.memfd_create("flashpy listing", os.MFD_CLOEXEC))
    with open(file.fd, "wb", closefd=False) as writer:
        writer.write(b"".join(parts))
    return file


def unpack(file: Descriptor) -> Listing:
    """The listing in such a file."""
    data = os.pread(file.fd, os.fstat(file.fd).st_size, 0)
    page, pages, total, count, sort, descending, sortable = _LISTING.unpack_from(data)
    entries, position = [], _LISTING.size
    for _ in range(count):
        is_directory, size, mtime_ns, length = _ENTRY.unpack_from(data, position)
        position += _ENTRY.size + length
        entries.append(Entry(data[position - length : position], is_directory, size, mtime_ns))
    return Listing(tuple(entries), page, pages, total, Sort(sort), descending, sortable)
