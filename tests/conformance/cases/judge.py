"""The table against a server: what it offers, and what becomes of each case."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum

from tests.conformance.cases.case import Case, Need, after, ask
from tests.conformance.cases.checks import answered_with, every, field, kept, parts, present, status, whole
from tests.conformance.cases.exchange import PROBE_BODY, Address, Check, Step, perform
from tests.conformance.cases.tree import LARGE


class Outcome(Enum):
    """What became of a case."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_OFFERED = "not offered"


@dataclass(frozen=True)
class Verdict:
    """The outcome, and for a failure one line of why."""

    outcome: Outcome
    why: str = ""


OFFERS: dict[Need, tuple[Step | tuple[Step, ...], Check]] = {
    Need.ETAG: (ask(), present(b"etag")),
    Need.STRONG_ETAG: (ask(), field(b"etag", re.compile(rb'"[^"]*"'))),
    Need.LAST_MODIFIED: (ask(), present(b"last-modified")),
    Need.MATCH: (ask(b"/old.txt", b'If-Match: "x-none"'), status(412)),
    Need.UNMODIFIED: (ask(b"/old.txt", b"If-Unmodified-Since: Sun, 31 Dec 2000 23:59:59 GMT"), status(412)),
    Need.RANGES: (ask(b"/digits.bin", b"Range: bytes=1-2"), every(status(206), present(b"content-range"))),
    Need.MULTIPART: (ask(b"/large.bin", b"Range: bytes=0-9,500000-500009"), parts(LARGE, [(0, 9)])),
    Need.GZIP: (ask(b"/script.js", b"Accept-Encoding: gzip"), field(b"content-encoding", b"gzip")),
    Need.BROTLI: (ask(b"/script.js", b"Accept-Encoding: br"), field(b"content-encoding", b"br")),
    Need.CACHE_CONTROL: (ask(), present(b"cache-control")),
    Need.PERSISTENCE: ((ask(), after(ask())), every(whole(PROBE_BODY), kept)),
    Need.OPTIONS: (ask(method=b"OPTIONS"), answered_with(2)),
    Need.REDIRECT: (ask(b"/sub"), answered_with(3)),
}
"""How it is seen that a server offers something: it does so in one plain case."""


def offered(address: Address, patience: float) -> frozenset[Need]:
    """What the server at an address offers."""
    found = set()
    for need, (steps, check) in OFFERS.items():
        if not check(perform((steps,) if isinstance(steps, Step) else steps, address, patience)):
            found.add(need)
    return frozenset(found)


def judge(case: Case, address: Address, offers: Collection[Need], patience: float) -> Verdict:
    """Put a case to the server at an address."""
    if any(need not in offers for need in case.needs):
        return Verdict(Outcome.NOT_OFFERED)
    exchange = perform(case.steps, address, patience)
    why = next((wrong for check in case.checks if (wrong := check(exchange))), "")
    return Verdict(Outcome.FAILED, why) if why else Verdict(Outcome.PASSED)
