"""The pool with helpers that may read beneath the roots only: what is deployed meanwhile is served."""

import asyncio
import ctypes
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from flashpy.buffers import Descriptor
from flashpy.event.helpers import HelperPool
from flashpy.event.programs import Child
from flashpy.job.kinds import KNOWN, Check, Load, Outcome, Result, Translate
from flashpy.metrics import Metrics
from flashpy.now import Now
from flashpy.server import background
from flashpy.settings import HelpersSection
from tests.children import in_child, needs_landlock, needs_root
from tests.event.test_helpers import done, pids, pool_of, translate, until
from tests.running import REPOSITORY, Client, eventually

_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 24, 1, 2


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A root with a small and a large file."""
    return release(tmp_path / "site", b"first")


def release(directory: Path, content: bytes) -> Path:
    """A directory to be served."""
    directory.mkdir()
    (directory / "small").write_bytes(content)
    (directory / "large").write_bytes(content * 50_000)
    return directory


def deploy(site: Path, content: bytes) -> None:
    """Have another directory in the site's place, as a deployment by two renames does."""
    new = release(site.with_name("new-" + content.decode()), content)
    site.rename(site.with_name("before-" + content.decode()))
    new.rename(site)


def assert_nothing_happened(pool: HelperPool, caplog: pytest.LogCaptureFixture) -> None:
    """No death was counted and no word said that people have to read."""
    assert pool._metrics.helper_deaths == 0
    assert [record.message for record in caplog.records if record.levelno > logging.DEBUG] == []


@needs_landlock
async def test_helpers_serve_the_root_and_nothing_else(site: Path) -> None:
    """To be asked for something else is no reason to end."""
    async with pool_of(1, 1, root=site, sandbox=[site]) as pool:
        helpers = pids(pool)
        small = await done(pool, translate(site, b"/small"))
        large = await done(pool, translate(site, b"/large"))
        assert small.body == b"first"
        assert large.file is not None and large.identity is not None
        assert os.pread(large.file.fd, 5, 5) == b"first"
        assert (await done(pool, Load(Descriptor(os.dup(large.file.fd)), 0, 250_000))).outcome is Outcome.LOADED
        for _ in range(2):
            assert (await done(pool, translate(Path("/etc"), b"/passwd"))).outcome is Outcome.FORBIDDEN
        results: list[Result] = []
        pool.run(Check((translate(site, b"/small")._replace(known=small.identity),)), results.append)
        await until(lambda: len(results) == 1)
        assert results[0].body == KNOWN
        assert pids(pool) == helpers


@needs_landlock
async def test_the_fork_server_is_not_confined_but_its_helpers_are(site: Path) -> None:
    """The kernel says so of no process; but whoever is confined may not gain privileges (no_new_privs)."""

    def no_new_privs(pid: int | None) -> bool:
        return "NoNewPrivs:\t1" in Path(f"/proc/{pid}/status").read_text()

    async with pool_of(1, 1, sandbox=[site]) as pool:
        assert [no_new_privs(pid) for pid in pids(pool)] == [True]
        assert no_new_privs(pool._server.pid) == no_new_privs(os.getpid())


