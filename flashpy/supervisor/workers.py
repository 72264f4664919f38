"""The workers that there are: starting, hearing, retiring and reaping them, and their helper programs."""

import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import NoReturn, Protocol

from flashpy.errors import StartError
from flashpy.event.link import BadMessage, Link
from flashpy.event.programs import Child, encode_arguments, spawn, watch_arguments
from flashpy.logs import set_up
from flashpy.privileges import Identity, drop_privileges
from flashpy.process import set_title
from flashpy.report import Report, merged, what_remains
from flashpy.supervisor.generation import Generation, Process, Stage, cpus_for
from flashpy.supervisor.limits import grow_descriptor_table
from flashpy.supervisor.messages import (
    Bequest,
    Counted,
    Failed,
    FromWorker,
    Left,
    NotStarted,
    Ready,
    Retire,
    Started,
    Taken,
    ToWorker,
    Wanted,
)
from flashpy.supervisor.reactor import Reactor, leave_descriptors, leave_signals
from flashpy.supervisor.worker import EXIT_FAILED, Worker

_log = logging.getLogger("flashpy.supervisor")

START_SECONDS = 60.0
"""A worker that does not serve by then is given up."""
SILENCE = 30.0
"""A worker that has said nothing for so long is stuck; it is replaced."""
GRACE = 5.0
"""Seconds beyond the time that a retiring worker has, if it has one, before it is killed."""


class Master(Protocol):
    """Whoever decides what is to be done when something has happened to a worker."""

    def serves(self, process: Process) -> None:
        """It has started."""
        ...

    def died(self, process: Process, stage: Stage, why: str) -> None:
        """It has ended at this stage; why, in one sentence."""
        ...

    def program_ended(self) -> None:
        """A helper program has ended."""
        ...

    def left(self, message: Left, fds: list[int]) -> None:
        """What a worker has left for another to go on with; the descriptors are to be sent on or closed."""
        ...


