"""The sandbox of a whole server: what its workers cannot do, and what goes on working under it."""

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from flashpy import landlock
from tests.running import Client, Flashpy, eventually
from tests.supervisor.test_supervisor import Load, generation_of, new_supervisor, port_of, reload, start, write

pytestmark = pytest.mark.skipif(landlock.abi() == 0, reason="this kernel has no Landlock")

TRAITOR = """
import os, socket
from flashpy.site import Site

answer = Site.answer

def betray(self, request, result=None):
    if request.path == b"/read":
        open("/etc/passwd").read()
    elif request.path == b"/write":
        open("/tmp/flashpy-test-must-not-be", "w").close()
    elif request.path == b"/list":
        os.listdir("/")
    elif request.path == b"/execute":
        os.posix_spawn("/bin/true", ["true"], {})
    elif request.path == b"/connect":
        socket.create_connection(("127.0.0.1", 9))
    elif request.path == b"/kill":
        os.kill(os.getppid(), 0)
    return answer(self, request, result)

Site.answer = betray
"""
"""A worker that has been taken over tries what it must not do."""


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


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


def test_it_can_be_switched_off(stack: ExitStack, file: Path) -> None:
    write(file, 1, "sandbox = false")
    server = traitor(stack, file)
    assert ", not confined." in server.stderr
    assert server.get("/read").status == 404


@pytest.mark.parametrize("what", ["read", "write", "list", "execute", "connect", "kill"])
def test_a_worker_that_has_been_taken_over_is_refused(stack: ExitStack, file: Path, what: str) -> None:
    needed = {"connect": 4, "kill": 6}.get(what, 1)
    if landlock.abi() < needed:
        pytest.skip(f"this kernel's Landlock is older than ABI {needed}")
    server = traitor(stack, file)
    assert server.get(f"/{what}").status == 500
    assert server.get().status == 200
    assert "PermissionError: [Errno" in server.stderr


def test_a_traceback_has_its_source_lines(stack: ExitStack, file: Path) -> None:
    server = traitor(stack, file)
    assert server.get("/read").status == 500
    eventually("it is logged", lambda: "PermissionError" in server.stderr)
    assert "Traceback (most recent call last):" in server.stderr
    assert "service.site.answer(request" in server.stderr


def test_a_root_that_is_renamed_away_and_replaced(stack: ExitStack, file: Path) -> None:
    root = file.parent / "site"
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
    assert server.get("/new").body == b"new"


def test_a_new_program_is_confined_as_well(stack: ExitStack, file: Path) -> None:
    server = traitor(stack, file)
    client = stack.enter_context(Client(("127.0.0.1", port_of(file))))
    assert generation_of(client) == 1
    reload(server, file, 2)
    server.tell(signal.SIGUSR2)
    assert server.wait() == 0
    new_supervisor(stack, server)
    assert generation_of(client) == 2
    assert client.get("/read").status == 500


def test_architectures_for_comparison_have_none(stack: ExitStack, file: Path) -> None:
    server = start(stack, file, "--architecture", "sped")
    assert ", not confined." in server.stderr
    assert server.get().status == 200
