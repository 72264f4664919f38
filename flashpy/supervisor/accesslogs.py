"""The access logs' files and helpers, kept by the supervisor for its workers: which may open no file."""

import logging
import os
import signal
import socket
import time
from collections.abc import Callable
from functools import partial

from flashpy.errors import StartError
from flashpy.event.programs import Child
from flashpy.loghelper import LogHelper, close_log, left_on, open_log, producer_link
from flashpy.supervisor.backoff import Backoff
from flashpy.supervisor.reactor import Reactor

_log = logging.getLogger("flashpy.access")

PATIENCE = 5.0
"""Seconds that a log helper has, at the end, to write what it has got."""


class AccessLog:
    """One file, and the helper that writes to it; another takes its place when it dies.

    The helper's ends of the workers' links are kept here too: what is on them when a helper dies is for the next one.
    ``spawn`` starts the helper's program.
    """

    def __init__(self, reactor: Reactor, path: str, spawn: Callable[[Callable[[], None]], Child]) -> None:
        self._reactor = reactor
        self._path = path
        self._spawn = spawn
        self._file = open_log(path)
        self._links: dict[socket.socket, bool] = {}  # and whether its worker has ended
        self._child: Child | None = None
        self._helper: LogHelper | None = None
        self._backoff = Backoff()
        self._finishing = False

    @property
    def busy(self) -> bool:
        """Whether there is a helper, or something that one should write."""
        return self._child is not None or bool(self._links)

    @property
    def pid(self) -> int:
        """The helper's process; 0 while there is none."""
        return self._child.pid if self._child is not None else 0

    def link(self) -> tuple[socket.socket, socket.socket]:
        """A link for a worker: its end, and ours, which tells ``let_go`` whose it was.

        Raises:
            StartError: no helper can be started.
        """
        theirs, ours = producer_link()
        self._links[ours] = False
        if self._helper is not None:
            self._hand_over(self._helper, ours)
        elif self._child is None:
            try:
                self._start()
            except StartError:
                theirs.close()
                ours.close()
                del self._links[ours]
                raise
        return theirs, ours

    def let_go(self, ours: socket.socket) -> None:
        """A worker has ended."""
        self._links[ours] = True
        self.look()

    def look(self) -> None:
        """Close the links of workers that have ended, once they are empty."""
        for ours, ended in list(self._links.items()):
            if ended and _is_empty(ours):
                ours.close()
                del self._links[ours]
        if self._finishing and not self._links and self._helper is not None:
            self._helper.finish()

    def reopen(self) -> None:
        """Write to a new file of the same name, if it can be opened."""
        try:
            file = open_log(self._path)
        except StartError as error:
            _log.error("%s The old file is written on.", error)
            return
        close_log(self._file)
        self._file = file
        if self._helper is not None:
            self._write_to(self._helper)

    def finish(self) -> None:
        """End, when all is written; with force if that takes long."""
        if not self._finishing:
            self._finishing = True
            self._reactor.later(PATIENCE, self._give_up)
        self.look()

    def close(self) -> None:
        """Let go of the file; after the helper's end."""
        for ours in self._links:
            if lines := left_on(ours):
                _log.error("%d lines of the access log are missing: they reached no log helper.", lines)
            ours.close()
        self._links.clear()
        close_log(self._file)

    def _start(self) -> None:
        self._backoff.began(time.monotonic())
        child = self._child = self._spawn(self._ended)
        helper = self._helper = LogHelper(child.control)
        self._reactor.watch(helper.control.fileno(), partial(self._readable, helper))
        self._write_to(helper)
        for ours in self._links:
            self._hand_over(helper, ours)
        self.look()

    def _start_again(self) -> None:
        if self._child is not None or (self._finishing and not self._links):
            return
        try:
            self._start()
        except StartError as error:
            _log.error("The log helper does not start: %s", error)
            self._reactor.later(self._backoff.pause(time.monotonic()), self._start_again)

    def _write_to(self, helper: LogHelper) -> None:
        try:
            helper.write_to(self._file)
        except OSError:
            pass  # it has died, as will be told

    def _hand_over(self, helper: LogHelper, ours: socket.socket) -> None:
        try:
            helper.add_producer(ours.fileno())
        except OSError:
            pass  # as above

    def _readable(self, helper: LogHelper) -> None:
        for report in helper.reports():
            report.log()
        if helper.gone:
            self._reactor.forget(helper.control.fileno())

    def _ended(self) -> None:
        """The helper's process has ended."""
        helper, self._helper, self._child = self._helper, None, None
        if helper is not None:
            self._readable(helper)
            self._reactor.forget(helper.control.fileno())
            helper.control.close()
        self.look()
        if not (self._finishing and not self._links):
            pause = self._backoff.pause(time.monotonic())
            _log.error("The log helper died; another starts in %.1f s.", pause)
            self._reactor.later(pause, self._start_again)

    def _give_up(self) -> None:
        """It takes too long: what is not written by now is lost."""
        if self._child is None:
            return
        _log.error("The log helper does not get its lines written; it is ended, and they are missing.")
        for ours in self._links:
            left_on(ours)
            ours.close()
        self._links.clear()
        os.kill(self._child.pid, signal.SIGKILL)


def _is_empty(reading: socket.socket) -> bool:
    """Whether nothing is on a link whose other end is closed."""
    try:
        return not reading.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True
