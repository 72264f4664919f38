"""A file that changes while it is served: every answer is wholly of one version (RFC 9110, 8.8)."""

import hashlib
import os
import socket
import threading
import time
from pathlib import Path

import pytest

from flashpy.server import background
from tests.conformance.client import Client
from tests.conformance.conftest import address_of

REPLACEMENTS = 200
READERS = 50


def content(version: int, size: int) -> bytes:
    """A body of which every 16 bytes, and the length, say which version it is."""
    return (b"%015d\n" % version) * (size // 16 + version % 50)


def replace(path: Path, data: bytes) -> None:
    """Publish by rename."""
    temporary = path.with_suffix(".new")
    temporary.write_bytes(data)
    os.rename(temporary, path)


@pytest.mark.parametrize("size", [4_096, 300_000], ids=["in memory", "by sendfile"])
def test_no_answer_mixes_versions(tmp_path: Path, size: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(content(0, size))
    known = {hashlib.sha256(content(n, size)).digest(): n for n in range(REPLACEMENTS + 1)}
    tags: dict[bytes, bytes] = {}
    mixed: list[str] = []
    seen: set[int] = set()
    stop = threading.Event()

    def read(address: tuple[str, int]) -> None:
        with Client(address) as client:
            while not stop.is_set():
                answer = client.ask(b"GET /file HTTP/1.1\r\nHost: test\r\n\r\n")
                digest = hashlib.sha256(answer.body).digest()
                if digest not in known or len(answer.body) != int(answer.fields[b"content-length"]):
                    mixed.append(f"{answer.status}, {len(answer.body)} bytes")
                    return
                if tags.setdefault(answer.fields[b"etag"], digest) != digest:
                    mixed.append("one entity tag for two versions")
                    return
                seen.add(known[digest])

    with background(tmp_path, cache={"valid": 0.01}) as server:
        threads = [threading.Thread(target=read, args=(address_of(server),)) for _ in range(READERS)]
        for thread in threads:
            thread.start()
        for version in range(1, REPLACEMENTS + 1):
            replace(path, content(version, size))
            time.sleep(0.01)
        deadline = time.monotonic() + 20
        while REPLACEMENTS not in seen and time.monotonic() < deadline and not mixed:
            time.sleep(0.01)
        stop.set()
        for thread in threads:
            thread.join()
        assert server.metrics()["faults"] == 0
    assert mixed == []
    assert REPLACEMENTS in seen
    assert len(seen) > 5  # it did change under the readers


def test_a_changed_and_a_deleted_file_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one")
    with (
        background(tmp_path, cache={"valid": 0.05, "negative_valid": 0.05}) as server,
        Client(address_of(server)) as client,
    ):
        request = b"GET /file HTTP/1.1\r\nHost: test\r\n\r\n"

        def until(status: int, body: bytes | None) -> None:
            deadline = time.monotonic() + 10
            while True:
                answer = client.ask(request)
                if answer.status == status and body in (None, answer.body):
                    return
                assert time.monotonic() < deadline, f"still {answer.status} {answer.body!r}"
                time.sleep(0.01)

        until(200, b"one")
        path.write_bytes(b"two!")  # in place
        until(200, b"two!")
        path.unlink()
        until(404, None)
        path.write_bytes(b"three")
        until(200, b"three")


def test_a_file_that_shrinks_while_it_is_sent_ends_that_connection_only(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 40_000_000)
    (tmp_path / "other").write_bytes(b"fine")
    with background(tmp_path) as server:
        address = address_of(server)
        with socket.create_connection(address, 10) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
            sock.sendall(b"GET /file HTTP/1.1\r\nHost: test\r\n\r\n")
            received = len(sock.recv(1_000))
            os.truncate(path, 1_000)
            while data := sock.recv(1_000_000):
                received += len(data)
        assert received < 40_000_000
        with Client(address) as client:
            assert client.ask(b"GET /other HTTP/1.1\r\nHost: test\r\n\r\n").body == b"fine"
        assert server.metrics()["truncated"] == 1


def test_a_deleted_files_space_is_given_back(tmp_path: Path) -> None:
    """No descriptor of a version that has been replaced is held on to."""
    path = tmp_path / "file"
    path.write_bytes(b"x" * 200_000)
    with background(tmp_path, cache={"valid": 0.05}) as server, Client(address_of(server)) as client:
        request = b"GET /file HTTP/1.1\r\nHost: test\r\n\r\n"
        client.ask(request)
        replace(path, b"y" * 200_001)
        deadline = time.monotonic() + 10
        while len(client.ask(request).body) != 200_001 and time.monotonic() < deadline:
            time.sleep(0.01)
        held = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if _exists(fd)]
        assert not [place for place in held if place.startswith(str(path)) and place.endswith("(deleted)")]


def _exists(fd: str) -> bool:
    return os.path.lexists(f"/proc/self/fd/{fd}")
