"""Networks that come apart: packets vanish, and no one is told (network namespaces)."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.etcdserver import MISSING, PROGRAM, EtcdServer
from tests.cluster.network import ETCD, SITE, Host, Network
from tests.cluster.running import FILES, LARGE, Load, ask_control, make_site
from tests.running import Client, Flashpy, eventually

PORT = 8000
ACTIVE = "/flashpy/front"
"""The entry of the active front."""


@pytest.fixture
def network() -> Iterator[Network]:
    """The switches, with nobody there."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces take root, and the program ip (Debian: iproute2)")
    try:
        network = Network()
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no network namespaces here: {error.stderr.strip()}")
    try:
        yield network
    finally:
        network.close()


class Rig:
    """Nodes, front-ends and, if there is a need, etcd: each on a host of its own."""

    def __init__(self, stack: ExitStack, place: Path, network: Network) -> None:
        self._stack = stack
        self._place = place
        self._network = network
        self._site = make_site(place)
        self._etcd: EtcdServer | None = None
        self.hosts: dict[str, Host] = {}

    def host(self, name: str) -> Host:
        """The host of a server, which is there from when it is first asked for."""
        if name not in self.hosts:
            self.hosts[name] = self._network.host(name)
        return self.hosts[name]

    def address(self, name: str) -> str:
        """Where a server is reached by those who want files."""
        return f"{self.host(name).addresses[SITE]}:{PORT}"

    def cut(self, name: str, switch: str = SITE) -> None:
        """Take a server's host from a network."""
        self._network.cut(self.host(name), switch)

    def join(self, name: str, switch: str = SITE) -> None:
        """Put it back."""
        self._network.join(self.host(name), switch)

    @property
    def etcd(self) -> EtcdServer:
        """Runs from when it is first asked for."""
        if self._etcd is None:
            if PROGRAM is None:
                pytest.skip(MISSING)
            self._etcd = EtcdServer(self._place / "etcd", self.host("etcd"))
            self._stack.callback(self._etcd.end)
        return self._etcd

    def node(self, name: str, member: bool = False) -> Flashpy:
        """Start a node, which is in etcd if it is a member."""
        more = self._member(name, f'address = "{self.address(name)}"') if member else ""
        node = self._start("node", name, self._site, f'[server]\nbind = ["{self.address(name)}"]\n{more}')
        assert node.urls
        return node

    def front(self, name: str, cluster: str = "", health: str = "", more: str = "", member: bool = False) -> Flashpy:
        """Start a front-end. ``cluster`` and ``health`` are lines of these sections, ``more`` is further ones."""
        return self._start(
            *("front", name),
            f'[server]\nbind = ["0.0.0.0:{PORT}"]\n'
            f'[cluster]\ncontrol = "{name}.sock"\n{cluster}\n[cluster.policy]\nname = "rr"\n'
            f"[cluster.health]\ninterval = 0.1\n{health}\n{more}\n{self._member(name) if member else ''}",
        )

    def _start(self, role: str, name: str, *arguments: str | Path) -> Flashpy:
        *options, configuration = arguments
        file = self._place / f"{name}.toml"
        file.write_text(str(configuration))
        return self._stack.enter_context(Flashpy(role, *options, "-c", file, shell=self.host(name).shell))

    def _member(self, name: str, more: str = "") -> str:
        return f'[cluster.etcd]\nendpoints = ["{self.etcd.endpoint}"]\nlease = 1\nname = "{name}"\n{more}\n'

    def client(self, name: str = "front") -> Client:
        """A new connection to a server, from its own host."""
        with self.host(name).entered():
            return Client((self.host(name).addresses[SITE], PORT))

    def get(self, target: str, name: str = "front") -> bytes:
        """One request to a server, from its own host."""
        with self.client(name) as client:
            return client.get(target).body

    def serves(self, name: str = "front") -> bool:
        """Whether a server answers for all files."""
        return all(self.get(f"/{file}", name) == content for file, content in FILES.items())

    def nodes(self, front: str = "front") -> dict[str, dict[str, Any]]:
        """The nodes, as a front-end knows them; none if it cannot be asked."""
        try:
            _, body = ask_control(self._place / f"{front}.sock", "GET", "/state")
        except OSError:
            return {}
        found: dict[str, dict[str, Any]] = json.loads(body)["nodes"]
        return found

    def knows(self, *nodes: str, front: str = "front") -> None:
        """Wait until a front-end has these nodes and no others, and all are up."""

        def standings() -> dict[str, str]:
            return {name: node["standing"] for name, node in self.nodes(front).items()}

        eventually(f"{front} has {nodes}", lambda: standings() == dict.fromkeys(nodes, "up"))

    def relayed(self, front: str = "front") -> dict[str, int]:
        """The requests that each node has been given, ever."""
        return {name: node["relayed"] for name, node in self.nodes(front).items()}

    def all_used(self, front: str = "front") -> bool:
        """Whether a front-end answers for all files, and every node is asked for some."""
        before = self.relayed(front)
        return self.serves(front) and all(count > before[name] for name, count in self.relayed(front).items())


