"""A supervisor and its workers, as processes: what people do to a server that is to run for years."""

import ast
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.running import (
    PATIENCE,
    REPOSITORY,
    Client,
    Flashpy,
    children_of,
    clean_environment,
    descendants_of,
    eventually,
    is_alive,
    title_of,
)
from tests.supervisor.supervised import Load, connect, generation_of, new_supervisor, port_of, reload, start, write

BIG = 8 * 2**20


@pytest.fixture
def site(tmp_path: Path) -> Path:
    root = tmp_path / "site"
    root.mkdir()
    (root / "index.html").write_text("hello")
    (root / "big").write_bytes(os.urandom(BIG))
    return root


@pytest.fixture
def file(site: Path) -> Path:
    """A configuration file."""
    return write(site.parent / "flashpy.toml")


# Reload


@pytest.mark.parametrize("keep_alive", [True, False])
@pytest.mark.parametrize("workers", [1, 2])
def test_nothing_is_lost_when_the_configuration_changes(
    stack: ExitStack, file: Path, workers: int, keep_alive: bool
) -> None:
    keys = f"workers = {workers}"
    write(file, 1, keys)
    server = start(stack, file)
    load = Load(stack, file, keep_alive=keep_alive)
    for generation in range(2, 5):
        reload(server, file, generation, keys)
        seen = load.answered
        eventually("there is an answer by it", lambda seen=seen: load.answered > seen + 10)  # type: ignore[misc]
    load.stop()
    assert load.failures == []
    assert load.generations == {1, 2, 3, 4}
    assert len(server.workers()) == workers
    assert server.end() == 0
    assert "Traceback" not in server.stderr


def test_a_connection_between_two_requests_goes_to_the_new_worker(stack: ExitStack, file: Path) -> None:
    server = start(stack, file)
    clients = [connect(stack, file) for _ in range(150)]  # more than fit into two messages
    assert {generation_of(client) for client in clients} == {1}
    old = server.worker
    reload(server, file, 2)
    eventually("the old worker has ended", lambda: not is_alive(old))
    assert {generation_of(client) for client in clients} == {2}


def test_a_connection_that_has_gone_over_may_be_idle_as_long_as_any(stack: ExitStack, file: Path) -> None:
    limits = "\n[limits]\ntimeout_head = 0.2\n"
    file.write_text(file.read_text() + limits)
    server = start(stack, file)
    client = connect(stack, file)
    assert generation_of(client) == 1
    old = server.worker
    server.tell(signal.SIGHUP)
    eventually("the old worker has ended", lambda: server.workers() not in (set(), {old}) and not is_alive(old))
    time.sleep(2.5)  # the time for a head has passed, and what is late would have been looked for twice
    assert client.get().status == 200


def test_a_connection_too_many_for_the_new_worker_is_closed_without_a_word(stack: ExitStack, file: Path) -> None:
    server = start(stack, file)
    clients = [connect(stack, file) for _ in range(3)]
    assert {generation_of(client) for client in clients} == {1}
    old = server.worker
    file.write_text(file.read_text() + "\n[limits]\nconnections = 2\n")
    server.tell(signal.SIGHUP)
    eventually("the old worker has ended", lambda: server.workers() not in (set(), {old}) and not is_alive(old))
    for client in clients:
        client.sock.settimeout(0.5)
    assert sorted(map(repr, map(said_by, clients))) == ["None", "None", "b''"]


def said_by(client: Client) -> bytes | None:
    """What a client hears that has asked for nothing; None for nothing, and empty for the end."""
    try:
        return client.sock.recv(1000)
    except TimeoutError:
        return None


