"""The four architectures: what each must do with connections, whoever waits. What they answer is tests/conformance."""

import os
import signal
import socket
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from flashpy.arch.blocking import share
from flashpy.server import Background, background
from flashpy.settings import Config
from tests.running import PATIENCE, Client, Flashpy, children_of, descendants_of, eventually, is_alive, title_of
from tests.test_server import Unchanged

BIG = 64 * 2**20
BLOCKING = ("mp", "mt")
every = pytest.mark.parametrize("architecture", ["amped", "sped", "mp", "mt"])
blocking = pytest.mark.parametrize("architecture", BLOCKING)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "index.html").write_text("hello")
    with (tmp_path / "big").open("wb") as file:
        file.truncate(BIG)
    return tmp_path


def serve(stack: ExitStack, root: Path, architecture: str, *, grace: float = 5.0, **sections: Any) -> Background:
    """A server of an architecture until the test ends."""
    server = {"architecture": architecture, "concurrency": 8, "timeout_graceful_shutdown": grace}
    return stack.enter_context(background(root, server=server, **sections))


def port_of(server: Background) -> int:
    return int(server.url.rpartition(":")[2])


def connect(stack: ExitStack, server: Background, **how: Any) -> Client:
    """A connection until the test ends."""
    return stack.enter_context(Client(("127.0.0.1", port_of(server)), **how))


@every
def test_a_file_large_and_whole(stack: ExitStack, root: Path, architecture: str) -> None:
    content = os.urandom(3 * 2**20 + 17)
    (root / "large").write_bytes(content)
    client = connect(stack, serve(stack, root, architecture))
    assert client.get("/large").body == content
    answer = client.get("/large", "Range: bytes=5-9,1000000-3000000")
    assert answer.status == 206
    assert content[5:10] in answer.body and content[1000000:3000001] in answer.body
    assert client.get("/").body == b"hello"


@every
def test_clients_at_once_while_caches_overflow(stack: ExitStack, root: Path, architecture: str) -> None:
    """With room for one entry each in the caches, everybody evicts everybody's."""
    for number in range(40):
        (root / f"{number}").write_bytes(b"%d" % number * 5000)
    small = {"pathname_entries": 8, "header_entries": 8, "file_entries": 8, "valid": 0.001, "negative_valid": 0.001}
    server = serve(stack, root, architecture, cache=small)
    wrong: list[str] = []

    def ask(seed: int) -> None:
        with Client(("127.0.0.1", port_of(server))) as client:
            for step in range(300):
                number = (seed * 7 + step * 13) % 41
                answer = client.get(f"/{number}")
                expected = (200, b"%d" % number * 5000) if number < 40 else (404, answer.body)
                if (answer.status, answer.body) != expected:
                    wrong.append(f"{number}: {answer.status}")

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    metrics = server.metrics()
    assert metrics["faults"] == 0


@every
def test_what_is_counted(stack: ExitStack, root: Path, architecture: str) -> None:
    server = serve(stack, root, architecture)
    for _ in range(3):
        with Client(("127.0.0.1", port_of(server))) as client:
            assert [client.get("/").status, client.get("/none").status] == [200, 404]

    def all_counted() -> bool:
        metrics = server.metrics()
        return bool((metrics["connections_accepted"], metrics["requests"], metrics["connections"]) == (3, 6, 0))

    eventually("all is counted", all_counted)
    with Client(("127.0.0.1", port_of(server))) as client:
        client.get("/")
        eventually("the connection is counted", lambda: server.metrics()["connections"] == 1)


@every
def test_a_client_that_takes_nothing_is_cut_off(stack: ExitStack, root: Path, architecture: str) -> None:
    server = serve(stack, root, architecture, limits={"timeout_send": 0.5})
    client = connect(stack, server, receive_buffer=4096)
    client.ask("/big")
    eventually("it is cut off", lambda: server.metrics()["timeouts"] == 1)


