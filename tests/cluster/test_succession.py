"""Front-ends that are relieved, and leave who has which target: real processes, and the front-end's part."""

import asyncio
import json
import logging
import os
import resource
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest

from flashpy.cluster.front.server import Front
from flashpy.cluster.front.succession import AT_A_TIME
from flashpy.errors import StartError
from flashpy.event.programs import Program, Starter
from flashpy.metrics import Metrics
from flashpy.settings import ClusterSection, Config, PolicySection
from tests.cluster.running import Cluster, Load
from tests.running import PATIENCE, eventually
from tests.supervisor.supervised import new_supervisor

TARGETS = [f"/g{number}.txt" for number in range(200)]
KNOWN = "is known from the worker before"
Mapped = dict[str, tuple[list[str], str]]
"""By target: who has it, and who would get a request for it."""


class Lasting(Cluster):
    """Three nodes that serve all targets."""

    def __init__(self, place: Path, means: str = "passing", policy: str = "lard-r") -> None:
        super().__init__(place, "abc", means, "idle = 60.0", f'name = "{policy}"')
        for target in TARGETS:
            (self.site / target[1:]).write_text(target * 20)

    def ask_all(self) -> None:
        """All targets, each on a connection of its own."""
        for target in TARGETS:
            assert self.get(target).body.decode() == target * 20

    def mapped(self) -> Mapped:
        """Who has which target, as the front-end explains."""
        found = {}
        for target in TARGETS:
            status, body = self.control("POST", f"/explain?target={target}")
            assert status == 200
            explained = json.loads(body)
            found[target] = (explained["mapped"], explained["chosen"])
        return found

    def reload(self) -> None:
        """The front-end reads its configuration again, and knows what there is to be known."""
        (old,) = self.front.workers()
        known = self.front.stderr.count(KNOWN)
        self.front.tell(signal.SIGHUP)
        eventually("another process serves", lambda: old not in self.front.workers())
        eventually("it knows who has what", lambda: self.front.stderr.count(KNOWN) > known)

    def remove_c(self) -> str:
        """The last of the nodes is in the file no more; what was there."""
        before = self.file.read_text()
        self.file.write_text(before[: before.rindex("[[cluster.node]]")])
        return before

    def counts(self) -> dict[str, int]:
        """How many connections or requests each node has got from the front-end's present process."""
        return {name: node["handed"] + node["relayed"] for name, node in self.state()["nodes"].items()}


def shares(mapped: Mapped) -> dict[str, int]:
    """How many targets each node has that has one alone."""
    names = [name for of, _ in mapped.values() for name in of]
    return {name: names.count(name) for name in sorted(set(names))}


@pytest.mark.parametrize(("means", "policy"), [("passing", "lard-r"), ("relay", "lard-a")])
def test_who_has_what_outlives_a_reload(tmp_path: Path, means: str, policy: str) -> None:
    """Requests go where they went; no node is warmed for what it has, or loses what is its own."""
    with Lasting(tmp_path, means, policy) as cluster, cluster.client() as client:
        assert cluster.get(TARGETS[0]).status == 200
        cluster.reload()
        assert shares(cluster.mapped()) == {"a": 1}, "who has nothing is not new"
        cluster.ask_all()
        before = cluster.mapped()
        assert set(shares(before)) == set("abc") and sum(shares(before).values()) == len(TARGETS)
        assert client.get(TARGETS[0]).status == 200
        cluster.reload()
        assert cluster.mapped() == before
        counts = cluster.counts()
        cluster.ask_all()
        assert {name: count - counts[name] for name, count in cluster.counts().items()} == shares(before)
        assert [node["share"] for node in cluster.state()["nodes"].values()] == [0, 0, 0]
        assert all(client.get(target).status == 200 for target in TARGETS)
        cluster.reload()
        assert cluster.mapped() == before


def test_nodes_that_leave_and_join_by_a_reload(tmp_path: Path) -> None:
    """What one had is nobody's, and the others keep what they have; one that is new loads its share first."""
    with Lasting(tmp_path) as cluster:
        cluster.ask_all()
        before = cluster.mapped()
        all_three = cluster.remove_c()
        cluster.reload()
        kept = {target: of for target, (of, _) in cluster.mapped().items()}
        assert kept == {target: [] if of == ["c"] else of for target, (of, _) in before.items()}
        assert set(cluster.counts()) == {"a", "b"}
        cluster.file.write_text(all_three)
        cluster.reload()
        eventually("it has its share", lambda: cluster.node("c")["share"] and cluster.standing("c") == "up")
        joined = cluster.node("c")
        assert joined["share"] == joined["loaded"] == shares(cluster.mapped())["c"] >= shares(before)["c"]
        assert cluster.front.stderr.index("c is warming.") < cluster.front.stderr.rindex("c is up.")
        cluster.ask_all()