def test_a_download_is_not_cut_off_by_a_reload_but_by_the_end(stack: ExitStack, file: Path) -> None:
    write(file, 1, "timeout_graceful_shutdown = 0.3")
    server = start(stack, file)
    slow = [stack.enter_context(Client(("127.0.0.1", port_of(file)), receive_buffer=65536)) for _ in range(2)]
    for client in slow:
        client.ask("/big")
        assert client.head().status == 200
    old = server.worker
    reload(server, file, 2, "timeout_graceful_shutdown = 0.3")
    time.sleep(1.0)
    assert is_alive(old)
    assert len(slow[0].read(BIG)) == BIG
    assert is_alive(old)
    server.tell(signal.SIGTERM)
    assert server.wait() == 0
    assert len(slow[1].rest()) < BIG
    assert "is killed" not in server.stderr


def test_a_reload_that_is_asked_for_while_another_fails(stack: ExitStack, file: Path) -> None:
    patch = file.parent / "sitecustomize.py"
    patch.write_text(
        "import asyncio\nfrom flashpy.arch.events import EventDriven\nfrom flashpy.errors import StartError\n"
        "begin = EventDriven.start\n"
        "async def start(self):\n"
        "    if self._config.site.headers['X-Generation'] == '2':\n"
        "        await asyncio.sleep(0.5)\n        raise StartError('Not this one.')\n"
        "    await begin(self)\n"
        "EventDriven.start = start\n"
    )
    environment = {"PYTHONPATH": os.pathsep.join((str(patch.parent), os.getcwd()))}
    server = stack.enter_context(Flashpy("-c", file, environment=environment))
    assert server.get().status == 200
    write(file, 2)
    server.tell(signal.SIGHUP)
    eventually("it is tried", lambda: "Reading the configuration again" in server.stderr)
    write(file, 3)
    server.tell(signal.SIGHUP)
    eventually("the third is in force", lambda: generation_of(connect(stack, file)) == 3)
    assert "A worker cannot start with the new one. Not this one." in server.stderr


def test_a_request_that_has_half_arrived_is_answered_by_whom_it_came_to(stack: ExitStack, file: Path) -> None:
    server = start(stack, file)
    client = connect(stack, file)
    client.send(b"GET / HTTP/1.1\r\nHost: te")
    silent = connect(stack, file)
    assert generation_of(connect(stack, file)) == 1
    old = server.worker
    reload(server, file, 2)
    assert is_alive(old)
    client.send(b"st\r\n\r\n")
    assert client.answer().fields["x-generation"] == "1"
    eventually("it has gone over", lambda: generation_of(client) == 2)
    eventually("and the other", lambda: generation_of(silent) == 2)
    eventually("the old worker has ended", lambda: not is_alive(old))


def test_a_download_goes_on_and_its_connection_too(stack: ExitStack, file: Path, site: Path) -> None:
    server = start(stack, file)
    client = stack.enter_context(Client(("127.0.0.1", port_of(file)), receive_buffer=65536))
    client.ask("/big")
    head = client.head()
    reload(server, file, 2)
    assert client.read(int(head.fields["content-length"])) == (site / "big").read_bytes()
    eventually("it has gone over", lambda: generation_of(client) == 2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[server]\nbind = 3\n", "server.bind"),
        ("not toml", "is not valid TOML"),
        ('[site]\nroot = "nowhere"\n', "does not exist"),
        ('[server]\nbind = ["192.0.2.1:80"]\n[site]\nroot = "site"\n', "has no address 192.0.2.1"),
    ],
)
def test_a_bad_configuration_changes_nothing(stack: ExitStack, file: Path, text: str, said: str) -> None:
    server = start(stack, file)
    client = connect(stack, file)
    worker = server.worker
    file.write_text(text)
    server.tell(signal.SIGHUP)
    eventually("it says so", lambda: "The configuration stays as it was" in server.stderr)
    assert said in server.stderr
    assert generation_of(client) == 1
    assert server.worker == worker
    reload(server, file, 2)
    eventually("it has gone over", lambda: generation_of(client) == 2)


