"""What holds for all tests."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from hypothesis import settings

# No deadline for one example: how long it takes says more of the machine's other work than of flashpy.
settings.register_profile("flashpy", settings(), deadline=None)
settings.load_profile("flashpy")


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """What a test opens, until it ends."""
    with ExitStack() as stack:
        yield stack
