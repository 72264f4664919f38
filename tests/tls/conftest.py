"""What all tests of TLS share."""

from pathlib import Path

import pytest

from tests.tls.authority import Authority


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """One for all tests of a module: its key takes a while to make."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small site."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "index.html").write_text("hello")
    return site
