"""Nodes that die, hang, are slow, leave and come back, under real requests."""

import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.cluster.running import FILES, LARGE, Cluster, Load
from tests.running import Client, eventually

MEANS = ("passing", "relay")


@pytest.mark.parametrize("means", MEANS)
def test_a_node_that_is_killed_under_load(tmp_path: Path, means: str) -> None:
    """Its connections break, and all later requests succeed; when it is there again, it is used again."""
    with Cluster(tmp_path, means=means, policy='name = "wrr"') as cluster, Load(cluster) as load:
        load.goes_on()
        node = cluster.nodes["a"]
        for pid in (node.pid, *node.workers()):
            os.kill(pid, signal.SIGKILL)
        node.wait()
        eventually("it is down", lambda: cluster.standing("a") == "down")
        down = time.monotonic()
        load.goes_on()
        assert load.wrong == []
        assert [began for began in load.broken if began > down] == []
        assert len(load.broken) <= load.clients, "one each: that which the node had"
        assert cluster.node("a")["load"] == 0
        cluster.start("a")
        eventually("it is up", lambda: cluster.standing("a") == "up")
        before = cluster.node("a")
        for _ in range(8):  # of new connections; a busy one stays where it is
            assert cluster.get("/f1.txt").status == 200
        after = cluster.node("a")
        assert after["handed"] + after["relayed"] > before["handed"] + before["relayed"]
        assert load.wrong == []


@pytest.mark.parametrize("means", MEANS)
def test_a_node_that_ends_as_it_should_costs_nobody_anything(tmp_path: Path, means: str) -> None:
    """It is drained before, and then told to end."""
    with Cluster(tmp_path, means=means, policy='name = "wrr"') as cluster, Load(cluster) as load:
        load.goes_on()
        assert cluster.control("POST", "/drain?node=a")[0] == 200
        assert cluster.standing("a") == "draining"
        eventually("it has nothing to do", lambda: cluster.node("a")["load"] == 0)
        assert cluster.nodes["a"].end() == 0
        load.goes_on()
        assert (load.broken, load.wrong) == ([], [])


def test_a_node_that_reads_its_configuration_again_gives_its_connections_back(tmp_path: Path) -> None:
    """Its old process ends, the new one is connected to, and no client notices."""
    with Cluster(tmp_path, "a") as cluster, Load(cluster) as load:
        load.goes_on()
        (old,) = cluster.nodes["a"].workers()
        cluster.nodes["a"].tell(signal.SIGHUP)
        eventually("another process serves", lambda: old not in cluster.nodes["a"].workers())
        load.goes_on()
        assert (load.broken, load.wrong) == ([], [])


def test_a_front_end_that_reads_its_configuration_again(tmp_path: Path) -> None:
    """Nodes answer on; what comes back comes to the new process, or stays with the node."""
    with Cluster(tmp_path) as cluster, Load(cluster) as load:
        load.goes_on()
        (old,) = cluster.front.workers()
        cluster.front.tell(signal.SIGHUP)
        eventually("another process serves", lambda: old not in cluster.front.workers())
        load.goes_on()
        assert (load.broken, load.wrong) == ([], [])


def test_a_node_that_is_stuck(tmp_path: Path) -> None:
    """It does not even say that it lives: what comes goes elsewhere."""
    with Cluster(tmp_path, policy='name = "wrr"') as cluster:
        (worker,) = cluster.nodes["a"].workers()
        os.kill(worker, signal.SIGSTOP)
        try:
            eventually("it is down", lambda: cluster.standing("a") == "down")
            for _ in range(3):
                assert cluster.get("/f1.txt").body == FILES["f1.txt"]
        finally:
            os.kill(worker, signal.SIGCONT)
        eventually("it is up", lambda: cluster.standing("a") == "up")


