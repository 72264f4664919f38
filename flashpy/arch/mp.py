"""MP, multi-process (Flash, section 3.1): processes that wait, each for its own connection, with caches of its own.

A master, started as a program of its own, forks the workers: so they share its memory, and the server's process, which
may be anybody's, is never forked. The server and the master talk over a Unix socket pair; messages are pickled, because
nobody else can write to it. When it is closed, the master ends, and its workers with it.
"""

import asyncio
import contextlib
import gc
import json
import mmap
import os
import pickle
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from typing import Any, NamedTuple, NoReturn

import msgspec

from flashpy.arch.blocking import Common, Driver, share
from flashpy.arch.inline import UnlockingRunner
from flashpy.errors import StartError
from flashpy.event.logsource import LogSource
from flashpy.event.programs import Starter
from flashpy.event.service import Successor
from flashpy.event.sockets import Sockets, flat
from flashpy.loghelper import close_log, open_log
from flashpy.logs import set_up
from flashpy.metrics import COUNTERS, Metrics
from flashpy.process import die_with, set_title
from flashpy.settings import Config

ROOM = 256 * 1024
"""Bytes of a message."""
PATIENCE = 20.0
"""Seconds within which the master must answer."""
POLL = 0.02
"""Seconds between two looks at whether the workers have ended."""
A_DAY = 86_400.0
"""Seconds that stand for no limit: what the master is told is a number."""
PAUSE = 0.1
"""Seconds before a worker that died takes up its work again."""
_PROGRAM = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from flashpy.arch.mp import main; main(sys.argv[2])"
)


class Orders(NamedTuple):
    """The first message to the master: what it serves, and the numbers of the descriptors that it has inherited."""

    config: Config
    listeners: tuple[int, ...]
    log: int | None


class Drain(NamedTuple):
    """Let the workers end, for at most so many seconds; the others are killed then."""

    timeout: float


class Report(NamedTuple):
    """What the master answers: the counters of all workers together, by name, the workers, and how many of them have a
    connection."""

    counts: dict[str, int]
    pids: list[int]
    busy: int


class MultiProcess:
    """Serves ``server.concurrency`` connections at a time (an arch.architecture.Architecture).

    The workers write the access log themselves: each waits for its own connection as it is.
    """

    def __init__(
        self,
        config: Config,
        sockets: Sockets,
        metrics: Metrics,
        starter: Starter,
        log_source: LogSource | None = None,
    ) -> None:
        self._config = config
        self._sockets = flat(sockets)
        self._metrics = metrics
        self._master: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    async def start(self) -> None:
        """See Architecture."""
        log = open_log(self._config.log.access_file) if self._config.log.access else None
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.settimeout(PATIENCE)
        listeners = tuple(sock.fileno() for sock in self._sockets)
        orders = Orders(self._config, listeners, log)
        command = [sys.executable, "-c", _PROGRAM, json.dumps(sys.path), str(theirs.fileno())]
        inherited = (*listeners, theirs.fileno(), *(() if log is None else (log,)))
        try:
            self._master = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=inherited)
            self._control.send(pickle.dumps(orders))
            await asyncio.get_running_loop().run_in_executor(None, self._ask, self._control)
        except OSError as error:
            raise StartError(f"The master of the worker processes does not start: {error.strerror or error}.") from None
        finally:
            theirs.close()
            if log is not None:
                close_log(log)

    def _ask(self, control: socket.socket, what: Drain | None = None) -> Report:
        """Ask the master for a report, or tell it to end and get its last."""
        control.settimeout(PATIENCE + (what.timeout if what else 0.0))
        control.send(pickle.dumps(what))
        message = control.recv(ROOM)
        if not message:
            raise OSError("it has ended")
        report: Report = pickle.loads(message)
        for name, count in report.counts.items():
            setattr(self._metrics, name, count)
        return report

    async def drain(self, timeout: float | None, successor: Successor | None = None) -> None:
        """See Architecture."""
        control, self._control = self._control, None  # nobody else may ask while the last report is awaited
        if control is not None:
            order = Drain(A_DAY if timeout is None else timeout)
            with control, contextlib.suppress(OSError):
                await asyncio.get_running_loop().run_in_executor(None, self._ask, control, order)

    def adopt(self, sock: socket.SocketType, client: str) -> None:
        """See Architecture."""
        sock.close()

    async def close(self) -> None:
        """See Architecture."""
        if self._control is not None:
            self._control.close()
            self._control = None
        master, self._master = self._master, None
        if master is not None:
            try:
                await asyncio.get_running_loop().run_in_executor(None, master.wait, PATIENCE)
            except subprocess.TimeoutExpired:
                master.kill()
                master.wait()

    def snapshot(self) -> dict[str, Any]:
        """See Architecture. It waits for the master's answer, which does little but answer."""
        try:
            report = self._ask(self._control) if self._control is not None else Report({}, [], 0)
        except OSError:
            report = Report({}, [], 0)
        return {**report.counts, "connections": report.busy, "cache": {}, "workers": report.pids}


