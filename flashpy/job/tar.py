"""Headers of tar archives: the ustar interchange format, and pax extended headers for what does not fit into it (POSIX
pax(1)): names that are long or not ASCII, and large numbers. Pure; what an archive has beside the headers are the files
themselves, each filled up to a whole block."""

from flashpy.job.entries import Entry

BLOCK = 512
END = bytes(2 * BLOCK)
"""What ends an archive."""

_LONGEST_NAME = 100
_OCTAL_LIMIT = 8**11
"""Numbers from here on do not fit into eleven octal digits: 8 GiB, or the year 2242."""
_EXTENDED, _FILE, _DIRECTORY = b"x", b"0", b"5"
_ENTITLED = b"././@PaxHeader"  # as other programs name what is no file


def header(top: bytes, entry: Entry) -> bytes:
    """What stands before an entry's content: one block, or three and more if it takes an extended header.

    ``top`` is the name of the directory that is archived, in which the entry's name begins; its own entry has none.
    """
    name = top + b"/" + entry.name + (b"/" if entry.is_directory and entry.name else b"")
    size = 0 if entry.is_directory else entry.size
    mtime = entry.mtime_ns // 10**9
    records = []
    if len(name) > _LONGEST_NAME or not name.isascii():
        if not _is_utf8(name):
            records.append(_record(b"hdrcharset", b"BINARY"))
        records.append(_record(b"path", name))
    if size >= _OCTAL_LIMIT:
        records.append(_record(b"size", b"%d" % size))
        size = 0
    if not 0 <= mtime < _OCTAL_LIMIT:
        records.append(_record(b"mtime", b"%d" % mtime))
        mtime = 0
    mode, kind = (0o755, _DIRECTORY) if entry.is_directory else (0o644, _FILE)
    block = _block(name.decode("ascii", "replace").encode("ascii", "replace"), mode, size, mtime, kind)
    if not records:
        return block
    extension = b"".join(records)
    return _block(_ENTITLED, 0o644, len(extension), 0, _EXTENDED) + extension + padding(len(extension)) + block


def padding(size: int) -> bytes:
    """What fills the last block of a content."""
    return bytes(-size % BLOCK)


def length(top: bytes, entry: Entry) -> int:
    """The bytes that an entry takes in an archive."""
    content = 0 if entry.is_directory else entry.size + -entry.size % BLOCK
    return len(header(top, entry)) + content


def _block(name: bytes, mode: int, size: int, mtime: int, kind: bytes) -> bytes:
    """A ustar header; users and groups are nobody's concern."""
    numbers = b"%07o\0%07o\0%07o\0%011o\0%011o\0" % (mode, 0, 0, size, mtime)
    start = name[:_LONGEST_NAME].ljust(_LONGEST_NAME, b"\0") + numbers
    rest = (kind + bytes(100) + b"ustar\x0000").ljust(BLOCK - len(start) - 8, b"\0")
    checksum = sum(start) + 8 * ord(" ") + sum(rest)
    return start + b"%06o\0 " % checksum + rest


def _record(keyword: bytes, value: bytes) -> bytes:
    """A record of an extended header, which begins with its own length in decimal."""
    rest = b" %b=%b\n" % (keyword, value)
    size = len(rest)
    while len(b"%d" % size) + len(rest) != size:
        size = len(b"%d" % size) + len(rest)
    return b"%d%b" % (size, rest)


def _is_utf8(name: bytes) -> bool:
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True
