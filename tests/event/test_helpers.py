"""The helper pool with real processes."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from flashpy.buffers import Descriptor
from flashpy.event import helpers, programs
from flashpy.event.helpers import HelperPool
from flashpy.event.programs import LocalStarter
from flashpy.job.kinds import KNOWN, Check, Load, Outcome, Result, Translate
from flashpy.metrics import Metrics
from flashpy.now import Now
from flashpy.settings import HelpersSection
from tests.running import is_stopped, poisoned_helper


@asynccontextmanager
async def pool_of(
    least: int,
    most: int,
    idle: float = 30.0,
    timeout: float = 30.0,
    root: Path | None = None,
    sandbox: Sequence[Path] = (),
) -> AsyncIterator[HelperPool]:
    """A started pool."""
    config = HelpersSection(min=least, max=most, idle=idle, timeout=timeout)
    roots = [os.fsencode(root)] if root else []
    now = Now(time.monotonic(), time.time())
    starter = LocalStarter([os.fspath(path) for path in sandbox])
    pool = HelperPool(asyncio.get_running_loop(), config, 65_536, now, Metrics(), starter, roots)
    await pool.start()
    try:
        yield pool
    finally:
        await pool.close()


@asynccontextmanager
async def stopped(victims: list[int]) -> AsyncIterator[None]:
    """Stop processes while the block runs; those that are left go on afterwards."""
    for victim in victims:
        os.kill(victim, signal.SIGSTOP)
    await until(lambda: all(map(is_stopped, victims)))
    try:
        yield
    finally:
        for victim in filter(is_stopped, victims):
            os.kill(victim, signal.SIGCONT)


async def done(pool: HelperPool, job: Translate | Load) -> Result:
    """The result of a job."""
    future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
    pool.run(job, future.set_result)
    return await asyncio.wait_for(future, 10)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that must come to be."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


def pids(pool: HelperPool) -> list[int]:
    """The helpers' process ids."""
    found = pool.snapshot()["pids"]
    assert isinstance(found, list)
    return found


def translate(root: Path, path: bytes, small: int = 65_536) -> Translate:
    """A job without frills."""
    return Translate((os.fsencode(root),), path, (b"index.html",), (), small)


async def test_translates_small_files_with_their_bytes_and_large_ones_with_a_descriptor(tmp_path: Path) -> None:
    (tmp_path / "small").write_bytes(b"abc")
    (tmp_path / "large").write_bytes(b"x" * 100_000)
    async with pool_of(1, 1) as pool:
        small = await done(pool, translate(tmp_path, b"/small"))
        assert (small.outcome, small.body, small.file) == (Outcome.FILE, b"abc", None)
        large = await done(pool, translate(tmp_path, b"/large"))
        assert large.body is None
        assert large.file is not None
        assert os.pread(large.file.fd, 5, 99_995) == b"xxxxx"
        assert not os.get_inheritable(large.file.fd)
        assert large.identity is not None
        assert large.file.device == large.identity.device == os.stat(tmp_path).st_dev
        missing = await done(pool, translate(tmp_path, b"/none"))
        assert missing.outcome is Outcome.MISSING


async def test_loads_windows(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 300_000)
    file = Descriptor(os.open(path, os.O_RDONLY))
    async with pool_of(1, 1) as pool:
        assert (await done(pool, Load(file, 1, 299_999))).outcome is Outcome.LOADED
        assert (await done(pool, Load(file, 400_000, 10))).outcome is Outcome.LOADED  # beyond the end: nothing to do


async def test_equal_jobs_in_flight_are_done_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    metrics = Metrics()
    loop = asyncio.get_running_loop()
    pool = HelperPool(loop, HelpersSection(min=1, max=1), 65_536, Now(), metrics, LocalStarter())
    await pool.start()
    results: list[Result] = []
    for _ in range(5):
        pool.run(translate(tmp_path, b"/file"), results.append)
    await until(lambda: len(results) == 5)
    assert metrics.jobs == 1
    assert {result.body for result in results} == {b"abc"}
    await pool.close()


