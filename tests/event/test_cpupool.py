"""The pool for work that takes a processor's time, with real processes."""

import asyncio
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import brotli
import pytest

from flashpy.buffers import IN_MEMORY, Descriptor
from flashpy.errors import StartError
from flashpy.event import programs
from flashpy.event.cpupool import CpuPool, default_helpers
from flashpy.event.helpers import HelperPool
from flashpy.event.programs import LocalStarter, Program, Starter
from flashpy.event.routing import Routing
from flashpy.job.kinds import LEVELS, CpuJob, Encode, Identity, Outcome, Result, Translate, Verify
from flashpy.job.passwords import apr1
from flashpy.job.places import identity_of
from flashpy.metrics import Metrics
from flashpy.now import Now
from flashpy.settings import HelpersSection
from tests.children import needs_landlock
from tests.event.test_helpers import until
from tests.running import children_of, is_stopped, title_of

HASH = apr1(b"secret", b"salt")
CONTENT = b" ".join(b"%d" % random.Random(seed).randrange(10**6) for seed in range(17_000))
PROGRAM = """
import os, socket, sys, time
sys.path += [sys.argv[1], *sys.argv[7:]]
from flashpy.job import cpu
from flashpy.job.programs import fork_server

helper = cpu.Helper(True, os.fsencode(sys.argv[5]), int(sys.argv[6]))

def begin():
    perform_well = helper.begin()

    def perform(job):
        {deed}
        return perform_well(job)

    return perform

cpu.import_libraries()
fork_server(socket.socket(fileno=int(sys.argv[2])), begin, "encoding helper", after=helper.after)
"""


@asynccontextmanager
async def pool_of(
    most: int, idle: float = 30.0, room: int = 64, starter: Starter | None = None, sandbox: Sequence[str] = ()
) -> AsyncIterator[CpuPool]:
    """A pool, in which nothing has begun."""
    now = Now(time.monotonic(), time.time())
    pool = CpuPool(asyncio.get_running_loop(), starter or LocalStarter(sandbox), now, Metrics(), most, idle, 10.0, room)
    try:
        yield pool
    finally:
        await pool.close()


async def done(pool: CpuPool | Routing, job: CpuJob | Translate) -> Result:
    """The result of a job."""
    future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
    pool.run(job, future.set_result)  # type: ignore[arg-type]
    return await asyncio.wait_for(future, 20)


def coding(number: int = 0, content: bytes = CONTENT) -> Encode:
    """A job unlike those with other numbers."""
    return Encode(content, Identity(1, number, len(content), 3, 4), b"br", 5)


def pids(pool: CpuPool) -> list[int]:
    """The helpers' process ids."""
    found = pool.snapshot()["pids"]
    assert isinstance(found, list)
    return found


async def stop(pool: CpuPool) -> int:
    """Have one helper, and stop it."""
    await done(pool, Verify(HASH, b"wakes it"))
    (helper,) = pids(pool)
    os.kill(helper, signal.SIGSTOP)
    await until(lambda: is_stopped(helper))
    return helper


def tick(pool: CpuPool, ahead: float = 0.0) -> None:
    """Let a second pass, or so it seems."""
    pool._now.monotonic = time.monotonic() + ahead
    pool.tick()


def program(monkeypatch: pytest.MonkeyPatch, place: Path, deed: str) -> None:
    """Helpers that do something before each job."""
    path = place / "program.py"
    path.write_text(PROGRAM.format(deed=deed))
    monkeypatch.setattr(programs, "helper_program", lambda name: path)


