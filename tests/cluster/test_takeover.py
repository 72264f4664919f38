"""Nodes and front-ends as real processes that learn of each other from etcd, which may fail as well."""

import json
import os
import signal
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.etcdserver import EtcdServer
from tests.cluster.running import FILES, Load, ask_control, make_site
from tests.running import Client, Flashpy, descendants_of, eventually, free_ports, is_alive

NAMES = ("first", "second")


class Rig:
    """Nodes and front-ends by their names, all of one cluster in etcd. The front-ends have one address."""

    def __init__(self, stack: ExitStack, place: Path, etcd: EtcdServer) -> None:
        self._stack = stack
        self._place = place
        self._etcd = etcd
        self._site = make_site(place)
        (self.port,) = free_ports(1)
        self.fronts: dict[str, Flashpy] = {}

    def _section(self, name: str, more: str = "") -> str:
        return f'[cluster.etcd]\nendpoints = ["{self._etcd.endpoint}"]\nlease = 1\nname = "{name}"\n{more}'

    def node(self, name: str) -> Flashpy:
        """Start a node."""
        (port,) = free_ports(1)
        file = self._place / f"{name}.toml"
        address = f"127.0.0.1:{port}"
        file.write_text(f'[server]\nbind = ["{address}"]\n' + self._section(name, f'address = "{address}"\n'))
        node = self._stack.enter_context(Flashpy("node", self._site, "-c", file))
        assert node.urls
        return node

    def front(self, name: str) -> Flashpy:
        """Start a front-end, which may have to stand by."""
        file = self._place / f"{name}.toml"
        file.write_text(
            f'[server]\nbind = ["127.0.0.1:{self.port}"]\n[cluster]\ncontrol = "{name}.sock"\n'
            "[cluster.health]\ninterval = 0.1\ntimeout = 1.0\n" + self._section(name)
        )
        self.fronts[name] = front = self._stack.enter_context(Flashpy("front", "-c", file))
        return front

    def state(self, name: str) -> dict[str, Any]:
        """The nodes of a front-end, and what each is for; empty if it cannot be asked."""
        try:
            _, body = ask_control(self._place / f"{name}.sock", "GET", "/state")
        except OSError:
            return {}
        return {node: found["standing"] for node, found in json.loads(body)["nodes"].items()}

    def knows(self, name: str, *nodes: str) -> None:
        """Wait until a front-end has these nodes, and all are up."""
        eventually(f"{name} has {nodes}", lambda: self.state(name) == dict.fromkeys(nodes, "up"))

    def get(self, target: str) -> bytes:
        """One request to whoever listens; empty if nobody does."""
        try:
            with self.client() as client:
                return client.get(target).body
        except (OSError, EOFError):
            return b""

    def client(self) -> Client:
        """A connection to whoever listens."""
        return Client(("127.0.0.1", self.port))

    def serves(self) -> bool:
        """Whether all files are answered."""
        return all(self.get(f"/{name}") == content for name, content in FILES.items())


@pytest.fixture
def rig(stack: ExitStack, tmp_path: Path, etcd: EtcdServer) -> Rig:
    """A cluster without anything in it."""
    return Rig(stack, tmp_path, etcd)


def kill(server: Flashpy) -> None:
    """Kill a server with all that it has started, the process that speaks with etcd included."""
    for pid in (server.pid, *descendants_of(server.pid)):
        os.kill(pid, signal.SIGKILL)
    server.process.wait()


def stands_by(front: Flashpy) -> bool:
    """Whether it has said so, and no more."""
    return "Standing by" in front.stderr and "Serving" not in front.stderr


def test_nodes_come_and_go(rig: Rig) -> None:
    """In order, and by a crash; the others serve on."""
    front = rig.front("first")
    rig.node("a")
    b = rig.node("b")
    assert front.urls
    rig.knows("first", "a", "b")
    assert rig.serves()
    b.process.terminate()
    rig.knows("first", "a")
    assert rig.serves()
    c = rig.node("c")
    rig.knows("first", "a", "c")
    kill(c)
    rig.knows("first", "a")
    assert rig.serves()


