"""The sandbox of a whole server: what its workers cannot do, and what goes on working under it."""

import os
import shutil
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest

from flashpy import landlock
from tests.running import Client, Flashpy, eventually
from tests.supervisor.supervised import Load, generation_of, new_supervisor, port_of, reload, start, write

pytestmark = pytest.mark.skipif(landlock.abi() == 0, reason="this kernel has no Landlock")

DEEDS = {
    "read": "open('/etc/passwd').read()",
    "write": "open('/tmp/flashpy-test-must-not-be', 'w').close()",
    "list": "os.listdir('/')",
    "execute": "os.posix_spawn('/bin/true', ['true'], {})",
    "connect": "socket.create_connection(('127.0.0.1', 9))",
    "kill": "os.kill(os.getppid(), 0)",
}
"""What a worker that has been taken over tries."""
TRAITOR = f"""
import os, socket
from flashpy.event.listener import Listener

deeds = {dict(enumerate(DEEDS.values(), 2))}
welcome = Listener.welcome

def betray(self, sock, address):
    deed = deeds.get(int(address[0].rpartition(".")[2]))
    if deed is not None:
        try:
            exec(deed)
        except PermissionError as error:
            raise RuntimeError("refused") from error
    welcome(self, sock, address)

Listener.welcome = betray
"""
"""It does so when a client comes from 127.0.0.2, 127.0.0.3 and so on."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A configuration file, and its site."""
    root = tmp_path / "site"
    root.mkdir()
    (root / "index.html").write_text("one")
    return write(tmp_path / "flashpy.toml")


def traitor(stack: ExitStack, file: Path, *options: str) -> Flashpy:
    """A server whose worker has been taken over."""
    (file.parent / "sitecustomize.py").write_text(TRAITOR)
    path = os.pathsep.join((str(file.parent), os.getcwd()))
    server = stack.enter_context(Flashpy("-c", file, *options, environment={"PYTHONPATH": path}))
    assert server.urls
    return server


def test_it_is_said_what_is_in_force(stack: ExitStack, file: Path) -> None:
    server = start(stack, file)
    assert f", confined by Landlock (ABI {landlock.abi()})." in server.stderr


def tempt(server: Flashpy, what: str) -> int:
    """Have the worker try a deed; the status that is answered, 0 for none."""
    source = f"127.0.0.{2 + list(DEEDS).index(what)}"
    with Client(("127.0.0.1", server.port), source=source) as client:
        try:
            return client.get().status
        except (EOFError, ConnectionResetError):
            return 0


def test_it_can_be_switched_off(stack: ExitStack, file: Path) -> None:
    write(file, 1, "sandbox = false")
    server = traitor(stack, file)
    assert ", not confined." in server.stderr
    assert tempt(server, "read") == 200


@pytest.mark.parametrize("what", DEEDS)
def test_a_worker_that_has_been_taken_over_is_refused(stack: ExitStack, file: Path, what: str) -> None:
    needed = {"connect": 4, "kill": 6}.get(what, 1)
    if landlock.abi() < needed:
        pytest.skip(f"this kernel's Landlock is older than ABI {needed}")
    server = traitor(stack, file)
    assert tempt(server, what) == 0
    assert server.get().status == 200
    assert "PermissionError: [Errno" in server.stderr


def test_a_traceback_has_its_source_lines(stack: ExitStack, file: Path) -> None:
    server = traitor(stack, file)
    assert tempt(server, "read") == 0
    eventually("it is logged", lambda: "RuntimeError: refused" in server.stderr)
    assert "Traceback (most recent call last):" in server.stderr
    assert "self.welcome(" in server.stderr


def test_a_root_that_is_renamed_away_and_replaced(stack: ExitStack, file: Path) -> None:
    root = file.parent / "site"
    file.write_text(file.read_text() + "[cache]\nvalid = 0.2\n")
    server = start(stack, file)
    load = Load(stack, file)
    for number in range(5):
        new = file.parent / f"new-{number}"
        new.mkdir()
        (new / "index.html").write_text(f"release {number}")
        link = file.parent / f"link-{number}"
        link.symlink_to(new)
        if root.is_symlink():
            os.replace(link, root)
        else:  # the one deploy that is no single step: nothing is asked for meanwhile
            load.stop()
            root.rename(file.parent / "old")
            link.rename(root)
            load = Load(stack, file)
        eventually("it is there", lambda number=number: server.get().body == b"release %d" % number)  # type: ignore[misc]
    load.stop()
    assert load.failures == []
    assert "died" not in server.stderr


def test_a_root_that_another_configuration_names(stack: ExitStack, file: Path) -> None:
    server = start(stack, file)
    shutil.copytree(file.parent / "site", file.parent / "other")
    (file.parent / "other" / "new").write_text("new")
    text = file.read_text()
    file.write_text(text.replace('root = "site"', 'root = "other"'))
    server.tell(signal.SIGHUP)
    eventually("it is in force", lambda: "is in force" in server.stderr)
    eventually("it is served", lambda: server.get("/new").body == b"new")


def test_a_new_program_is_confined_as_well(stack: ExitStack, file: Path) -> None:
    server = traitor(stack, file)
    client = stack.enter_context(Client(("127.0.0.1", port_of(file))))
    assert generation_of(client) == 1
    reload(server, file, 2)
    server.tell(signal.SIGUSR2)
    assert server.wait() == 0
    new_supervisor(stack, server)
    assert generation_of(client) == 2
    with Client(("127.0.0.1", port_of(file)), source="127.0.0.2") as tempter, pytest.raises((EOFError, OSError)):
        tempter.get()


def test_architectures_for_comparison_have_none(stack: ExitStack, file: Path) -> None:
    server = start(stack, file, "--architecture", "sped")
    assert ", not confined." in server.stderr
    assert server.get().status == 200
