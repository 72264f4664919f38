"""``flashpy warm``, against a running server."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import PATIENCE, Flashpy, clean_environment, free_ports


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A configuration, and a site of three sizes."""
    root = tmp_path / "site"
    (root / "sub dir").mkdir(parents=True)
    for name, size in (("large", 100_000), ("sub dir/middle", 10_000), ("small", 100), (".hidden", 10)):
        (root / name).write_bytes(b"x" * size)
    file = tmp_path / "flashpy.toml"
    file.write_text(f'[server]\nbind = ["127.0.0.1:{free_ports()[0]}"]\n[site]\nroot = "site"\n')
    return file


@pytest.fixture
def server(file: Path) -> Iterator[Flashpy]:
    with Flashpy("-c", file, "--access-log") as server:
        assert server.urls
        yield server


def warm(*arguments: str | Path, lines: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """``flashpy warm ARGUMENTS``, with these lines on its standard input."""
    command = [sys.executable, "-m", "flashpy", "warm", *map(str, arguments)]
    done = subprocess.run(
        command, input=lines, capture_output=True, timeout=PATIENCE, env=clean_environment(), check=False
    )
    assert b"Traceback" not in done.stderr
    return done


def asked(server: Flashpy) -> list[str]:
    """What it has been asked for, in order, when it has ended."""
    assert server.end() == 0
    return [line.split('"')[1].split(" ")[1] for line in server.stdout.splitlines()]


def combined(target: str, status: int = 200, method: str = "GET") -> bytes:
    line = f'127.0.0.1 - - [22/Nov/2026:16:00:00 +0000] "{method} {target} HTTP/1.1" {status} 5 "-" "-" 0.001'
    return line.encode() + b"\n"


def test_all_files_the_smallest_first(file: Path, server: Flashpy) -> None:
    done = warm("-c", file, "--connections", "1")
    assert done.returncode == 0
    assert done.stdout.startswith(b"3 files warm, 110,100 bytes, in ")
    assert asked(server) == ["/small", "/sub%20dir/middle", "/large"]


def test_as_many_as_fit(file: Path, server: Flashpy) -> None:
    done = warm("-c", file, "--connections", "1", "--budget", "10K")
    assert done.stdout.startswith(b"2 files warm, 10,100 bytes")
    assert asked(server) == ["/small", "/sub%20dir/middle"]


def test_the_hottest_of_a_log_first(file: Path, server: Flashpy) -> None:
    """By how often, then by how lately; what is no answer with a file does not count."""
    lines = [
        combined("/small"),
        combined("/sub%20dir/middle"),
        *[combined("/large", 304)] * 2,
        *[combined("/none", 404)] * 3,
        *[combined("/small", 405, "POST")] * 3,
        b"nonsense\n",
        b"\xff\xfe\n",
        b"{\n",
    ]
    done = warm("-c", file, "--connections", "1", "--from", "-", lines=b"".join(lines))
    assert done.stdout.startswith(b"3 files warm")
    assert asked(server) == ["/large", "/sub%20dir/middle", "/small"]


def test_what_does_not_fit_is_left_out(file: Path, server: Flashpy) -> None:
    """And what comes after it may fit."""
    done = warm("-c", file, "--budget", "20000", "--connections", "1", "--from", "-", lines=b"/large\n/small\n/none\n")
    assert done.stdout.startswith(b"1 files warm, 100 bytes")
    assert b"1 answered 404" in done.stdout
    assert b"1 did not fit into the budget." in done.stdout


@pytest.mark.parametrize("form", ["combined", "json"])
def test_the_servers_own_log_can_be_read(file: Path, tmp_path: Path, form: str) -> None:
    log = tmp_path / "access.log"
    file.write_text(file.read_text() + f'[log]\naccess = true\naccess_file = "{log}"\naccess_format = "{form}"\n')
    with Flashpy("-c", file) as server:
        for target in ("/small?v=1", "/large", "/small?v=1", "/none"):
            server.get(target)
        assert server.end() == 0
    assert len(log.read_bytes().splitlines()) == 4
    with Flashpy("-c", file) as server:
        assert server.urls
        done = warm("-c", file, "--from", log)
        assert done.stdout.startswith(b"2 files warm, 100,100 bytes")
        server.end()
    last = log.read_bytes().splitlines()[4:]
    targets = [json.loads(line)["url.path"] if form == "json" else line.split(b" ")[6].decode() for line in last]
    assert set(targets) == ({"/small", "/large"} if form == "json" else {"/small?v=1", "/large"})


def test_a_unix_socket(file: Path, tmp_path: Path) -> None:
    file.write_text(f'[server]\nbind = ["unix:{tmp_path}/s"]\n[site]\nroot = "site"\n')
    with Flashpy("-c", file) as server:
        assert server.urls
        assert warm("-c", file).stdout.startswith(b"3 files warm")


def test_no_server(file: Path) -> None:
    done = warm("-c", file)
    assert done.returncode == 1
    assert b"cannot be asked: [Errno 111] Connection refused.\n" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--budget", "much"], b"'much' is no size"), (["--url", "ftp://x"], b"'ftp://x' is no address of a server")],
)
def test_what_is_not_understood(file: Path, arguments: list[str], said: bytes) -> None:
    done = warm("-c", file, *arguments)
    assert done.returncode == 2
    assert said in done.stderr
