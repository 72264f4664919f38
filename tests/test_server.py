"""The server as a library: it works beside others in a process, touches nothing there and leaves nothing behind."""

import asyncio
import gc
import logging
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

import flashpy
from flashpy import Config, ConfigError, Server, StartError, background
from flashpy.event import forkserver
from flashpy.server import configure, new_event_loop
from tests.running import PATIENCE, Answer, Client, clean_environment, descendants_of, eventually

BIG = 64 * 2**20
Loop = Callable[[], asyncio.AbstractEventLoop]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "site"
    root.mkdir()
    (root / "index.html").write_text("hello")
    return root


@pytest.fixture(params=[new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
def loop_factory(request: pytest.FixtureRequest) -> Loop:
    factory: Loop = request.param
    return factory


def run_in(loop_factory: Loop, main: Coroutine[Any, Any, None]) -> None:
    """Run to the end in a loop of this kind. Not asyncio.run, which puts up a signal handler of its own."""

    async def bounded() -> None:
        async with asyncio.timeout(2 * PATIENCE):
            await main

    loop = loop_factory()
    try:
        loop.run_until_complete(bounded())
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        loop.close()


def client_of(url: str) -> Client:
    """A connection to a server."""
    return Client(("127.0.0.1", int(url.rpartition(":")[2])))


def fetch(url: str, target: str = "/") -> Answer:
    """One request on a connection of its own; it blocks."""
    with client_of(url) as client:
        return client.get(target)


async def fetch_beside(url: str, target: str = "/") -> Answer:
    """One request from a thread, while the loop serves it."""
    return await asyncio.to_thread(fetch, url, target)


def is_refused(url: str) -> bool:
    """Whether nobody listens any more."""
    try:
        client_of(url).close()
    except ConnectionRefusedError:
        return True
    return False


def open_descriptors() -> dict[str, str]:
    """This process's descriptors, and what each stands for; that of the listing itself left out."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[name] = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:
            pass
    return found


def helper_processes() -> set[int]:
    """All processes below this one."""
    return descendants_of(os.getpid())


class Unchanged:
    """A block behind which this process has the descriptors and processes that it had before."""

    def __enter__(self) -> None:
        uvloop.new_event_loop().close()  # the first one opens a pipe for signals that stays
        gc.collect()
        self._descriptors = open_descriptors()
        self._processes = helper_processes()

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            gc.collect()
            assert open_descriptors() == self._descriptors
            eventually("all processes have ended", lambda: helper_processes() <= self._processes)


# Ways to serve


async def test_with_a_directory(root: Path) -> None:
    async with Server(root) as server:
        assert server.urls == [server.url]
        assert server.url.startswith("http://127.0.0.1:") and not server.url.endswith(":0")
        assert (await fetch_beside(server.url)).body == b"hello"
        url = server.url
    assert is_refused(url)


def test_in_each_kind_of_loop(root: Path, loop_factory: Loop) -> None:
    async def main() -> None:
        (root / "big").write_bytes(b"b" * 300_000)
        with Unchanged():
            async with Server(configure(root, port=0)) as server:
                assert (await fetch_beside(server.url)).body == b"hello"
                assert (await fetch_beside(server.url, "/none")).status == 404
                assert (await fetch_beside(server.url, "/big")).body == b"b" * 300_000
                assert server.metrics()["faults"] == 0

    run_in(loop_factory, main())


def test_in_a_thread(root: Path) -> None:
    fetch_nothing = threading.active_count()
    with Unchanged():
        with background(root) as server:
            assert fetch(server.url).body == b"hello"
            assert server.urls == [server.url]
            assert server.config.site.root == str(root)
            assert threading.active_count() > fetch_nothing
        assert is_refused(server.url)
        assert threading.active_count() == fetch_nothing


def test_in_a_thread_with_a_configuration(root: Path) -> None:
    config = configure(root, port=0, site={"headers": {"X-From": "config"}})
    assert isinstance(config, Config)
    with background(config) as server:
        assert fetch(server.url).fields["x-from"] == "config"
    with background(root, site={"index": ["other"]}, limits={"target": 64}) as server:
        assert fetch(server.url).status == 404
        assert fetch(server.url, "/" + "x" * 100).status == 414


def test_a_wrong_configuration(root: Path) -> None:
    wrong: list[dict[str, Any]] = [{"site": {"indx": []}}, {"limits": {"connections": 0}}, {"sites": {}}]
    for sections in wrong:
        with pytest.raises(ConfigError), background(root, **sections):
            raise AssertionError("it must not start")


def test_an_error_in_the_block_ends_the_server(root: Path) -> None:
    class Mine(Exception):
        pass

    with Unchanged():
        with pytest.raises(Mine), background(root) as server:
            raise Mine
        assert is_refused(server.url)


async def test_an_error_in_the_block_waits_for_no_client(root: Path) -> None:
    (root / "big").touch()
    os.truncate(root / "big", BIG)
    server = Server(root)

    async def ask_and_fail() -> None:
        async with server:
            clients.append(await asyncio.to_thread(client_of, server.url))
            clients[0].ask("/big")
            assert (await asyncio.to_thread(clients[0].head)).status == 200
            raise ZeroDivisionError  # the client has not read it all, and would be waited for

    clients: list[Client] = []
    with pytest.raises(ZeroDivisionError):
        await ask_and_fail()
    (client,) = clients
    assert len(await asyncio.to_thread(client.rest)) < BIG
    client.close()


async def test_stopping_waits_no_longer_than_it_is_told(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    (root / "big").touch()
    os.truncate(root / "big", BIG)
    server = Server(root)
    await server.start()
    client = await asyncio.to_thread(client_of, server.url)
    client.ask("/big")
    assert (await asyncio.to_thread(client.head)).status == 200
    await server.stop(0.1)
    assert "1 connections were cut off at shutdown." in caplog.messages
    client.close()


async def test_stopping_again_and_stopping_what_never_started(root: Path) -> None:
    server = Server(root)
    await server.stop()
    await server.start()
    await server.stop()
    assert server.urls == []
    await server.stop()


async def test_a_stopped_server_can_be_started_again(root: Path) -> None:
    server = Server(root)
    for _ in range(2):
        async with server:
            assert len(server.urls) == 1
            assert (await fetch_beside(server.url)).body == b"hello"


def test_two_servers_in_one_loop(root: Path, tmp_path: Path, loop_factory: Loop) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "index.html").write_text("other")

    async def main() -> None:
        async with Server(root) as first, Server(other) as second:
            assert first.url != second.url
            assert (await fetch_beside(first.url)).body == b"hello"
            assert (await fetch_beside(second.url)).body == b"other"
            await first.stop()
            assert (await fetch_beside(second.url)).body == b"other"
            assert second.metrics()["requests"] == 2

    run_in(loop_factory, main())


def test_two_servers_in_two_threads(root: Path, tmp_path: Path) -> None:
    with background(root) as first, background(tmp_path) as second:
        assert fetch(first.url).body == b"hello"
        assert fetch(second.url, "/site/").body == b"hello"
        assert first.metrics()["pool"]["pids"] != second.metrics()["pool"]["pids"]


def test_run_serves_until_it_is_interrupted(root: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = "import flashpy, sys; flashpy.run(sys.argv[1], port=int(sys.argv[2])); print('behind it')"
    with subprocess.Popen(
        [sys.executable, "-W", "error::ResourceWarning", "-c", command, str(root), str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=clean_environment(),
        text=True,
    ) as process:
        try:
            eventually("it listens", lambda: process.poll() is not None or not is_refused(url))
            assert fetch(url).body == b"hello"
            with client_of(url) as idle:
                assert idle.get().status == 200
                process.send_signal(signal.SIGINT)
                assert idle.rest() == b""
            assert process.communicate(timeout=PATIENCE) == ("behind it\n", "")
            assert process.returncode == 0
        finally:
            process.kill()


def test_run_raises_what_keeps_it_from_starting(root: Path) -> None:
    with pytest.raises(StartError, match="does not exist"):
        flashpy.run(root / "none", port=0)
    with pytest.raises(ConfigError, match=r"site\.indx"):
        flashpy.run(root, port=0, site={"indx": []})


# What is left alone


def state_of_the_process() -> dict[str, object]:
    """What belongs to the process and not to a server in it."""
    loggers = [logging.getLogger(), *(logging.getLogger(name) for name in sorted(logging.root.manager.loggerDict))]
    return {
        "signals": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "limits": {name: resource.getrlimit(getattr(resource, name)) for name in dir(resource) if "RLIMIT_" in name},
        "logging": [(logger.name, logger.level, logger.handlers[:]) for logger in loggers],
        "collector": (gc.get_threshold(), gc.get_freeze_count(), gc.isenabled()),
        "directory": os.getcwd(),
        "environment": dict(os.environ),
        "threads": threading.active_count(),
    }


def test_nothing_of_the_process_is_touched(root: Path, loop_factory: Loop) -> None:
    async def main() -> None:
        before = state_of_the_process()
        async with Server(configure(root, port=0, log={"access": True, "access_file": str(root / "log")})):
            during = state_of_the_process()
        for name, value in before.items():
            if name != "threads":  # the access log is opened in one
                assert during[name] == value, name

    run_in(loop_factory, main())


# What is left behind


def test_many_cycles_leave_nothing_behind(root: Path, loop_factory: Loop) -> None:
    (root / "big").write_bytes(b"b" * 300_000)

    async def cycle() -> None:
        async with Server(root) as server:
            client = await asyncio.to_thread(client_of, server.url)
            assert (await asyncio.to_thread(client.get, "/")).status == 200
            assert (await asyncio.to_thread(client.get, "/big")).status == 200
        client.close()

    async def main() -> None:
        await cycle()  # what is made once only, such as the threads of the loop, is made
        with Unchanged():
            for _ in range(10):
                await cycle()

    run_in(loop_factory, main())


def test_many_threads_leave_nothing_behind(root: Path) -> None:
    with background(root):
        pass
    with Unchanged():
        for _ in range(5):
            with background(root) as server:
                assert fetch(server.url).status == 200


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"site": {"root": "/none"}}, "does not exist"),
        ({"server": {"bind": ["127.0.0.1:0", "unix:socket", "fd://nonsense"]}}, "is no listening socket"),
        ({"server": {"bind": ["127.0.0.1:0", "BUSY"]}}, "in use already"),
        ({"log": {"access": True, "access_file": "/none/log"}}, "cannot be opened"),
    ],
)
def test_a_start_that_fails_leaves_nothing_behind(
    root: Path,
    loop_factory: Loop,
    monkeypatch: pytest.MonkeyPatch,
    sections: dict[str, dict[str, Any]],
    said: str,
) -> None:
    monkeypatch.chdir(root)

    async def main(busy: str) -> None:
        tables: dict[str, Any] = {name: dict(values) for name, values in sections.items()}
        if "server" in tables:
            tables["server"]["bind"] = [busy if each == "BUSY" else each for each in tables["server"]["bind"]]
        server = Server(configure(root, port=0, **tables))
        await asyncio.to_thread(bool)  # the threads of the loop are made
        with Unchanged():
            with pytest.raises(StartError, match=said):
                await server.start()
            assert server.urls == []
        assert not (root / "socket").exists()
        await server.stop()

    with socket.create_server(("127.0.0.1", 0)) as sock:
        run_in(loop_factory, main(f"127.0.0.1:{sock.getsockname()[1]}"))


def test_a_background_that_fails_leaves_nothing_behind(root: Path) -> None:
    threads = threading.active_count()
    with Unchanged(), pytest.raises(StartError), background(root / "none"):
        raise AssertionError("it must not start")
    assert threading.active_count() == threads


def test_helpers_that_cannot_be_started(root: Path, loop_factory: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        await asyncio.to_thread(bool)
        with Unchanged(), pytest.raises(StartError, match="cannot be run with /none/python"):
            await Server(root).start()

    monkeypatch.setattr(sys, "executable", "/none/python")
    run_in(loop_factory, main())


@pytest.fixture
def bad_python(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Helper programs end as soon as they are started, and are not waited for long."""
    monkeypatch.setattr(sys, "executable", "/bin/false")
    monkeypatch.setattr(forkserver, "_START_SECONDS", 0.5)
    yield
    caplog.clear()


@pytest.mark.usefixtures("bad_python")
def test_helpers_that_end_at_once_leave_nothing_behind(root: Path, loop_factory: Loop) -> None:
    async def main() -> None:
        await asyncio.to_thread(bool)
        with Unchanged():
            with pytest.raises(StartError, match="The helper processes did not start"):
                await Server(root).start()
            others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            await asyncio.gather(*others)  # none goes on trying

    run_in(loop_factory, main())


@pytest.mark.usefixtures("bad_python")
async def test_helpers_that_end_at_once_are_not_started_again_without_a_pause(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(StartError):
        await Server(root).start()
    starts = sum("starting another" in message for message in caplog.messages)
    caplog.clear()
    assert starts < 10


# What is told


async def test_metrics(root: Path) -> None:
    server = Server(root)
    assert server.metrics()["requests"] == 0
    async with server:
        client = await asyncio.to_thread(client_of, server.url)
        for target in ("/", "/", "/none"):
            await asyncio.to_thread(client.get, target)
        found = server.metrics()
        assert (found["requests"], found["connections"], found["connections_accepted"]) == (3, 1, 1)
        assert (found["jobs"], found["faults"], found["timeouts"], found["helper_deaths"]) == (2, 0, 0, 0)
        assert found["cache"]["pathnames"] == 2
        assert found["pool"]["helpers"] == 2
        assert len(found["pool"]["pids"]) == 2
        assert all(isinstance(count, int | float | str) for count in found["stalls"].values())
        found["stalls"]["longer"] = found["requests"] = 99
        assert server.metrics()["requests"] == 3 and server.metrics()["stalls"]["longer"] != 99
        client.close()
    after = server.metrics()
    assert (after["requests"], after["connections"], after["pool"]) == (3, 0, {})


def test_metrics_of_a_server_in_a_thread(root: Path) -> None:
    with background(root) as server:
        assert fetch(server.url).status == 200
        assert server.metrics()["requests"] == 1


def test_the_package_imports_nothing_before_it_is_used() -> None:
    code = "import flashpy, sys; print(sorted({'asyncio', 'uvloop', 'msgspec', 'socket'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, env=clean_environment()
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_the_names_of_the_package() -> None:
    for name in flashpy.__all__:
        assert getattr(flashpy, name).__name__ == name
    with pytest.raises(AttributeError, match="'nothing'"):
        flashpy.nothing  # noqa: B018
