"""Listening sockets from addresses: what may be bound, and plain sentences for what may not."""

import errno
import gc
import os
import re
import socket
import stat
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from flashpy.errors import StartError
from flashpy.event import sockets as module
from flashpy.event.sockets import client_of, flat, url_of
from flashpy.event.unixsockets import _set_mode
from tests.running import PATIENCE, REPOSITORY, Client


def listen(addresses: Sequence[str], backlog: int, unix_mode: int | None = None) -> list[socket.socket]:
    """The sockets, whatever address each is for."""
    return flat(module.listen(addresses, backlog, unix_mode))


def bound(stack: ExitStack, *addresses: str, backlog: int = 16) -> list[socket.socket]:
    """Bind, and close at the end of the test."""
    sockets = listen(addresses, backlog)
    for sock in sockets:
        stack.callback(sock.close)
    return sockets


def refused(*addresses: str) -> str:
    """The sentence with which addresses are refused; no descriptor stays behind."""
    gc.collect()  # what others have left behind goes now, not while we count
    before = os.listdir("/proc/self/fd")
    with pytest.raises(StartError) as caught:
        listen(addresses, 16)
    assert os.listdir("/proc/self/fd") == before
    sentence = str(caught.value)
    assert re.fullmatch(r"[^\n]+\.", sentence) and "Errno" not in sentence and "Error" not in sentence
    return sentence


def accept(sock: socket.socket) -> object:
    """Accept a connection, and close it; the address that it came from."""
    sock.settimeout(PATIENCE)
    connection, address = sock.accept()
    connection.close()
    return address


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


@pytest.mark.usefixtures("ipv6")
@pytest.mark.parametrize("address", ["[::]:0", ":0"])
def test_all_addresses_are_those_of_ipv4_too(stack: ExitStack, address: str) -> None:
    (sock,) = bound(stack, address)
    assert url_of(sock) == f"http://[::]:{sock.getsockname()[1]}"
    for host in ("127.0.0.1", "::1"):
        with socket.create_connection((host, sock.getsockname()[1])) as client:
            client.send(b"x")  # what it waits for: TCP_DEFER_ACCEPT
            assert client_of(accept(sock)) == host


def test_without_ipv6_all_addresses_are_those_of_ipv4(stack: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flashpy.event.sockets._has_ipv6", lambda: False)
    (sock,) = bound(stack, ":0")
    assert sock.getsockname()[0] == "0.0.0.0"


@pytest.mark.usefixtures("ipv6")
@pytest.mark.parametrize("wide", ["[::]", ""])
@pytest.mark.parametrize("first", [True, False])
def test_ipv4_can_be_given_beside_all_of_ipv6(stack: ExitStack, wide: str, first: bool) -> None:
    (probe,) = bound(stack, "127.0.0.1:0")
    port = probe.getsockname()[1]
    probe.close()
    addresses = [f"{wide}:{port}", f"0.0.0.0:{port}"]
    both = bound(stack, *(addresses if first else reversed(addresses)))
    assert {sock.family for sock in both} == {socket.AF_INET, socket.AF_INET6}


@pytest.mark.usefixtures("ipv6")
@pytest.mark.parametrize("narrow", ["127.0.0.1", "[::1]", "[::]"])
def test_an_address_that_another_one_has_taken_already(stack: ExitStack, narrow: str) -> None:
    (probe,) = bound(stack, "127.0.0.1:0")
    port = probe.getsockname()[1]
    probe.close()
    sentence = refused(f"[::]:{port}", f"{narrow}:{port}")
    assert sentence == f"Port {port} on {narrow.strip('[]')} is in use already: another address of this server has it."


@pytest.mark.parametrize(
    ("address", "client"),
    [
        (("192.0.2.1", 1), "192.0.2.1"),
        (("::ffff:192.0.2.1", 1, 0, 0), "192.0.2.1"),
        (("::ffff:0:c000:201", 1, 0, 0), "::ffff:0:c000:201"),
        (("2001:db8::1", 1, 0, 0), "2001:db8::1"),
        ("", "unix:"),
        (b"\0name", "unix:"),
    ],
)
def test_who_has_connected(address: object, client: str) -> None:
    assert client_of(address) == client


def test_a_name_is_bound_on_its_addresses(stack: ExitStack) -> None:
    hosts = {sock.getsockname()[0] for sock in bound(stack, "localhost:0")}
    assert "127.0.0.1" in hosts
    assert hosts <= {"127.0.0.1", "::1"}


@pytest.mark.usefixtures("ipv6")
def test_ipv6(stack: ExitStack) -> None:
    (sock,) = bound(stack, "[::1]:0")
    assert url_of(sock) == f"http://[::1]:{sock.getsockname()[1]}"


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
    (sock,) = listen([f"unix:{path}"], 16)
    assert stat.S_ISSOCK(path.stat().st_mode)
    assert url_of(sock) == f"unix:{path}"
    sock.close()
    assert not path.exists()
    sock.close()


def test_a_relative_unix_socket_goes_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (sock,) = listen(["unix:s"], 16)
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


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666])
def test_a_unix_socket_has_its_mode_whatever_the_umask_is(tmp_path: Path, mode: int) -> None:
    before = os.umask(0o077)
    try:
        (sock,) = listen([f"unix:{tmp_path}/s"], 16, mode)
    finally:
        os.umask(before)
    with sock:
        assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == mode