async def test_codings_and_passwords(tmp_path: Path) -> None:
    """A large coded form comes as a descriptor of memory, a small one as bytes."""
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    file = Descriptor(os.open(path, os.O_RDONLY))
    async with pool_of(2) as pool:
        for name, level in LEVELS.items():
            job = Encode(file, identity_of(os.fstat(file.fd)), name, level)
            result = await done(pool, job)
            assert result.outcome is Outcome.ENCODED
            assert result.job is job
            assert result.file is not None and result.file.device == IN_MEMORY
            assert result.identity is not None and result.identity.size == os.fstat(result.file.fd).st_size
            if name == b"br":
                assert brotli.decompress(os.pread(result.file.fd, 10**7, 0)) == CONTENT
        small = await done(pool, coding(content=b"text" * 500))
        assert small.body is not None and brotli.decompress(small.body) == b"text" * 500
        assert (await done(pool, coding(content=b"x"))).outcome is Outcome.GROWN
        assert (await done(pool, Verify(HASH, b"secret"))).outcome is Outcome.PASSED
        assert (await done(pool, Verify(HASH, b"Secret"))).outcome is Outcome.REFUSED


async def test_small_files_are_sent_whole(caplog: pytest.LogCaptureFixture) -> None:
    """Up to the largest that the file cache may be told to hold in memory; beyond, no helper is to blame."""
    content = (CONTENT * 2)[: 128 * 1024]
    async with pool_of(1) as pool:
        result = await done(pool, coding(content=content))
        assert result.file is not None and brotli.decompress(os.pread(result.file.fd, 10**6, 0)) == content
        assert (await done(pool, coding(content=bytes(2**20)))).outcome is Outcome.FAILED
        assert "Message too long" in caplog.text
        assert pool._metrics.helper_deaths == 0


async def test_nothing_is_started_before_there_is_something_to_do() -> None:
    before = children_of(os.getpid())
    async with pool_of(1) as pool:
        tick(pool)
        await asyncio.sleep(0)
        assert children_of(os.getpid()) == before
        await done(pool, Verify(HASH, b"x"))
        assert len(children_of(os.getpid()) - before) == 1


async def test_idle_helpers_end_and_others_come(tmp_path: Path) -> None:
    async with pool_of(2, idle=0.01) as pool:
        await asyncio.gather(*(done(pool, coding(number)) for number in range(6)))
        assert 1 <= len(pids(pool)) <= 2

        def empty() -> bool:
            tick(pool, 1.0)
            return not pids(pool)

        await until(empty)
        assert (await done(pool, coding())).outcome is Outcome.ENCODED


async def test_there_are_no_more_helpers_than_may_be() -> None:
    async with pool_of(2) as pool:
        results: list[Result] = []
        for number in range(30):
            pool.run(coding(number), results.append)
        most = 0
        async with asyncio.timeout(20):
            while len(results) < 30:
                most = max(most, len(pids(pool)))
                await asyncio.sleep(0.001)
        assert most == 2
        assert {result.outcome for result in results} == {Outcome.ENCODED}


async def test_equal_jobs_are_done_once(tmp_path: Path) -> None:
    """However the file is at hand."""
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    file = Descriptor(os.open(path, os.O_RDONLY))
    identity = identity_of(os.fstat(file.fd))
    async with pool_of(1) as pool:
        helper = await stop(pool)
        before = pool._metrics.jobs
        results: list[Result] = []
        for source in (file, CONTENT, Descriptor(os.dup(file.fd))):
            pool.run(Encode(source, identity, b"br", 5), results.append)
        pool.run(Encode(file, identity, b"gzip", 6), results.append)
        os.kill(helper, signal.SIGCONT)
        await until(lambda: len(results) == 4)
        assert pool._metrics.jobs - before == 2
        assert len({result.name for result in results}) == 2
        assert pool._tasks == {}


async def test_a_full_queue_refuses_and_passwords_have_one_of_their_own() -> None:
    async with pool_of(1, room=3) as pool:
        helper = await stop(pool)
        results: list[Result] = []
        for number in range(6):  # one at work, three that wait
            pool.run(coding(number), results.append)
        assert [result.outcome for result in results] == [Outcome.BUSY] * 2
        assert pool._metrics.jobs_refused == 2
        order: list[Outcome] = []
        pool.run(Verify(HASH, b"secret"), lambda result: order.append(result.outcome))
        for number in range(1, 4):
            pool.run(coding(number), lambda result: order.append(result.outcome))  # they join those that wait
        os.kill(helper, signal.SIGCONT)
        await until(lambda: len(order) == 4)
        assert order == [Outcome.PASSED, *[Outcome.ENCODED] * 3]  # passwords come first


