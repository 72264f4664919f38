"""Nodes that join, and load their share before they get requests: real processes, and the parts of a front-end."""

import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Self

import pytest

from flashpy.cluster.backend.pool import Backend
from flashpy.cluster.choosing import Asked, Report
from flashpy.cluster.front.dispatcher import Dispatcher
from flashpy.cluster.front.member import Member
from flashpy.cluster.front.roster import Roster
from flashpy.cluster.front.warming import Warming
from flashpy.cluster.messages import Reported
from flashpy.cluster.nodes import Standing
from flashpy.now import Now
from flashpy.settings import ClusterSection, HealthSection, NodeSection, PolicySection
from tests.cluster.running import Cluster, Load, make_site
from tests.cluster.test_control import run
from tests.running import PATIENCE, Flashpy, eventually, is_stopped

TARGETS = [f"/g{number}.txt" for number in range(200)]


class Growing(Cluster):
    """Two nodes, and a third that does not run any more."""

    def __init__(self, place: Path, means: str = "passing", cluster: str = "idle = 60.0", policy: str = "") -> None:
        super().__init__(place, "abc", means, cluster, policy, f'[admin]\nbind = ["unix:{place}/admin.sock"]\n')
        for target in TARGETS:
            (self.site / target[1:]).write_text(target * 20)

    def __enter__(self) -> Self:
        super().__enter__()
        try:
            self.kill("c")
            eventually("c is down", lambda: self.standing("c") == "down")
        except BaseException:
            self._stack.close()
            raise
        return self

    def ask_all(self) -> None:
        """All targets, each on a connection of its own."""
        for target in TARGETS:
            assert self.get(target).body.decode() == target * 20

    def top(self) -> str:
        """What ``flashpy top`` shows."""
        return run("top", "--admin", f"unix:{self._place}/admin.sock").stdout

    def kill(self, name: str) -> None:
        """Kill a node."""
        node = self.nodes[name]
        for pid in (node.pid, *node.workers()):
            os.kill(pid, signal.SIGKILL)
        node.wait()

    @contextmanager
    def stuck_newcomer(self) -> Iterator[None]:
        """The third node is there again, and says nothing any more when it is to load its share."""
        assert self.control("POST", "/drain?node=c")[0] == 200
        (worker,) = self.start("c").workers()
        eventually("it is there", lambda: self.standing("c") == "draining")
        os.kill(worker, signal.SIGSTOP)
        try:
            eventually("it is stopped", lambda: is_stopped(worker))
            assert self.control("POST", "/undrain?node=c")[0] == 200
            yield
        finally:
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGCONT)


@pytest.mark.parametrize("policy", ["lard", "lard-a"])
def test_a_node_that_joins_has_its_share_before_its_first_request(tmp_path: Path, policy: str) -> None:
    """And then gets all requests for that, each of which is a hit; who had it before knows that it is another's."""
    with Growing(tmp_path, policy=f'name = "{policy}"') as cluster, cluster.client() as client:
        cluster.ask_all()
        for target in TARGETS:
            assert client.get(target).status == 200
        cluster.start("c")
        eventually("it is up", lambda: cluster.standing("c") == "up")
        joined = cluster.node("c")
        assert 30 < joined["share"] == joined["loaded"] < 110
        assert (joined["handed"], joined["relayed"]) == (0, 0)
        assert f"c has loaded {joined['share']} of {joined['share']} targets in " in cluster.front.stderr
        assert cluster.front.stderr.index("c is warming.") < cluster.front.stderr.rindex("c is up.")
        cluster.ask_all()
        assert cluster.node("c")["handed"] == joined["share"]
        eventually("it has counted its hits", lambda: cluster.node("c")["true_hits"] == joined["share"])
        assert [cluster.node("c")[name] for name in ("false_hits", "true_misses", "false_misses")] == [0, 0, 0]
        for target in TARGETS:
            assert client.get(target).status == 200
        assert cluster.node("c")["handed"] > joined["share"], "the connection has been there as well"
        assert cluster.node("a")["share"] == 0, "nothing was mapped when it came"


