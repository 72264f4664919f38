"""Listening sockets from addresses: what may be bound, and plain sentences for what may not."""

import os
import re
import socket
import stat
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from flashpy.errors import StartError
from flashpy.event.listener import bind, url_of
from tests.running import Client


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def bound(stack: ExitStack, address: str, backlog: int = 16) -> list[socket.socket]:
    """Bind, and close at the end of the test."""
    sockets = bind(address, backlog)
    for sock in sockets:
        stack.callback(sock.close)
    return sockets


def refused(address: str) -> str:
    """The sentence with which an address is refused; no descriptor stays behind."""
    before = os.listdir("/proc/self/fd")
    with pytest.raises(StartError) as caught:
        bind(address, 16)
    assert os.listdir("/proc/self/fd") == before
    sentence = str(caught.value)
    assert re.fullmatch(r"[^\n]+\.", sentence) and "Errno" not in sentence and "Error" not in sentence
    return sentence


@pytest.fixture
def ipv6() -> None:
    """For tests that need ::1."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6")


def test_a_free_port_is_taken_for_0(stack: ExitStack) -> None:
    (sock,) = bound(stack, "127.0.0.1:0")
    assert url_of(sock) == f"http://127.0.0.1:{sock.getsockname()[1]}"
    assert sock.getsockname()[1] > 0
    Client(("127.0.0.1", sock.getsockname()[1])).close()
    assert not sock.getblocking()
    assert not os.get_inheritable(sock.fileno())


def test_no_host_means_all_addresses(stack: ExitStack) -> None:
    (sock,) = bound(stack, ":0")
    assert sock.getsockname()[0] == "0.0.0.0"


def test_a_name_is_bound_on_its_addresses(stack: ExitStack) -> None:
    hosts = {sock.getsockname()[0] for sock in bound(stack, "localhost:0")}
    assert "127.0.0.1" in hosts
    assert hosts <= {"127.0.0.1", "::1"}


@pytest.mark.usefixtures("ipv6")
def test_ipv6(stack: ExitStack) -> None:
    (sock,) = bound(stack, "[::1]:0")
    assert url_of(sock) == f"http://[::1]:{sock.getsockname()[1]}"


@pytest.mark.usefixtures("ipv6")
def test_ipv6_leaves_the_same_port_of_ipv4_free(stack: ExitStack) -> None:
    (wide,) = bound(stack, "[::]:0")
    (narrow,) = bound(stack, f"127.0.0.1:{wide.getsockname()[1]}")
    assert narrow.family == socket.AF_INET


@pytest.mark.parametrize(
    "address",
    [
        "",
        "8000",
        "localhost",
        "127.0.0.1:",
        "127.0.0.1:http",
        "127.0.0.1:65536",
        "127.0.0.1:-1",
        "::1:8000",
        "[::1]",
        "http://127.0.0.1:8000",
        "127.0.0.1:8000/",
        "unix",
    ],
)
def test_what_is_no_address(address: str) -> None:
    assert "write host:port, [ipv6]:port, unix:PATH or fd://N" in refused(address)


@pytest.mark.parametrize("host", ["a..b", "x" * 70 + ".test"])
def test_what_is_no_host_name(host: str) -> None:
    assert "no host name" in refused(f"{host}:0")


def test_an_unknown_host() -> None:
    assert "'no-such-host.invalid' is not known" in refused("no-such-host.invalid:0")


def test_an_address_of_another_machine() -> None:
    assert "This machine has no address 192.0.2.123" in refused("192.0.2.123:0")


def test_a_busy_port(stack: ExitStack) -> None:
    (sock,) = bound(stack, "127.0.0.1:0")
    port = sock.getsockname()[1]
    assert f"Port {port} on 127.0.0.1 is in use already" in refused(f"127.0.0.1:{port}")


@pytest.mark.usefixtures("ipv6")
def test_a_name_with_one_address_busy_leaves_nothing_bound(stack: ExitStack) -> None:
    (sock,) = bound(stack, "127.0.0.1:0")
    port = sock.getsockname()[1]
    assert "in use already" in refused(f"localhost:{port}")
    bound(stack, f"[::1]:{port}")


def test_a_unix_socket_comes_and_goes(tmp_path: Path) -> None:
    path = tmp_path / "s"
    (sock,) = bind(f"unix:{path}", 16)
    assert stat.S_ISSOCK(path.stat().st_mode)
    assert url_of(sock) == f"unix:{path}"
    sock.close()
    assert not path.exists()
    sock.close()


def test_a_relative_unix_socket_goes_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (sock,) = bind("unix:s", 16)
    assert (tmp_path / "s").exists()
    monkeypatch.chdir("/")
    sock.close()
    assert not (tmp_path / "s").exists()


def test_a_stale_unix_socket_is_replaced(tmp_path: Path, stack: ExitStack) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    bound(stack, f"unix:{path}")
    Client(str(path)).close()


def test_a_live_unix_socket_is_not_replaced(tmp_path: Path, stack: ExitStack) -> None:
    path = tmp_path / "s"
    (sock,) = bound(stack, f"unix:{path}")
    assert "it is in use already" in refused(f"unix:{path}")
    sock.accept()[0].close()  # the probe
    Client(str(path)).close()
    sock.accept()[0].close()


def test_a_live_unix_socket_whose_backlog_is_full_is_not_replaced(tmp_path: Path, stack: ExitStack) -> None:
    path = tmp_path / "s"
    bound(stack, f"unix:{path}", backlog=1)
    for _ in range(2):
        stack.enter_context(Client(str(path)))
    assert "it is in use already" in refused(f"unix:{path}")


def test_what_is_no_socket_is_never_removed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("dear")
    refused(f"unix:{path}")
    assert path.read_text() == "dear"


def test_a_link_to_a_stale_socket_is_not_followed(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "s"))
    (tmp_path / "link").symlink_to("s")
    refused(f"unix:{tmp_path}/link")
    assert (tmp_path / "s").exists() and (tmp_path / "link").is_symlink()


@pytest.mark.parametrize("path", ["", "\0abstract", "a\0b"])
def test_what_is_no_socket_path(path: str) -> None:
    assert "names no socket" in refused(f"unix:{path}")


def test_a_unix_path_that_is_too_long(tmp_path: Path) -> None:
    assert "too long" in refused(f"unix:{tmp_path}/{'x' * 200}")


def test_a_unix_path_in_no_directory(tmp_path: Path) -> None:
    assert "No such file or directory" in refused(f"unix:{tmp_path}/none/s")


def test_an_inherited_socket_is_taken_over(stack: ExitStack) -> None:
    given = socket.create_server(("127.0.0.1", 0))
    port = given.getsockname()[1]
    (sock,) = bound(stack, f"fd://{given.detach()}")
    assert url_of(sock) == f"http://127.0.0.1:{port}"
    assert not sock.getblocking()
    Client(("127.0.0.1", port)).close()


def test_an_inherited_socket_that_is_bound_only_listens_from_now_on(stack: ExitStack) -> None:
    with socket.socket() as given:
        given.bind(("127.0.0.1", 0))
        port = given.getsockname()[1]
        (sock,) = bound(stack, f"fd://{given.detach()}")
    Client(("127.0.0.1", port)).close()
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)


def test_the_name_of_an_inherited_unix_socket_stays(tmp_path: Path) -> None:
    path = tmp_path / "s"
    given = socket.socket(socket.AF_UNIX)
    given.bind(str(path))
    (sock,) = bind(f"fd://{given.detach()}", 16)
    sock.close()
    assert path.exists()  # it is for its owner to remove, who may start another server on it


@pytest.mark.parametrize("number", ["", "x", "-1", "987654", "9" * 30, "1e3"])
def test_what_is_no_descriptor(number: str) -> None:
    assert refused(f"fd://{number}") == f"fd://{number} is no listening socket."


def test_a_descriptor_that_is_no_listening_socket_stays_open(tmp_path: Path) -> None:
    one, other = socket.socketpair()
    with one, other, (tmp_path / "file").open("w") as file:
        for fd in (one.fileno(), file.fileno()):
            refused(f"fd://{fd}")
            os.fstat(fd)
