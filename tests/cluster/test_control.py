"""The commands of a cluster, TLS and HTTP/2 at its front-end, and what is said of it."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.running import FILES, LARGE, Cluster
from tests.running import PATIENCE, Flashpy, clean_environment, eventually


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """``flashpy WORDS``, to its end."""
    return subprocess.run(
        [sys.executable, "-m", "flashpy", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=clean_environment(),
    )


def test_draining_and_explaining(tmp_path: Path) -> None:
    """A node that is drained gets nothing new, and --explain says who gets it instead."""
    with Cluster(tmp_path) as cluster:
        assert cluster.get("/f1.txt").status == 200
        asked = run("front", "-c", cluster.file, "--explain", "http://example.org/f1.txt")
        assert "/f1.txt goes to a: a is believed to have it in memory." in asked.stdout
        drained = run("drain", "a", "-c", cluster.file)
        assert (drained.returncode, drained.stdout) == (0, "The node a gets nothing new; it has 0 connections.\n")
        assert "/f1.txt goes to b" in run("front", "-c", cluster.file, "--explain", "/f1.txt").stdout
        assert "Nobody is believed to have it" in run("front", "-c", cluster.file, "--explain", "/f3.txt").stdout
        assert cluster.state()["targets"] == 1, "to ask is no request"
        before = cluster.node("a")["handed"]
        assert cluster.get("/f2.txt").body == FILES["f2.txt"]
        assert cluster.node("a")["handed"] == before
        assert run("drain", "a", "--undo", "-c", cluster.file).returncode == 0
        assert cluster.standing("a") == "up"
        wrong = run("drain", "x", "-c", cluster.file)
        assert wrong.returncode == 2 and "There is no node 'x'; there are a, b." in wrong.stderr
    gone = run("drain", "a", "-c", cluster.file)
    assert gone.returncode == 1 and "The front-end does not answer at" in gone.stderr


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("target", ["/", "/drain", "/explain", "/explain?target=nonsense", "/state", "/drain?node="])
def test_who_drives_it_wrongly_is_told_so(control: Cluster, method: str, target: str) -> None:
    """And nothing happens."""
    status, body = control.control(method, target)
    assert status in (200, 400, 404, 405) and body
    assert (status == 200) == ((method, target) == ("GET", "/state"))


JOINS = ["node=x", "node=x&address=nonsense", "node=x&address=example.org:80", "address=127.0.0.1:1"] + [
    f"node=x&address=127.0.0.1:1&weight={weight}" for weight in ("0", "-1", "nan", "inf", "x")
]


@pytest.mark.parametrize("query", JOINS)
def test_who_may_not_join(control: Cluster, query: str) -> None:
    """What is no node, and nothing whose name would have to be looked up."""
    status, body = control.control("POST", f"/join?{query}")
    assert (status, body[:11]) == (400, b"A node has ")
    assert set(control.state()["nodes"]) == {"a"}


def test_nodes_join_and_leave(tmp_path: Path) -> None:
    """While requests go on; who joins again may be somewhere else."""
    with Cluster(tmp_path, "ab", "both") as cluster:
        assert cluster.control("POST", "/leave?node=b") == (200, b"The node b has left.\n")
        assert set(cluster.state()["nodes"]) == {"a"}
        assert all(cluster.get(f"/{name}").body == content for name, content in FILES.items())
        assert cluster.control("POST", "/leave?node=b")[0] == 404
        assert cluster.control("POST", f"/join?node=b&address=unix:{tmp_path}/b.http&weight=2")[0] == 200
        eventually("b is up", lambda: cluster.standing("b") == "up")
        assert cluster.node("b")["weight"] == 2
        assert cluster.control("POST", "/leave?node=a")[0] == 200
        assert all(cluster.get(f"/{name}").body == content for name, content in FILES.items())
        assert cluster.node("b")["relayed"] == len(FILES)
        assert cluster.control("POST", f"/join?node=b&address=unix:{tmp_path}/a.http")[0] == 200
        eventually("b is up again", lambda: cluster.standing("b") == "up")
        assert all(cluster.get(f"/{name}").body == content for name, content in FILES.items())
        assert cluster.control("POST", "/leave?node=b")[0] == 200
        assert cluster.get("/f1.txt").status == 503


def test_a_node_that_leaves_finishes_what_it_has(tmp_path: Path) -> None:
    """Here an answer that the client takes late."""
    with Cluster(tmp_path, "a", "relay") as cluster, cluster.client() as client:
        client.ask("/large.bin")
        assert client.head().status == 200
        assert cluster.control("POST", "/leave?node=a")[0] == 200
        assert client.read(len(LARGE)) == LARGE


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster to be driven."""
    with Cluster(tmp_path_factory.mktemp("control"), "a") as cluster:
        yield cluster


TLS = """
[server]
bind = ["127.0.0.1:0"]
http2 = true
[tls]
bind = ["127.0.0.1:0"]
self_signed = true
"""


@pytest.mark.parametrize("means", ["passing", "both"])
def test_tls_and_http2_are_relayed(tmp_path: Path, means: str) -> None:
    """To nodes whose connections in clear are passed; TLS ends at the front-end. No node needs an address for that."""
    pytest.importorskip("h2")
    pytest.importorskip("trustme")
    more = TLS.replace('bind = ["127.0.0.1:0"]\nself', 'bind = ["127.0.0.2:0"]\nself')
    with Cluster(tmp_path, means=means, more=more) as cluster:
        plain, secure = cluster.front.urls
        for options in (("--http1.1", "-k", secure), ("--http2", "-k", secure), ("--http2-prior-knowledge", plain)):
            *words, url = options
            for name, content in {**FILES, "large.bin": LARGE}.items():
                done = subprocess.run(
                    ["curl", "-sS", *words, f"{url}/{name}"], capture_output=True, timeout=PATIENCE, check=True
                )
                assert done.stdout == content
        nodes = cluster.state()["nodes"].values()
        assert sum(node["relayed"] for node in nodes) >= 3 * len(FILES)
        assert sum(node["handed"] for node in nodes) == 0
        assert cluster.get("/f1.txt").body == FILES["f1.txt"]
        eventually("nobody has anything to do", lambda: cluster.state()["active"] == 0)
        assert sum(node["handed"] for node in cluster.state()["nodes"].values()) == 1