def test_a_node_that_joins_by_the_control_socket_and_is_killed_and_comes_again(tmp_path: Path) -> None:
    """It is relayed to, and warmed both times."""
    with Growing(tmp_path, "relay") as cluster:
        assert cluster.control("POST", "/leave?node=c")[0] == 200
        cluster.ask_all()
        cluster.start("c")
        assert cluster.control("POST", f"/join?node=c&address=unix:{tmp_path}/c.http")[0] == 200
        for _ in range(2):
            eventually("it is up", lambda: cluster.standing("c") == "up")
            joined = cluster.node("c")
            assert 30 < joined["share"] == joined["loaded"] < 110
            cluster.ask_all()
            assert cluster.node("c")["relayed"] - joined["relayed"] == joined["share"]
            cluster.kill("c")
            eventually("it is down", lambda: cluster.standing("c") == "down")
            cluster.ask_all()
            cluster.start("c")


def test_a_node_that_does_not_load_anything_comes_up_all_the_same(tmp_path: Path) -> None:
    """After a while, and with nothing."""
    with Growing(tmp_path, cluster="warm_timeout = 0.3") as cluster:
        cluster.ask_all()
        with cluster.stuck_newcomer():
            eventually("it is up", lambda: cluster.standing("c") == "up")
            state = cluster.node("c")
            assert state["share"] > 30 and state["loaded"] == 0
            assert f"c has loaded 0 of {state['share']} targets in " in cluster.front.stderr
        cluster.ask_all()


@pytest.mark.parametrize("means", ["passing", "relay"])
def test_a_node_that_dies_while_it_is_warmed(tmp_path: Path, means: str) -> None:
    """It is down, and nobody has noticed."""
    with Growing(tmp_path, means) as cluster, Load(cluster) as load:
        cluster.ask_all()
        with cluster.stuck_newcomer():
            assert cluster.standing("c") == "warming"
            load.goes_on()
            cluster.kill("c")
            eventually("it is down", lambda: cluster.standing("c") == "down")
            load.goes_on()
        assert (load.broken, load.wrong) == ([], [])
        assert cluster.node("c")["handed"] == cluster.node("c")["relayed"] == 0


def test_when_nobody_else_is_there_a_node_is_up_at_once(tmp_path: Path) -> None:
    """With what it has loaded. Who is drained while it is warmed begins anew when that is undone."""
    with Growing(tmp_path) as cluster:
        cluster.ask_all()
        with cluster.stuck_newcomer():
            assert cluster.standing("c") == "warming"
            assert cluster.control("POST", "/drain?node=c")[0] == 200
            assert cluster.standing("c") == "draining"
            assert cluster.control("POST", "/undrain?node=c")[0] == 200
            assert cluster.standing("c") == "warming"
            share = cluster.node("c")["share"]
            assert share > 30
            eventually("it is shown", lambda: f"warming 0/{share}" in cluster.top())
            assert cluster.control("POST", "/drain?node=a")[0] == 200
            assert cluster.standing("c") == "warming"
            assert cluster.control("POST", "/drain?node=b")[0] == 200
            assert cluster.standing("c") == "up"
        cluster.ask_all()


class Nobody:
    """Keeps no connections, for none is passed (a passing.Keeper)."""

    def returned(self, member: Member, fd: int, client: str, data: bytes) -> None:
        """See Keeper."""

    def away(self, count: int) -> None:
        """See Keeper."""


class Front:
    """The parts of a front-end that take part in warming, with a node ``a`` that serves these targets."""

    def __init__(self, targets: list[bytes], address: Path, warm_timeout: float = 30.0) -> None:
        loop = asyncio.get_running_loop()
        settings = ClusterSection(
            policy=PolicySection(name="lard"), health=HealthSection(rise=1), warm_timeout=warm_timeout
        )
        self.dispatcher = Dispatcher(settings, Now(loop.time()))
        self._roster = Roster(loop, settings, self.dispatcher, Nobody())
        self.join("a", address, 10**9).health.met()
        self.review("a")
        for target in targets:
            self.dispatcher.policy.choose(self.dispatcher.nodes, Asked(target), 0.0)

    def join(self, name: str, address: Path, memory: int) -> Member:
        """There is a node with so much memory, as it says."""
        self._roster.join(NodeSection(name, address=f"unix:{address}"), (socket.AF_UNIX, str(address)))
        member = self.dispatcher.members[name]
        member.reported = Reported(0, 0, Report(1.0), memory=memory)
        return member

    def leave(self, name: str) -> None:
        """A node is no more."""
        self._roster.leave(name)

    def review(self, name: str) -> None:
        """Something has become known of it."""
        self.dispatcher.review(self.dispatcher.members[name])

    def standing(self, name: str) -> Standing:
        """What a node is for."""
        return self.dispatcher.nodes[name].standing

    async def becomes(self, name: str, standing: Standing) -> None:
        """Wait until a node is that."""
        async with asyncio.timeout(PATIENCE):
            while self.standing(name) is not standing:
                await asyncio.sleep(0.01)

    def mapped_to(self, name: str, targets: list[bytes]) -> list[bytes]:
        """Those of the targets that a node serves."""
        return [target for target in targets if self.dispatcher.policy.mapped(target) == [name]]

    async def close(self) -> None:
        """End all."""
        self._roster.close()
        await asyncio.sleep(0)  # for who has been told to end


