"""One server of each architecture for the whole suite, and connections to it."""

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from flashpy.server import Background, background
from tests.conformance.client import Address, Client, Connect
from tests.conformance.tree import build


def address_of(server: Background) -> Address:
    """Where a server listens."""
    parts = urlsplit(server.url)
    assert parts.hostname and parts.port
    return parts.hostname, parts.port


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of the tree that is served."""
    return build(tmp_path_factory.mktemp("conformance"))


COMPILED = os.environ.get("FLASHPY_TEST_COMPILED") == "1"
ARCHITECTURES = ["amped"] if COMPILED else ["amped", "sped", "mp", "mt"]
"""Compiled modules are the same in all: the one that is for use is enough for them."""


@pytest.fixture(scope="session", params=ARCHITECTURES)
def architecture(request: pytest.FixtureRequest) -> str:
    """Each of the four: what they answer is the same."""
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def server(root: Path, architecture: str) -> Iterator[Background]:
    """The server that all tests share."""
    with background(
        root,
        site={"precompressed": ["gzip"]},
        helpers={"min": 2, "max": 2},
        server={"architecture": architecture, "concurrency": 24},
    ) as server:
        yield server


@pytest.fixture(scope="session")
def hasty_server(root: Path, architecture: str) -> Iterator[Background]:
    """A server of the same tree that soon loses patience, and soon looks again at files."""
    with background(
        root,
        server={"architecture": architecture, "concurrency": 24},
        cache={"valid": 0.05, "negative_valid": 0.05},
        limits={"timeout_head": 0.5, "timeout_keep_alive": 0.5},
        helpers={"min": 1, "max": 1},
    ) as server:
        yield server


@pytest.fixture
def connect(server: Background) -> Iterator[Connect]:
    """Opens connections to the server, which are closed when the test ends."""
    yield from _connections(server)


@pytest.fixture
def connect_hasty(hasty_server: Background) -> Iterator[Connect]:
    """As ``connect``, to the server with little patience."""
    yield from _connections(hasty_server)


@pytest.fixture
def client(connect: Connect) -> Client:
    """A new connection to the server."""
    return connect()


def _connections(server: Background) -> Iterator[Connect]:
    opened: list[Client] = []
    address = address_of(server)

    def connect() -> Client:
        opened.append(Client(address))
        return opened[-1]

    yield connect
    for client in opened:
        client.close()