def test_who_asks_by_tls_is_known_to_a_node_that_trusts_nobody(tmp_path: Path) -> None:
    """The front-end that relays to it is believed on the sockets that it has passed, and there alone. Once an old
    process of the node has gone, its successor is asked."""
    more = TLS.replace("http2 = true\n", "").replace('bind = ["127.0.0.1:0"]\nself', 'bind = ["127.0.0.2:0"]\nself')
    settings = tmp_path / "node.toml"
    settings.write_text("[server]\nbind = []\n[log]\naccess = true\n")
    with Cluster(tmp_path, "a", more=more, node=("-c", str(settings))) as cluster:
        _, secure = cluster.front.urls

        def ask(name: str) -> bytes:
            words = ["curl", "-sSk", "--interface", "127.0.0.9", "-H", "X-Forwarded-For: 192.0.2.1", f"{secure}/{name}"]
            return subprocess.run(words, capture_output=True, timeout=PATIENCE, check=True).stdout

        assert ask("f1.txt") == FILES["f1.txt"]
        (old,) = cluster.nodes["a"].workers()
        cluster.nodes["a"].tell(signal.SIGHUP)
        eventually("another process serves", lambda: old not in cluster.nodes["a"].workers())
        assert ask("f2.txt") == FILES["f2.txt"]
        eventually("both are logged", lambda: cluster.nodes["a"].stdout.count("GET /f") == 2)
        lines = [line.split()[0] for line in cluster.nodes["a"].stdout.splitlines()]
        assert lines == ["127.0.0.9", "127.0.0.9"]
        eventually("nobody has anything to do", lambda: cluster.node("a")["load"] == 0)
        assert cluster.node("a")["relayed"] == 2


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "cluster.node: a front-end takes at least one"),
        ('[[cluster.node]]\nname = "a"\n', "the node a takes handoff or address"),
        ('[[cluster.node]]\nname = "a"\naddress = "x"\n', "'x' is no address"),
        ('[[cluster.node]]\nname = "a"\naddress = ":80"\n', "does not say where the node is"),
        ('[[cluster.node]]\nname = "a"\nhandoff = "x"\n' * 2, "2 nodes are called 'a'"),
        ('[cluster.policy]\nname = "best"\n', "cluster.policy.name: Invalid enum value 'best'"),
        (
            '[server]\nworkers = 2\n[[cluster.node]]\nname = "a"\nhandoff = "x"\n',
            "server.workers: a front-end has one worker",
        ),
    ],
)
def test_what_no_front_end_can_work_with(tmp_path: Path, text: str, why: str) -> None:
    """One sentence, with the file."""
    file = tmp_path / "cluster.toml"
    file.write_text(text)
    done = run("front", "-c", file)
    assert done.returncode == 2
    assert why in done.stderr and str(file) in done.stderr and "Traceback" not in done.stderr


def test_a_node_that_nobody_would_reach(tmp_path: Path) -> None:
    """It takes a socket or an address."""
    done = run("node", tmp_path, "--bind", "")
    assert done.returncode == 2 and "Traceback" not in done.stderr


def test_the_status_of_a_cluster(tmp_path: Path) -> None:
    """The nodes are in the JSON and in the metrics of the admin address."""
    pytest.importorskip("prometheus_client")
    more = '[admin]\nbind = ["127.0.0.2:0"]\n'
    with Cluster(tmp_path, more=more) as cluster:
        assert cluster.get("/f1.txt").status == 200
        line = next(line for line in cluster.front.stderr.splitlines() if "Status and metrics" in line)
        admin = line.split("http://", 1)[1].split(" ")[0]

        def view() -> dict[str, object]:
            said = subprocess.run(["curl", "-sS", f"http://{admin}/-/status.json"], capture_output=True, check=True)
            found: dict[str, object] = json.loads(said.stdout)["cluster"] or {}
            return found

        def is_counted() -> bool:
            nodes = view().get("nodes") or []
            assert isinstance(nodes, list)
            return [node["state"]["handed"] for node in nodes] == [1, 0]

        eventually("it is counted", is_counted)
        metrics = subprocess.run(["curl", "-sS", f"http://{admin}/-/metrics"], capture_output=True, check=True).stdout
        assert b'flashpy_node_handed_total{node="a"} 1.0' in metrics
        assert b'flashpy_node_up{node="b"} 1.0' in metrics
        assert b'flashpy_node_fetched_total{node="a"} 0.0' in metrics
        assert b"flashpy_cluster_replicated_targets 0.0" in metrics
        assert b'flashpy_node_targets{node="a"} 1.0' in metrics
        for name in (b"warming", b"share_targets", b"loaded_targets"):
            assert b'flashpy_node_%s{node="b"} 0.0' % name in metrics


def test_a_single_server_says_nothing_of_a_cluster(tmp_path: Path) -> None:
    """Its file may not even name nodes."""
    file = tmp_path / "flashpy.toml"
    file.write_text('[[cluster.node]]\nname = "a"\nhandoff = "x"\n')
    with Flashpy("-c", file) as server:
        assert server.wait() == 2
        assert "it is for a front-end alone" in server.stderr