def test_the_mode_is_set_before_anybody_can_connect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    chmod = os.chmod

    def look(path: str, mode: int) -> None:
        with socket.socket(socket.AF_UNIX) as early:
            seen.append(early.connect_ex(str(tmp_path / "s")))
        chmod(path, mode)

    monkeypatch.setattr(os, "chmod", look)
    with listen([f"unix:{tmp_path}/s"], 16, 0o600)[0]:
        assert seen == [errno.ECONNREFUSED]


def test_a_name_that_was_exchanged_leads_to_no_other_file(tmp_path: Path) -> None:
    (tmp_path / "dear").write_text("")
    (tmp_path / "dear").chmod(0o600)
    (tmp_path / "link").symlink_to("dear")
    for name in ("dear", "link"):
        with pytest.raises(OSError):
            _set_mode(str(tmp_path / name), 0o666)
    assert stat.S_IMODE((tmp_path / "dear").stat().st_mode) == 0o600


def test_an_abstract_name_is_in_no_directory(stack: ExitStack) -> None:
    name = f"flashpy-test-{os.getpid()}"
    (sock,) = bound(stack, f"unix:@{name}")
    assert url_of(sock) == f"unix:@{name}"
    Client(f"\0{name}").close()
    assert client_of(accept(sock)) == "unix:"
    assert refused(f"unix:@{name}") == f"The socket @{name} cannot be bound: it is in use already."


FAMILY = f"""
import os, sys
sys.path.append({str(REPOSITORY)!r})
from flashpy.event.sockets import listen
((sock,),) = listen(["unix:" + sys.argv[1]], 16).values()
child = os.fork()
if child == 0:
    sock.close()
    os._exit(0)
os.waitpid(child, 0)
print(os.path.exists(sys.argv[1]))
sock.close()
print(os.path.exists(sys.argv[1]))
"""


def test_the_name_stays_when_a_child_closes_the_socket(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FAMILY, f"{tmp_path}/s"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert done.stdout.split() == ["True", "False"]


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


@pytest.mark.parametrize("path", ["", "@", "\0abstract", "a\0b"])
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
    (sock,) = listen([f"fd://{given.detach()}"], 16)
    sock.close()
    assert path.exists()  # it is for its owner to remove, who may start another server on it


@pytest.mark.parametrize("number", ["x", "-1", "987654", "9" * 30, "1e3"])
def test_what_is_no_descriptor(number: str) -> None:
    assert refused(f"fd://{number}") == f"fd://{number} is no listening socket."


def test_a_descriptor_is_given_once(stack: ExitStack) -> None:
    with socket.create_server(("127.0.0.1", 0)) as given:
        fd = os.dup(given.fileno())
        with pytest.raises(StartError, match=f"fd://{fd} is given twice"):
            listen([f"fd://{fd}", f"fd://{fd}"], 16)


def test_an_inherited_socket_waits_for_the_first_request(stack: ExitStack) -> None:
    (sock,) = bound(stack, f"fd://{socket.create_server(('127.0.0.1', 0)).detach()}")
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT)
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_descriptor_that_is_no_listening_socket_stays_open(tmp_path: Path) -> None:
    one, other = socket.socketpair()
    datagrams, packets = socket.socket(type=socket.SOCK_DGRAM), socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    packets.bind(f"{tmp_path}/packets")
    with one, other, datagrams, packets, (tmp_path / "file").open("w") as file:
        for fd in (each.fileno() for each in (one, datagrams, packets, file)):
            refused(f"fd://{fd}")
            os.fstat(fd)
