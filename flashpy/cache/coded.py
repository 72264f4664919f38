"""The cache of coded forms that were made on the fly: by version of the file, coding and level."""

from typing import NamedTuple

from flashpy.buffers import Descriptor, Slice
from flashpy.cache.clock import Clock
from flashpy.job.kinds import Encode, Identity, Outcome, Result

_PAGE = 4096
_OVERHEAD = 500  # bytes of an entry beside its body


class CodedKey(NamedTuple):
    """A version of a file, how it is to be coded, and at which level of the encoder."""

    identity: Identity
    coding: bytes
    level: int


class Coded:
    """A coded form: ``data`` of the ``size``, made by this ``encoder`` (as entity tags have it); or, if ``data`` is
    None, that the coded form is no smaller than the file, and not worth another try."""

    __slots__ = ("cost", "data", "encoder", "size", "used")

    def __init__(self, data: bytes | Slice | None, size: int, encoder: bytes) -> None:
        self.data = data
        self.size = size
        self.encoder = encoder
        # What lies behind a descriptor takes whole pages of memory all the same (memfd_create(2)).
        self.cost = _OVERHEAD + (-(-size // _PAGE) * _PAGE if isinstance(data, Slice) else size)
        self.used = False


CodedCache = Clock[CodedKey, Coded]


def coded_cache(entries: int, size: int) -> CodedCache:
    """An empty cache for so many coded forms, each of which may hold a descriptor, of so many bytes together."""
    return Clock(entries, size)


def key_of(job: Encode) -> CodedKey:
    """Where the result of a job belongs."""
    return CodedKey(job.identity, job.coding, job.level)


def coded_of(result: Result) -> Coded | None:
    """What to keep of the result of an Encode; None of one that says nothing of the file."""
    if result.outcome is Outcome.GROWN:
        return Coded(None, 0, b"")
    if result.outcome is not Outcome.ENCODED or result.identity is None:
        return None
    size = result.identity.size
    data = Slice(result.file, 0, size) if isinstance(result.file, Descriptor) else result.body
    return Coded(data, size, result.name)
