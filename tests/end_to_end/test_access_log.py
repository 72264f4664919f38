"""The access log of a server that is a process, through its log helper."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flashpy.arch.events import LOG_PATIENCE
from tests.running import PATIENCE, Client, Flashpy, children_of, clean_environment, eventually, title_of


@pytest.fixture
def root(tmp_path: Path) -> Path:
    site = tmp_path / "site"
    site.mkdir()
    (site / "index.html").write_text("hello")
    (site / "flashpy.toml").write_text('[log]\naccess = true\naccess_file = "../log"\naccess_format = "json"\n')
    return site


def entries(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def helper_of(server: int) -> int:
    """The log helper of a server."""
    found: list[int] = []

    def there() -> bool:
        found[:] = [pid for pid in children_of(server) if title_of(pid) == f"flashpy: log helper of {server}"]
        return bool(found)

    eventually("there is a log helper", there)
    return found[0]


def test_what_the_caches_did(root: Path, tmp_path: Path) -> None:
    with open(root / "flashpy.toml", "a") as file:
        file.write("[cache]\nvalid = 0.2\n")
    with Flashpy(root, "-c", root / "flashpy.toml", "--port", "0") as server:
        with server.client() as client:
            client.send(b"GET /one HTTP/1.1\r\nHost: test\r\n\r\n" * 3)  # in one go: all three wait for one look
            assert [client.answer().status for _ in range(3)] == [404] * 3
            client.get("/")
            client.get("/")
            time.sleep(0.5)  # so long that nothing vouches for the entry
            client.get("/")
            client.ask("/", method="DELETE")
            assert client.answer().status == 405
            client.send(b"bad\r\n\r\n")
            assert client.answer().status == 400
        assert server.end() == 0
    states = [entry.get("flashpy.cache") for entry in entries(tmp_path / "log")]
    assert states == ["miss", "miss", "miss", "miss", "hit", "revalidated", None, None]


def test_what_has_to_be_loaded_is_a_miss(root: Path, tmp_path: Path) -> None:
    """Of a file that is known too: on a device that is not known yet nothing counts as being in memory."""
    (root / "large").write_bytes(b"x" * 2_000_000)
    with Flashpy(root, "-c", root / "flashpy.toml", "--port", "0") as server:
        with server.client() as client:
            client.ask("/large", method="HEAD")
            client.head()
            client.get("/large")
        assert server.end() == 0
    states = [entry["flashpy.cache"] for entry in entries(tmp_path / "log")]
    assert states == ["miss", "miss"]


def test_requests_go_on_while_the_helper_is_killed(root: Path, tmp_path: Path) -> None:
    with Flashpy(root, "-c", root / "flashpy.toml", "--port", "0") as server:
        with server.client() as client:
            count = 0
            for _ in range(3):
                killed = helper_of(server.pid)
                os.kill(killed, signal.SIGKILL)
                before = count
                while count < before + 500 or killed in children_of(server.pid):
                    assert client.get(f"/?{count}").status == 200
                    count += 1
        assert server.end() == 0
        assert server.stderr.count("The log helper died; another starts") == 3
    lines = (tmp_path / "log").read_bytes().splitlines()
    whole = [line for line in lines if line.endswith(b"}")]
    assert len(whole) >= len(lines) - 3  # in the middle of a line, at worst
    queries = [int(json.loads(line)["url.query"]) for line in whole]
    assert queries == sorted(set(queries)) and queries[-1] == count - 1
    assert len(queries) >= count - 3 * 600  # what a helper had in its hand, at the very most


def test_a_directory_that_is_removed_hurts_nobody(root: Path) -> None:
    (root / "logs").mkdir()
    (root / "flashpy.toml").write_text('[log]\naccess = true\naccess_file = "logs/log"\n')
    with Flashpy(root, "-c", root / "flashpy.toml", "--port", "0") as server:
        assert server.get().status == 200
        (root / "logs" / "log").unlink()
        (root / "logs").rmdir()
        helper = helper_of(server.pid)
        os.kill(helper, signal.SIGKILL)  # its successor writes to the file that is open
        assert server.get().status == 200
        eventually("there is another", lambda: helper_of(server.pid) != helper)
        assert server.get().status == 200
        assert server.end() == 0
        assert "missing" not in server.stderr


@contextmanager
def with_pipes(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A server whose output is read by whom it pleases."""
    command = [sys.executable, "-m", "flashpy", *arguments]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, env=clean_environment())
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def test_a_reader_that_is_stuck_holds_up_nobody(root: Path) -> None:
    """Neither the requests nor, for longer than it is given, the end."""
    with with_pipes(str(root), "--port", "0", "--access-log") as process:
        assert process.stderr is not None
        match = re.search(rb"http://127\.0\.0\.1:(\d+)", process.stderr.readline())
        assert match is not None
        with Client(("127.0.0.1", int(match[1]))) as client:
            for number in range(3_000):  # more than the pipe takes
                assert client.get(f"/?{number}").status == 200
        helper = helper_of(process.pid)
        process.send_signal(signal.SIGTERM)
        assert process.wait(LOG_PATIENCE + PATIENCE) == 0
        assert not os.path.exists(f"/proc/{helper}")
        assert b"The log helper does not get its lines written" in process.stderr.read()


def test_a_form_with_atoms_and_json_for_the_rest(root: Path) -> None:
    arguments = ("--access-log", "--access-logformat", '%(m)s %(U)s "%({X-One}i)s" %(C)s %({FLASHPY_X}e)s')
    (root / "flashpy.toml").write_text('[log]\nformat = "json"\n')
    with Flashpy(
        root, "-c", root / "flashpy.toml", "--port", "0", *arguments, environment={"FLASHPY_X": "here"}
    ) as server:
        with server.client() as client:
            client.get("/a%20b", 'X-One: "1"')
        assert server.end() == 0
        assert server.stdout == 'GET /a\\x20b "\\x221\\x22" miss here\n'
        logged = [json.loads(line) for line in server.stderr.splitlines()]
    assert logged[0]["severity"] == "INFO" and logged[0]["message"].startswith("Serving ")
