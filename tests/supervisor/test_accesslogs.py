"""The access logs of a supervised server: what is written where, through all that is done to it."""

import os
import shutil
import signal
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.running import Flashpy, children_of, eventually, is_alive, title_of
from tests.supervisor.supervised import Load, connect, new_supervisor, port_of, start


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A configuration file, and its site."""
    root = tmp_path / "site"
    root.mkdir()
    (root / "index.html").write_text("one")
    return write(tmp_path / "flashpy.toml", "log")


def write(file: Path, log: str, more: str = "") -> Path:
    """Write a configuration with this access log."""
    new = file.with_suffix(".new")
    new.write_text(
        f'[server]\nbind = ["127.0.0.1:{port_of(file)}"]\n{more}\n[site]\nroot = "site"\n'
        f'headers = {{ "X-Generation" = "1" }}\n[log]\naccess = true\naccess_file = "{log}"\n'
    )
    new.replace(file)
    return file


def lines(path: Path) -> int:
    """How many whole lines a log has."""
    text = path.read_bytes()
    assert not text or text.endswith(b"\n")
    assert all(line.startswith(b"127.0.0.1 - - [") for line in text.splitlines())
    return text.count(b"\n")


def log_helpers(server: Flashpy) -> set[int]:
    """The log helpers that there are."""
    return {pid for pid in children_of(server.pid) if title_of(pid).startswith("flashpy: log helper")}


def log_helper(server: Flashpy) -> int:
    """The log helper, once it is there."""
    eventually("there is a log helper", lambda: len(log_helpers(server)) == 1)
    return log_helpers(server).pop()


def test_each_request_has_a_line_whatever_happens(stack: ExitStack, file: Path) -> None:
    """Reloads, another worker, rotation, a new program: each request is logged once."""
    write(file, "log", "workers = 2")
    server = start(stack, file)
    load = Load(stack, file, connections=3)
    for number in (signal.SIGHUP, signal.SIGTTIN, signal.SIGHUP, signal.SIGTTOU):
        seen = load.answered
        server.tell(number)
        eventually("it goes on", lambda seen=seen: load.answered > seen + 100)  # type: ignore[misc]
    (file.parent / "log").rename(file.parent / "log.1")
    server.tell(signal.SIGUSR1)
    eventually("there is a new log", lambda: (file.parent / "log").exists() and lines(file.parent / "log"))
    server.tell(signal.SIGUSR2)
    assert server.wait() == 0
    (new,) = new_supervisor(stack, server)
    load.stop()
    assert load.failures == []
    os.kill(new, signal.SIGTERM)
    eventually("it has ended", lambda: not is_alive(new))
    assert lines(file.parent / "log") + lines(file.parent / "log.1") == load.answered
    assert "missing" not in server.stderr


def test_another_file_by_another_configuration(stack: ExitStack, file: Path) -> None:
    server = start(stack, file)
    client = connect(stack, file)
    assert client.get().status == 200
    first = {log_helper(server)}
    write(file, "other")
    server.tell(signal.SIGHUP)
    eventually("it is in force", lambda: "is in force" in server.stderr)
    eventually("the first helper has ended", lambda: not any(map(is_alive, first)))
    assert client.get().status == 200
    assert len(log_helpers(server)) == 1
    assert server.end() == 0
    assert (lines(file.parent / "log"), lines(file.parent / "other")) == (1, 1)


def test_a_log_that_cannot_be_opened_changes_nothing(stack: ExitStack, file: Path) -> None:
    server = start(stack, file)
    write(file, "none/log")
    server.tell(signal.SIGHUP)
    eventually("it says so", lambda: "The configuration stays as it was" in server.stderr)
    assert "none/log cannot be opened" in server.stderr
    assert server.get().status == 200
    (file.parent / "log").rename(file.parent / "site" / "log")
    (file.parent / "log").mkdir()
    server.tell(signal.SIGUSR1)
    eventually("it says so", lambda: "The old file is written on" in server.stderr)
    assert server.get().status == 200
    assert server.end() == 0
    assert lines(file.parent / "site" / "log") == 2


def test_a_helper_that_is_killed(stack: ExitStack, file: Path) -> None:
    server = start(stack, file)
    load = Load(stack, file, connections=2)
    for _ in range(3):
        helper = log_helper(server)
        os.kill(helper, signal.SIGKILL)
        eventually("there is another", lambda helper=helper: log_helpers(server) not in (set(), {helper}))  # type: ignore[misc]
        seen = load.answered
        eventually("requests go on", lambda seen=seen: load.answered > seen + 100)  # type: ignore[misc]
    load.stop()
    assert load.failures == []
    assert server.end() == 0
    assert server.stderr.count("The log helper died") == 3
    assert 0 < lines(file.parent / "log") <= load.answered


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_full_disk(stack: ExitStack, file: Path, tmp_path: Path) -> None:
    place = tmp_path / "small"
    place.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", place], capture_output=True, text=True)
    if mount.returncode:
        pytest.skip(f"no file system can be mounted here: {mount.stderr.strip()}")
    stack.callback(lambda: subprocess.run(["umount", place], check=True))
    write(file, "small/log")
    server = start(stack, file)
    load = Load(stack, file)
    eventually("the disk is full", lambda: "missing: No space left on device" in server.stderr)
    seen = load.answered
    eventually("requests go on", lambda: load.answered > seen + 1000)
    load.stop()
    assert load.failures == []
    shutil.copy(place / "log", tmp_path / "copy")
    os.truncate(place / "log", 0)
    assert server.get().status == 200
    eventually("the log goes on", lambda: b"GET / " in (place / "log").read_bytes())
    assert server.end() == 0
    (tmp_path / "end").write_bytes((place / "log").read_bytes().lstrip(b"\n"))  # which ended the line that was torn
    assert lines(tmp_path / "end") >= 1


def test_the_helper_is_confined_too(stack: ExitStack, file: Path) -> None:
    server = start(stack, file)
    assert server.get().status == 200
    helper = log_helper(server)
    eventually("it is confined", lambda: "NoNewPrivs:\t1" in Path(f"/proc/{helper}/status").read_text())
