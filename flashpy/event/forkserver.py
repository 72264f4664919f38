"""The link to the fork server of the helpers: starting it, asking it for helpers, starting another when it dies."""

import asyncio
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from flashpy.errors import StartError
from flashpy.job.programs import BORN, descriptors_in

_log = logging.getLogger("flashpy.helpers")

_START_SECONDS = 20.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
_NOT_STARTED = "The helper processes did not start; is this Python installation complete?"
_TITLE_ROOM = "." * 64
_CMSG_ROOM = socket.CMSG_SPACE(4)


def helper_program(name: str) -> Path:
    """The path of a helper program: inside the package when installed, beside it in a source tree."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "_helpers" / f"{name}.py"
    return inside if inside.exists() else package.parent / "helpers" / f"{name}.py"


class ForkServer:
    """The process that helpers are forked from. ``born`` is called with the process id and the pipe of each."""

    def __init__(self, loop: asyncio.AbstractEventLoop, least: int, born: Callable[[int, socket.socket], None]) -> None:
        self._loop = loop
        self._least = least
        self._born = born
        self._count = 0  # born, ever
        self.births = 0  # asked for and not yet there
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._ready: asyncio.Future[None] | None = None  # while starting
        self._restarting: asyncio.Task[None] | None = None
        self._pause = 0.0  # before it is started again; doubles while no helper comes
        self._closed = False

    @property
    def pid(self) -> int | None:
        """Its process id; None while there is none."""
        return self._process.pid if self._process is not None and self._control is not None else None

    async def start(self) -> None:
        """Start it and the least number of helpers, and wait until they are there.

        Raises:
            StartError: they do not come.
        """
        self._ready = self._loop.create_future()
        self._adopt(*_start())
        try:
            await asyncio.wait_for(self._ready, _START_SECONDS)
        except TimeoutError:
            raise StartError(_NOT_STARTED) from None
        finally:
            self._ready = None

    async def close(self) -> None:
        """End it."""
        self._closed = True
        self._drop_control()
        if self._restarting is not None:
            self._restarting.cancel()
        process, self._process = self._process, None
        if process is not None:
            try:
                await self._loop.run_in_executor(None, process.wait, 5.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def ask(self, count: int) -> None:
        """Ask for so many more helpers."""
        for _ in range(count):
            if self._control is None:
                return
            try:
                self._control.send(b"f")
            except OSError:
                return  # it has died: its reader will see to it
            self.births += 1

    def _adopt(self, process: subprocess.Popen[bytes], control: socket.socket) -> None:
        if self._closed:
            control.close()
            process.wait()
            return
        self._process, self._control = process, control
        self._loop.add_reader(control.fileno(), self._readable)
        self.births = 0
        self.ask(self._least)

    def _drop_control(self) -> None:
        if self._control is not None:
            self._loop.remove_reader(self._control.fileno())
            self._control.close()
            self._control = None

    def _readable(self) -> None:
        """It has something to say: a helper is there, or it has died itself."""
        assert self._control is not None
        try:
            message, ancillary, _, _ = self._control.recvmsg(BORN.size, _CMSG_ROOM, socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            return
        except OSError:
            message, ancillary = b"", []
        if not message:
            self._died()
            return
        self.births = max(0, self.births - 1)
        pid, number = BORN.unpack(message)
        fds = descriptors_in(ancillary)
        if not fds:
            _log.warning("No new helper process: %s.", os.strerror(number) if number else "out of descriptors")
            return
        pipe = socket.socket(fileno=fds[0])
        pipe.setblocking(False)
        self._pause = 0.0
        self._count += 1
        if self._ready is not None and not self._ready.done() and self._count >= self._least:
            self._ready.set_result(None)
        self._born(pid, pipe)

    def _died(self) -> None:
        self._drop_control()
        if self._ready is not None:
            if not self._ready.done():
                self._ready.set_exception(StartError(_NOT_STARTED))
        elif not self._closed:
            _log.error("The fork server of the helpers died; starting another.")
            self._restarting = self._loop.create_task(self._restart())

    async def _restart(self) -> None:
        """Start another, off the loop: running a program may have to read it from the disk."""
        if self._process is not None:
            await self._loop.run_in_executor(None, self._process.wait)
        while not self._closed:
            await asyncio.sleep(self._pause)
            self._pause = min(2 * self._pause + _FIRST_PAUSE, _LONGEST_PAUSE)
            try:
                process, control = await self._loop.run_in_executor(None, _start)
            except (OSError, StartError) as error:
                _log.error("The fork server of the helpers does not start: %s", error)
                continue
            self._adopt(process, control)
            return


def _start() -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Start the program of the disk helpers. The one place that starts helper programs."""
    package = Path(__file__).resolve().parent.parent.parent
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    fd = theirs.fileno()
    command = [sys.executable, "-I", "-S", str(helper_program("disk")), str(package), str(fd), _TITLE_ROOM]
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=(fd,))
    except OSError as error:
        ours.close()
        raise StartError(f"The helper program cannot be run with {sys.executable}: {error.strerror}.") from None
    finally:
        theirs.close()
    return process, ours
