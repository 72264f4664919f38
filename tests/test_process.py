"""What processes say of themselves and want of the kernel, with real ones."""

import os
import signal
import subprocess
import sys

import pytest

from tests.running import REPOSITORY, children_of, eventually, is_alive, title_of

TITLED = f"""
import sys, time
sys.path.append({str(REPOSITORY)!r})
from flashpy.process import set_title
set_title("flashpy: tested " + sys.argv[1])
print(flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("length", [1, 1000])
def test_the_title_is_what_ps_shows_as_far_as_there_is_room(length: int) -> None:
    title = "x" * length
    with subprocess.Popen([sys.executable, "-c", TITLED, title], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert title_of(process.pid).startswith("flashpy: tested x")
        process.kill()


FAMILY = f"""
import os, signal, sys, time
sys.path.append({str(REPOSITORY)!r})
from flashpy.process import die_with
parent = os.getpid()
if os.fork() == 0:
    if sys.argv[1] == "early":
        print(os.getpid(), flush=True)
        while os.getppid() == parent:
            time.sleep(0.001)
    die_with(parent)
    print(os.getpid(), flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("when", ["early", "late"])
def test_who_dies_with_his_parent_does_so_even_if_it_was_gone_before(when: str) -> None:
    with subprocess.Popen([sys.executable, "-c", FAMILY, when], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert child in children_of(parent.pid)
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
        try:
            eventually("the child is gone", lambda: not is_alive(child))
            assert not parent.stdout.read()
        finally:
            if is_alive(child):
                os.kill(child, signal.SIGKILL)
