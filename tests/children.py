"""Functions run in a process of their own, for what a process cannot undo: rights given up, another user."""

import os
import pickle
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from flashpy import landlock

T = TypeVar("T")

NOBODY = 65534

needs_landlock = pytest.mark.skipif(not landlock.abi(), reason="this kernel has no Landlock")
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="it takes root to become somebody else")


def in_child(what: Callable[[], T], user: int = 0) -> T:
    """What the function returns or raises in a child, which becomes ``user`` first if that is not root."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        outcome: tuple[bool, object]
        try:
            if user:
                become(user)
            outcome = True, what()
        except BaseException as error:
            outcome = False, error
        try:
            with open(writing, "wb") as pipe:
                pickle.dump(outcome, pipe)
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        message = pipe.read()
    os.waitpid(child, 0)
    assert message, "the child could not say what has happened"
    fine, value = pickle.loads(message)
    if not fine:
        raise value
    result: T = value
    return result


def become(user: int) -> None:
    """Give up being root for good."""
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


@contextmanager
def open_directory() -> Iterator[Path]:
    """A directory that other users can reach, which pytest's own are not."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name).resolve()
        directory.chmod(0o755)
        yield directory
