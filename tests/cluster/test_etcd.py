"""Members and the active front, with etcd really running, and failing."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from flashpy.cluster.etcd.client import Etcd
from flashpy.cluster.etcd.leadership import Leadership, Role
from flashpy.cluster.etcd.members import EtcdMembership, Registration
from flashpy.cluster.membership import Member
from tests.cluster.etcdserver import EtcdServer
from tests.running import PATIENCE, free_ports

LEASE = 1
KEY = b"/flashpy/nodes/"
A, B = Member("a", "127.0.0.1:1"), Member("b", "127.0.0.1:2", 2.0)


async def eventually(what: str, true: Callable[[], object]) -> None:
    """Wait until something is true, while the loop goes on."""
    for _ in range(int(PATIENCE / 0.01)):
        if true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"waited in vain until {what}")


@asynccontextmanager
async def going(work: Coroutine[Any, Any, None]) -> AsyncIterator["asyncio.Task[None]"]:
    """A task that goes on during the block, if it is not cancelled before."""
    task = asyncio.ensure_future(work)
    try:
        yield task
    finally:
        await cancelled(task)


async def cancelled(task: "asyncio.Task[None]") -> None:
    """End a task, and insist on that it had not ended by itself."""
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


class Front:
    """What a front knows of its members."""

    def __init__(self, server: EtcdServer, silence: float = 60.0) -> None:
        # So long a silence, that whatever is learnt is learnt by the watch.
        self.membership = EtcdMembership(Etcd([server.endpoint], timeout=2), silence=silence)
        self.names: list[str] | None = None

    async def run(self) -> None:
        """Learn."""
        await self.membership.run(lambda members: setattr(self, "names", [member.name for member in members]))

    async def knows(self, *names: str) -> None:
        """Wait until it knows these nodes and no others."""
        await eventually(f"the front knows {names}, not {self.names}", lambda: self.names == list(names))


def registration(server: EtcdServer, member: Member) -> Registration:
    """A node's part."""
    return Registration(Etcd([server.endpoint], timeout=2), member, lease=LEASE)


async def test_nodes_come_and_go(etcd: EtcdServer) -> None:
    """A node that ends takes its entry with it, at once."""
    front = Front(etcd)
    async with going(front.run()), going(registration(etcd, B).run()) as b:
        await front.knows("b")
        async with going(registration(etcd, A).run()):
            await front.knows("a", "b")
            await cancelled(b)
            await front.knows("a")
        await front.knows()


async def test_the_lease_of_a_node_that_has_crashed_ends(etcd: EtcdServer) -> None:
    """Nobody takes its entry away but etcd."""
    front = Front(etcd)
    async with etcd.client() as client, going(front.run()):
        await client.put(KEY + b"a", b'{"address": "127.0.0.1:1"}', lease=(await client.lease(LEASE)).id)
        await front.knows("a")
        await front.knows()


async def test_an_entry_that_has_gone_is_written_again(etcd: EtcdServer) -> None:
    """As when a node was away from etcd for longer than its lease."""
    front = Front(etcd)
    async with etcd.client() as client, going(front.run()), going(registration(etcd, A).run()):
        await front.knows("a")
        entry = await client.get(KEY + b"a")
        await client.revoke_lease(entry.lease)
        await front.knows()
        await front.knows("a")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_while_etcd_is_stopped_the_last_members_hold(etcd: EtcdServer, number: signal.Signals) -> None:
    """And when it is there again, the watch goes on, and leases are renewed."""
    front = Front(etcd)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(going(front.run()))
        await stack.enter_async_context(going(registration(etcd, A).run()))
        await front.knows("a")
        etcd.end(number)
        b = asyncio.ensure_future(registration(etcd, B).run())
        await asyncio.sleep(2 * LEASE)
        assert front.names == ["a"]
        etcd.start()
        await front.knows("a", "b")
        await cancelled(b)
        await front.knows("a")


async def test_an_etcd_that_neither_answers_nor_ends(etcd: EtcdServer) -> None:
    """As behind a network that has come apart: the last members hold, and all goes on when it answers again."""
    front = Front(etcd, silence=0.2)
    async with going(front.run()), going(registration(etcd, A).run()):
        await front.knows("a")
        etcd.stop()
        async with going(registration(etcd, B).run()):
            await asyncio.sleep(2 * LEASE)
            assert front.names == ["a"]
            etcd.go_on()
            await front.knows("a", "b")