def test_addresses_come_and_go(stack: ExitStack, file: Path, tmp_path: Path) -> None:
    place = tmp_path / "socket"
    server = start(stack, file)
    text = file.read_text()
    file.write_text(text.replace("bind = [", f'bind = ["unix:{place}", '))
    server.tell(signal.SIGHUP)
    eventually("it is in force", lambda: "is in force" in server.stderr)
    with Client(str(place)) as client:
        assert client.get().status == 200
        file.write_text(text)
        server.tell(signal.SIGHUP)
        eventually("it is in force", lambda: server.stderr.count("is in force") == 2)
        assert client.get().status == 200  # the connection lives on
    assert not place.exists()
    assert generation_of(connect(stack, file)) == 1
    assert server.end() == 0


def test_how_it_logs_changes_too(stack: ExitStack, file: Path) -> None:
    server = start(stack, file)
    file.write_text(file.read_text() + '[log]\nformat = "json"\nlevel = "debug"\n')
    server.tell(signal.SIGHUP)
    eventually("it is in force", lambda: '"message": "The new configuration is in force."' in server.stderr)
    assert server.end() == 0
    assert '"logger": "flashpy.worker", "message": "Counters at exit' in server.stderr


def test_reloads_that_come_all_at_once(stack: ExitStack, file: Path) -> None:
    server = start(stack, file)
    for generation in range(2, 12):
        write(file, generation)
        server.tell(signal.SIGHUP)
        time.sleep(0.01)
    eventually("the last is in force", lambda: generation_of(connect(stack, file)) == 11)
    eventually("one worker is left", lambda: len(server.workers()) == 1)


# More and fewer


def test_workers_are_added_and_removed(stack: ExitStack, file: Path) -> None:
    server = start(stack, file)
    load = Load(stack, file)
    for number in (signal.SIGTTIN, signal.SIGTTIN):
        server.tell(number)
        time.sleep(0.05)
    eventually("there are three", lambda: len(server.workers()) == 3)
    for _ in range(4):
        server.tell(signal.SIGTTOU)
        time.sleep(0.05)
    eventually("one is left", lambda: len(server.workers()) == 1)
    load.stop()
    assert load.failures == []


def test_all_workers_serve(stack: ExitStack, file: Path) -> None:
    write(file, 1, "workers = 2\ncpu_affinity = 'auto'")
    server = start(stack, file)
    workers = server.workers()
    assert {len(os.sched_getaffinity(pid)) for pid in workers} == {1}
    before = [sockets_of(pid) for pid in workers]
    clients = [connect(stack, file) for _ in range(100)]
    assert {generation_of(client) for client in clients} == {1}
    gained = [sockets_of(pid) - few for pid, few in zip(workers, before, strict=True)]
    assert sum(gained) >= 100
    assert min(gained) > 0  # each has its part of the connections; how large, a benchmark says


def sockets_of(pid: int) -> int:
    directory = f"/proc/{pid}/fd"
    return sum(os.readlink(f"{directory}/{fd}").startswith("socket") for fd in os.listdir(directory))


# Deaths


def test_a_worker_that_dies_is_replaced(stack: ExitStack, file: Path) -> None:
    server = start(stack, file)
    for _ in range(2):
        worker = server.worker
        os.kill(worker, signal.SIGKILL)
        eventually("another is there", lambda worker=worker: server.workers() not in (set(), {worker}))  # type: ignore[misc]
        eventually("it serves", lambda: connect(stack, file).get().status == 200)
    assert "has died. It was ended by SIGKILL." in server.stderr
    assert server.end() == 0


def test_a_worker_that_is_stuck_is_replaced(stack: ExitStack, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "")
    patch = file.parent / "sitecustomize.py"
    patch.write_text("import flashpy.supervisor.workers\nflashpy.supervisor.workers.SILENCE = 2.0\n")
    server = stack.enter_context(
        Flashpy("-c", file, environment={"PYTHONPATH": os.pathsep.join((str(patch.parent), os.getcwd()))})
    )
    worker = server.worker
    os.kill(worker, signal.SIGSTOP)
    eventually("another is there", lambda: server.workers() not in (set(), {worker}))
    assert "it has said nothing for 2 s" in server.stderr
    eventually("it serves", lambda: connect(stack, file).get().status == 200)