class Workers:
    """All worker processes of all generations."""

    def __init__(self, reactor: Reactor, master: Master) -> None:
        self._reactor = reactor
        self._master = master
        self._programs: dict[int, Child] = {}  # helper programs by process id
        self._past = Report()  # of workers that have ended
        self.started = 0  # ever
        self.all: set[Process] = set()

    def report(self) -> Report:
        """What all have counted, those that have ended included, and are, together."""
        return merged([self._past, *(process.report for process in self.all)])

    @property
    def in_order(self) -> list[Process]:
        """All workers: those that serve first, each kind by number."""
        return sorted(self.all, key=lambda process: (process.stage is Stage.RETIRING, process.number, process.pid))

    def prepare(self, generation: Generation, count: int) -> None:
        """Start the helper programs that so many workers will ask for: they take a while, and need not be waited for.

        Raises:
            StartError: they cannot be run.
        """
        if generation.config.has_helpers:
            generation.disks += [self._spawn_disk(generation) for _ in range(count)]

    def start(self, generation: Generation, number: int) -> None:
        """Fork a worker.

        Raises:
            StartError: it cannot be done.
        """
        if not generation.disks:
            self.prepare(generation, 1)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            pid = os.fork()
        except OSError as error:
            ours.close()
            raise StartError(f"No process can be started: {error.strerror}.") from None
        else:
            if pid == 0:
                _become_worker(generation, number, theirs)
        finally:
            theirs.close()
        process = Process(generation, number, pid, Link(ours, FromWorker))
        process.disk = generation.disks.pop() if generation.disks else None
        generation.processes[number] = process
        self.all.add(process)
        self.started += 1
        self._set_deadline(process, START_SECONDS, "it does not get ready")
        self._reactor.watch(process.link.fileno(), partial(self._readable, process))
        self._reactor.watch_end(pid, partial(self._ended, process))

    def retire(self, process: Process, succeeded: bool, abandoned: Sequence[int] = ()) -> None:
        """Let a worker end when it has answered what is under way (see messages.Retire): if others succeed it, nothing
        presses, else within ``server.timeout_graceful_shutdown``."""
        process.leave()
        if process.stage is Stage.RETIRING and succeeded:
            return
        process.stage = Stage.RETIRING
        timeout = None if succeeded else process.generation.config.server.timeout_graceful_shutdown
        self.send(process, Retire(timeout, succeeded, list(abandoned)))
        self._clear_deadline(process)
        if timeout is not None:
            self._set_deadline(process, timeout + GRACE, "it does not end")

    def kill(self, process: Process, why: str = "") -> None:
        """End a worker at once."""
        if why:
            _log.error("Worker %d (process %d) is killed: %s.", process.number, process.pid, why)
        os.kill(process.pid, signal.SIGKILL)

    def send(self, process: Process, message: ToWorker, fds: Sequence[int] = ()) -> None:
        """Tell a worker something; descriptors are closed here when they have left."""
        self._reactor.send(process.link, message, fds)

    def look(self, now: float) -> None:
        """Kill those that are stuck."""
        for process in self.all:
            if process.stage is not Stage.STARTING and process.heard + SILENCE < now:
                self.kill(process, f"it has said nothing for {SILENCE:.0f} s")

    def reap(self) -> None:
        """At the end, when no worker is left: wait for the helper programs."""
        for child in self._programs.values():
            child.reap()

    def _clear_deadline(self, process: Process) -> None:
        if process.deadline is not None:
            process.deadline.cancel()
            process.deadline = None

    def _set_deadline(self, process: Process, seconds: float, why: str) -> None:
        process.deadline = self._reactor.later(seconds, partial(self.kill, process, why))

    def _ended(self, process: Process, status: int) -> None:
        """A worker has ended. What it had still said is heard first."""
        try:
            while (received := process.link.receive()) is not None:
                self._hear(process, *received)
        except (BlockingIOError, BadMessage):
            pass
        self._reactor.forget(process.link.fileno())
        process.link.close()
        self._clear_deadline(process)
        if process.disk is not None:
            process.disk.control.close()
        for ours in process.logs:
            assert process.generation.log is not None
            process.generation.log.let_go(ours)
        self._past = merged([self._past, what_remains(process.report)])
        process.leave()
        self.all.discard(process)
        how = f"It was ended by {signal.Signals(-status).name}." if status < 0 else f"It ended with status {status}."
        self._master.died(process, process.stage, process.why or how)

    # What workers say

    def _readable(self, process: Process) -> None:
        try:
            received = process.link.receive()
        except BlockingIOError:
            return
        except BadMessage as error:
            self._reactor.forget(process.link.fileno())
            self.kill(process, f"it talks nonsense ({error})")
            return
        if received is None:
            self._reactor.forget(process.link.fileno())  # its end will be told by itself
            return
        self._hear(process, *received)

    def _hear(self, process: Process, message: FromWorker, fds: list[int]) -> None:
        process.heard = time.monotonic()
        match message:
            case Taken() | Bequest():
                self._master.left(message, fds)
                return
            case Ready(sandbox):
                process.sandbox = sandbox
                if process.stage is Stage.STARTING:
                    process.stage = Stage.SERVING
                    self._clear_deadline(process)
                    self._master.serves(process)
            case Failed(why):
                process.why = why
            case Counted(report):
                process.report = report
            case Wanted(program):
                self._lend(process, program)
        for fd in fds:  # none belongs to these
            os.close(fd)

    # Helper programs

    def spawn(
        self,
        name: str,
        arguments: Sequence[bytes | str] = (),
        identity: Identity | None = None,
        ended: Callable[[], None] | None = None,
    ) -> Child:
        """Start a helper program; ``ended`` is called when it has ended.

        Raises:
            StartError: it cannot be run.
        """
        child = spawn(name, arguments, identity)
        self._programs[child.pid] = child
        self._reactor.watch_end(child.pid, partial(self._program_ended, child, ended))
        return child

    def _program_ended(self, child: Child, ended: Callable[[], None] | None, status: int) -> None:
        child.process.returncode = status
        del self._programs[child.pid]
        if ended is not None:
            ended()
        self._master.program_ended()

    def _spawn_disk(self, generation: Generation) -> Child:
        return self.spawn("disk", generation.roots if generation.confined else (), generation.identity)

    def _lend(self, process: Process, name: str) -> None:
        """Give a worker the link of a helper program."""
        generation = process.generation
        try:
            if name == "disk":
                child, process.disk = process.disk or self._spawn_disk(generation), None
                self.send(process, Started(name, child.pid), [child.control.detach()])
            elif name == "encode":
                arguments = encode_arguments(generation.confined, generation.config.cache)
                child = self.spawn(name, arguments, generation.identity)
                self.send(process, Started(name, child.pid), [child.control.detach()])
            elif name == "watch" and generation.config.server.reload:
                child = self.spawn(name, watch_arguments(generation.confined, generation.roots), generation.identity)
                self.send(process, Started(name, child.pid), [child.control.detach()])
            elif name == "log" and generation.log is not None:
                theirs, ours = generation.log.link()
                process.logs.append(ours)
                self.send(process, Started(name, generation.log.pid), [theirs.detach()])
            else:
                raise StartError(f"There is no helper program {name} for a worker.")
        except StartError as error:
            self.send(process, NotStarted(name, str(error)))


def _become_worker(generation: Generation, number: int, link: socket.socket) -> NoReturn:
    """What a child does from the fork on. Nothing of the supervisor's stays open in it."""
    leave_signals()
    to_supervisor: Link[ToWorker] = Link(link, ToWorker)
    try:
        leave_descriptors({link.fileno(), *(sock.fileno() for sock in generation.listeners)})
        set_title(f"flashpy: worker {number} of {os.getppid()}")
        set_up(generation.config.log)
        if cpus := cpus_for(generation.config, number):
            _stay_on(cpus)
        grow_descriptor_table(generation.config)
        if generation.identity is not None:
            drop_privileges(generation.identity)
        worker = Worker(generation.config, generation.sockets, to_supervisor, generation.confined, generation.secured)
    except StartError as error:
        to_supervisor.send(Failed(str(error)))
        os._exit(EXIT_FAILED)
    except BaseException:
        _log.exception("Worker %d cannot begin.", number)
        os._exit(1)
    worker.run()


def _stay_on(cpus: set[int]) -> None:
    try:
        os.sched_setaffinity(0, cpus)
    except (OSError, ValueError, OverflowError):
        there = ", ".join(map(str, sorted(os.sched_getaffinity(0))))
        raise StartError(
            f"server.cpu_affinity: there is no processor {min(cpus)} for a worker; there are {there}."
        ) from None
