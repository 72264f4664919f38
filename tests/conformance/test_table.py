"""The table of cases, put to flashpy; and to servers that are wrong, for a case that cannot fail is worth nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from flashpy.server import background
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
