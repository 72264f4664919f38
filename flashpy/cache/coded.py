"""The cache of coded forms that were made on the fly: by version of the file, coding and level."""

from typing import NamedTuple

from flashpy.buffers import Descriptor
from flashpy.cache.clock import Clock
from flashpy.cache.file import Content
from flashpy.job.kinds import Encode, Identity, Outcome, Result

_PAGE = 4096
_OVERHEAD = 500  # bytes of an entry beside its body


class CodedKey(NamedTuple):
    """A version of a file, how it is to be coded, and at which level of the encoder."""

    identity: Identity
    coding: bytes
    level: int


class Coded:
    """A coded form: its ``content``, made by this ``encoder`` (as entity tags have it); or, if ``content`` is None,
    that the coded form is no smaller than the file, and not worth another try."""

    __slots__ = ("content", "cost", "encoder")

    def __init__(self, content: Content | None, encoder: bytes) -> None:
        self.content = content
        self.encoder = encoder
        self.cost = _OVERHEAD
        if content is not None:  # what lies behind a descriptor takes whole pages of memory all the same
            self.cost += content.cost or -(-content.identity.size // _PAGE) * _PAGE

    @property
    def used(self) -> bool:
        """The mark of use is the content's, so that who answers with that need not know of this. What is not worth
        another try has none: it goes when its turn comes."""
        return self.content is not None and self.content.used

    @used.setter
    def used(self, used: bool) -> None:
        """Set it, or take it away."""
        if self.content is not None:
            self.content.used = used


CodedCache = Clock[CodedKey, Coded]


def coded_cache(entries: int, size: int) -> CodedCache:
    """An empty cache for so many coded forms, each of which may hold a descriptor, of so many bytes together."""
    return Clock(entries, size, _let_go)


def key_of(job: Encode) -> CodedKey:
    """Where the result of a job belongs."""
    return CodedKey(job.identity, job.coding, job.level)


def coded_of(result: Result) -> Coded | None:
    """What to keep of the result of an Encode; None of one that says nothing of the file."""
    if result.outcome is Outcome.GROWN:
        return Coded(None, b"")
    if result.outcome is not Outcome.ENCODED or result.identity is None:
        return None
    data = result.file if isinstance(result.file, Descriptor) else result.body
    assert data is not None
    return Coded(Content(result.identity, data), result.name)


def _let_go(coded: Coded) -> None:
    if coded.content is not None:
        coded.content.let_go()
