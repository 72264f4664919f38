"""The kinds of jobs and of their results."""

from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple, Protocol

from flashpy.buffers import Descriptor


class Identity(NamedTuple):
    """What tells one version of a file from another (stat(2)): if all are equal, so is the content.

    The change time is in it because a program may set the modification time back, but not the change time.
    """

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int


class Outcome(IntEnum):
    """How a job ended."""

    FILE = 0  # Translate: a regular file, opened
    UNCHANGED = 1  # Translate: still the version that was known; nothing was opened
    DIRECTORY = 2  # Translate: a directory, asked for without the closing slash
    MISSING = 3  # no such file, or none that may be served: a FIFO, a link that leads outside
    FORBIDDEN = 4  # the file system refuses (EACCES, EPERM)
    NO_DESCRIPTORS = 5  # EMFILE, ENFILE or ENOMEM: may go better soon
    FAILED = 6  # an I/O error, or a job that killed its helpers
    LOADED = 7  # Load: the window has been read
    CHECKED = 8  # Check: the body has a byte for each translation (``KNOWN`` or not)
    LATE = 9  # it has taken longer than anybody is to wait
    STALE = 10  # the helper may read what the roots were, not what they are (job.confined), and ends
    LISTED = 11  # List: the file is the page, as job.entries has packed it
    WALKED = 12  # Walk: the file is what was found, as job.entries has packed it
    TOO_LARGE = 13  # Walk: there is more than is wanted
    MOVED = 14  # Translate: the root has become another directory than the release that was asked for
    ENCODED = 20  # Encode: the coded form
    GROWN = 21  # Encode: it would be no smaller
    CHANGED = 22  # Encode: the file is not the version that was asked for, or has become another meanwhile
    PASSED = 23  # Verify: the password has this hash
    REFUSED = 24  # Verify: it has not
    BUSY = 25  # Encode, Verify: too many wait already; it has not been begun
    CAME = 27  # Await
    NOT_KEPT = 26  # no result: a helper says of itself that the directory of coded forms does not work


class Translate(NamedTuple):
    """Pathname translation: from a decoded path to an open file, its stat data and, if it is small, its bytes.

    ``roots`` is the root and then the directories outside it that symbolic links may lead to, all absolute.
    ``index_names`` are the names to try where the path ends in "/"; ``suffixes`` the siblings to look for; ``small``
    the size up to which the bytes are wanted; ``known`` the version that the asker has. ``release`` is the directory
    that the root is to be (``Result.release``; empty: whichever it is); ``digest`` asks for one of the content.
    """

    roots: tuple[bytes, ...]
    path: bytes
    index_names: tuple[bytes, ...] = ()
    suffixes: tuple[bytes, ...] = ()
    small: int = 0
    known: Identity | None = None
    release: bytes = b""
    digest: bool = False


class Load(NamedTuple):
    """Bring ``length`` bytes from ``offset`` of an open file into memory."""

    file: Descriptor
    offset: int
    length: int


KNOWN = b"\1"
"""In the body of a Check's result: the file is the known version."""


class Check(NamedTuple):
    """Whether files are still the known versions: for each translation one stat(2), and nothing is opened.

    The translations have a known version and no suffixes. A runner may join several checks into one.
    """

    translations: tuple[Translate, ...]


class Sort(IntEnum):
    """By what a listing is sorted; directories are first in any case."""

    NAME = 0
    SIZE = 1
    TIME = 2


class List(NamedTuple):
    """One page of what is in a directory; ``path`` ends in "/", the roots are as in Translate.

    Pages count from 1 and have ``length`` entries; a page after the last is the last. ``search`` is what names must
    have in them, whatever the case. ``hide`` are regular expressions, of which each is held against the whole path of
    an entry, as a request has it (but without "/" after a directory): what one matches is left out, as are names that
    begin with a dot without ``dotfiles``. ``prefix`` is the path at which a request finds the root.
    """

    roots: tuple[bytes, ...]
    path: bytes
    page: int = 1
    length: int = 200
    sort: Sort = Sort.NAME
    descending: bool = False
    search: bytes = b""
    dotfiles: bool = False
    hide: tuple[bytes, ...] = ()
    prefix: bytes = b""


