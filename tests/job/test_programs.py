"""The fork server, as a real process: which helpers are born, and what becomes of the others."""

import errno
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from flashpy.event.programs import spawn
from flashpy.job.framing import decode_result, encode_job
from flashpy.job.kinds import Outcome, Translate
from flashpy.job.programs import BORN, descriptors_in, send_with
from tests.running import PATIENCE, REPOSITORY, children_of, eventually

_PROGRAM = """
import errno, os, signal, socket, sys, time
sys.path.append(sys.argv[1])
from flashpy.job import programs
from flashpy.job.perform import perform
programs._BEGIN_SECONDS = 0.5

def works():
    return perform

def fails():
    raise OSError(errno.E2BIG, "too many domains")

def is_killed():
    os.kill(os.getpid(), signal.SIGKILL)

def waits():
    time.sleep(1000)

programs.fork_server(socket.socket(fileno=int(sys.argv[2])), globals()[sys.argv[3]], "helper")
"""


@contextmanager
def fork_server(begin: str) -> Iterator[tuple[socket.socket, int]]:
    """A fork server whose helpers begin in this way: its link and its process id."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(PATIENCE)
    command = [sys.executable, "-I", "-S", "-c", _PROGRAM, str(REPOSITORY), str(theirs.fileno()), begin]
    with ours, theirs, subprocess.Popen(command, pass_fds=(theirs.fileno(),)) as process:
        theirs.close()
        yield ours, process.pid
        ours.close()
        assert process.wait(PATIENCE) == 0


def birth(control: socket.socket) -> tuple[int, int, list[int]]:
    """Ask for a helper: its process id or -1, an errno, and its pipe."""
    control.send(b"f")
    message, ancillary, _, _ = control.recvmsg(BORN.size, socket.CMSG_SPACE(4))
    return *BORN.unpack(message), descriptors_in(ancillary)


def test_a_helper_that_can_work() -> None:
    """Its first word is not taken for a result."""
    with fork_server("works") as (control, server):
        for _ in range(3):
            pid, number, (fd,) = birth(control)
            assert number == 0 and pid in children_of(server)
            with socket.socket(fileno=fd) as pipe:
                pipe.settimeout(PATIENCE)
                send_with(pipe, [encode_job(Translate((b"/no/such/root",), b"/"))[0]], [])
                assert decode_result(pipe.recv(1000), []).outcome is Outcome.MISSING
        eventually("helpers end with their pipes", lambda: not children_of(server))


@pytest.mark.parametrize(
    ("begin", "why"), [("fails", errno.E2BIG), ("is_killed", errno.ECHILD), ("waits", errno.ETIMEDOUT)]
)
def test_a_helper_that_cannot_begin_is_not_born(begin: str, why: int) -> None:
    """The server is told why, each time, and no process stays."""
    with fork_server(begin) as (control, server):
        for _ in range(2):
            assert birth(control) == (-1, why, [])
        eventually("no helper is left", lambda: not children_of(server))


@pytest.mark.parametrize("births", [0, 1, 20])
def test_a_server_that_goes_amid_births(births: int) -> None:
    """The fork server ends without a complaint."""
    child = spawn("disk")
    for _ in range(births):
        child.control.send(b"f")
    child.control.close()
    assert child.process.wait(PATIENCE) == 0
