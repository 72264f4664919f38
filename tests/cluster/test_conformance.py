"""What is true whatever means a node is reached by: one suite for all implementations of Handoff."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.running import FILES, LARGE, Cluster
from tests.running import Client, eventually

MEANS = ("passing", "relay")


@pytest.fixture(scope="module", params=MEANS)
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two nodes behind a front-end, over sockets of real processes."""
    with Cluster(tmp_path_factory.mktemp("cluster"), means=request.param, policy='name = "hash"') as running:
        yield running


def is_quiet(cluster: Cluster) -> bool:
    """Whether no node has anything to do."""
    state = cluster.state()
    return state["active"] == 0 and all(node["load"] == 0 for node in state["nodes"].values())


def test_files_come_whole(cluster: Cluster) -> None:
    """Small ones, which leave with their heads, and one that takes many turns."""
    for name, content in FILES.items():
        answer = cluster.get(f"/{name}")
        assert (answer.status, answer.body) == (200, content)
    answer = cluster.get("/large.bin")
    assert answer.status == 200
    assert answer.body == LARGE


def test_the_requests_of_a_connection_go_where_their_targets_are(cluster: Cluster) -> None:
    """And their answers are the right ones, in turn after turn; both nodes take part."""
    with cluster.client() as client:
        for _ in range(3):
            for name, content in FILES.items():
                assert client.get(f"/{name}").body == content
    nodes = cluster.state()["nodes"]
    assert all(node["handed"] + node["relayed"] for node in nodes.values())


def test_pipelined_requests_are_answered_in_order(cluster: Cluster) -> None:
    """Though they are different nodes' to answer, and one of the answers is long."""
    names = [*FILES, "large.bin", *FILES]
    with cluster.client() as client:
        client.send(b"".join(b"GET /%s HTTP/1.1\r\nHost: test\r\n\r\n" % name.encode() for name in names))
        for name in names:
            assert client.answer().body == FILES.get(name, LARGE)


def test_a_head_that_comes_in_parts(cluster: Cluster) -> None:
    """Nobody is chosen before it is whole."""
    with cluster.client() as client:
        for part in (
            b"GET /f3.t",
            b"xt HTTP/1.1\r\nHo",
            b"st: test\r\n",
            b"\r\nGET /f4.txt HTTP/1.1\r\n",
            b"Host: t\r\n\r\n",
        ):
            client.send(part)
        assert client.answer().body == FILES["f3.txt"]
        assert client.answer().body == FILES["f4.txt"]


@pytest.mark.parametrize(
    ("fields", "status", "body"),
    [
        (("Range: bytes=4-7",), 206, LARGE[4:8]),
        (("If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT",), 304, b""),
        (('If-Match: "nothing"',), 412, None),
    ],
)
def test_conditions_and_ranges(cluster: Cluster, fields: tuple[str, ...], status: int, body: bytes | None) -> None:
    """They are the node's to judge; a 304 has a length and no body."""
    with cluster.client() as client:
        client.ask("/large.bin", *fields)
        head = client.head()
        assert head.status == status
        if status != 304:
            read = client.read(int(head.fields["content-length"]))
            assert body is None or read == body
        assert client.get("/f1.txt").body == FILES["f1.txt"]  # framing has held


def test_head_has_no_body(cluster: Cluster) -> None:
    """But the length of one."""
    with cluster.client() as client:
        client.ask("/large.bin", method="HEAD")
        head = client.head()
        assert (head.status, head.fields["content-length"]) == (200, str(len(LARGE)))
        assert client.get("/f2.txt").body == FILES["f2.txt"]


def test_a_body_that_nobody_wants(cluster: Cluster) -> None:
    """It is read by whoever answers, and the next request is found behind it."""
    with cluster.client() as client:
        client.send(b"POST /f1.txt HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhel")
        client.send(b"loGET /f5.txt HTTP/1.1\r\nHost: t\r\n\r\n")
        assert client.answer().status == 405
        assert client.answer().body == FILES["f5.txt"]


def test_who_waits_to_be_told_to_go_on_is_told(cluster: Cluster) -> None:
    """100 (Continue): RFC 9110, 10.1.1."""
    with cluster.client() as client:
        client.send(b"POST /f1.txt HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        assert client.head().status == 100
        client.send(b"hello")
        assert client.answer().status == 405


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /nothing HTTP/1.1\r\nHost: t\r\n\r\n", 404),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"BREW / HTTP/1.1\r\nHost: t\r\n\r\n", 501),
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/3.0\r\nHost: t\r\n\r\n", 505),
        (b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n", 400),
    ],
)
def test_what_cannot_be_answered(cluster: Cluster, request_: bytes, status: int) -> None:
    """An error of either side's, after which no node has anything left of it."""
    with cluster.client() as client:
        client.send(request_)
        assert client.answer().status == status
    eventually("nobody has anything to do", lambda: is_quiet(cluster))


def test_the_last_request_of_a_connection(cluster: Cluster) -> None:
    """Connection: close, HTTP/1.0, and a client that has closed its side."""
    with cluster.client() as client:
        client.ask("/f1.txt", "Connection: close")
        assert client.rest().endswith(FILES["f1.txt"])
    with cluster.client() as client:
        client.send(b"GET /f1.txt HTTP/1.0\r\n\r\n")
        assert client.rest().endswith(FILES["f1.txt"])
    with cluster.client() as client:
        client.ask("/large.bin")
        client.sock.shutdown(socket.SHUT_WR)
        assert client.rest().endswith(LARGE)


def test_a_client_that_goes_away_leaves_nothing(cluster: Cluster) -> None:
    """In the middle of an answer, and before the first byte of a request."""
    with cluster.client() as client:
        client.ask("/large.bin")
        client.read(1000)
    cluster.client().close()
    eventually("nobody has anything to do", lambda: is_quiet(cluster))


def test_a_client_that_waits_between_two_requests(cluster: Cluster) -> None:
    """It is no load of a node's after a while, and is answered all the same."""
    with cluster.client() as client:
        assert client.get("/f6.txt").body == FILES["f6.txt"]
        eventually("nobody has anything to do", lambda: is_quiet(cluster))
        assert client.get("/f7.txt").body == FILES["f7.txt"]


@pytest.mark.parametrize("means", MEANS)
def test_nodes_know_who_asks(tmp_path: Path, means: str) -> None:
    """The client's address is in the log of the node, not the front-end's."""
    settings = tmp_path / "node.toml"
    settings.write_text('[server]\nbind = []\ntrusted_proxies = ["unix:"]\n[log]\naccess = true\n')
    with Cluster(tmp_path, "a", means, node=("-c", str(settings))) as cluster:
        with Client(("127.0.0.1", cluster.front.port), source="127.0.0.9") as client:
            assert client.get("/f1.txt").status == 200
        eventually("it is logged", lambda: "GET /f1.txt" in cluster.nodes["a"].stdout)
        lines = [line for line in cluster.nodes["a"].stdout.splitlines() if "f1.txt" in line]
        assert [line.split()[0] for line in lines] == ["127.0.0.9"]
