"""The supervisor's event loop: descriptors, timers and signals, one callback at a time.

Not asyncio, because the supervisor forks: a child that leaves this loop behind finds nothing of it in the kernel but a
poll(2) that has returned.
"""

import heapq
import itertools
import logging
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Container, Sequence
from functools import partial
from types import FrameType
from typing import Any

from msgspec import Struct

from flashpy.event.link import Link

_log = logging.getLogger("flashpy.supervisor")

Callback = Callable[[], object]


class Timer:
    """A call that is to come."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callback) -> None:
        self.callback: Callback | None = callback

    def cancel(self) -> None:
        """Do not call."""
        self.callback = None


class Reactor:
    """Calls back when something has happened, until it is told to stop. An exception in a callback is logged, and it
    goes on: whoever supervises does not end for a mistake."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._callbacks: dict[int, Callback] = {}
        self._rooms: dict[int, Callback] = {}
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._signals: dict[int, Callback] = {}
        self._children: set[int] = set()
        self._came, wake = socket.socketpair()
        self._came.setblocking(False)
        wake.setblocking(False)
        self._wake = wake
        self._stopped = False
        self.watch(self._came.fileno(), self._dispatch_signals)

    def watch(self, fd: int, callback: Callback) -> None:
        """Call back when a descriptor is readable, or at its end."""
        self._callbacks[fd] = callback
        self._poll.register(fd, select.POLLIN)

    def forget(self, fd: int) -> None:
        """Watch a descriptor no more; before it is closed."""
        self._rooms.pop(fd, None)
        if self._callbacks.pop(fd, None) is not None:
            self._poll.unregister(fd)

    def send(self, link: Link[Any], message: Struct, fds: Sequence[int] = ()) -> None:
        """Send on a link that is watched, now and when there is room. Who has died hears nothing."""
        try:
            link.send(message, fds)
        except OSError:
            return
        self._flush_later(link)

    def _flush_later(self, link: Link[Any]) -> None:
        if link.waiting:
            self._rooms[link.fileno()] = partial(self._flush, link)
            self._poll.modify(link.fileno(), select.POLLIN | select.POLLOUT)

    def _flush(self, link: Link[Any]) -> None:
        try:
            link.flush()
        except OSError:
            return
        self._flush_later(link)

    def watch_end(self, pid: int, callback: Callable[[int], object]) -> None:
        """Call back with the exit status (negative: the signal) when a child has ended, which is then reaped."""
        fd = os.pidfd_open(pid)
        self._children.add(pid)

        def ended() -> None:
            reaped, status = os.waitpid(pid, os.WNOHANG)
            if not reaped:
                return  # what came was for a descriptor that has had this number before
            self.forget(fd)
            os.close(fd)
            self._children.discard(pid)
            callback(os.waitstatus_to_exitcode(status))

        self.watch(fd, ended)

    def reap_orphans(self) -> None:
        """As the first process of a container, this one inherits children that it does not know; the dead ones among
        them are reaped here (pid_namespaces(7))."""
        while os.getpid() == 1:
            try:
                dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if dead is None or dead.si_pid in self._children:
                return
            os.waitpid(dead.si_pid, 0)

    def later(self, seconds: float, callback: Callback) -> Timer:
        """Call back in so many seconds."""
        timer = Timer(callback)
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._order), timer))
        return timer

    def on_signal(self, number: signal.Signals, callback: Callback) -> None:
        """Call back when a signal has come."""
        self._signals[number] = callback
        signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        signal.signal(number, _ignore)
        signal.siginterrupt(number, False)

    def close(self) -> None:
        """Let go of what is the system's."""
        signal.set_wakeup_fd(-1)
        self._came.close()
        self._wake.close()

    def stop(self) -> None:
        """Let ``run`` return."""
        self._stopped = True

    def run(self) -> None:
        """Wait and call back, until ``stop`` is called."""
        while not self._stopped:
            for fd, events in self._poll.poll(self._patience()):
                if events & select.POLLOUT and fd in self._rooms:
                    self._poll.modify(fd, select.POLLIN)
                    self._call(self._rooms.pop(fd))
                if events & ~select.POLLOUT and fd in self._callbacks:  # not forgotten by a callback just before
                    self._call(self._callbacks[fd])
            now = time.monotonic()
            while self._timers and self._timers[0][0] <= now:
                _, _, timer = heapq.heappop(self._timers)
                if timer.callback is not None:
                    self._call(timer.callback)

    def _patience(self) -> float | None:
        """Milliseconds until the next timer."""
        while self._timers and self._timers[0][2].callback is None:
            heapq.heappop(self._timers)
        return max(0.0, 1000 * (self._timers[0][0] - time.monotonic())) if self._timers else None

    def _dispatch_signals(self) -> None:
        for number in self._came.recv(4096):
            if number in self._signals:
                self._call(self._signals[number])

    def _call(self, callback: Callback) -> None:
        try:
            callback()
        except Exception:
            _log.exception("An exception reached the supervisor's loop.")


def _ignore(number: int, frame: FrameType | None) -> None:
    """What a signal does at once: nothing; the number has been written to the socket of ``set_wakeup_fd``."""


def leave_descriptors(kept: Container[int]) -> None:
    """In a child just forked: nothing of the supervisor's stays open but the standard streams and what is its own."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) not in kept:
            try:
                os.close(int(name))
            except OSError:
                pass  # that of the listing itself


def leave_signals() -> None:
    """In a child just forked: signals are not the supervisor's any more. Those that tell a supervisor something are
    ignored, because they may be sent to the whole process group or service."""
    signal.set_wakeup_fd(-1)
    for number in (
        signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2,
        signal.SIGTTIN, signal.SIGTTOU,
    ):  # fmt: skip
        signal.signal(number, signal.SIG_IGN)