@every
def test_a_client_that_takes_too_little_is_cut_off(stack: ExitStack, root: Path, architecture: str) -> None:
    limits = {"timeout_send": 0.5, "min_send_rate": 100 * 2**20}
    server = serve(stack, root, architecture, limits=limits)
    client = connect(stack, server, receive_buffer=4096)
    client.ask("/big")

    def cut_off() -> bool:
        client.sock.recv(4096)
        return bool(server.metrics()["timeouts"] == 1)

    eventually("it is cut off", cut_off)


@every
def test_a_file_that_shrinks_ends_the_connection(stack: ExitStack, root: Path, architecture: str) -> None:
    server = serve(stack, root, architecture)
    client = connect(stack, server, receive_buffer=4096)
    client.ask("/big")
    assert client.sock.recv(1000)
    os.truncate(root / "big", 1000)
    received = 1000
    while data := client.sock.recv(2**20):
        received += len(data)
    assert received < BIG
    eventually("it is counted", lambda: server.metrics()["truncated"] == 1)


@every
def test_the_access_log(root: Path, tmp_path_factory: pytest.TempPathFactory, architecture: str) -> None:
    path = tmp_path_factory.mktemp("log") / "access.log"
    log = {"access": True, "access_file": str(path)}
    with ExitStack() as stack:
        server = serve(stack, root, architecture, log=log)
        client = connect(stack, server)
        client.ask("/", "User-Agent: a")
        client.ask("/none", "Connection: close")
        assert (client.answer().status, client.answer().status) == (200, 404)
        eventually("two lines are there", lambda: path.exists() and path.read_text().count("\n") == 2)
        with Client(("127.0.0.1", port_of(server)), receive_buffer=4096) as cut:
            cut.ask("/big")
            assert cut.sock.recv(1000)
        eventually("three lines are there", lambda: path.exists() and path.read_text().count("\n") == 3)
    first, second, third = path.read_text().splitlines()
    assert '"GET / HTTP/1.1" 200 5 "-" "a" ' in first
    assert '"GET /none HTTP/1.1" 404 ' in second
    assert 0 < int(third.split('" 200 ')[1].split()[0]) < BIG


@every
def test_a_unix_socket(root: Path, tmp_path: Path, architecture: str) -> None:
    path = str(tmp_path / "socket")
    with Flashpy(root, "--bind", f"unix:{path}", "--architecture", architecture, "--concurrency", "4") as flashpy:
        assert flashpy.urls
        with Client(path) as client:
            assert client.get("/").body == b"hello"
        assert flashpy.end() == 0
    assert not os.path.exists(path)


@every
def test_an_idle_connection_does_not_hold_up_the_end(root: Path, architecture: str) -> None:
    with ExitStack() as stack:
        server = serve(stack, root, architecture, grace=PATIENCE)
        client = connect(stack, server)
        assert client.get("/").status == 200
        began = time.monotonic()
        stack.pop_all().close()
        assert time.monotonic() - began < PATIENCE / 2
        client.close()


@every
def test_a_request_under_way_is_answered_at_the_end(root: Path, architecture: str) -> None:
    """Of a large file too, as fast as the client takes it."""
    with ExitStack() as stack, ExitStack() as clients:
        server = serve(stack, root, architecture, grace=PATIENCE)
        client = connect(clients, server, receive_buffer=65536)
        client.ask("/big")
        beginning = client.sock.recv(1000)
        end = threading.Thread(target=stack.pop_all().close)
        end.start()
        received = len(beginning)
        while data := client.sock.recv(2**20):
            received += len(data)
        end.join()
        assert received > BIG


@every
def test_who_takes_too_long_is_cut_off_at_the_end(root: Path, architecture: str) -> None:
    with ExitStack() as stack, ExitStack() as clients:
        server = serve(stack, root, architecture, grace=0.5)
        client = connect(clients, server, receive_buffer=4096)
        client.ask("/big")
        assert client.sock.recv(1000)
        began = time.monotonic()
        stack.pop_all().close()
        assert 0.4 < time.monotonic() - began < PATIENCE / 2