def test_reloads_while_clients_ask(tmp_path: Path) -> None:
    """None fails."""
    with Lasting(tmp_path) as cluster, Load(cluster) as load:
        for _ in range(3):
            load.goes_on()
            cluster.reload()
        load.goes_on()
        assert (load.broken, load.wrong) == ([], [])
        assert [node["share"] for node in cluster.state()["nodes"].values()] == [0, 0, 0]


def test_who_has_what_outlives_a_new_program(tmp_path: Path, stack: ExitStack) -> None:
    """It comes by way of both supervisors."""
    with Lasting(tmp_path) as cluster:
        cluster.ask_all()
        before = cluster.mapped()
        cluster.front.tell(signal.SIGUSR2)
        assert cluster.front.wait() == 0
        new_supervisor(stack, cluster.front)
        eventually("it knows who has what", lambda: KNOWN in cluster.front.stderr)
        assert cluster.mapped() == before


def test_nodes_that_have_joined_later_stay(tmp_path: Path) -> None:
    """As those of etcd do: what they had is theirs, also when they join again, and they are not warmed for it."""
    with Lasting(tmp_path, "relay") as cluster:
        assert cluster.control("POST", "/leave?node=c")[0] == 200
        cluster.remove_c()
        cluster.reload()
        join = f"/join?node=c&address=unix:{tmp_path}/c.http"
        assert cluster.control("POST", join)[0] == 200
        eventually("it is up", lambda: cluster.standing("c") == "up")
        cluster.ask_all()
        before = cluster.mapped()
        cluster.reload()
        for _ in range(2):
            assert cluster.standing("c") == "up"
            assert cluster.mapped() == before
            assert cluster.node("c")["share"] == 0
            assert cluster.control("POST", join)[0] == 200


# The front-end's part


class Nobody(Starter):
    """Starts nothing, for a front-end needs nothing (an event.programs.Starter)."""

    async def start(self, name: str) -> Program:
        """See Starter."""
        raise StartError(f"There is no {name}.")


@pytest.fixture
def config() -> Config:
    """Of a front-end that has no node, and no address."""
    return Config(cluster=ClusterSection(role="front", policy=PolicySection(name="lard")))


async def front_of(config: Config) -> Front:
    """A front-end that is started."""
    front = Front(config, {}, Metrics(), Nobody())
    await front.start()
    return front


async def left_to(config: Config, fd: int | None, caplog: pytest.LogCaptureFixture) -> tuple[int, str]:
    """How many targets a front-end knows to which this has been left, and what it says."""
    assert fd is not None
    caplog.clear()
    caplog.set_level(logging.INFO)
    front = await front_of(config)
    front.inherit(fd)
    async with asyncio.timeout(PATIENCE):
        while front._inheriting is not None and not front._inheriting.done():
            await asyncio.sleep(0)
    with pytest.raises(OSError):
        os.fstat(fd)
    targets = front.snapshot()["cluster"].targets
    await front.close()
    return targets, caplog.text


async def test_what_is_left_is_in_a_file_that_nobody_can_change(
    config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    """In several parts; a successor whose policy keeps no mapping does without it."""
    front = await front_of(config)
    mapping = front._dispatcher.mapping
    assert mapping is not None
    for number in range(3 * AT_A_TIME):
        mapping.put(b"/%d" % number, ["a"], 0.0)
    first, second = await front.bequeath(), await front.bequeath()
    assert first is not None
    with pytest.raises(PermissionError):
        os.write(first, b"x")
    targets, said = await left_to(config, first, caplog)
    assert targets == 3 * AT_A_TIME and f"Who has which of {targets} targets {KNOWN}." in said
    without = Config(cluster=ClusterSection(role="front", policy=PolicySection(name="rr")))
    assert (await left_to(without, second, caplog))[0] == 0
    assert await (await front_of(without)).bequeath() is None
    await front.close()


async def test_what_cannot_be_understood_is_said_once(config: Config, caplog: pytest.LogCaptureFixture) -> None:
    """In a sentence; and so is what cannot be left."""
    fd = os.memfd_create("nonsense")
    os.write(fd, b"nonsense")
    targets, said = await left_to(config, fd, caplog)
    assert targets == 0 and "What the worker before has left cannot be used: it ends too early." in said
    front = await front_of(config)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))
    try:
        assert await front.bequeath() is None
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert "The next worker has to learn anew who has what: Too many open files." in caplog.text
    await front.close()
