"""What the tests of connections share."""

from pathlib import Path

import pytest


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory with a page."""
    (tmp_path / "index.html").write_text("hello")
    return tmp_path