@pytest.fixture
def rig(stack: ExitStack, tmp_path: Path, network: Network) -> Rig:
    """A cluster without anything in it."""
    return Rig(stack, tmp_path, network)


@pytest.mark.parametrize(
    ("cluster", "health"),
    [("relay_timeout = 1.0", "timeout = 30.0"), ("relay_timeout = 60.0", "timeout = 1.0\nfall = 2")],
    ids=["the request takes too long", "a check has failed"],
)
def test_a_node_is_cut_off_under_load(rig: Rig, cluster: str, health: str) -> None:
    """No request is lost, neither those that it has been given nor later ones; when it is back, it gets requests."""
    for name in "abc":
        rig.node(name)
    members = "".join(f'[[cluster.node]]\nname = "{name}"\naddress = "{rig.address(name)}"\n' for name in "abc")
    assert rig.front("front", cluster, health, members).urls
    rig.knows("a", "b", "c")
    with Load(rig) as load:
        load.goes_on()
        rig.cut("a")
        eventually("it is down", lambda: rig.nodes()["a"]["standing"] == "down")
        load.goes_on()
        assert rig.nodes()["a"]["load"] == 0
        rig.join("a")
        rig.knows("a", "b", "c")
        load.goes_on()
        assert rig.all_used()
    assert (load.broken, load.wrong) == ([], [])


def test_the_front_end_is_cut_from_etcd(rig: Rig) -> None:
    """Though its lease has ended, the members that it knew hold, and all are asked; when it is back, it follows."""
    for name in "ab":
        rig.node(name, member=True)
    front = rig.front("front", member=True)
    assert front.urls
    rig.knows("a", "b")
    rig.cut("front", ETCD)
    eventually("its lease has ended", lambda: ACTIVE not in rig.etcd.entries())
    rig.node("c", member=True)
    eventually("there is another member", lambda: "/flashpy/nodes/c" in rig.etcd.entries())
    rig.knows("a", "b")
    assert rig.all_used()
    rig.join("front", ETCD)
    rig.knows("a", "b", "c")
    assert rig.all_used()
    eventually("it has a lease", lambda: ACTIVE in rig.etcd.entries())
    assert front.process.poll() is None


def test_a_node_is_cut_from_etcd_alone(rig: Rig) -> None:
    """It leaves with its lease: what it was given it finishes, and it gets nothing new until it is back."""
    for name in "ab":
        rig.node(name, member=True)
    assert rig.front("front", member=True).urls
    rig.knows("a", "b")
    with rig.client() as one, rig.client() as other:
        for taker in (one, other):
            taker.ask("/large.bin")
            taker.head()
        eventually("each node has one to answer", lambda: all(node["load"] == 1 for node in rig.nodes().values()))
        rig.cut("b", ETCD)
        rig.knows("a")
        assert rig.all_used()
        assert rig.serves("b"), "whoever asks it directly is answered"
        assert one.read(len(LARGE)) == LARGE
        assert other.read(len(LARGE)) == LARGE
    rig.join("b", ETCD)
    rig.knows("a", "b")
    assert rig.all_used()


def test_the_active_front_end_is_cut_from_etcd(rig: Rig) -> None:
    """Another takes over when its lease has ended. Until it is back both serve; then it ends, and stands by if it is
    started again."""
    for name in "ab":
        rig.node(name, member=True)
    first = rig.front("first", member=True)
    rig.knows("a", "b", front="first")
    second = rig.front("second", member=True)
    eventually("the second stands by", lambda: "Standing by" in second.stderr)
    assert "Serving" not in second.stderr
    rig.cut("first", ETCD)
    assert second.urls
    rig.knows("a", "b", front="second")
    assert rig.all_used("second") and rig.all_used("first")
    rig.join("first", ETCD)
    assert first.wait() == 0
    assert "Another front-end is active now; this one ends." in first.stderr
    again = rig.front("first", member=True)
    eventually("the first stands by", lambda: "Standing by" in again.stderr)
    assert rig.serves("second")
    assert "Serving" not in again.stderr
