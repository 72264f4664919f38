"""The pytest fixture ``flashpy_server``: a server of a test's own temporary directory."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from flashpy.server import Background


@pytest.fixture
def flashpy_server(tmp_path: Path) -> "Iterator[Background]":
    """A flashpy that serves ``tmp_path`` on a free port of 127.0.0.1 while the test runs; see ``.url``."""
    from flashpy.server import background

    with background(tmp_path) as server:
        yield server