async def test_a_coding_that_would_be_late_is_not_made() -> None:
    """Who waits for it gets the file as it is; a password is worth waiting for."""
    async with pool_of(1) as pool:
        helper = await stop(pool)
        results: list[Result] = []
        for number in range(3):
            pool.run(coding(number), results.append)
        pool.run(Verify(HASH, b"secret"), results.append)
        tick(pool, 1.0)
        assert results == []
        tick(pool, 5.0)
        assert [result.outcome for result in results] == [Outcome.LATE] * 2
        tick(pool, 15.0)
        assert [result.outcome for result in results] == [Outcome.LATE] * 4
        os.kill(helper, signal.SIGCONT)
        assert (await done(pool, Verify(HASH, b"secret"))).outcome is Outcome.PASSED
        assert pool._tasks == {}


async def test_what_nobody_wants_any_more_is_dropped() -> None:
    async with pool_of(1) as pool:
        helper = await stop(pool)
        results: list[Result] = []
        pool.run(coding(1), results.append)
        pool.run(coding(2), results.append, lambda: False)
        os.kill(helper, signal.SIGCONT)
        await done(pool, coding(3))
        assert len(results) == 1
        assert pool._metrics.jobs_cancelled == 1


async def test_a_job_whose_helper_is_killed_is_done_by_another() -> None:
    async with pool_of(1) as pool:
        helper = await stop(pool)
        results: list[Result] = []
        pool.run(coding(), results.append)
        os.kill(helper, signal.SIGKILL)
        await until(lambda: len(results) == 1)
        assert results[0].outcome is Outcome.ENCODED
        assert pool._metrics.helper_deaths == 1
        assert pids(pool) != [helper]


async def test_a_job_that_kills_two_helpers_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    program(monkeypatch, tmp_path, "job[1] == b'poison' and os._exit(1)")
    async with pool_of(1) as pool:
        assert (await done(pool, Verify(HASH, b"poison"))).outcome is Outcome.FAILED
        assert pool._metrics.helper_deaths == 2
        assert "Checking a password failed: killed." in caplog.text
        assert "poison" not in caplog.text
        assert (await done(pool, Verify(HASH, b"secret"))).outcome is Outcome.PASSED


async def test_a_job_that_takes_a_processor_for_ever_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as a hash whose cost somebody has set too high."""
    program(monkeypatch, tmp_path, "cpu.CPU_SECONDS = 0.05")
    async with pool_of(1) as pool:
        file = Descriptor(os.memfd_create("large"))
        os.truncate(file.fd, 2**28)
        endless = Encode(file, identity_of(os.fstat(file.fd)), b"br", 11)
        assert (await done(pool, endless)).outcome is Outcome.FAILED
        assert pool._metrics.helper_deaths == 2


async def test_a_file_that_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    file = Descriptor(os.open(path, os.O_RDONLY))
    identity = identity_of(os.fstat(file.fd))
    path.write_bytes(CONTENT[1:])
    async with pool_of(1) as pool:
        assert (await done(pool, Encode(file, identity, b"br", 5))).outcome is Outcome.CHANGED


@needs_landlock
async def test_a_confined_helper_opens_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does its work all the same; in the test it tries to read what anybody may."""
    program(monkeypatch, tmp_path, "job[1] == b'traitor' and open('/etc/passwd')")
    async with pool_of(1, sandbox=["/"]) as pool:
        assert (await done(pool, coding())).outcome is Outcome.ENCODED
        assert (await done(pool, Verify(HASH, b"secret"))).outcome is Outcome.PASSED
        assert (await done(pool, Verify(HASH, b"traitor"))).outcome is Outcome.FAILED


