"""Bodies that are made while they are sent: archives of directories."""

import io
import os
import tarfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from flashpy.server import Background, background
from tests.running import Answer as Received
from tests.running import Client, eventually
from tests.test_server import open_descriptors

BIG = 32 * 2**20
every = pytest.mark.parametrize("architecture", ["amped", "sped", "mt"])  # mp has the driver of mt


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory that fills every buffer on its way, and files behind that."""
    (tmp_path / "tree" / "sub").mkdir(parents=True)
    with (tmp_path / "tree" / "a-big").open("wb") as file:
        file.truncate(BIG)
    (tmp_path / "tree" / "b-small").write_bytes(b"small" * 1000)
    (tmp_path / "tree" / "sub" / "large").write_bytes(os.urandom(3 * 2**20 + 17))
    (tmp_path / "index.html").write_text("hello")
    return tmp_path


def serve(stack: ExitStack, root: Path, architecture: str, **sections: Any) -> Background:
    """A server of an architecture until the test ends."""
    server = {"architecture": architecture, "concurrency": 2, "timeout_graceful_shutdown": 5.0}
    site = {"listing": True, "listing_archive": True}
    return stack.enter_context(background(root, server=server, site=site, cache={"small_file": 1000}, **sections))


def connect(stack: ExitStack, server: Background) -> Client:
    """A connection until the test ends."""
    return stack.enter_context(Client(("127.0.0.1", int(server.url.rpartition(":")[2]))))


def contents(answer: Received) -> dict[str, bytes]:
    """The files of an archive."""
    assert answer.status == 200 and len(answer.body) == int(answer.fields["content-length"])
    with tarfile.open(fileobj=io.BytesIO(answer.body)) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}  # type: ignore[union-attr]


def files_open(root: Path) -> list[str]:
    """What this process has open of an archive: a file, or what the walk has found."""
    return [link for link in open_descriptors().values() if link.startswith((f"{root}/tree", "/memfd:flashpy"))]


def expected(root: Path) -> dict[str, bytes]:
    """What should be in it."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes() for path in (root / "tree").rglob("*") if path.is_file()
    }


@every
def test_an_archive_and_what_is_asked_for_behind_it(stack: ExitStack, root: Path, architecture: str) -> None:
    """The connection goes on, and nothing is left open."""
    server = serve(stack, root, architecture)
    client = connect(stack, server)
    assert client.get("/").body == b"hello"
    client.ask("/tree/?download=tar")
    client.ask("/")
    assert contents(client.answer()) == expected(root)
    assert client.answer().body == b"hello"
    eventually("its files are closed", lambda: not files_open(root))


@every
def test_thousands_of_files(stack: ExitStack, root: Path, architecture: str) -> None:
    """Empty ones, and small ones that are there at once: no depth, and others have their turn."""
    for number in range(2000):
        (root / "tree" / "sub" / f"{number:04d}").write_bytes(b"x" * (number % 3))
    server = serve(stack, root, architecture)
    client, other = connect(stack, server), connect(stack, server)
    client.ask("/tree/sub/?download=tar")
    assert client.head().status == 200
    assert other.get("/").body == b"hello"
    found = contents(other.get("/tree/sub/?download=tar"))
    assert len(found) == 2001 and found["sub/0002"] == b"xx"


@every
@pytest.mark.parametrize("change", ["shrink", "grow", "remove"])
def test_a_file_that_changes_meanwhile_ends_the_connection(
    stack: ExitStack, root: Path, architecture: str, change: str
) -> None:
    """The client sees it by the length; nothing else is sent in its place."""
    client = connect(stack, serve(stack, root, architecture))
    client.ask("/tree/?download=tar")
    head = client.head()
    path = root / "tree" / "b-small"
    if change == "remove":
        path.unlink()
    else:
        os.truncate(path, 4999 if change == "shrink" else 5001)
    body = client.rest()
    assert BIG < len(body) < BIG + 5000 < int(head.fields["content-length"])
    assert body[-512:].startswith(b"tree/b-small\0")


@every
def test_a_client_that_goes_away(stack: ExitStack, root: Path, architecture: str) -> None:
    """In the middle of an archive; nothing is left open."""
    server = serve(stack, root, architecture)
    assert connect(stack, server).get("/").body == b"hello"
    with Client(("127.0.0.1", int(server.url.rpartition(":")[2]))) as client:
        client.ask("/tree/?download=tar")
        client.read(1000)
    eventually("its files are closed", lambda: not files_open(root))
