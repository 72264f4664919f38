"""Content codings made on the fly: brotli (RFC 7932), zstd (RFC 8878) and gzip (RFC 1952).

The same version of a file, by the same encoder at the same level, gives the same bytes each time and in each process:
its strong entity tag says so (RFC 9110, 8.8.1). So nothing here depends on the time (a gzip header's MTIME is 0) nor on
how a file happens to be read (an encoder gets it in windows of one size), and what made it is told with it.
"""

import fcntl
import os
import re
import sys
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

from flashpy.buffers import Descriptor
from flashpy.job.kinds import Encode, Identity, Outcome, Result
from flashpy.job.places import identity_of

SMALL = 32 * 1024
"""Up to this size a coded form is sent on the pipe, above in a descriptor of memory."""

_WINDOW = 256 * 1024  # bytes that an encoder gets at once: other windows may give other bytes
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
_NO_TAG = re.compile(r"[^0-9A-Za-z.+]")


class Changed(Exception):
    """The file is not the version that was asked for."""


class Compressor(Protocol):
    """Takes the content in pieces, and gives the coded form in pieces."""

    def compress(self, data: bytes, /) -> bytes:
        """What comes out now of what has gone in."""
        ...

    def flush(self) -> bytes:
        """The rest."""
        ...


class Encoder(NamedTuple):
    """What makes a coding: its name in entity tags, its version, and (``begin``) a compressor at a level, for so many
    bytes."""

    name: str
    version: str
    begin: Callable[[int, int], Compressor]

    def tag(self, level: int) -> bytes:
        """What it is called in an entity tag, such as ``br5-1.2.1``: other bytes have another one."""
        return f"{self.name}{level}-{_NO_TAG.sub('', self.version)}".encode()


def encode(job: Encode, read: Callable[[bytes], None] | None = None) -> Result:
    """Make the coded form of a file, in bounded memory beside that form itself. ``read`` gets each piece of what
    is coded.

    Raises:
        ImportError: the library is not installed.
        OSError: the file cannot be read, or there is no descriptor or memory for what comes out.
    """
    made_by = encoder(job.coding)
    coded = CodedForm()
    compressor = made_by.begin(job.level, job.identity.size)
    try:
        for window in windows(job.source, job.identity):
            if read is not None:
                read(window)
            coded.add(compressor.compress(window))
            if coded.size >= job.identity.size:
                return Result(Outcome.GROWN)
    except Changed:
        return Result(Outcome.CHANGED)
    coded.add(compressor.flush())
    if coded.size >= job.identity.size:
        return Result(Outcome.GROWN)
    return encoded(job, made_by.tag(job.level), coded)


def encoded(job: Encode, tag: bytes, coded: "CodedForm") -> Result:
    """The result of a job whose coded form is there, made by the encoder of this tag."""
    body, file = coded.finish()
    return Result(Outcome.ENCODED, job.identity._replace(size=coded.size), file, body, name=tag)


def encoder(coding: bytes) -> Encoder:
    """The encoder of a content coding. Levels: br 0 to 11, gzip 1 to 9, zstd 1 to 19 (above, its window is larger than
    the 8 MiB that browsers have to take: RFC 9659).

    Raises:
        ImportError: its library is not installed.
    """
    return _ENCODERS[coding]()


def windows(source: Descriptor | bytes, identity: Identity) -> Iterator[bytes]:
    """The content from its beginning to its end.

    Raises:
        Changed: it is of another version at one of them.
    """
    if isinstance(source, bytes):
        yield from (source[start : start + _WINDOW] for start in range(0, len(source), _WINDOW))
        return
    _check(source, identity)
    for start in range(0, identity.size, _WINDOW):
        yield _read(source.fd, start, min(_WINDOW, identity.size - start))
    _check(source, identity)


def _check(file: Descriptor, identity: Identity) -> None:
    if identity_of(os.fstat(file.fd)) != identity:
        raise Changed


def _read(fd: int, position: int, length: int) -> bytes:
    window = os.pread(fd, length, position)
    while len(window) < length:
        more = os.pread(fd, length - len(window), position + len(window))
        if not more:
            raise Changed
        window += more
    return window


def write_whole(fd: int, data: bytes | bytearray) -> None:
    """Write all of this."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


class CodedForm:
    """What has come out of an encoder: a few bytes, or a file in memory."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._file: Descriptor | None = None
        self.size = 0

    def add(self, data: bytes) -> None:
        """Another piece."""
        self.size += len(data)
        self._bytes += data
        if self.size > SMALL:
            if self._file is None:
                self._file = Descriptor(os.memfd_create("flashpy-coded", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING))
            write_whole(self._file.fd, self._bytes)
            self._bytes = bytearray()

    def finish(self) -> tuple[bytes | None, Descriptor | None]:
        """The bytes, or the file, which nobody can change any more."""
        if self._file is None:
            return bytes(self._bytes), None
        fcntl.fcntl(self._file.fd, fcntl.F_ADD_SEALS, _SEALS)
        return None, self._file


class _Brotli:
    """brotli's compressor under the names that the others have."""

    def __init__(self, level: int) -> None:
        import brotli

        compressor = brotli.Compressor(quality=level)
        self.compress: Callable[[bytes], bytes] = compressor.process
        self.flush: Callable[[], bytes] = compressor.finish


def _brotli() -> Encoder:
    import brotli

    return Encoder("br", brotli.__version__, lambda level, size: _Brotli(level))


def _zstd() -> Encoder:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd

    def begin(level: int, size: int) -> Compressor:
        compressor = zstd.ZstdCompressor(level)
        compressor.set_pledged_input_size(size)  # what is small takes little memory, and fewer bytes
        made: Compressor = compressor
        return made

    return Encoder("zstd", zstd.zstd_version, begin)


def _gzip() -> Encoder:
    try:
        from zlib_ng import zlib_ng
    except ImportError:
        return _deflating(zlib.ZLIB_RUNTIME_VERSION, zlib.compressobj)
    return _deflating(f"ng{zlib_ng.ZLIBNG_VERSION}", zlib_ng.compressobj)


def _deflating(version: str, compressobj: Callable[[int, int, int], Compressor]) -> Encoder:
    def begin(level: int, size: int) -> Compressor:
        return compressobj(level, zlib.DEFLATED, 16 + zlib.MAX_WBITS)  # 16: a gzip header, with an MTIME of 0

    return Encoder("gzip", version, begin)


_ENCODERS = {b"br": _brotli, b"zstd": _zstd, b"gzip": _gzip}
