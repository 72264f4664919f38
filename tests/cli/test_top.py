"""``flashpy top``, over a real server, as a program: on a terminal and not."""

import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flashpy.cli import figures
from flashpy.cli.tables import Table, as_text, visible
from tests.running import PATIENCE, Flashpy, clean_environment, eventually

COMMAND = [sys.executable, "-m", "flashpy", "top"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server's files are, its admin socket among them."""
    return tmp_path_factory.mktemp("top")


@pytest.fixture(scope="module")
def server(place: Path) -> Iterator[Flashpy]:
    """With an admin address at a Unix socket. Whoever looks at it changes nothing, so one is enough."""
    (place / "index.html").write_text("hello")
    with Flashpy(place, "--port", "0", "--admin", f"unix:{place}/admin.sock") as server:
        for _ in range(3):
            assert server.get().status == 200
        eventually("it is told", lambda: re.search(r"200 +3\n", top(place).stdout))
        yield server


def top(place: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Print it once."""
    command = [*COMMAND, "--admin", f"unix:{place}/admin.sock", *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, env=clean_environment())


def test_it_prints_once_where_there_is_no_terminal(server: Flashpy, place: Path) -> None:
    done = top(place)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("flashpy ") and server.urls[0] in done.stdout
    for title in ("Answers", "Connections", "Caches", "Helpers", "Workers", "Worst stalls"):
        assert title in done.stdout
    assert "\x1b" not in done.stdout


def test_it_finds_the_address_in_a_configuration(server: Flashpy, place: Path) -> None:
    file = place / "flashpy.toml"
    file.write_text('[admin]\nbind = ["unix:admin.sock"]\n')
    done = subprocess.run(
        [*COMMAND, "-c", file], capture_output=True, text=True, timeout=PATIENCE, cwd=place, env=clean_environment()
    )
    assert (done.returncode, done.stdout[:8]) == (0, "flashpy ")


@pytest.mark.parametrize("end", ["q", "\x03"])
def test_it_fills_a_terminal_until_it_is_told_to_end(server: Flashpy, place: Path, end: str) -> None:
    """By q, or by Ctrl-C; the terminal is as it was before."""
    pytest.importorskip("rich")
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(
            sys.executable,
            [*COMMAND, "--admin", f"unix:{place}/admin.sock"],
            clean_environment(TERM="xterm", COLUMNS="120", LINES="50"),
        )
    try:
        shown = ""
        deadline = time.monotonic() + PATIENCE
        while shown.count("q quits") < 2:  # it has updated itself
            assert select.select([terminal], [], [], deadline - time.monotonic())[0], shown
            shown += os.read(terminal, 65536).decode(errors="replace")
        assert "Requests" in shown and "Workers" in shown
        os.write(terminal, end.encode())
        rest = _rest(terminal)
        _, status = os.waitpid(pid, 0)
        pid = 0
        assert os.waitstatus_to_exitcode(status) == 0
        assert "\x1b[?1049l" in rest  # back from the alternate screen
        assert "Traceback" not in shown + rest
    finally:
        os.close(terminal)
        if pid:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _rest(terminal: int) -> str:
    found = b""
    while select.select([terminal], [], [], PATIENCE)[0]:
        try:
            data = os.read(terminal, 65536)
        except OSError:  # EIO: nobody has the terminal open any more (pty(7))
            break
        if not data:
            break
        found += data
    return found.decode(errors="replace")


# What cannot be


def fails(*arguments: str) -> str:
    """What is said, in one line, when it cannot be done."""
    done = subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=PATIENCE, env=clean_environment()
    )
    assert done.returncode in (1, 2) and "Traceback" not in done.stderr
    return done.stderr.splitlines()[-1]


def test_what_cannot_be_is_said(tmp_path: Path) -> None:
    file = tmp_path / "flashpy.toml"
    file.write_text("")
    assert "has no admin.bind" in fails("-c", str(file))
    assert "is no address" in fails("--admin", "nowhere")
    assert "does not say where" in fails("--admin", "fd://3")
    assert "(No such file or directory)" in fails("--admin", f"unix:{tmp_path}/nothing")
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        assert "(Connection refused)" in fails("--admin", f"127.0.0.1:{unheard.getsockname()[1]}")


def test_another_server_is_no_admin_address(server: Flashpy) -> None:
    assert "is not flashpy's admin address" in fails("--admin", f"127.0.0.1:{server.port}")


# Figures and tables


def test_figures_are_for_people() -> None:
    assert [figures.seconds(value) for value in (None, 2.5e-6, 0.00025, 0.0123, 2, 300)] == [
        *("-", "2.5 µs", "250 µs", "12.3 ms", "2.0 s", "300 s"),
    ]  # fmt: skip
    assert [figures.size(value) for value in (0, 999, 1000, 10**6, 10**9)] == [
        *("0 B", "999 B", "1.0 KiB", "977 KiB", "954 MiB"),
    ]  # fmt: skip
    assert [figures.ago(value) for value in (5, 119, 180, 8000, 10**6)] == ["5 s", "119 s", "3 min", "2 h", "12 d"]
    assert figures.sparkline([0, 1, 2, 4], 3) == "▃▅█"
    assert figures.sparkline([], 3) == ""


def test_a_clients_words_are_no_orders_to_the_terminal() -> None:
    assert visible("answering /\x1b[2Jx\u202e") == "answering /?[2Jx?"


def test_tables_are_in_columns() -> None:
    text = as_text(
        [Table("Title", ("name", "count"), [("a", "1"), ("bbbbb", "22")]), Table("None", ("x",), [], "nothing")]
    )
    assert text == "Title\n  name   count\n  a          1\n  bbbbb     22\n\nNone: nothing"
