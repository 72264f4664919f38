"""What holds for all tests."""

import gc
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from hypothesis import settings

# No deadline for one example: how long it takes says more of the machine's other work than of flashpy.
settings.register_profile("flashpy", settings(), deadline=None)
settings.load_profile("flashpy")


def pytest_collection_finish() -> None:
    """Thousands of tests stay in memory: the collector is not to look at all of them in each test that calls it."""
    gc.freeze()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """What a test opens, until it ends."""
    with ExitStack() as stack:
        yield stack