@pytest.mark.parametrize(
    ("cluster", "health"),
    [("relay_timeout = 0.5", "timeout = 30.0"), ("relay_timeout = 60.0", "timeout = 0.5\nfall = 2")],
    ids=["the request takes too long", "a check has failed"],
)
def test_a_node_that_is_stuck_with_requests(tmp_path: Path, cluster: str, health: str) -> None:
    """They are put to another node when they have waited for too long, or as soon as the node is down."""
    with Cluster(tmp_path, "abc", "relay", cluster, 'name = "rr"', health=health) as running:
        (worker,) = running.nodes["a"].workers()
        os.kill(worker, signal.SIGSTOP)
        try:
            for _ in range(3):
                assert running.get("/f1.txt").body == FILES["f1.txt"]
            eventually("it is down", lambda: running.standing("a") == "down")
        finally:
            os.kill(worker, signal.SIGCONT)
        eventually("it is up", lambda: running.standing("a") == "up")


def test_a_request_is_not_put_to_the_same_node_again(tmp_path: Path) -> None:
    """Though that is up, and the only one by the policy."""
    with Cluster(tmp_path, "ab", "relay", "relay_timeout = 0.5", 'name = "hash"', health="fall = 1000") as running:
        explained = {name: json.loads(running.control("POST", f"/explain?target=/{name}")[1]) for name in FILES}
        name = next(name for name, found in explained.items() if found["chosen"] == "a")
        (worker,) = running.nodes["a"].workers()
        os.kill(worker, signal.SIGSTOP)
        try:
            assert running.get(f"/{name}").body == FILES[name]
            assert running.standing("a") == "up"
        finally:
            os.kill(worker, signal.SIGCONT)


def test_a_node_leaves_that_is_stuck_with_a_request(tmp_path: Path) -> None:
    """The request is put to another node when it has waited for too long, and the node is not taken for one again."""
    with (
        Cluster(tmp_path, "ab", "relay", "relay_timeout = 0.5", 'name = "rr"', health="timeout = 30.0") as running,
        running.client() as one,
        running.client() as other,
    ):
        (worker,) = running.nodes["a"].workers()
        os.kill(worker, signal.SIGSTOP)
        try:
            one.ask("/f1.txt")
            other.ask("/f1.txt")
            eventually("the node has a request", lambda: running.node("a")["relayed"] == 1)
            assert running.control("POST", "/leave?node=a")[0] == 200
            assert one.answer().body == other.answer().body == FILES["f1.txt"]
            assert "a does not answer as it should: it takes too long" in running.front.stderr
            assert running.front.stderr.count("The node a is up.") == 1
        finally:
            os.kill(worker, signal.SIGCONT)


def test_a_request_that_may_not_be_repeated(tmp_path: Path) -> None:
    """It may have done something at the node that does not answer (RFC 9110, 9.2.2): 504."""
    with Cluster(tmp_path, "ab", "relay", "relay_timeout = 0.5", 'name = "rr"', health="timeout = 30.0") as running:
        (worker,) = running.nodes["a"].workers()
        os.kill(worker, signal.SIGSTOP)
        try:
            statuses = []
            for _ in range(2):
                with running.client() as client:
                    client.ask("/f1.txt", "Content-Length: 0", method="POST")
                    statuses.append(client.answer().status)
            assert sorted(statuses) == [405, 504]
        finally:
            os.kill(worker, signal.SIGCONT)


def test_the_only_node_is_stuck_for_a_while(tmp_path: Path) -> None:
    """Though it is down by its checks, who waits for it waits on, for nobody else could answer."""
    with Cluster(tmp_path, "a", "relay", "relay_timeout = 60.0", health="timeout = 0.3\nfall = 2") as running:
        (worker,) = running.nodes["a"].workers()
        os.kill(worker, signal.SIGSTOP)
        try:
            with running.client() as client:
                client.ask("/f1.txt")
                eventually("it is down", lambda: running.standing("a") == "down")
                os.kill(worker, signal.SIGCONT)
                assert client.answer().body == FILES["f1.txt"]
        finally:
            os.kill(worker, signal.SIGCONT)


