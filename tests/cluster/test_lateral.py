"""Answers that a node fetches from another for a batch of requests, and the loads that this makes."""

import os
import signal
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashpy.cluster.choosing import Asked
from flashpy.cluster.front.member import Member
from flashpy.cluster.node.lateral import Batch
from flashpy.cluster.persistent import share
from flashpy.settings import HealthSection, NodeSection
from tests.cluster.running import FILES, LARGE, Cluster
from tests.running import Client, Flashpy, descendants_of, eventually

OF_A, OF_B = ("f0.txt", "f1.txt", "f2.txt"), ("f3.txt", "f4.txt", "f5.txt", "large.bin", "nothing")
CONTENTS = {**FILES, "large.bin": LARGE}


def lateral_cluster(place: Path, policy: str = "lard", **more: str | tuple[str, ...]) -> Cluster:
    """Two nodes, and a policy that knows of nothing yet. No connection goes back because it is idle."""
    return Cluster(place, policy=f'name = "{policy}"', cluster="idle = 60.0", **more)  # type: ignore[arg-type]


def settle(cluster: Cluster) -> None:
    """Have each node get its targets."""
    for other, names in (("b", OF_A), ("a", OF_B)):
        assert cluster.control("POST", f"/drain?node={other}")[0] == 200
        for name in names:
            cluster.get(f"/{name}")
        assert cluster.control("POST", f"/undrain?node={other}")[0] == 200


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two nodes that have their targets."""
    with lateral_cluster(tmp_path_factory.mktemp("lateral")) as running:
        settle(running)
        yield running


def is_quiet(cluster: Cluster) -> bool:
    """Whether no node has anything to do."""
    state = cluster.state()
    return state["active"] == 0 and all(node["load"] == 0 for node in state["nodes"].values())


def is_fetched(cluster: Cluster, name: str, count: int) -> None:
    """Wait until a node has said that it has fetched so many answers."""
    eventually(f"{name} has fetched {count}", lambda: cluster.node(name)["fetched"] == count)


def ask_all(client: Client, names: Iterable[str]) -> None:
    """Ask for all at once."""
    client.send(b"".join(b"GET /%s HTTP/1.1\r\nHost: test\r\n\r\n" % name.encode() for name in names))


def take_all(client: Client, names: Iterable[str]) -> None:
    """The answers are the right ones, in order."""
    for name in names:
        assert client.answer().body == CONTENTS[name], name


def kill(server: Flashpy) -> None:
    """Kill a server with all that it has started."""
    for pid in (server.pid, *descendants_of(server.pid)):
        os.kill(pid, signal.SIGKILL)
    server.process.wait()


@contextmanager
def stopped(pids: Iterable[int]) -> Iterator[None]:
    """While the block runs, these processes do nothing."""
    pids = set(pids)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass


def test_a_batch_is_answered_by_the_node_that_has_the_connection(cluster: Cluster) -> None:
    """What is another's is fetched there, and the connection stays, from batch to batch; a request that comes alone has
    it handed over."""
    before = {name: cluster.node(name) for name in "ab"}
    batch = ["f0.txt", "f3.txt", "f1.txt", "large.bin", "f4.txt", "f2.txt", "f5.txt", "large.bin"]
    with cluster.client() as client:
        for _ in range(2):
            ask_all(client, batch)
            take_all(client, batch)
        is_fetched(cluster, "a", before["a"]["fetched"] + 10)
        after = {name: cluster.node(name) for name in "ab"}
        assert [after[name]["returned"] - before[name]["returned"] for name in "ab"] == [0, 0]
        assert [after[name]["handed"] - before[name]["handed"] for name in "ab"] == [1, 0]
        assert [after[name]["load"] for name in "ab"] == [1, 0]
        assert client.get("/f3.txt").body == FILES["f3.txt"]
        assert [cluster.node(name)["handed"] - before[name]["handed"] for name in "ab"] == [1, 1]
        assert cluster.node("a")["returned"] == before["a"]["returned"] + 1
    eventually("nobody has anything to do", lambda: is_quiet(cluster))


def test_more_than_may_be_under_way_at_a_time(cluster: Cluster) -> None:
    """A batch that is longer than limits.pipeline, of which much comes in the second read."""
    names = ["f0.txt", *(["f3.txt", "f4.txt", "f1.txt"] * 200)]
    with cluster.client() as client:
        ask_all(client, names)
        take_all(client, names)
    eventually("nobody has anything to do", lambda: is_quiet(cluster))


def test_all_kinds_of_answers(cluster: Cluster) -> None:
    """Without bodies, of parts, of files that are not there; and what is not fetched in between, for it has a body."""
    requests = (
        ("GET /f0.txt", "", 200, FILES["f0.txt"]),
        ("HEAD /large.bin", "", 200, b""),
        ("GET /f3.txt", "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT\r\n", 304, b""),
        ("GET /nothing", "", 404, None),
        ("GET /large.bin", "Range: bytes=4-7\r\n", 206, LARGE[4:8]),
        ("GET /large.bin", "", 200, LARGE),
        ("POST /f4.txt", "Content-Length: 5\r\n", 405, None),
        ("GET /f5.txt", "Range: bytes=900000-\r\n", 416, None),
        ("GET /f1.txt", "", 200, FILES["f1.txt"]),
    )
    with cluster.client() as client:
        client.send(
            b"".join(
                f"{line} HTTP/1.1\r\nHost: test\r\n{fields}\r\n{'hello' if line[0] == 'P' else ''}".encode()
                for line, fields, _, _ in requests
            )
        )
        for line, _, status, body in requests:
            head = client.head()
            assert head.status == status, line
            if line[0] != "H" and status != 304:
                read = client.read(int(head.fields["content-length"]))
                assert body is None or read == body, line
            elif line[0] == "H":
                assert head.fields["content-length"] == str(len(LARGE))
        assert client.get("/f2.txt").body == FILES["f2.txt"]
    eventually("nobody has anything to do", lambda: is_quiet(cluster))


def test_the_last_request_of_a_batch_closes(cluster: Cluster) -> None:
    """Connection: close is for the client's connection alone."""
    with cluster.client() as client:
        client.send(
            b"GET /f0.txt HTTP/1.1\r\nHost: t\r\n\r\nGET /f3.txt HTTP/1.1\r\nHost: t\r\n\r\n"
            b"GET /f4.txt HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"
        )
        take_all(client, ["f0.txt", "f3.txt"])
        answer = client.answer()
        assert (answer.body, answer.fields["connection"]) == (FILES["f4.txt"], "close")
        assert client.rest() == b""