@needs_landlock
async def test_a_root_replaced_while_requests_flow(site: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Every request is answered, with what was there when it came or later."""
    caplog.set_level(logging.DEBUG)
    async with pool_of(3, 3, root=site, sandbox=[site]) as pool:
        first = pids(pool)
        for number in range(10):
            content = b"%d" % number
            pending = [asyncio.ensure_future(done(pool, translate(site, b"/small", small))) for small in range(99, 109)]
            deploy(site, content)
            results = await asyncio.gather(*pending)
            # Between the two renames there is no root, which is for the deployment to avoid, by a link.
            assert {result.outcome for result in results} <= {Outcome.FILE, Outcome.MISSING}
            assert (await done(pool, translate(site, b"/small"))).body == content
        assert not set(pids(pool)) & set(first)
        await until(lambda: len(pids(pool)) == 3)
        assert_nothing_happened(pool, caplog)
        assert "roots are others now" in caplog.text


@needs_landlock
async def test_a_link_switched_while_requests_flow(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is ever missing."""
    current = tmp_path / "current"
    current.symlink_to(release(tmp_path / "first", b"first"))
    async with pool_of(2, 4, root=current, sandbox=[current]) as pool:
        for number in range(10):
            content = b"%d" % number
            (tmp_path / "next").symlink_to(release(tmp_path / f"release{number}", content))
            pending = [asyncio.ensure_future(done(pool, translate(current, b"/small", s))) for s in range(99, 109)]
            (tmp_path / "next").rename(current)
            pending += [asyncio.ensure_future(done(pool, translate(current, b"/small", s))) for s in range(199, 209)]
            results = await asyncio.gather(*pending)
            assert {result.outcome for result in results} == {Outcome.FILE}
            assert {result.body for result in results[10:]} == {content}
        assert_nothing_happened(pool, caplog)


@needs_landlock
async def test_an_allowed_root_replaced(site: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """And the root, to which the helpers' rights are still good, is served all the while."""
    allowed = tmp_path / "allowed"
    (site / "link").symlink_to(allowed / "small")
    job = Translate((os.fsencode(site), os.fsencode(allowed)), b"/link", (), (), 100)
    async with pool_of(1, 1, root=site, sandbox=[site, allowed]) as pool:
        assert (await done(pool, job)).outcome is Outcome.MISSING
        release(allowed, b"there")
        assert (await done(pool, job)).body == b"there"
        deploy(allowed, b"other")
        helpers = pids(pool)
        assert (await done(pool, translate(site, b"/small"))).body == b"first"
        assert pids(pool) == helpers
        assert (await done(pool, job)).body == b"other"
        assert_nothing_happened(pool, caplog)


@needs_landlock
async def test_helpers_and_fork_servers_that_were_killed(site: Path) -> None:
    """Those that come after are confined, to what the roots are then."""
    async with pool_of(1, 1, root=site, sandbox=[site]) as pool:
        deploy(site, b"second")
        os.kill(pids(pool)[0], signal.SIGKILL)
        assert (await done(pool, translate(site, b"/small"))).body == b"second"
        first = pool._server.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await until(lambda: pool._server.pid not in (first, None))
        deploy(site, b"third")
        os.kill(pids(pool)[0], signal.SIGKILL)
        assert (await done(pool, translate(site, b"/small"))).body == b"third"
        assert (await done(pool, translate(Path("/etc"), b"/passwd"))).outcome is Outcome.FORBIDDEN


@needs_landlock
async def test_a_root_whose_name_is_no_utf_8(tmp_path: Path) -> None:
    site = release(Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xe9\n")), b"content")
    async with pool_of(1, 1, sandbox=[site]) as pool:
        assert (await done(pool, translate(site, b"/small"))).body == b"content"


@needs_landlock
@needs_root
def test_a_mode_that_refuses_costs_no_helper(site: Path) -> None:
    """By a pool that runs as root, but without root's right to read everything (capabilities(7))."""
    (site / "small").chmod(0)

    async def ask() -> tuple[set[Outcome], bool]:
        async with pool_of(2, 2, root=site, sandbox=[site]) as pool:
            before = pids(pool)
            outcomes = {(await done(pool, translate(site, b"/small"))).outcome for _ in range(10)}
            return outcomes, pids(pool) == before and pool._metrics.helper_deaths == 0

    def run() -> tuple[set[Outcome], bool]:
        libc = ctypes.CDLL(None)
        for capability in (_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH):
            assert libc.prctl(_PR_CAPBSET_DROP, ctypes.c_ulong(capability), 0, 0, 0) == 0
        return asyncio.run(ask())

    assert in_child(run) == ({Outcome.FORBIDDEN}, True)


_ALWAYS_STALE = """
import socket, sys
sys.path.append(sys.argv[1])
from flashpy.job.kinds import Outcome, Result
from flashpy.job.programs import fork_server
fork_server(socket.socket(fileno=int(sys.argv[2])), lambda: lambda job: Result(Outcome.STALE, error=13), "helper")
"""


class AlwaysStale:
    """Starts a fork server whose helpers are born too late for roots that do not rest (a Starter)."""

    async def start(self, _: str) -> Child:
        """See Starter."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        command = [sys.executable, "-I", "-S", "-c", _ALWAYS_STALE, str(REPOSITORY), str(theirs.fileno())]
        with theirs:
            return Child(subprocess.Popen(command, pass_fds=(theirs.fileno(),)), ours)


async def test_roots_that_do_not_rest_make_no_loop(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The job is refused once it has met more helpers than there can be."""
    config = HelpersSection(min=1, max=2, total=3)
    now = Now(time.monotonic(), time.time())
    pool = HelperPool(asyncio.get_running_loop(), config, 100, now, Metrics(), AlwaysStale())
    caplog.set_level(logging.DEBUG)
    await pool.start()
    try:
        result = await done(pool, translate(tmp_path, b"/file"))
        assert (result.outcome, result.error) == (Outcome.FORBIDDEN, 13)
        assert caplog.text.count("roots are others now") == config.total + 2
        assert pool._metrics.helper_deaths == 0
        await until(lambda: len(pids(pool)) >= 1)
    finally:
        await pool.close()


def serves(client: Client, content: bytes, *fields: str) -> bool:
    """Whether this is what a client gets."""
    return client.get("/small", *fields).body == content


@needs_landlock
def test_a_deployment_fails_no_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a whole server, over sockets: nothing but 200, and at the end the last release, its variants too."""
    current = tmp_path / "current"
    current.symlink_to(release(tmp_path / "first", b"first"))
    starter = partial(sys.modules["flashpy.server"].LocalStarter, [os.fspath(current)])
    monkeypatch.setattr("flashpy.server.LocalStarter", starter)
    statuses: set[int] = set()
    stop = threading.Event()

    def ask() -> None:
        with Client(("127.0.0.1", port)) as client:
            while not stop.is_set():
                statuses.update(client.get(name, "Accept-Encoding: gzip").status for name in ("/small", "/large"))

    site = {"root": str(current), "precompressed": ["gzip"]}
    config = {"valid": 0.01, "negative_valid": 0.01}
    with background(current, site=site, cache=config) as server:
        port = int(server.url.rpartition(":")[2])
        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for number in range(10):
                new = release(tmp_path / f"release{number}", b"%d" % number)
                (new / "small.gz").write_bytes(b"packed %d" % number)
                (tmp_path / "next").symlink_to(new)
                (tmp_path / "next").rename(current)
                with Client(("127.0.0.1", port)) as client:
                    eventually("the new file is served", partial(serves, client, b"%d" % number))
                    packed = b"packed %d" % number
                    eventually("so is its variant", partial(serves, client, packed, "Accept-Encoding: gzip"))
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert server.metrics()["helper_deaths"] == 0
    assert statuses == {200}