@pytest.fixture
def served(tmp_path: Path, stack: ExitStack) -> Path:
    """The Unix socket of a server with all targets."""
    site = make_site(tmp_path)
    for target in TARGETS:
        (site / target[1:]).write_text("x" * 1_000)
    assert stack.enter_context(Flashpy(site, "--bind", f"unix:{tmp_path}/served")).urls
    return tmp_path / "served"


async def test_no_more_is_loaded_than_there_is_room_for(served: Path) -> None:
    """In half of its memory, as it says how much that is; the others keep the rest."""
    targets = [target.encode() for target in TARGETS]
    front = Front(targets, served)
    newcomer = front.join("c", served, memory=20_000)
    newcomer.health.met()
    front.review("c")
    assert front.standing("c") is Standing.WARMING
    await front.becomes("c", Standing.UP)
    assert newcomer.warming is not None
    assert len(newcomer.warming.loaded) == 10 < newcomer.warming.share
    assert set(front.mapped_to("c", targets)) == set(newcomer.warming.loaded)
    assert len(front.mapped_to("a", targets)) == len(targets) - 10
    await front.close()


@pytest.mark.parametrize(("targets", "warm_timeout"), [([b"/g1.txt"] * 50, 0.0), ([], 30.0)])
async def test_who_has_nothing_to_load_is_up_at_once(served: Path, targets: list[bytes], warm_timeout: float) -> None:
    """Because nobody has asked for anything yet, or because it shall not."""
    front = Front(targets, served, warm_timeout)
    newcomer = front.join("c", served, 0)
    newcomer.health.met()
    front.review("c")
    assert front.standing("c") is Standing.UP
    await front.close()


async def test_who_leaves_while_it_is_warmed_is_told_nothing_more(served: Path) -> None:
    """And what it was to load stays with the others."""
    targets = [target.encode() for target in TARGETS]
    front = Front(targets, served)
    newcomer = front.join("c", served, 0)
    newcomer.health.met()
    front.review("c")
    assert front.standing("c") is Standing.WARMING
    front.leave("c")
    await front.close()
    assert front.mapped_to("a", targets) == targets


async def test_what_is_not_there_is_not_taken_over(served: Path) -> None:
    """Nor is what is no path at all; names are asked for as they are."""
    (served.parent / "site" / "a b%.txt").write_text("x")
    targets = [b"*", b"/missing", b"/a b%.txt", b"/large.bin"]
    front = Front(targets, served)
    front.dispatcher.policy.forget("a")  # so that all are the newcomer's share, but for chance
    newcomer = front.join("c", served, memory=10**9)
    newcomer.node.weight = 10**9
    newcomer.health.met()
    front.review("c")
    await front.becomes("c", Standing.UP)
    assert newcomer.warming is not None and newcomer.warming.share == 4
    assert set(front.mapped_to("c", targets)) == {b"/a b%.txt", b"/large.bin"}
    await front.close()


async def test_a_fault_of_ours_keeps_no_node_down(served: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, and the node is up with what it has."""
    front = Front([target.encode() for target in TARGETS], served)
    newcomer = front.join("c", served, 0)

    def no_backend() -> Backend:
        raise RuntimeError("there is a fault in this")

    newcomer.warming = Warming(newcomer, front.dispatcher, no_backend, 30.0)
    newcomer.health.met()
    front.review("c")
    await front.becomes("c", Standing.UP)
    assert "The node c could not be warmed." in caplog.text
    await front.close()


async def test_a_node_that_cannot_be_reached_any_more_is_down(served: Path, tmp_path: Path) -> None:
    """Before any check has said so."""
    front = Front([target.encode() for target in TARGETS], served)
    newcomer = front.join("c", tmp_path / "nobody", 0)
    newcomer.health.met()
    front.review("c")
    assert front.standing("c") is Standing.WARMING
    await front.becomes("c", Standing.DOWN)
    await front.close()