def test_the_fork_server_and_helpers_that_die_are_replaced(stack: ExitStack, file: Path, site: Path) -> None:
    server = start(stack, file)
    client = connect(stack, file)
    (fork_server,) = (pid for pid in children_of(server.pid) if "fork server" in title_of(pid))
    helpers = server.helpers()
    for pid in (fork_server, *helpers):
        os.kill(pid, signal.SIGKILL)
    # One that takes a job and then dies counts as killed by it.
    eventually("they have gone", lambda: not any(map(is_alive, (fork_server, *helpers))))
    (site / "new").write_text("new")
    assert client.get("/new").body == b"new"
    eventually("all are there again", lambda: len(server.helpers()) == 2)
    assert not helpers & server.helpers()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_when_the_supervisor_ends_nobody_stays(stack: ExitStack, file: Path, number: signal.Signals) -> None:
    server = start(stack, file)
    client = connect(stack, file)
    assert generation_of(client) == 1
    everybody = descendants_of(server.pid)
    server.tell(number)
    server.wait()
    eventually("all are gone", lambda: not any(map(is_alive, everybody)))


def test_a_processor_that_is_not_there(file: Path) -> None:
    write(file, 1, "cpu_affinity = [4321]")
    with Flashpy("-c", file) as server:
        assert server.wait() == 3
        assert "flashpy: server.cpu_affinity: there is no processor 4321 for a worker; there are " in server.stderr
        assert "Traceback" not in server.stderr


def test_a_supervisor_that_dies_while_a_worker_starts(site: Path) -> None:
    patch = site.parent / "sitecustomize.py"
    patch.write_text(
        "import os\nfrom flashpy.supervisor.workers import Workers\n"
        "def lend(self, process, name):\n    os.write(1, b'%d' % process.pid)\n    os.kill(os.getpid(), 9)\n"
        "Workers._lend = lend\n"
    )
    environment = {"PYTHONPATH": os.pathsep.join((str(patch.parent), os.getcwd()))}
    with Flashpy(site, "--port", "0", environment=environment) as server:
        assert server.wait() == -signal.SIGKILL
        worker = int(server.stdout)
        eventually("the worker has ended", lambda: not is_alive(worker))


def test_a_worker_that_cannot_start(site: Path) -> None:
    patch = site.parent / "sitecustomize.py"
    patch.write_text(
        "import flashpy.arch.events\n"
        "from flashpy.errors import StartError\n"
        "async def start(self):\n    raise StartError('It will not.')\n"
        "flashpy.arch.events.EventDriven.start = start\n"
    )
    environment = {"PYTHONPATH": os.pathsep.join((str(patch.parent), os.getcwd()))}
    with Flashpy(site, "--port", "0", environment=environment) as server:
        assert server.wait() == 3
        assert server.stderr.endswith("flashpy: It will not.\n")
        assert "Traceback" not in server.stderr


def test_a_worker_that_crashes_at_its_start_is_not_started_for_ever(site: Path) -> None:
    patch = site.parent / "sitecustomize.py"
    patch.write_text(
        "import os, flashpy.supervisor.worker\nflashpy.supervisor.worker.Worker.run = lambda self: os._exit(9)\n"
    )
    environment = {"PYTHONPATH": os.pathsep.join((str(patch.parent), os.getcwd()))}
    with Flashpy(site, "--port", "0", environment=environment) as server:
        assert server.wait() == 3
        assert "flashpy: It ended with status 9." in server.stderr


# A new program


@pytest.mark.parametrize("keep_alive", [True, False])
def test_nothing_is_lost_when_a_new_program_takes_over(stack: ExitStack, file: Path, keep_alive: bool) -> None:
    server = start(stack, file)
    old = descendants_of(server.pid)
    load = Load(stack, file, keep_alive=keep_alive)
    idle = connect(stack, file)
    assert generation_of(idle) == 1
    write(file, 2)
    server.tell(signal.SIGUSR2)
    assert server.wait() == 0
    (new,) = new_supervisor(stack, server)
    assert generation_of(idle) == 2  # the very connection
    eventually("the old processes have ended", lambda: not any(map(is_alive, old)))
    eventually("the new one answers", lambda: 2 in load.generations)
    load.stop()
    assert load.failures == []
    os.kill(new, signal.SIGTERM)
    eventually("it has ended", lambda: not is_alive(new))
    assert "Traceback" not in server.stderr