class Encode(NamedTuple):
    """Make the coded form of a version of a file: ``coding`` is a content coding (RFC 9110, 8.4.1), ``level`` the
    encoder's. ``source`` is the open file, or its bytes where they are at hand and no more than fit through a socket
    (128 KiB). The size is the asker's to bound."""

    source: Descriptor | bytes
    identity: Identity
    coding: bytes
    level: int


LEVELS = {b"br": 5, b"zstd": 6, b"gzip": 6}
"""Levels for who waits. 756 KB of HTML take brotli 17 ms (to 169 KB), zstd 8 ms (169 KB), gzip 10 ms with zlib-ng and
23 ms with zlib (185 KB); brotli 9 would take 51 ms (159 KB), 11 about a second."""


class Walk(NamedTuple):
    """All that is in a directory and beneath it, for an archive in which it is called ``name``; the rest is as in List.

    Not if there are more than so many entries, or bytes in the archive.
    """

    roots: tuple[bytes, ...]
    path: bytes
    name: bytes
    most_entries: int = 10_000
    most_bytes: int = 4 * 2**30
    dotfiles: bool = False
    hide: tuple[bytes, ...] = ()
    prefix: bytes = b""


class Verify(NamedTuple):
    """Whether a password has a hash (job.passwords): for the pool that is there for CPU work."""

    hashed: bytes
    password: bytes

    def __repr__(self) -> str:
        return "Verify(...)"  # a job may be logged, a password never


DiskJob = Translate | Load | Check | List | Walk
"""What may wait for a disk."""
CpuJob = Encode | Verify
"""What takes a processor's time."""


class Await(NamedTuple):
    """Something that comes by itself, such as what another server says: ``begin`` is given whom to call with the result
    and who knows whether it is still wanted. Nobody performs it."""

    begin: Callable[[Callable[["Result"], None], Callable[[], bool]], None]


Job = DiskJob | CpuJob | Await


class Result(NamedTuple):
    """The result of a job. ``error`` (an errno, or 0) is for the log; the rest goes by the outcome.

    - FILE: ``body`` is set if the file is small and was read whole between two equal stats, else ``file``; ``name`` is
      the index name that was found, or empty; ``digest`` is hexadecimal, if it was asked for and there is one.
    - LISTED has the directory's identity, and the page in a file (memfd_create(2)); WALKED a file only.
    - ENCODED: ``identity`` is the file's, but with the size of the coded form, which is in ``body`` if it is small,
      else in ``file``, a sealed memfd; ``name`` says by which encoder, of which version, at which level it was made.
    - Whatever comes of Translate: ``release`` tells which directory the root is, and ``place`` its path without
      symbolic links, unless it is the release that was asked for.

    ``job`` is the job itself, ``queued`` for how many seconds it has waited for a helper, and ``took`` how many that
    needed: put there by the runner, they do not travel.
    """

    outcome: Outcome
    identity: Identity | None = None
    file: Descriptor | None = None
    body: bytes | None = None
    suffixes: tuple[bytes, ...] = ()
    name: bytes = b""
    error: int = 0
    job: Job | None = None
    release: bytes = b""
    place: bytes = b""
    digest: bytes = b""
    queued: float = 0.0
    took: float = 0.0


def always() -> bool:
    """What is wanted whatever happens."""
    return True


class Runner(Protocol):
    """Who carries out jobs: helper processes, or the caller itself."""

    def run(self, job: Job, done: Callable[[Result], None], wanted: Callable[[], bool] = always) -> None:
        """Have the job done and its result given to ``done``, once, perhaps before this returns.

        A job that nobody wants any more when its turn comes may be dropped; then nobody is told.
        """
        ...