def test_a_node_that_takes_its_time(tmp_path: Path) -> None:
    """What does not fit on the way to it is kept, and comes when it goes on."""
    with Cluster(tmp_path, "a", cluster="connections = 1000") as cluster, ExitStack() as stack:
        (worker,) = cluster.nodes["a"].workers()
        os.kill(worker, signal.SIGSTOP)
        try:
            clients = [stack.enter_context(cluster.client()) for _ in range(400)]
            for client in clients:
                client.ask("/f1.txt")
            eventually("all are placed", lambda: cluster.state()["active"] == len(clients))
            assert cluster.node("a")["handed"] < len(clients)
        finally:
            os.kill(worker, signal.SIGCONT)
        assert {client.answer().body for client in clients} == {FILES["f1.txt"]}


class _Slow(http.server.BaseHTTPRequestHandler):
    """Answers as a node would, but after a while."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        time.sleep(0.3)
        self.send_response(200)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"slow")

    def log_message(self, format: str, *args: object) -> None:
        """Not to be written."""


class _Served(http.server.ThreadingHTTPServer):
    daemon_threads = True


@contextmanager
def slow_node() -> Iterator[str]:
    """A server that is alive and takes its time; its address."""
    with _Served(("127.0.0.1", 0), _Slow) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_node_that_is_slow_is_left_alone(tmp_path: Path) -> None:
    """Though it passes all checks."""
    with slow_node() as address:
        more = f'[[cluster.node]]\nname = "s"\naddress = "{address}"\n'
        with Cluster(tmp_path, means="relay", policy='name = "rr"', more=more) as cluster:
            eventually("it is up", lambda: cluster.standing("s") == "up")
            eventually("it is slow", lambda: "s is slow" in cluster.front.stderr)
            assert cluster.standing("s") == "down"
            assert {cluster.get("/f1.txt").body for _ in range(6)} == {FILES["f1.txt"]}


class Speaker:
    """A node that says something fixed to each request, and closes."""

    def __init__(self, said: bytes, path: Path) -> None:
        self._said = said
        self.address = f"unix:{path}"
        self._sock = socket.socket(socket.AF_UNIX)
        self._sock.bind(str(path))
        self._sock.listen()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> "Speaker":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self._sock.accept()
            except OSError:
                return
            with sock:
                request = sock.recv(65536)
                sock.sendall(b"HTTP/1.1 204 No Content\r\n\r\n" if b" /check " in request else self._said)


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: x-hop\r\nX-Hop: 1\r\nX-End: 2\r\n\r\nhi", 200),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 700\r\n\r\n", 304),
        (b"nonsense\r\n\r\n", 502),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 502),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi", 502),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi, and more", 502),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000, 502),
    ],
)
def test_what_a_node_says(tmp_path: Path, said: bytes, status: int) -> None:
    """It is handed on without what belongs to its connection, or answered 502 (RFC 9110, 7.6.1 and 15.6.3)."""
    with Speaker(said, tmp_path / "speaker.sock") as speaker:
        more = f'[[cluster.node]]\nname = "s"\naddress = "{speaker.address}"\n'
        with Cluster(tmp_path, "", more=more, health='path = "/check"') as cluster:
            eventually("it is up", lambda: cluster.standing("s") == "up")
            with cluster.client() as client:
                client.ask("/")
                head = client.head()
                assert head.status == status
                if status == 200:
                    assert client.read(2) == b"hi"
                    assert "x-hop" not in head.fields


def test_an_answer_that_breaks_off(tmp_path: Path) -> None:
    """The client's connection breaks off too: it is not to take what came for the whole."""
    said = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 10
    with Speaker(said, tmp_path / "speaker.sock") as speaker:
        more = f'[[cluster.node]]\nname = "s"\naddress = "{speaker.address}"\n'
        with Cluster(tmp_path, "", more=more, health='path = "/check"') as cluster:
            eventually("it is up", lambda: cluster.standing("s") == "up")
            with cluster.client() as client:
                client.ask("/")
                assert client.rest().endswith(b"\r\n\r\n" + b"x" * 10)
            eventually("it has nothing to do", lambda: cluster.node("s")["load"] == 0)