@every
def test_nothing_is_left_behind(root: Path, architecture: str) -> None:
    threads = threading.active_count()
    with Unchanged():
        for _ in range(3):
            with ExitStack() as stack:
                client = connect(stack, serve(stack, root, architecture))
                assert client.get("/").status == 200
    assert threading.active_count() == threads


@every
def test_a_log_that_cannot_be_opened(root: Path, architecture: str) -> None:
    with Flashpy(root, "--port", "0", "--architecture", architecture, "-c", str(root / "c.toml")) as flashpy:
        assert flashpy.wait() == 2  # there is no such file
    (root / "c.toml").write_text('[log]\naccess = true\naccess_file = "/nowhere/access.log"\n')
    with Flashpy(root, "--port", "0", "--architecture", architecture, "-c", str(root / "c.toml")) as flashpy:
        assert flashpy.wait() == 1
        assert "The access log /nowhere/access.log cannot be opened" in flashpy.stderr
        assert "Traceback" not in flashpy.stderr


@blocking
def test_one_more_than_there_are_waits_its_turn(stack: ExitStack, root: Path, architecture: str) -> None:
    server = serve(stack, root, architecture)
    clients = [connect(stack, server) for _ in range(8)]
    assert [client.get("/").status for client in clients] == [200] * 8
    more = connect(stack, server)
    more.ask("/")
    more.sock.settimeout(0.3)
    with pytest.raises(TimeoutError):
        more.sock.recv(1)
    more.sock.settimeout(PATIENCE)
    clients[0].close()
    assert more.answer().status == 200


def test_an_exception_is_answered_500(stack: ExitStack, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("flashpy.arch.blocking.do", fail)
    server = serve(stack, root, "mt")
    client = connect(stack, server)
    assert client.get("/").status == 500
    assert server.metrics()["faults"] == 1


def test_a_worker_that_dies_is_replaced(stack: ExitStack, root: Path) -> None:
    server = serve(stack, root, "mp")
    workers = server.metrics()["workers"]
    assert len(workers) == 8
    eventually("all say what they are", lambda: all("worker" in title_of(pid) for pid in workers))
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    eventually("others are there", lambda: len(set(server.metrics()["workers"]) - set(workers)) == 8)
    assert connect(stack, server).get("/").status == 200


def test_when_the_master_dies_nobody_stays(stack: ExitStack, root: Path) -> None:
    server = serve(stack, root, "mp")
    workers = server.metrics()["workers"]
    (master,) = {pid for pid in children_of(os.getpid()) if "master" in title_of(pid)}
    os.kill(master, signal.SIGKILL)
    eventually("the workers are gone", lambda: not any(map(is_alive, workers)))
    assert server.metrics()["workers"] == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_when_the_server_dies_nobody_stays(root: Path, number: signal.Signals) -> None:
    with Flashpy(root, "--port", "0", "--architecture", "mp", "--concurrency", "4") as flashpy:
        assert flashpy.get("/").status == 200
        processes = descendants_of(flashpy.pid)
        assert len(processes) == 6  # the worker, which is the server here; MP's master; its workers
        flashpy.tell(number)
        flashpy.wait()
        eventually("all are gone", lambda: not any(map(is_alive, processes)))


def test_a_master_that_cannot_start(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from flashpy.errors import StartError

    monkeypatch.setattr("sys.executable", "/nowhere/python")
    with Unchanged(), ExitStack() as stack, pytest.raises(StartError, match="does not start"):
        serve(stack, root, "mp")


def test_shares_of_a_budget() -> None:
    assert [share(100, 8), share(3, 8), share(0, 8)] == [12, 1, 0]


def test_the_default_is_amped() -> None:
    assert Config().server.architecture == "amped"


@every
def test_a_signal_ends_it(root: Path, architecture: str) -> None:
    with Flashpy(root, "--port", "0", "--architecture", architecture) as flashpy:
        assert architecture == "amped" or f"({architecture}, for comparison)" in (flashpy.urls and flashpy.stderr)
        with socket.create_connection(("127.0.0.1", flashpy.port)):
            assert flashpy.end(signal.SIGINT) == 0
