"""Helper programs: where they are, and who starts them.

An embedded server starts them itself. A worker may not (it is not allowed to open any file, so it cannot execute one
either): its supervisor does it, and hands the link over.
"""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from flashpy import libraries
from flashpy.errors import StartError
from flashpy.privileges import Identity
from flashpy.settings import CacheSection

_TITLE_ROOM = "." * 64
_END_SECONDS = 5.0


class Program(Protocol):
    """A helper program that runs."""

    @property
    def control(self) -> socket.socket:
        """Our end of its link, a Unix socket pair of packets, non-blocking. The program ends when it is closed."""
        ...

    @property
    def pid(self) -> int:
        """Its process id."""
        ...

    async def ended(self) -> None:
        """Wait until it has ended, after its link has been closed; with force if it takes long."""
        ...


class Starter(Protocol):
    """Who starts helper programs."""

    async def start(self, name: str) -> Program:
        """Start the program of this name.

        Raises:
            StartError: it cannot be started.
        """
        ...


class Child:
    """A helper program that is a child of this process (a Program)."""

    def __init__(self, process: subprocess.Popen[bytes], control: socket.socket) -> None:
        self.process = process
        self.control = control

    @property
    def pid(self) -> int:
        """See Program."""
        return self.process.pid

    async def ended(self) -> None:
        """See Program."""
        await asyncio.get_running_loop().run_in_executor(None, self.reap)

    def reap(self, seconds: float = _END_SECONDS) -> None:
        """Wait until it has ended; after so many seconds end it."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class LocalStarter:
    """Starts programs as children of this process (a Starter).

    ``sandbox`` are the directories beneath which disk helpers may read; without any, helpers may what the user may.
    ``cache`` says where coded forms are kept.
    """

    def __init__(self, sandbox: Sequence[bytes | str] = (), cache: CacheSection | None = None) -> None:
        self._sandbox = sandbox
        self._cache = cache or CacheSection()

    async def start(self, name: str) -> Program:
        """See Starter. Off the loop: running a program may have to read it from the disk."""
        return await asyncio.get_running_loop().run_in_executor(None, self._spawn, name)

    def _spawn(self, name: str) -> Program:
        if name == "encode":
            return spawn(name, encode_arguments(bool(self._sandbox), self._cache))
        return spawn(name, self._sandbox if name == "disk" else ())


def encode_arguments(confined: bool, cache: CacheSection) -> list[str]:
    """The arguments of the program "encode"."""
    directory = os.path.abspath(cache.coded_directory) if cache.coded_directory else ""
    rights = "confined" if confined else "free"
    return [rights, directory, str(cache.coded_directory_bytes), *libraries.directories()]


def watch_arguments(confined: bool, roots: Sequence[bytes | str]) -> list[bytes | str]:
    """The arguments of the program "watch"."""
    return ["confined" if confined else "free", str(len(roots)), *roots, *libraries.directories()]


def helper_program(name: str) -> Path:
    """The path of a helper program: inside the package when installed, beside it in a source tree."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "_helpers" / f"{name}.py"
    return inside if inside.exists() else package.parent / "helpers" / f"{name}.py"


def spawn(name: str, arguments: Sequence[bytes | str] = (), identity: Identity | None = None) -> Child:
    """Start a helper program. The one place that does so. What the arguments mean, the program says.

    Raises:
        StartError: it cannot be run.
    """
    package = Path(__file__).resolve().parent.parent.parent
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    fd = theirs.fileno()
    command = [sys.executable, "-I", "-S", str(helper_program(name)), str(package), str(fd), _TITLE_ROOM, *arguments]
    who: dict[str, Any] = {}
    if identity is not None:
        who = {"user": identity.uid, "group": identity.gid, "extra_groups": identity.groups}
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=(fd,), **who)
    except OSError as error:
        ours.close()
        why = error.strerror or os.strerror(error.errno or 0)
        raise StartError(f"The helper program {name} cannot be run with {sys.executable}: {why}.") from None
    finally:
        theirs.close()
    return Child(process, ours)