def test_a_node_that_says_nothing(tmp_path: Path) -> None:
    """504 (RFC 9110, 15.6.5), after a while."""
    with socket.create_server(("127.0.0.1", 0)) as silent, Speaker(b"", tmp_path / "speaker.sock") as speaker:
        del speaker
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        more = f'[[cluster.node]]\nname = "s"\naddress = "{address}"\n'
        with Cluster(tmp_path, "", more=more, cluster="relay_timeout = 0.2", health="timeout = 30.0") as cluster:
            first, _ = silent.accept()  # the check
            rest: list[socket.socket] = [first]

            def pass_checks() -> bool:
                rest[-1].sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
                if cluster.standing("s") == "up":
                    return True
                rest.append(silent.accept()[0])
                return False

            eventually("it is up", pass_checks)
            assert cluster.get("/f1.txt").status == 504
            for sock in rest:
                sock.close()


def test_no_node_at_all(tmp_path: Path) -> None:
    """503 with Retry-After (RFC 9110, 15.6.4), and not after a wait."""
    more = '[[cluster.node]]\nname = "s"\nhandoff = "nobody.sock"\n'
    with Cluster(tmp_path, "", more=more) as cluster:
        answer = cluster.get("/f1.txt")
        assert (answer.status, answer.fields["retry-after"]) == (503, "1")


@pytest.mark.parametrize("means", MEANS)
def test_no_more_than_the_nodes_may_have(tmp_path: Path, means: str) -> None:
    """Some wait until there is room; who finds too many waiting is answered 503."""
    with Cluster(tmp_path, "a", means, "connections = 2\nqueue = 1\nidle = 0.1") as cluster:
        takers = [Client(("127.0.0.1", cluster.front.port), receive_buffer=4096) for _ in range(2)]
        for taker in takers:  # they have a node's attention for as long as they read nothing
            taker.ask("/large.bin")
            taker.head()
        eventually("there is no room", lambda: cluster.state()["active"] == 2)
        with cluster.client() as waiting:
            waiting.ask("/f1.txt")
            eventually("it waits", lambda: cluster.state()["waiting"] == 1)
            refused = cluster.get("/f2.txt")
            assert (refused.status, refused.fields["retry-after"]) == (503, "1")
            assert takers[0].read(len(LARGE)) == LARGE
            assert waiting.answer().body == FILES["f1.txt"]
        for taker in takers:
            taker.close()
        eventually("nobody has anything to do", lambda: cluster.state()["active"] == 0)
        assert cluster.state()["refused"] == 1


def test_who_waits_too_long(tmp_path: Path) -> None:
    """Is answered 503 too."""
    with (
        Cluster(tmp_path, "a", "relay", "connections = 1\nqueue_timeout = 0.2") as cluster,
        Client(("127.0.0.1", cluster.front.port), receive_buffer=4096) as taker,
    ):
        taker.ask("/large.bin")
        taker.head()
        assert cluster.get("/f2.txt").status == 503


def test_a_single_server_has_nothing_of_a_cluster(tmp_path: Path) -> None:
    """Not even in memory."""
    code = (
        "import sys, asyncio; from flashpy.server import Server\n"
        "import flashpy.supervisor.supervisor, flashpy.cli.serve\n"
        f"async def serve():\n    async with Server({str(tmp_path)!r}): pass\n"
        "asyncio.run(serve())\n"
        "print([name for name in sys.modules if name.startswith('flashpy.cluster')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