def test_a_new_program_that_cannot_start(stack: ExitStack, file: Path) -> None:
    server = start(stack, file)
    client = connect(stack, file)
    file.write_text("nonsense")
    server.tell(signal.SIGUSR2)
    eventually("it says so", lambda: "this one serves on" in server.stderr)
    assert generation_of(client) == 1
    write(file, 2)
    server.tell(signal.SIGUSR2)
    assert server.wait() == 0
    new_supervisor(stack, server)
    assert generation_of(client) == 2


def test_a_unix_socket_is_handed_over_with_its_name(stack: ExitStack, file: Path, tmp_path: Path) -> None:
    place = tmp_path / "socket"
    file.write_text(f'[server]\nbind = ["unix:{place}"]\n[site]\nroot = "site"\n')
    server = start(stack, file)
    server.tell(signal.SIGUSR2)
    assert server.wait() == 0
    (new,) = new_supervisor(stack, server)
    with Client(str(place)) as client:
        assert client.get().status == 200
    os.kill(new, signal.SIGTERM)
    eventually("it has ended", lambda: not is_alive(new))
    assert not place.exists()


def sends(server: Flashpy, *numbers: signal.Signals) -> Callable[[], None]:
    """What sends these signals one after the other."""

    def send() -> None:
        for number in numbers:
            server.tell(number)
            time.sleep(0.02)

    return send


def test_signals_while_a_download_holds_up_the_end(stack: ExitStack, file: Path) -> None:
    server = start(stack, file)
    client = stack.enter_context(Client(("127.0.0.1", port_of(file)), receive_buffer=65536))
    client.ask("/big")
    assert client.head().status == 200
    server.tell(signal.SIGTERM)
    sends(server, signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR2, signal.SIGTERM)()
    assert server.process.poll() is None
    assert len(client.read(BIG)) == BIG
    assert server.wait() == 0
    assert "Traceback" not in server.stderr


# What is around it


def reachable_python(user: int, environment: dict[str, str]) -> str | None:
    """A Python that this user can run, with what flashpy needs: ours may lie in somebody's home."""
    for python in (sys.executable, "/usr/bin/python3"):
        command = [python, "-c", "import flashpy.cli, flashpy.arch.amped, uvloop"]
        try:
            done = subprocess.run(
                command, user=user, group=user, extra_groups=[], cwd="/", env=environment, capture_output=True
            )
        except OSError:
            continue
        if done.returncode == 0:
            return python
    return None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_workers_and_helpers_are_somebody_else(stack: ExitStack, file: Path) -> None:
    nobody = 65534
    libraries = os.pathsep.join([str(REPOSITORY), *(path for path in sys.path if "site-packages" in path)])
    environment = clean_environment(PYTHONPATH=libraries)
    python = reachable_python(nobody, environment)
    if python is None:
        pytest.skip("an ordinary user can read no Python, or not this source tree")
    for place in (file.parent, *file.parent.parents):  # pytest keeps its directories to their owner
        if place.owner() == "root" and place != Path("/tmp") and place.is_relative_to("/tmp"):
            place.chmod(0o755)
    write(file, 1, f'user = "{nobody}"\ngroup = "{nobody}"')
    file.write_text(file.read_text() + f'[log]\naccess = true\naccess_file = "{file.parent}/log"\n')
    server = stack.enter_context(
        Flashpy("-c", file, python=python, environment={"PYTHONPATH": environment["PYTHONPATH"]})
    )
    assert server.get().status == 200
    (file.parent / "site" / "late").write_text("late")
    (file.parent / "site" / "late").chmod(0o600)
    assert server.get("/late").status == 403
    assert os.stat(f"/proc/{server.pid}").st_uid == 0
    below = descendants_of(server.pid)
    assert len(below) >= 5
    for pid in below:
        status = Path(f"/proc/{pid}/status").read_text()
        assert f"Uid:\t{nobody}\t{nobody}\t{nobody}" in status
        assert "CapEff:\t0000000000000000" in status
    reload(server, file, 2, f'user = "{nobody}"\ngroup = "{nobody}"')
    eventually("it is served", lambda: server.get().fields["x-generation"] == "2")
    assert server.end() == 0


