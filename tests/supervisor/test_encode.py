"""The pool for codings and passwords in a supervised worker, which asks the supervisor for its program."""

import os
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest

from flashpy import landlock
from tests.running import Flashpy, descendants_of, eventually, title_of
from tests.supervisor.supervised import write

ASKING = """
import sys
from flashpy.event.listener import Listener
from flashpy.job.kinds import Encode, Identity

welcome, asked = Listener.welcome, []

def ask(self, sock, address):
    asked.append(address)
    job = Encode(b"text" * 1000, Identity(1, len(asked), 4000, 3, 4), b"br", 5)
    self._service.runner.run(job, lambda result: print(result.outcome.name, result.name.decode(), file=sys.stderr))
    welcome(self, sock, address)

Listener.welcome = ask
"""
"""A worker that has something encoded for each client that comes."""


def helpers(server: Flashpy) -> set[int]:
    """The encoding helpers."""
    return {pid for pid in descendants_of(server.pid) if title_of(pid).startswith("flashpy: encoding helper")}


@pytest.mark.parametrize("sandbox", ["true", "false"])
def test_the_supervisor_starts_the_program(stack: ExitStack, tmp_path: Path, sandbox: str) -> None:
    """When it is needed; another, when it has been killed; and it ends with the worker."""
    (tmp_path / "site").mkdir()
    (tmp_path / "sitecustomize.py").write_text(ASKING)
    file = write(tmp_path / "flashpy.toml", 1, f"sandbox = {sandbox}")
    path = os.pathsep.join((str(tmp_path), os.getcwd()))
    server = stack.enter_context(Flashpy("-c", file, environment={"PYTHONPATH": path}))
    assert server.urls and not helpers(server)
    server.get()
    eventually("it is encoded", lambda: "ENCODED br5-" in server.stderr)
    (helper,) = helpers(server)
    confined = sandbox == "true" and landlock.abi() > 0
    assert f"NoNewPrivs:\t{int(confined)}\n" in Path(f"/proc/{helper}/status").read_text()
    os.kill(helper, signal.SIGKILL)
    server.get()
    eventually("it is encoded again", lambda: server.stderr.count("ENCODED br5-") == 2)
    processes = descendants_of(server.pid)
    assert server.end() == 0
    eventually("nobody is left", lambda: not any(title_of(pid).startswith("flashpy") for pid in processes))
