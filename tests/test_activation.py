"""Sockets passed as systemd passes them: in processes of their own, and what is wrong with the variables."""

import os
import socket
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from flashpy.activation import Passed, by_number, take_passed
from flashpy.errors import StartError
from tests.running import Client, Flashpy

SYSTEMD = """
import fcntl, os, sys
pid, names = sys.argv[2], sys.argv[3]
sockets = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, 500) for fd in sys.argv[1].split(",")]  # out of the way
for at, fd in enumerate(sockets):
    os.dup2(fd, 3 + at)
    os.close(fd)
os.environ |= {"LISTEN_FDS": str(len(sockets)), "LISTEN_PID": pid or str(os.getpid())}
if names:
    os.environ["LISTEN_FDNAMES"] = names
os.execvp(sys.argv[4], sys.argv[4:])
"""


def activated(
    *arguments: str | Path, sockets: list[socket.socket], names: str = "", pid: str = "", port: str | None = None
) -> Flashpy:
    """A flashpy to which these sockets are passed as systemd does: from 3 on, with the process's number."""
    fds = [sock.fileno() for sock in sockets]
    return Flashpy(
        *arguments,
        shell=f"exec {sys.executable} -c '{SYSTEMD}' {','.join(map(str, fds))} '{pid}' '{names}' \"$@\"",
        fds=fds,
        environment={} if port is None else {"PORT": port},
    )


@pytest.fixture
def sockets(stack: ExitStack) -> list[socket.socket]:
    """Two listening sockets."""
    return [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2)]


def port_of(sock: socket.socket) -> int:
    port: int = sock.getsockname()[1]
    return port


def test_what_is_passed_is_listened_on(tmp_path: Path, sockets: list[socket.socket]) -> None:
    (tmp_path / "a").write_text("passed")
    with activated(tmp_path, sockets=sockets) as server:
        assert server.urls == [f"http://127.0.0.1:{port_of(sock)}" for sock in sockets]
        for sock in sockets:
            with Client(("127.0.0.1", port_of(sock))) as client:
                assert client.get("/a").body == b"passed"
        assert server.end() == 0


def test_helpers_get_neither_the_sockets_nor_the_variables(tmp_path: Path, sockets: list[socket.socket]) -> None:
    with activated(tmp_path, sockets=sockets) as server:
        assert server.get("/").status == 404
        inodes = {os.readlink(f"/proc/self/fd/{sock.fileno()}") for sock in sockets}
        assert server.helpers()
        for helper in server.helpers():
            links = {os.readlink(entry.path) for entry in os.scandir(f"/proc/{helper}/fd")}
            assert not links & inodes
            assert b"LISTEN_" not in Path(f"/proc/{helper}/environ").read_bytes()


@pytest.mark.parametrize("how", ["option", "environment", "file"])
def test_addresses_that_are_given_come_first(tmp_path: Path, sockets: list[socket.socket], how: str) -> None:
    (tmp_path / "f.toml").write_text('[server]\nbind = ["127.0.0.1:0"]\n')
    given: dict[str, list[str | Path]] = {"option": ["--port", "0"], "file": ["-c", tmp_path / "f.toml"]}
    port = "0" if how == "environment" else None
    with activated(tmp_path, *given.get(how, []), sockets=sockets[:1], names="web", port=port) as server:
        assert port_of(sockets[0]) != server.port
        said = "Nobody is served on the socket 'web' that systemd passed; add fd://web to server.bind or tls.bind."
        assert said in server.stderr


def test_sockets_by_name(tmp_path: Path, sockets: list[socket.socket]) -> None:
    with activated(tmp_path, "-b", "fd://web", sockets=sockets, names="admin:web") as server:
        assert server.urls == [f"http://127.0.0.1:{port_of(sockets[1])}"]


def test_a_name_that_was_not_passed(tmp_path: Path, sockets: list[socket.socket]) -> None:
    with activated(tmp_path, "-b", "fd://www", sockets=sockets, names="admin:web") as server:
        assert server.wait() == 1
        assert server.stderr == ("flashpy: fd://www: systemd passed no socket of this name; it passed: admin, web.\n")


def test_a_socket_of_the_wrong_kind(tmp_path: Path) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        with activated(tmp_path, sockets=[sock]) as server:
            assert server.wait() == 1
            assert server.stderr == "flashpy: fd://3 is no listening socket.\n"


def test_what_is_meant_for_another_process_is_ignored(tmp_path: Path, sockets: list[socket.socket]) -> None:
    with activated(tmp_path, "--port", "0", sockets=sockets, pid="1") as server:
        assert server.urls
        assert "systemd passed" not in server.stderr


def variables(monkeypatch: pytest.MonkeyPatch, count: str, names: str | None = None) -> None:
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.setenv("LISTEN_FDS", count)
    if names is not None:
        monkeypatch.setenv("LISTEN_FDNAMES", names)


def test_nothing_is_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LISTEN_PID", raising=False)
    assert take_passed() == []
    variables(monkeypatch, "0")
    assert take_passed() == []
    assert "LISTEN_FDS" not in os.environ


@pytest.mark.parametrize(
    ("count", "names", "said"),
    [
        ("many", None, "LISTEN_FDS is 'many'"),
        ("-1", None, "LISTEN_FDS is '-1'"),
        ("", None, "LISTEN_FDS is ''"),
        ("9" * 30, None, "LISTEN_FDS is '999"),
        ("2", "one", "LISTEN_FDNAMES has 1 names for 2 descriptors"),
        ("999999", None, "LISTEN_FDS tells of 999999 descriptors, but"),
    ],
)
def test_variables_that_are_malformed(
    monkeypatch: pytest.MonkeyPatch, count: str, names: str | None, said: str
) -> None:
    variables(monkeypatch, count, names)
    monkeypatch.setattr("flashpy.activation.FIRST", 10**6)  # none of the descriptors of this process
    with pytest.raises(StartError, match=said):
        take_passed()
    assert "LISTEN_PID" not in os.environ


def test_names_become_numbers() -> None:
    passed = [Passed(3, "web"), Passed(4, "admin"), Passed(5, "web")]
    assert by_number([":80", "fd://web", "fd://9"], passed) == [":80", "fd://3", "fd://5", "fd://9"]
    with pytest.raises(StartError, match="it passed: none"):
        by_number(["fd://web"], [])