def test_a_client_that_goes_away_in_the_middle(cluster: Cluster) -> None:
    """While it is sent something, and while others are asked. Nothing is left of it."""
    with cluster.client() as client:
        ask_all(client, ["f0.txt", "large.bin", "f3.txt", "large.bin", "large.bin"])
        client.read(len(FILES["f0.txt"]) + 100_000)
        assert cluster.node("b")["load"] == 1
    eventually("nobody has anything to do", lambda: is_quiet(cluster))
    with cluster.client() as client:
        assert client.get("/f0.txt").status == 200
        with stopped(cluster.front.workers()):
            ask_all(client, ["f3.txt", "large.bin"])
            client.close()
    eventually("nobody has anything to do", lambda: is_quiet(cluster))


@pytest.mark.parametrize("name", ["f3.txt", "large.bin"])
def test_the_other_node_is_killed(tmp_path: Path, name: str) -> None:
    """Before it has answered: then the one that has the connection answers itself."""
    with lateral_cluster(tmp_path) as cluster:
        settle(cluster)
        b = cluster.nodes["b"]
        with cluster.client() as client, stopped(b.workers()):
            batch = ["f0.txt", "f1.txt", name, "f4.txt", "f2.txt"]
            ask_all(client, batch)
            eventually("the other one is asked", lambda: cluster.node("b")["load"] == 1)
            kill(b)
            take_all(client, batch)
            ask_all(client, batch)
            take_all(client, batch)
        eventually("nobody has anything to do", lambda: is_quiet(cluster))


def test_the_other_node_is_killed_in_the_middle_of_an_answer(tmp_path: Path) -> None:
    """The client's connection breaks off too, and what is asked anew is answered."""
    with lateral_cluster(tmp_path) as cluster:
        settle(cluster)
        with Client(("127.0.0.1", cluster.front.port), receive_buffer=4096) as client:
            ask_all(client, ["f0.txt", "large.bin", "f1.txt"])
            take_all(client, ["f0.txt"])
            assert client.head().status == 200
            kill(cluster.nodes["b"])
            assert len(client.rest()) < len(LARGE)
        assert cluster.get("/large.bin").body == LARGE
        eventually("nobody has anything to do", lambda: is_quiet(cluster))