def test_the_service_manager_hears_of_reload_and_upgrade(stack: ExitStack, file: Path, tmp_path: Path) -> None:
    manager = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
    manager.settimeout(PATIENCE)
    manager.bind(str(tmp_path / "notify"))
    server = stack.enter_context(Flashpy("-c", file, environment={"NOTIFY_SOCKET": str(tmp_path / "notify")}))

    def heard() -> list[str]:
        return [line.partition("=")[0] for line in manager.recv(4096).decode().splitlines()]

    assert heard() == ["READY", "STATUS"]
    server.tell(signal.SIGHUP)
    assert heard() == ["RELOADING", "MONOTONIC_USEC"]
    assert heard() == ["READY", "STATUS"]
    file.write_text("nonsense")
    server.tell(signal.SIGHUP)
    assert heard() == ["RELOADING", "MONOTONIC_USEC"]
    assert heard() == ["READY"]
    write(file, 2)
    server.tell(signal.SIGUSR2)
    assert heard() == ["READY", "STATUS"]  # the new program's
    (new,) = new_supervisor(stack, server)
    assert manager.recv(4096).decode() == f"MAINPID={new}"
    assert server.wait() == 0
    os.kill(new, signal.SIGTERM)
    assert heard() == ["STOPPING"]


def test_one_page_of_counters_for_all(stack: ExitStack, file: Path) -> None:
    """Those that have been replaced included."""
    write(file, 1, "workers = 2")
    server = start(stack, file, "--log-level", "debug")
    clients = [connect(stack, file) for _ in range(20)]
    for client in clients:
        assert generation_of(client) == 1
    reload(server, file, 2, "workers = 2")
    for client in clients:
        eventually("it has gone over", lambda client=client: generation_of(client) == 2)  # type: ignore[misc]
    time.sleep(1.2)  # they report once a second
    assert server.end() == 0
    counted = re.search(r"Counters of all workers: (\{.*\})", server.stderr)
    assert counted is not None
    counters = ast.literal_eval(counted[1])
    assert 40 <= counters["requests"] <= 60
    assert counters["faults"] == 0


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="needs root and unshare")
def test_as_the_first_process_of_a_container_it_leaves_no_zombies(stack: ExitStack, file: Path) -> None:
    server = stack.enter_context(Flashpy("-c", file, shell='exec unshare --pid --fork --kill-child "$@"'))
    assert server.urls
    first = next(pid for pid in descendants_of(server.pid) if title_of(pid) == "flashpy: supervisor")
    (fork_server,) = (pid for pid in children_of(first) if "fork server" in title_of(pid))
    os.kill(fork_server, signal.SIGKILL)
    eventually("another is there", lambda: "starting another" in server.stderr)
    os.kill(next(iter(children_of(fork_server) or helpers_of(first))), signal.SIGKILL)  # it is an orphan now
    eventually("none is dead", lambda: not any(map(is_dead, descendants_of(first))))
    os.kill(first, signal.SIGTERM)
    assert server.wait() == 0


def helpers_of(supervisor: int) -> set[int]:
    """The disk helpers that have lost their fork server."""
    return {pid for pid in children_of(supervisor) if title_of(pid).startswith("flashpy: disk helper")}


def is_dead(pid: int) -> bool:
    """Whether a process waits to be reaped, or has been."""
    return not is_alive(pid)
