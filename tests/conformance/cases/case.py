"""A case of the table: what an RFC demands, the bytes that show it, and how to tell."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from tests.conformance.cases.exchange import HOST, Check, Step


class Level(Enum):
    """How strongly the RFC demands it. RECOMMENDED is SHOULD (RFC 2119)."""

    MUST = "MUST"
    SHOULD = "SHOULD"


class Need(Enum):
    """What a server may leave out. Cases that need it are not held against one that does."""

    ETAG = "entity tags"
    STRONG_ETAG = "strong entity tags"
    LAST_MODIFIED = "modification dates"
    MATCH = "If-Match"
    UNMODIFIED = "If-Unmodified-Since"
    RANGES = "ranges"
    MULTIPART = "several ranges at once"
    GZIP = "gzip"
    BROTLI = "brotli"
    CACHE_CONTROL = "Cache-Control"
    PERSISTENCE = "persistent connections"
    OPTIONS = "the method OPTIONS"
    REDIRECT = "redirects to the slash"


@dataclass(frozen=True)
class Case:
    """One row: ``demand`` is what the section says, in our words; the checks all hold of a server that does it."""

    id: str
    section: str
    demand: str
    steps: tuple[Step, ...]
    checks: tuple[Check, ...]
    level: Level
    needs: frozenset[Need]

    def __str__(self) -> str:
        return f"{self.section}: {self.id}"


Steps = Step | tuple[Step, ...]


def must(id: str, section: str, demand: str, steps: Steps, *checks: Check, needs: Iterable[Need] = ()) -> Case:
    """A case at the level MUST."""
    return _case(id, section, demand, steps, checks, Level.MUST, needs)


def should(id: str, section: str, demand: str, steps: Steps, *checks: Check, needs: Iterable[Need] = ()) -> Case:
    """A case at the level SHOULD."""
    return _case(id, section, demand, steps, checks, Level.SHOULD, needs)


def _case(
    id: str, section: str, demand: str, steps: Steps, checks: tuple[Check, ...], level: Level, needs: Iterable[Need]
) -> Case:
    steps = (steps,) if isinstance(steps, Step) else steps
    return Case(id, section, demand, steps, checks, level, frozenset(needs))


def ask(
    target: bytes = b"/probe.txt",
    *lines: bytes,
    method: bytes = b"GET",
    version: bytes = b"HTTP/1.1",
    host: bytes | None = HOST,
    body: bytes = b"",
) -> Step:
    """One request with these field lines; ``body`` is put behind the head as it is."""
    fields = lines if host is None else (b"Host: " + host, *lines)
    head = b"%s %s %s\r\n%s\r\n" % (method, target, version, b"".join(line + b"\r\n" for line in fields))
    return Step(head + body, (method,))


def raw(data: bytes, *methods: bytes) -> Step:
    """These bytes, which are to get one answer, or as many as methods are named."""
    return Step(data, methods or (b"GET",))


def together(*steps: Step) -> Step:
    """Several requests in one go, each of which is to be answered (RFC 9112, 9.3.2)."""
    return Step(b"".join(step.data for step in steps), tuple(m for step in steps for m in step.methods))


def after(step: Step) -> Step:
    """The same on the connection of the step before."""
    return step._replace(joined=True)
