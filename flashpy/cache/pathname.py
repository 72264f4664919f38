"""The pathname translation cache: from decoded paths to what a helper found there (Flash, section 5.2)."""

from typing import NamedTuple

from flashpy.cache.clock import Clock
from flashpy.cache.header import Link
from flashpy.job.kinds import Result, Translate


class Asked(NamedTuple):
    """What is asked for: what lies at ``path`` beneath a root, by a client who has asked the site for ``address``; both
    are decoded. ``key`` is where the pathname cache has it, but for the root's tag."""

    path: bytes
    address: bytes
    key: bytes


class Translation(Link):
    """What a path led to, and until when that is believed (monotonic seconds).

    ``asked`` is what is asked for; ``job`` asks again; ``coding`` is set where this is a stored variant of what lies
    there, whose own path is the job's; ``codings`` are those that can be had, stored or made.
    ``revalidating`` is set while a helper looks again and the old answer goes on serving.
    """

    __slots__ = (
        "asked",
        "coding",
        "codings",
        "cost",
        "fresh_until",
        "job",
        "name",
        "outcome",
        "revalidating",
        "suffixes",
        "used",
    )

    def __init__(self, asked: Asked, job: Translate, coding: bytes | None, result: Result, fresh_until: float) -> None:
        super().__init__()
        self.asked = asked
        self.job = job
        self.coding = coding
        self.codings: tuple[bytes, ...] = ()
        self.outcome = result.outcome
        self.name = result.name
        self.suffixes = result.suffixes
        self.fresh_until = fresh_until
        self.revalidating = False
        self.cost = 500 + len(job.path)
        self.used = False


PathnameCache = Clock[bytes, Translation]


def pathname_cache(entries: int, size: int) -> PathnameCache:
    """An empty pathname cache with these budgets."""
    return Clock(entries, size, Translation.let_go)