async def test_what_was_compacted_away_meanwhile_is_read(etcd: EtcdServer) -> None:
    """The watch cannot go on after the last revision that it had."""
    front = Front(etcd)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(etcd.client())
        await client.put(KEY + b"a", b'{"address": "127.0.0.1:1"}')
        task = asyncio.ensure_future(front.run())
        await front.knows("a")
        await cancelled(task)
        await client.put(KEY + b"b", b'{"address": "127.0.0.1:2"}')
        await client.delete(KEY + b"a")
        last = await client.put(b"/other", b"")
        await client.compact(last.header.revision, physical=True)
        await stack.enter_async_context(going(front.run()))
        await front.knows("b")
        await client.put(KEY + b"c", b'{"address": "127.0.0.1:3"}')
        await front.knows("b", "c")


async def test_a_watch_that_says_nothing_is_not_believed(etcd: EtcdServer) -> None:
    """etcd has lost its data, and counts its revisions from 1 again: the watch for later ones would wait for long."""
    front = Front(etcd, silence=0.2)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(etcd.client())
        for name in (b"x", b"y", b"z"):
            await client.put(KEY + name, b'{"address": "127.0.0.1:1"}')
        await stack.enter_async_context(going(front.run()))
        await front.knows("x", "y", "z")
        etcd.end()
        etcd.folder.rename(etcd.folder.with_name("lost"))
        etcd.start()
        await stack.enter_async_context(going(registration(etcd, A).run()))
        await front.knows("a")


async def test_another_endpoint_is_asked_when_one_does_not_answer(etcd: EtcdServer) -> None:
    """Whichever of them it is."""
    etcd_ = Etcd([f"127.0.0.1:{free_ports(1)[0]}", etcd.endpoint], timeout=2)
    told: list[object] = []
    async with going(Registration(etcd_, A, lease=LEASE).run()), going(EtcdMembership(etcd_).run(told.append)):
        await eventually("the member is known", lambda: told and told[-1] == (A,))


async def test_one_front_is_active_and_the_next_takes_over(etcd: EtcdServer) -> None:
    """At once, where the first one ends in order."""
    roles: dict[str, Role] = {}
    first, second = (Leadership(Etcd([etcd.endpoint]), name, lease=60) for name in ("first", "second"))
    async with going(first.run(lambda role: roles.update(first=role))) as active:
        await eventually("the first is active", lambda: roles == {"first": Role.ACTIVE})
        async with etcd.client() as client, going(second.run(lambda role: roles.update(second=role))):
            assert (await client.get(b"/flashpy/front")).value == b"first"
            await cancelled(active)
            await eventually("the second is active", lambda: roles.get("second") is Role.ACTIVE)
            assert (await client.get(b"/flashpy/front")).value == b"second"


async def test_while_etcd_is_stopped_the_active_front_stays_so(etcd: EtcdServer) -> None:
    """And nobody else becomes it."""
    roles: list[tuple[str, Role]] = []
    first, second = (Leadership(Etcd([etcd.endpoint], timeout=1), name, lease=LEASE) for name in ("first", "second"))
    async with going(first.run(lambda role: roles.append(("first", role)))):
        await eventually("the first is active", lambda: roles)
        async with going(second.run(lambda role: roles.append(("second", role)))):
            etcd.end()
            await asyncio.sleep(2 * LEASE)
            etcd.start()
            await asyncio.sleep(LEASE)
            assert roles == [("first", Role.ACTIVE)]
            assert (first.role, second.role) == (Role.ACTIVE, Role.STANDBY)


async def test_a_front_that_was_away_stands_back(etcd: EtcdServer) -> None:
    """Its lease had ended, and another has become active."""
    roles: list[Role] = []
    front = Leadership(Etcd([etcd.endpoint]), "front", lease=LEASE)
    async with etcd.client() as client, going(front.run(roles.append)):
        await eventually("the front is active", lambda: roles == [Role.ACTIVE])
        await client.put(b"/flashpy/front", b"another")
        await eventually("the front stands by", lambda: roles == [Role.ACTIVE, Role.STANDBY])
        await client.delete(b"/flashpy/front")
        await eventually("the front is active again", lambda: roles[2:] == [Role.ACTIVE])
