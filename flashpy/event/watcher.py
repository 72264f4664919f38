"""The link to the watching helper (job.watch), which is started again when it ends."""

import asyncio
import logging
from collections.abc import Callable

from flashpy.errors import StartError
from flashpy.event.programs import Program, Starter
from flashpy.job.watch import PAGE, TROUBLE, WATCHING

_log = logging.getLogger("flashpy.reload")

_ROOM = 4096
_BEGIN_SECONDS = 20.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
"""Seconds before it is started again; each is longer than the one before, until it has told of a change."""


class Watcher:
    """Calls ``changed`` with what kind of change (job.watch) there was."""

    def __init__(self, loop: asyncio.AbstractEventLoop, starter: Starter, changed: Callable[[bytes], None]) -> None:
        self._loop = loop
        self._starter = starter
        self._changed = changed
        self._program: Program | None = None
        self._first: asyncio.Future[None] | None = None  # until it watches for the first time
        self._pause = 0.0
        self._restarting: asyncio.Task[None] | None = None
        self._closed = False

    async def start(self) -> None:
        """Start the helper, and wait until it watches.

        Raises:
            StartError: it does not.
        """
        self._first = self._loop.create_future()
        await self._spawn()
        try:
            await asyncio.wait_for(self._first, _BEGIN_SECONDS)
        except TimeoutError:
            raise StartError("The files of the site cannot be watched: it takes too long.") from None

    async def _spawn(self) -> None:
        program = self._program = await self._starter.start("watch")
        self._loop.add_reader(program.control.fileno(), self._readable, program)

    async def close(self) -> None:
        """End it."""
        self._closed = True
        if self._restarting is not None:
            self._restarting.cancel()
        await self._let_go()

    def _readable(self, program: Program) -> None:
        try:
            message = program.control.recv(_ROOM)
        except BlockingIOError:
            return
        except OSError:
            message = b""
        if not message:
            self._loop.remove_reader(program.control.fileno())
            self._restarting = self._loop.create_task(self._restart())
        elif message.startswith(TROUBLE):
            self._in_trouble(message[len(TROUBLE) :].decode(errors="replace").rstrip("."))
        elif message == WATCHING:
            if self._first is not None and not self._first.done():
                self._first.set_result(None)
            else:  # it has been started again: what has changed meanwhile, nobody has seen
                self._changed(PAGE)
        else:
            self._pause = 0.0
            self._changed(message)

    def _in_trouble(self, why: str) -> None:
        sentence = f"The files of the site cannot be watched: {why}."
        if self._first is not None and not self._first.done():
            self._first.set_exception(StartError(sentence))
        else:
            _log.error(sentence)
            self._pause = _LONGEST_PAUSE

    async def _let_go(self) -> None:
        program, self._program = self._program, None
        if program is not None:
            self._loop.remove_reader(program.control.fileno())
            program.control.close()
            await program.ended()

    async def _restart(self) -> None:
        await self._let_go()
        while not self._closed:
            await asyncio.sleep(self._pause)
            self._pause = min(2 * self._pause + _FIRST_PAUSE, _LONGEST_PAUSE)
            try:
                await self._spawn()
                return
            except StartError as error:
                _log.error("The watching helper does not start: %s", error)