async def test_checks_are_joined(tmp_path: Path) -> None:
    """While one is in work the others gather; each gets its own part of the result."""
    names = [b"/%d" % number for number in range(100)]
    for name in names:
        (tmp_path / os.fsdecode(name[1:])).write_bytes(name)
    async with pool_of(1, 1) as pool:
        known = {name: (await done(pool, translate(tmp_path, name))).identity for name in names}
        (tmp_path / "7").write_bytes(b"changed")
        (tmp_path / "8").unlink()
        before = pool._metrics.jobs
        results: dict[bytes, Result] = {}
        for name in names:
            job = Check((translate(tmp_path, name)._replace(known=known[name]),))
            pool.run(job, partial(results.__setitem__, name))
        await until(lambda: len(results) == len(names))
        assert [name for name in names if results[name].body != KNOWN] == [b"/7", b"/8"]
        assert pool._metrics.jobs - before <= 3


async def test_a_check_is_done_although_helpers_die(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    async with pool_of(1, 1) as pool:
        known = (await done(pool, translate(tmp_path, b"/file"))).identity
        (helper,) = pids(pool)
        os.kill(helper, signal.SIGSTOP)
        results: list[Result] = []
        pool.run(Check((translate(tmp_path, b"/file")._replace(known=known),)), results.append)
        os.kill(helper, signal.SIGKILL)
        await until(lambda: len(results) == 1)
        assert results[0].body == KNOWN


def tick(pool: HelperPool, ahead: float = 0.0) -> None:
    """Let a second pass, or so it seems."""
    pool._now.monotonic = time.monotonic() + ahead
    pool.tick()


async def test_a_stuck_helper_makes_room_for_others_and_the_pool_shrinks_when_idle(tmp_path: Path) -> None:
    async with pool_of(1, 3, idle=0.01) as pool:
        (helper,) = pids(pool)
        os.kill(helper, signal.SIGSTOP)
        results: list[Result] = []
        for number in range(20):
            pool.run(translate(tmp_path, b"/%d" % number), results.append)
        assert len(pids(pool)) == 1
        tick(pool, 2.0)
        await until(lambda: len(results) == 19)  # the others work while one is stopped
        assert 1 < len(pids(pool)) <= 3
        os.kill(helper, signal.SIGCONT)
        await until(lambda: len(results) == 20)

        def shrunk() -> bool:
            tick(pool, 1.0)
            return len(pids(pool)) == 1

        await until(shrunk)


async def test_what_takes_too_long_is_given_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with pool_of(1, 1, timeout=5.0) as pool:
        (helper,) = pids(pool)
        os.kill(helper, signal.SIGSTOP)
        results: list[Result] = []
        pool.run(translate(tmp_path, b"/at-work"), results.append)
        pool.run(translate(tmp_path, b"/waits"), results.append)
        tick(pool, 4.0)
        assert results == []
        tick(pool, 6.0)
        assert [result.outcome for result in results] == [Outcome.LATE, Outcome.LATE]
        assert "longer than 5 s" in caplog.text
        pool.run(translate(tmp_path, b"/at-work"), results.append)  # joins the one that is still at work
        os.kill(helper, signal.SIGCONT)
        await until(lambda: len(results) == 3)
        assert results[2].outcome is Outcome.MISSING
        assert (await done(pool, translate(tmp_path, b"/next"))).outcome is Outcome.MISSING
        assert pool._tasks == {}
        assert (pool._metrics.jobs_late, pool._metrics.jobs_cancelled) == (2, 1)


async def test_what_nobody_wants_any_more_is_dropped(tmp_path: Path) -> None:
    async with pool_of(1, 1) as pool:
        (helper,) = pids(pool)
        os.kill(helper, signal.SIGSTOP)
        results: list[Result] = []
        wanted = True
        pool.run(translate(tmp_path, b"/at-work"), results.append)
        for _ in range(2):
            pool.run(translate(tmp_path, b"/dropped"), results.append, lambda: wanted)
        pool.run(translate(tmp_path, b"/shared"), results.append, lambda: wanted)
        pool.run(translate(tmp_path, b"/shared"), results.append)
        wanted = False
        os.kill(helper, signal.SIGCONT)
        await until(lambda: len(results) == 3)
        await done(pool, translate(tmp_path, b"/last"))
        assert len(results) == 3
        assert pool._metrics.jobs_cancelled == 1


async def test_devices_have_lanes_of_their_own(tmp_path: Path) -> None:
    """A device that is dead keeps the helpers that it has, and no other device's."""
    async with pool_of(1, 2) as pool:
        (tmp_path / "file").write_bytes(b"x" * 100_000)
        fd = os.open(tmp_path / "file", os.O_RDONLY)
        elsewhere = Descriptor(fd, 12345)
        for helper in pids(pool):
            os.kill(helper, signal.SIGSTOP)
        stuck: list[Result] = []
        for offset in range(5):
            pool.run(Load(elsewhere, offset, 1), stuck.append)
        assert (await done(pool, translate(tmp_path, b"/file"))).outcome is Outcome.FILE
        tick(pool, 2.0)
        assert stuck == []
        devices = pool.snapshot()["devices"]
        assert isinstance(devices, dict)
        dead = devices[f"{os.major(12345)}:{os.minor(12345)}"]
        assert (dead["working"], dead["queued"]) == (2, 3)
        for helper in pids(pool):
            os.kill(helper, signal.SIGCONT)
        await until(lambda: len(stuck) == 5)


async def test_a_dead_helpers_job_is_done_by_another(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    async with pool_of(1, 1) as pool:
        (helper,) = pids(pool)
        os.kill(helper, signal.SIGSTOP)
        results: list[Result] = []
        pool.run(translate(tmp_path, b"/file"), results.append)
        os.kill(helper, signal.SIGKILL)
        await until(lambda: len(results) == 1)
        assert results[0].body == b"abc"
        assert pids(pool) != [helper]


async def test_a_job_that_kills_two_helpers_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(programs, "helper_program", lambda name: poisoned_helper(tmp_path))
    async with pool_of(2, 2) as pool:
        before = set(pids(pool))
        assert (await done(pool, translate(tmp_path, b"/poison"))).outcome is Outcome.FAILED
        assert "/poison" in caplog.text
        await until(lambda: len(pids(pool)) == 2)
        assert not before & set(pids(pool))
        assert (await done(pool, translate(tmp_path, b"/next"))).outcome is Outcome.MISSING


async def test_a_job_that_dead_helpers_have_not_read_is_not_to_blame(tmp_path: Path) -> None:
    async with pool_of(3, 3) as pool, stopped(pids(pool)):
        results: list[Result] = []
        pool.run(translate(tmp_path, b"/x"), results.append)
        for victim in pids(pool):  # whichever gets it, one after the other
            os.kill(victim, signal.SIGKILL)
        await until(lambda: len(results) == 1)
        assert results[0].outcome is Outcome.MISSING


async def test_a_job_is_not_given_away_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helpers, "_MAX_LOSSES", 1)
    async with pool_of(2, 2) as pool, stopped(pids(pool)):
        results: list[Result] = []
        pool.run(translate(tmp_path, b"/x"), results.append)
        (busy,) = (helper.pid for helper in pool._helpers.values() if helper.task is not None)
        os.kill(busy, signal.SIGKILL)
        await until(lambda: len(results) == 1)
        assert results[0].outcome is Outcome.FAILED


async def test_the_fork_server_is_replaced(tmp_path: Path) -> None:
    async with pool_of(1, 4) as pool:
        first = pool._server.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await until(lambda: pool._server.pid not in (first, None))
        (helper,) = pids(pool)[:1]
        os.kill(helper, signal.SIGKILL)  # the next can only come from the new one
        assert (await done(pool, translate(tmp_path, b"/x"))).outcome is Outcome.MISSING


async def test_close_leaves_no_process() -> None:
    async with pool_of(3, 3) as pool:
        helpers = pids(pool)
        assert len(helpers) == 3
        server = pool._server.pid
    await until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in [*helpers, server]))


async def test_processes_say_what_they_are() -> None:
    async with pool_of(1, 1) as pool:
        (helper,) = pids(pool)
        wanted = f"flashpy: disk helper of {os.getpid()}".encode()
        await until(lambda: Path(f"/proc/{helper}/cmdline").read_bytes().rstrip(b"\0") == wanted)


async def test_a_result_that_cannot_be_delivered_harms_nobody_else(tmp_path: Path) -> None:
    def fail(result: Result) -> None:
        raise RuntimeError("no")

    async with pool_of(1, 1) as pool:
        results: list[Result] = []
        pool.run(translate(tmp_path, b"/a"), fail)
        pool.run(translate(tmp_path, b"/a"), results.append)
        await until(lambda: len(results) == 1)
        assert (await done(pool, translate(tmp_path, b"/b"))).outcome is Outcome.MISSING