@pytest.mark.parametrize("end", [kill, lambda front: front.process.kill(), lambda front: front.process.terminate()])
def test_the_one_that_stands_by_takes_over(rig: Rig, end: Any) -> None:
    """When the other has gone: with all its processes, its supervisor alone, or in order."""
    rig.node("a")
    first = rig.front("first")
    rig.knows("first", "a")
    second = rig.front("second")
    eventually("the second stands by", lambda: stands_by(second))
    assert rig.serves() and stands_by(second)
    end(first)
    eventually("the second serves", lambda: "Serving" in second.stderr)
    rig.knows("second", "a")
    assert rig.serves()


def test_members_outlive_a_reload(rig: Rig) -> None:
    """The new worker has them before it is told them again: nobody is refused, and who has what is known."""
    rig.node("a")
    rig.node("b")
    front = rig.front("first")
    rig.knows("first", "a", "b")
    assert rig.serves()
    with Load(rig) as load:
        (old,) = front.workers()
        front.tell(signal.SIGHUP)
        eventually("another process serves", lambda: old not in front.workers())
        answered = load.answered
        eventually("it answers", lambda: load.answered > answered + 100)
    assert (load.wrong, load.broken) == ([], [])
    assert rig.state("first") == {"a": "up", "b": "up"}
    assert "is known from the worker before" in front.stderr


def test_clients_wait_for_the_first_member(rig: Rig) -> None:
    """When nobody has joined yet."""
    front = rig.front("first")
    assert front.urls
    with rig.client() as client:
        client.ask("/f1.txt")
        rig.node("a")
        assert client.answer().body == FILES["f1.txt"]


def test_while_etcd_is_stopped_all_goes_on(rig: Rig, etcd: EtcdServer) -> None:
    """And when it is there again, who has gone meanwhile is replaced."""
    rig.node("a")
    b = rig.node("b")
    first = rig.front("first")
    rig.knows("first", "a", "b")
    second = rig.front("second")
    eventually("the second stands by", lambda: stands_by(second))
    etcd.end()
    assert rig.serves()
    kill(b)
    assert rig.serves(), "the node is down, by the front-end's own checks"
    kill(first)
    assert stands_by(second)
    etcd.start()
    rig.knows("second", "a")
    assert rig.serves()


def test_who_stands_by_can_be_ended(rig: Rig) -> None:
    """With the process that it has started."""
    assert rig.front("first").urls
    second = rig.front("second")
    eventually("the second stands by", lambda: stands_by(second))
    started = descendants_of(second.pid)
    assert started
    second.process.send_signal(signal.SIGINT)
    assert second.wait() == 130
    eventually("the process for etcd has ended", lambda: not any(map(is_alive, started)))
    assert "Traceback" not in second.stderr


def test_a_front_that_is_active_no_longer_ends(rig: Rig, etcd: EtcdServer) -> None:
    """In order: as when its lease has ended while it could not reach etcd."""
    rig.node("a")
    first = rig.front("first")
    rig.knows("first", "a")
    etcd.put(b"/flashpy/front", b"another")
    assert first.wait() == 0
    assert "Another front-end is active now; this one ends." in first.stderr


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('endpoints = ["x:y"]\nname = "a"', "cluster.etcd.endpoints: 'x:y' is no endpoint of etcd; write host:port."),
        ('endpoints = ["e"]', "cluster.etcd.name: it takes a name of its own, without a slash."),
        ('endpoints = ["e"]\nname = "a/b"', "cluster.etcd.name: it takes a name of its own, without a slash."),
        (
            'endpoints = ["e"]\nname = "a"\naddress = ":80"',
            "cluster.etcd.address: ':80' does not say where",
        ),
    ],
)
def test_settings_that_cannot_be(tmp_path: Path, lines: str, said: str) -> None:
    """One sentence each."""
    file = tmp_path / "node.toml"
    file.write_text(f'[server]\nbind = ["127.0.0.1:0"]\n[cluster.etcd]\n{lines}\n')
    with Flashpy("node", tmp_path, "-c", file) as node:
        assert node.wait() == 2
        assert said in node.stderr
