"""Where the event loop's access log gets the link that takes its lines: from a log helper of its own."""

import asyncio
import logging
import os
import signal
import socket
from typing import Protocol

from flashpy.errors import StartError
from flashpy.event.programs import Program, Starter
from flashpy.loghelper import LogHelper, close_log, left_on, open_log, producer_link

_log = logging.getLogger("flashpy.access")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0


class LogSource(Protocol):
    """Who links a producer of lines with the log helper."""

    async def link(self) -> socket.socket:
        """A new link: the producer's end (loghelper.producer_link). It takes packets of whole lines, up to
        ``job.logwriter.LONGEST_PACKET`` bytes each. May be asked again when the link has broken.

        Raises:
            StartError: the log cannot be written, for a reason that people can do something about.
        """
        ...

    async def close(self, timeout: float) -> None:
        """Wait until what was handed over is written, for at most ``timeout`` seconds, and let go. The producer has
        closed its end."""
        ...


class LocalLog:
    """Opens the file and keeps a log helper for it (a LogSource).

    It keeps the helper's end of the link too: what is on it when a helper dies is for the next one.
    """

    def __init__(self, path: str, starter: Starter) -> None:
        self._path = path
        self._starter = starter
        self._file: int | None = None
        self._reading: socket.socket | None = None
        self._program: Program | None = None
        self._helper: LogHelper | None = None
        self._ended = asyncio.Event()  # the helper has
        self._keeper: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()
        self._given_up = False  # at the end, what is not written by now is not to be

    async def link(self) -> socket.socket:
        """See LogSource."""
        loop = asyncio.get_running_loop()
        ours, theirs = producer_link()
        if self._reading is not None:
            self._reading.close()
        self._reading = theirs
        try:
            if self._keeper is None:
                self._file = await loop.run_in_executor(None, open_log, self._path)
                await self._start(self._file)
                self._keeper = loop.create_task(self._keep(self._file))
            elif self._helper is not None:
                self._hand_over(self._helper)
        except BaseException:
            ours.close()
            raise
        return ours

    async def close(self, timeout: float) -> None:
        """See LogSource."""
        self._closing.set()
        if self._keeper is not None:
            if self._helper is not None:
                self._helper.finish()
            _, late = await asyncio.wait([self._keeper], timeout=timeout)
            if late:
                _log.error("The log helper does not get its lines written; it is ended, and they are missing.")
                self._given_up = True
                self._kill()
                await self._keeper
            self._keeper = None
        if self._reading is not None:
            if lines := left_on(self._reading):
                _log.error("%d lines of the access log are missing: they reached no log helper.", lines)
            self._reading.close()
            self._reading = None
        if self._file is not None:
            close_log(self._file)
            self._file = None

    async def _start(self, file: int) -> None:
        """Start a helper, which goes on where the last one stopped."""
        program = self._program = await self._starter.start("log")
        helper = self._helper = LogHelper(program.control)
        self._ended.clear()
        asyncio.get_running_loop().add_reader(program.control.fileno(), self._readable, helper)
        try:
            helper.write_to(file)
        except OSError:
            return  # it has died: its reader will see to it
        self._hand_over(helper)
        if self._closing.is_set():
            helper.finish()

    def _hand_over(self, helper: LogHelper) -> None:
        assert self._reading is not None
        try:
            helper.add_producer(self._reading.fileno())
        except OSError:
            pass  # as above

    def _readable(self, helper: LogHelper) -> None:
        """The helper has something to report, or has ended."""
        for report in helper.reports():
            report.log()
        if helper.gone:
            asyncio.get_running_loop().remove_reader(helper.control.fileno())
            self._ended.set()

    async def _keep(self, file: int) -> None:
        """Start another helper for each that dies; at the end too, if the last one has left something to write."""
        pause = 0.0
        while True:
            await self._ended.wait()
            program, self._program, self._helper = self._program, None, None
            if program is not None:
                program.control.close()
                await program.ended()
            if self._closing.is_set() and (self._given_up or not self._has_lines()):
                return
            _log.error("The log helper died; starting another.")
            try:
                await asyncio.wait_for(self._closing.wait(), pause)
            except TimeoutError:
                pass
            pause = min(2 * pause + _FIRST_PAUSE, _LONGEST_PAUSE)
            try:
                await self._start(file)
            except (StartError, OSError) as error:  # the latter when descriptors are short
                _log.error("The log helper does not start: %s", error)
                self._given_up = self._closing.is_set()
            if self._given_up:
                self._kill()

    def _has_lines(self) -> bool:
        """Whether something is on the link that no helper has taken."""
        assert self._reading is not None
        try:
            return bool(self._reading.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except OSError:
            return False

    def _kill(self) -> None:
        if self._program is not None:
            os.kill(self._program.pid, signal.SIGKILL)
