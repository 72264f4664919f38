"""The link to the fork server of the helpers: starting it, asking it for helpers, starting another when it dies."""

import asyncio
import logging
import os
import socket
from collections.abc import Callable

from flashpy.errors import StartError
from flashpy.event.programs import Program, Starter
from flashpy.job.programs import BORN, descriptors_in

_log = logging.getLogger("flashpy.helpers")

_START_SECONDS = 20.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
_NOT_STARTED = "The helper processes did not start; is this Python installation complete?"
_CMSG_ROOM = socket.CMSG_SPACE(4)


class ForkServer:
    """The process that helpers are forked from. ``name`` is that of its program, ``least`` the number of helpers to
    begin with; ``born`` is called with the process id and the pipe of each."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        starter: Starter,
        name: str,
        least: int,
        born: Callable[[int, socket.socket], None],
    ) -> None:
        self._loop = loop
        self._starter = starter
        self._name = name
        self._least = least
        self._born = born
        self._count = 0  # born, ever
        self.births = 0  # asked for and not yet there
        self._program: Program | None = None
        self._control: socket.socket | None = None  # its link, while it lives
        self._ready: asyncio.Future[None] | None = None  # while starting
        self._restarting: asyncio.Task[None] | None = None
        self._pause = 0.0  # before it is started again; doubles while no helper comes
        self._closed = False

    @property
    def pid(self) -> int | None:
        """Its process id; None while there is none."""
        return self._program.pid if self._program is not None and self._control is not None else None

    async def start(self) -> None:
        """Start it and the least number of helpers, and wait until they are there.

        Raises:
            StartError: they do not come.
        """
        self._ready = self._loop.create_future()
        try:
            await self._adopt(await self._starter.start(self._name))
            await asyncio.wait_for(self._ready, _START_SECONDS)
        except TimeoutError:
            raise StartError(_NOT_STARTED) from None
        finally:
            if self._ready.done():
                self._ready.exception()  # it is known, whether or not it was waited for
            self._ready = None

    async def close(self) -> None:
        """End it."""
        self._closed = True
        self._drop_control()
        if self._restarting is not None:
            self._restarting.cancel()
        self._fail()
        program, self._program = self._program, None
        if program is not None:
            await program.ended()

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

    async def _adopt(self, program: Program) -> None:
        if self._closed:
            program.control.close()
            await program.ended()
            self._fail()
            return
        self._program, self._control = program, program.control
        self._loop.add_reader(program.control.fileno(), self._readable)
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
            self._fail()
        elif not self._closed:
            _log.error("The fork server of the helpers died; starting another.")
            self._restarting = self._loop.create_task(self._restart())

    def _fail(self) -> None:
        """Nobody need wait for its start any more."""
        if self._ready is not None and not self._ready.done():
            self._ready.set_exception(StartError(_NOT_STARTED))

    async def _restart(self) -> None:
        """Start another."""
        program, self._program = self._program, None
        if program is not None:
            await program.ended()
        while not self._closed:
            await asyncio.sleep(self._pause)
            self._pause = min(2 * self._pause + _FIRST_PAUSE, _LONGEST_PAUSE)
            try:
                program = await self._starter.start(self._name)
            except StartError as error:
                _log.error("The fork server of the helpers does not start: %s", error)
                continue
            await self._adopt(program)
            return
