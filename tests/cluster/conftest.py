"""What tests of a cluster have running beside flashpy."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.etcdserver import MISSING, PROGRAM, EtcdServer


@pytest.fixture
def etcd(tmp_path: Path) -> Iterator[EtcdServer]:
    """etcd, with nothing in it."""
    if PROGRAM is None:
        pytest.skip(MISSING)
    server = EtcdServer(tmp_path / "etcd")
    yield server
    server.end()
