"""Files that are not in memory: loaded window by window, each while the one before is being sent."""

import os
from contextlib import ExitStack
from pathlib import Path

import pytest

from flashpy.server import background
from tests.running import Client, eventually

SIZE = 6 * 2**20 + 12345


@pytest.fixture
def cold(tmp_path: Path) -> bytes:
    """The content of a large file, whose pages are not in memory (but where the file system cannot let go of them)."""
    content = os.urandom(SIZE)
    with (tmp_path / "large").open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return content


@pytest.mark.parametrize("anticipate", [False, True])
def test_windows_are_loaded_ahead_of_their_turn(tmp_path: Path, cold: bytes, anticipate: bool) -> None:
    helpers = {"anticipate": anticipate}
    with (
        background(tmp_path, helpers=helpers) as server,
        Client(("127.0.0.1", int(server.url.rpartition(":")[2]))) as client,
    ):
        assert client.get("/large").body == cold
        first = server.metrics()
        assert first["loads"] >= 1  # on a device that is not known yet nothing counts as resident
        assert first["loads_ahead"] >= 1
        assert client.get("/large", "Range: bytes=3000000-").body == cold[3000000:]
        assert client.get("/large").body == cold
        assert server.metrics()["faults"] == 0
        (device,) = server.metrics()["pool"]["devices"].values()
        assert device["done"] >= 3
        assert device["service_ms"] > 0


def test_streams_that_are_kept_together_all_come_to_their_end(tmp_path: Path) -> None:
    contents = {f"/{number}": os.urandom(2 * 2**20 + number) for number in range(6)}
    for name, content in contents.items():
        with (tmp_path / name[1:]).open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    with background(tmp_path, helpers={"anticipate": True, "min": 1, "max": 2}) as server, ExitStack() as stack:
        port = int(server.url.rpartition(":")[2])
        clients = {name: stack.enter_context(Client(("127.0.0.1", port))) for name in contents}
        for name, client in clients.items():
            client.ask(name)
        assert {name: client.answer().body for name, client in clients.items()} == contents


def test_who_reads_slowly_has_one_window_ahead_and_no_more(tmp_path: Path, cold: bytes) -> None:
    with (
        background(tmp_path) as server,
        Client(("127.0.0.1", int(server.url.rpartition(":")[2])), receive_buffer=4096) as client,
    ):
        client.ask("/large")
        received = client.sock.recv(1000)
        eventually("it waits for the client", lambda: not server.metrics()["pool"]["busy"])
        loaded = server.metrics()["jobs"]
        assert loaded < 2 + SIZE // (512 * 1024)  # not the whole file
        while len(received) < 100_000:
            received += client.sock.recv(10_000)
        assert cold[:50_000] in received


def test_a_client_that_leaves_leaves_no_load_behind(tmp_path: Path, cold: bytes) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(background(tmp_path, helpers={"min": 1, "max": 1}))
        clients = [Client(("127.0.0.1", int(server.url.rpartition(":")[2]))) for _ in range(20)]
        for number, client in enumerate(clients):
            client.ask("/large", f"Range: bytes={number * 300_000}-")
        for client in clients:
            client.close()
        eventually("nothing is under way", lambda: server.metrics()["connections"] == 0)
        eventually("all helpers are idle", lambda: server.metrics()["pool"]["queued"] == 0)
        assert server.metrics()["faults"] == 0