def test_the_front_end_is_killed(tmp_path: Path) -> None:
    """While answers are fetched, which goes on; and while it is asked, which the node then answers itself."""
    with lateral_cluster(tmp_path) as cluster:
        settle(cluster)
        with Client(("127.0.0.1", cluster.front.port), receive_buffer=4096) as first, cluster.client() as second:
            fetched = ["f0.txt", "large.bin", "f3.txt", "large.bin"]
            ask_all(first, fetched)
            take_all(first, fetched[:1])
            assert second.get("/f1.txt").status == 200
            with stopped(cluster.front.workers()):
                asked = ["f4.txt", "f2.txt", "f5.txt"]
                ask_all(second, asked)
                kill(cluster.front)
            take_all(second, asked)
            take_all(first, fetched[1:])
            assert first.get("/f5.txt").body == FILES["f5.txt"]


def test_a_front_end_that_does_not_say_who(tmp_path: Path) -> None:
    """The node answers itself after a while; and what the front-end says too late does no harm."""
    settings = tmp_path / "node.toml"
    settings.write_text("[server]\nbind = []\n[cluster]\nrelay_timeout = 0.3\n")
    with lateral_cluster(tmp_path, node=("-c", str(settings))) as cluster:
        settle(cluster)
        with cluster.client() as client:
            assert client.get("/f0.txt").body == FILES["f0.txt"]
            with stopped(cluster.front.workers()):
                ask_all(client, ["f3.txt", "f1.txt", "f4.txt"])
                take_all(client, ["f3.txt", "f1.txt", "f4.txt"])
            eventually("it is not believed to be at work", lambda: cluster.node("b")["load"] == 0)
            ask_all(client, ["f3.txt", "f1.txt", "f4.txt"])
            take_all(client, ["f3.txt", "f1.txt", "f4.txt"])
            is_fetched(cluster, "a", 2)
        eventually("nobody has anything to do", lambda: is_quiet(cluster))


def test_a_client_that_takes_its_time(tmp_path: Path) -> None:
    """It is judged by the node that has its connection; what others hold ready for it meanwhile is not given up."""
    settings = tmp_path / "node.toml"
    settings.write_text("[server]\nbind = []\n[limits]\ntimeout_send = 0.3\n")
    with lateral_cluster(tmp_path, node=("-c", str(settings))) as cluster:
        settle(cluster)
        with Client(("127.0.0.1", cluster.front.port), receive_buffer=4096) as client:
            ask_all(client, ["f0.txt", "large.bin", "large.bin"])
            take_all(client, ["f0.txt"])
            assert client.head().status == 200
            read = bytearray()
            while len(read) < 250_000:
                read += client.read(10_000)
                time.sleep(0.1)
            assert read + client.read(len(LARGE) - len(read)) == LARGE
            take_all(client, ["large.bin"])


def test_a_node_that_reads_its_configuration_again(tmp_path: Path) -> None:
    """Its successor is introduced anew, and connections that are kept by its neighbours do not hold it up."""
    with lateral_cluster(tmp_path) as cluster:
        settle(cluster)
        batch = ["f0.txt", "f3.txt", "f4.txt"]
        with cluster.client() as client:
            ask_all(client, batch)
            take_all(client, batch)
            (old,) = cluster.nodes["b"].workers()
            cluster.nodes["b"].tell(signal.SIGHUP)
            eventually("another process serves", lambda: old not in cluster.nodes["b"].workers())
            ask_all(client, batch)
            take_all(client, batch)
        is_fetched(cluster, "a", 4)


def test_clients_are_known_and_logged_once(tmp_path: Path) -> None:
    """By the node that has the connection, though the other one judges them: it believes its neighbour, no client."""
    settings = tmp_path / "node.toml"
    settings.write_text(
        '[server]\nbind = []\n[log]\naccess = true\n[[site.access]]\nmatch = ["/f3.txt"]\nallow = ["127.0.0.9"]\n'
    )
    lie = b"X-Forwarded-For: 127.0.0.9\r\n"
    with lateral_cluster(tmp_path, node=("-c", str(settings))) as cluster:
        settle(cluster)
        for source, status in (("127.0.0.9", 200), ("127.0.0.8", 403)):
            with Client(("127.0.0.1", cluster.front.port), source=source) as client:
                client.send(
                    b"".join(
                        b"GET /%s HTTP/1.1\r\nHost: t\r\n%s\r\n" % (name, lie)
                        for name in (b"f0.txt?x", b"f3.txt?x", b"f4.txt?x")
                    )
                )
                assert [client.answer().status for _ in range(3)] == [200, status, 200]
        is_fetched(cluster, "a", 4)
        eventually("all is logged", lambda: cluster.nodes["a"].stdout.count("?x") == 6)
        lines = [line.split()[0] for line in cluster.nodes["a"].stdout.splitlines() if "?x" in line]
        assert lines == ["127.0.0.9"] * 3 + ["127.0.0.8"] * 3
        assert "?x" not in cluster.nodes["b"].stdout