@needs_landlock
async def test_the_programs_helpers_are_confined_when_the_disk_helpers_are() -> None:
    """Landlock sets no_new_privs (proc_pid_status(5)); the libraries have been imported before."""
    for sandbox, mark in (([], "0"), (["/"], "1")):
        async with pool_of(1, sandbox=sandbox) as pool:
            assert (await done(pool, coding())).outcome is Outcome.ENCODED
            (helper,) = pids(pool)
            status = Path(f"/proc/{helper}/status").read_text()
            assert f"NoNewPrivs:\t{mark}\n" in status


async def test_helpers_yield_and_say_what_they_are() -> None:
    async with pool_of(1) as pool:
        await done(pool, coding())
        (helper,) = pids(pool)
        assert title_of(helper) == f"flashpy: encoding helper of {os.getpid()}"
        assert os.getpriority(os.PRIO_PROCESS, helper) == min(19, os.getpriority(os.PRIO_PROCESS, 0) + 10)
        assert os.sched_getscheduler(helper) == os.SCHED_BATCH


class Failing:
    """A Starter that has nothing to start at first."""

    def __init__(self) -> None:
        self.tries = 0
        self.works = False

    async def start(self, name: str) -> Program:
        """See Starter."""
        self.tries += 1
        if not self.works:
            raise StartError("Not now.")
        return await LocalStarter().start(name)


async def test_a_program_that_does_not_start_is_not_tried_again_at_once(caplog: pytest.LogCaptureFixture) -> None:
    """Meanwhile all is refused, and nobody waits."""
    starter = Failing()
    async with pool_of(1, starter=starter) as pool:
        for number in range(3):
            assert (await done(pool, coding(number))).outcome is Outcome.BUSY
        assert starter.tries == 1
        assert "Not now." in caplog.text
        tick(pool, 1.5)
        assert (await done(pool, coding())).outcome is Outcome.BUSY
        assert starter.tries == 2
        starter.works = True
        tick(pool, 2.0)
        assert (await done(pool, coding())).outcome is Outcome.BUSY
        tick(pool, 4.0)
        assert (await done(pool, coding())).outcome is Outcome.ENCODED


async def test_it_is_replaced_when_it_dies() -> None:
    async with pool_of(1) as pool:
        await done(pool, coding())
        assert pool._server is not None
        first = pool._server.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        (helper,) = pids(pool)
        os.kill(helper, signal.SIGKILL)
        assert (await done(pool, coding(1))).outcome is Outcome.ENCODED
        assert pool._server.pid != first


@pytest.mark.parametrize("turns", [0, 1, 2, 5, 50])
async def test_an_end_while_it_starts(turns: int) -> None:
    """However far it has come, no process stays."""
    before = children_of(os.getpid())
    async with pool_of(1) as pool:
        results: list[Result] = []
        pool.run(coding(), results.append)
        for _ in range(turns):
            await asyncio.sleep(0.002)
    await until(lambda: children_of(os.getpid()) <= before)


async def test_jobs_go_where_they_belong(tmp_path: Path) -> None:
    """And what takes a processor's time holds up no disk job."""
    (tmp_path / "file").write_bytes(b"abc")
    loop, now, metrics = asyncio.get_running_loop(), Now(time.monotonic(), time.time()), Metrics()
    disk = HelperPool(loop, HelpersSection(min=1, max=1), 65_536, now, metrics, LocalStarter())
    await disk.start()
    async with pool_of(1) as pool:
        both = Routing(disk, pool)
        helper = await stop(pool)
        results: list[Result] = []
        both.run(coding(), results.append)
        assert (await done(both, Translate((os.fsencode(tmp_path),), b"/file", small=10))).body == b"abc"
        assert results == []
        os.kill(helper, signal.SIGCONT)
        await until(lambda: len(results) == 1)
        assert results[0].outcome is Outcome.ENCODED
    await disk.close()


def test_the_loop_keeps_a_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    for processors, helpers in ((1, 1), (2, 1), (3, 2), (4, 3), (5, 4), (64, 4)):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, count=processors: set(range(count)))
        assert default_helpers() == helpers