# In the master and its workers

_COUNTERS = tuple(COUNTERS)


class _Board:
    """Where the workers say what they have counted: memory that all share, with a row for each."""

    def __init__(self, rows: int) -> None:
        self._row = struct.Struct(f"={len(_COUNTERS) + 1}Q")
        self._rows = rows
        self._memory = mmap.mmap(-1, self._row.size * rows)

    def write(self, row: int, metrics: Metrics, busy: bool) -> None:
        """Say what the worker of this row has counted, and whether it has a connection."""
        counts = (getattr(metrics, name) for name in _COUNTERS)
        self._row.pack_into(self._memory, row * self._row.size, busy, *counts)

    def read(self, row: int) -> Metrics:
        """What the worker of this row had counted, for its successor."""
        metrics = Metrics()
        for name, count in zip(_COUNTERS, self._row.unpack_from(self._memory, row * self._row.size)[1:], strict=True):
            setattr(metrics, name, count)
        return metrics

    def report(self, pids: list[int]) -> Report:
        """All rows together."""
        busy, *counts = map(sum, zip(*self._row.iter_unpack(self._memory[:]), strict=True))
        return Report(dict(zip(_COUNTERS, counts, strict=True)), pids, busy)


class Master:
    """Keeps the workers, until it is told to drain or nobody is there any more to tell it."""

    def __init__(self, control: socket.socket) -> None:
        orders: Orders = pickle.loads(control.recv(ROOM))
        self._control = control
        self.config = _parted(orders.config)
        self._listeners = [socket.socket(fileno=fd) for fd in orders.listeners]
        self._log = orders.log
        self._board = _Board(orders.config.server.concurrency)
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)
        self._workers: dict[int, tuple[int, int]] = {}  # by pidfd: process and row

    def run(self) -> None:
        """Start the workers, answer, and start another for each that dies."""
        gc.freeze()
        for row in range(self.config.server.concurrency):
            self._fork(row)
        while True:
            for fd, _ in self._poll.poll():
                if fd in self._workers:
                    self._lost(fd)
                    continue
                message = self._control.recv(ROOM)
                order: Drain | None = pickle.loads(message) if message else Drain(0.0)
                if order is not None:
                    self._drain(order.timeout)
                with contextlib.suppress(OSError):
                    self._control.send(pickle.dumps(self._board.report([pid for pid, _ in self._workers.values()])))
                if order is not None:
                    return

    def _fork(self, row: int) -> None:
        master = os.getpid()
        pid = os.fork()
        if pid == 0:
            die_with(master)
            self._work(row)
        pidfd = os.pidfd_open(pid)
        self._workers[pidfd] = pid, row
        self._poll.register(pidfd, select.POLLIN)

    def _lost(self, pidfd: int) -> int:
        """Reap a worker that has died, and start another in its place."""
        row = self._reap(pidfd)
        time.sleep(PAUSE)
        self._fork(row)
        return row

    def _reap(self, pidfd: int) -> int:
        pid, row = self._workers.pop(pidfd)
        self._poll.unregister(pidfd)
        os.close(pidfd)
        os.waitpid(pid, 0)
        return row

    def _drain(self, timeout: float) -> None:
        end = time.monotonic() + timeout
        number = signal.SIGTERM
        while self._workers:
            if time.monotonic() >= end:
                number = signal.SIGKILL
            for pid, _ in self._workers.values():
                os.kill(pid, number)
            time.sleep(POLL)
            for fd, _ in self._poll.poll(0):
                if fd in self._workers:
                    self._reap(fd)

    def _work(self, row: int) -> NoReturn:
        """What a worker does all its life."""
        self._control.close()
        set_title(f"flashpy: worker {row} of {os.getppid()}")
        metrics = self._board.read(row)
        common = Common(self.config, metrics, UnlockingRunner, self._listeners, self._log)
        driver = Driver(common)

        def terminate(number: int, frame: object) -> None:
            common.stop()
            driver.interrupt()

        signal.signal(signal.SIGTERM, terminate)
        status = 1
        try:
            driver.run(lambda busy: self._board.write(row, metrics, busy))
            status = 0
        finally:
            os._exit(status)


def _parted(config: Config) -> Config:
    """Each worker's share of the caches' budgets."""
    cache, among = config.cache, config.server.concurrency
    budgets = ("pathname_entries", "pathname_bytes", "header_entries", "header_bytes", "file_entries", "file_bytes")
    parted = {name: share(getattr(cache, name), among) for name in (*budgets, "descriptors")}
    limits = msgspec.structs.replace(config.limits, memo=share(config.limits.memo, among))
    return msgspec.structs.replace(config, cache=msgspec.structs.replace(cache, **parted), limits=limits)


def main(control: str) -> None:
    """The master's program. An interrupt at the terminal reaches the whole process group; the server decides."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    set_title(f"flashpy: master of {os.getppid()}")
    master = Master(socket.socket(fileno=int(control)))
    set_up(master.config.log)
    master.run()