def test_what_belongs_to_another_host(tmp_path: Path) -> None:
    """Nothing can be fetched there: it is answered where the connection is."""
    path = f"unix:{tmp_path}/r.http"
    more = f'[[cluster.node]]\nname = "r"\naddress = "{path}"\n'
    with lateral_cluster(tmp_path, names="a", more=more) as cluster, Flashpy("node", cluster.site, "--bind", path) as r:
        assert r.urls
        eventually("it is up", lambda: cluster.standing("r") == "up")
        assert cluster.control("POST", "/drain?node=a")[0] == 200
        assert cluster.get("/f3.txt").status == 200
        assert cluster.control("POST", "/undrain?node=a")[0] == 200
        assert cluster.get("/f0.txt").status == 200
        before = cluster.node("r")["relayed"]
        with cluster.client() as client:
            ask_all(client, ["f0.txt", "f3.txt", "f0.txt", "f3.txt"])
            take_all(client, ["f0.txt", "f3.txt", "f0.txt", "f3.txt"])
            assert cluster.node("r")["relayed"] == before
            assert cluster.node("a")["returned"] == 0


def test_by_costs(tmp_path: Path) -> None:
    """With lard-p a node whose disk has little to do reads what is another's itself; else the answer is fetched."""
    batch = ["f0.txt", "f3.txt", "f4.txt"]
    with lateral_cluster(tmp_path, "lard-p") as cluster:
        for number in range(20):
            (cluster.site / f"x{number}.txt").write_text("x")
        settle(cluster)
        with cluster.client() as client:
            ask_all(client, [*batch, "f5.txt"])
            take_all(client, [*batch, "f5.txt"])
            before = cluster.state()["nodes"]
            assert [before[name]["returned"] for name in "ab"] == [0, 0]
        a = cluster.nodes["a"]
        settle(cluster)
        clients = []
        try:
            with stopped(descendants_of(a.pid) - a.workers()):
                assert cluster.control("POST", "/drain?node=b")[0] == 200
                for number in range(20):
                    clients.append(cluster.client())
                    clients[-1].ask(f"/x{number}.txt")
                eventually("its disk is busy", lambda: cluster.node("a")["queued"] >= 5)
                assert cluster.control("POST", "/undrain?node=b")[0] == 200
                fetched = cluster.node("a")["fetched"]
                with cluster.client() as client:
                    ask_all(client, ["f0.txt", "large.bin", "f1.txt", "nothing"])
                    take_all(client, ["f0.txt", "large.bin", "f1.txt"])
                    assert client.answer().status == 404
                is_fetched(cluster, "a", fetched + 2)
            for client in clients:
                assert client.answer().body == b"x"
        finally:
            for client in clients:
                client.close()
        assert [cluster.node(name)["returned"] for name in "ab"] == [0, 0]
        eventually("nobody has anything to do", lambda: is_quiet(cluster))


STEPS = st.lists(st.one_of(st.none(), st.integers(1, 9)), max_size=60)
"""What comes: so many requests together, the first of which is another's; or the end of one that is fetched."""


@given(STEPS)
def test_a_batch_is_one_load_at_most(steps: Sequence[int | None]) -> None:
    """To each other node, whatever the order in which requests come and are answered; and one alone is not fetched."""
    batch = Batch()
    loads: list[Fraction] = []
    for step in steps:
        if step is None:
            if loads:
                batch.over()
                loads.pop(0)
        elif batch.takes(step):
            loads.append(Fraction(share(Asked(b"/t", at="a", batch=batch.size), "b")).limit_denominator(1_000))
        else:
            assert step == 1 or loads
        assert sum(loads) <= 1


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 12)), max_size=40))
def test_nothing_is_left_of_a_load(steps: Sequence[tuple[bool, int]]) -> None:
    """Though fractions are not exact."""
    member = Member(NodeSection("a", "a.sock"), HealthSection())
    for whole, number in steps:
        if whole:
            member.hold(1)
        else:
            member.help(1 / number)
    for whole, number in steps:
        if whole:
            member.hold(-1)
        else:
            member.helped(1 / number)
    assert member.node.load == 0.0 and member.held == 0
