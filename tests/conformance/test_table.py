"""The table of cases, put to flashpy; and to servers that are wrong, for a case that cannot fail is worth nothing."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from flashpy.server import background
from tests.conformance import wrong
from tests.conformance.cases import CASES
from tests.conformance.cases.case import Case, Need
from tests.conformance.cases.exchange import Address
from tests.conformance.cases.judge import Outcome, Verdict, judge, offered
from tests.conformance.cases.tree import build
from tests.conformance.conftest import address_of

PATIENCE = 10.0
"""Seconds that flashpy may take for a step; only a fault takes as many."""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of the tree that the table speaks of."""
    return build(tmp_path_factory.mktemp("table"))


@pytest.fixture(scope="module")
def address(tree: Path, architecture: str) -> Iterator[Address]:
    """Where flashpy serves it, in one of the four architectures."""
    with background(
        tree,
        site={"precompressed": ["br", "gzip"], "headers": {"Cache-Control": "max-age=60"}},
        helpers={"min": 2, "max": 2},
        server={"architecture": architecture, "concurrency": 8},
    ) as server:
        yield address_of(server)


def test_flashpy_offers_everything(address: Address) -> None:
    """So no case is passed over."""
    assert offered(address, PATIENCE) == set(Need)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(address: Address, case: Case) -> None:
    """flashpy does what the section says."""
    assert judge(case, address, set(Need), PATIENCE) == Verdict(Outcome.PASSED), case.demand


def failures(address: Address, patience: float = PATIENCE) -> set[str]:
    """The cases that a server fails, whether or not it offers what they need."""
    with ThreadPoolExecutor(32) as pool:
        verdicts = pool.map(lambda case: judge(case, address, set(Need), patience), CASES)
        return {case.id for case, verdict in zip(CASES, verdicts, strict=True) if verdict.outcome is Outcome.FAILED}


def test_the_table_is_well_kept() -> None:
    """Each case has a name of its own, a section, and checks."""
    assert len({case.id for case in CASES}) == len(CASES) >= 200
    for case in CASES:
        assert re.fullmatch(r"91(?:10|11|12) \d+(?:\.\d+)*", case.section)
        assert case.checks


def test_every_case_can_fail() -> None:
    """For each there is a server that answers and fails it; that something is said at all, only silence fails."""
    failed: set[str] = set()
    for answer in wrong.ANSWERS:
        with wrong.canned(answer) as address:
            failed |= failures(address)
    assert {case.id for case in CASES} - failed == {"expect-awaits"}
    with wrong.canned(wrong.SILENT) as address:
        assert "expect-awaits" in failures(address, patience=0.05)


@pytest.mark.parametrize("handler", [wrong.Simple, wrong.Persistent])
def test_the_standard_librarys_server_fails_many(tree: Path, handler: type[wrong.Simple]) -> None:
    """It has no entity tags and no ranges, and reads what is malformed."""
    with wrong.simple(tree, handler) as address:
        failed = failures(address)
        assert len(failed) > len(CASES) // 4
        assert not failed & {"get", "root", "head-file", "date-200", "modified", "since-same"}
