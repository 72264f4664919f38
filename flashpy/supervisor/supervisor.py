"""The supervisor: holds listening sockets, configuration and signals; starts, replaces and retires workers.

It has no client's bytes in it, and nobody waits for it: workers serve on while it is at work. So it may do what blocks
(read the configuration, bind, fork), one thing after the other.

What each signal does is what people know from nginx and gunicorn: HUP reads the configuration again, USR1 opens the log
files again, USR2 starts the program anew and hands everything over to it, TTIN and TTOU add and remove a worker, TERM,
QUIT and INT end when all has been answered, a second INT at once.
"""

import gc
import logging
import os
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable, Sequence
from enum import Enum, auto
from functools import partial
from itertools import chain, count
from typing import Any, NoReturn

from msgspec import Struct

from flashpy.config import Config
from flashpy.errors import ConfigError, StartError, WorkerError
from flashpy.event.listener import bind, disown
from flashpy.event.programs import Child, spawn
from flashpy.process import set_title
from flashpy.server import check_root, fit_into_memory
from flashpy.supervisor.generation import Generation, Process, Stage, close_all, cpus_for, sockets_for
from flashpy.supervisor.limits import grow_descriptor_table, raise_descriptor_limit
from flashpy.supervisor.messages import (
    BadMessage,
    Counted,
    Failed,
    FromWorker,
    Link,
    NotStarted,
    Ready,
    Retire,
    Started,
    Taken,
    ToWorker,
    Wanted,
)
from flashpy.supervisor.reactor import Reactor, leave_signals
from flashpy.supervisor.upgrade import NewProgram, inherited, start_anew
from flashpy.supervisor.worker import Worker

_log = logging.getLogger("flashpy.supervisor")

START_SECONDS = 60.0
"""A worker that does not serve by then is given up."""
SILENCE = 30.0
"""A worker that has said nothing for so long is stuck; it is replaced."""
GRACE = 5.0
"""Seconds beyond the time that a retiring worker has, before it is killed."""
LOOK = 1.0
"""Seconds between two looks at how all are."""
EXIT_INTERRUPTED = 130


class Phase(Enum):
    """What the supervisor is about."""

    RUNNING = auto()
    HANDING_OVER = auto()  # a new program serves; the workers here retire
    ENDING = auto()


class Supervisor:
    """Runs workers for a configuration until it is told to end.

    ``load`` reads the configuration anew; ``announce`` is called when the first workers serve.
    """

    def __init__(
        self, config: Config, load: Callable[[], Config], announce: Callable[["Supervisor"], None] | None = None
    ) -> None:
        self._load = load
        self._announce = announce or _say_nothing
        self._established = False  # it has served
        self._reactor = Reactor()
        self._first = fit_into_memory(config, config.server.workers)
        self._now: Generation | None = None  # what serves
        self._next: Generation | None = None  # what is to serve, while its workers start
        self._reload_again = False
        self._retiring: set[Process] = set()
        self._programs: dict[int, Child] = {}  # helper programs by process id
        self._homeless: list[tuple[list[str], list[int]]] = []  # connections that no worker could take yet
        self._turn = count()
        self._past: Counter[str] = Counter()  # counts of workers that have ended
        self._phase = Phase.RUNNING
        self._status = 0  # with which it ends
        self._before = inherited()
        self._after: NewProgram | None = None
        self._failure: StartError | None = None

    # For whoever runs it

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self._now.config if self._now else self._first

    @property
    def listeners(self) -> list[socket.socket]:
        """The listening sockets."""
        return self._now.listeners if self._now else []

    @property
    def sandbox(self) -> str:
        """What workers and helpers may not do, for people."""
        return next((process.sandbox for process in self._now.serving), "") if self._now else ""

    def counts(self) -> dict[str, int]:
        """What all workers have counted together, those that have ended included."""
        total = Counter(self._past)
        for process in self._all():
            if process.counted is not None:
                total.update(process.counted.counts)
        return dict(total)

    def run(self) -> int:
        """Start, supervise, and end; the exit status.

        Raises:
            StartError: the first workers cannot be started (a WorkerError), or their addresses not be bound.
        """
        set_title("flashpy: supervisor")
        generation = self._generation(self._first, self._before.sockets if self._before else {})
        for number, callback in self._signals().items():
            self._reactor.on_signal(number, callback)
        # What lives now is shared with the workers; a collection would write to all of it.
        gc.collect()
        gc.freeze()
        self._now = generation
        self._fill(generation)
        self._reactor.later(LOOK, self._look)
        self._reactor.run()
        for child in self._programs.values():
            child.reap()
        if self._failure is not None:
            raise self._failure
        return self._status

    def _signals(self) -> dict[signal.Signals, Callable[[], object]]:
        return {
            signal.SIGHUP: self._reload,
            signal.SIGUSR2: self._upgrade,
            signal.SIGTTIN: partial(self._resize, 1),
            signal.SIGTTOU: partial(self._resize, -1),
            signal.SIGTERM: self._end,
            signal.SIGQUIT: self._end,
            signal.SIGINT: self._interrupt,
        }

    # Generations

    def _generation(self, config: Config, before: dict[str, list[socket.socket]]) -> Generation:
        """What a configuration asks for, checked as far as it can be without serving.

        Raises:
            StartError: it cannot be had.
        """
        check_root(config.site.root)
        raise_descriptor_limit(config)
        return Generation(
            config, sockets_for(config, before, lambda a: bind(a, config.server.backlog)), config.server.workers
        )

    def _fill(self, generation: Generation) -> None:
        """Start the workers that are missing."""
        for number in list(generation.missing()):
            self._start(generation, number)

    def _reload(self) -> None:
        """Read the configuration and let new workers serve by it; if it is not good, nothing changes."""
        if self._phase is not Phase.RUNNING or self._now is None:
            return
        if self._next is not None:
            self._reload_again = True
            return
        _log.info("Reading the configuration again.")
        try:
            config = self._load()
            config = fit_into_memory(config, config.server.workers)
            self._next = self._generation(config, self._now.sockets)
        except (ConfigError, StartError) as error:
            _log.error("The configuration stays as it was. %s", error)
            return
        self._fill(self._next)

    def _switch(self, generation: Generation) -> None:
        """The new generation serves: the old one retires."""
        old, self._now, self._next = self._now, generation, None
        assert old is not None
        left = [
            sock.fileno() for address, group in old.sockets.items() if address in generation.sockets for sock in group
        ]
        abandoned = [number for number, sock in enumerate(old.listeners) if sock.fileno() not in left]
        for process in list(old.processes.values()):
            self._retire(process, True, abandoned)
        for address, group in old.sockets.items():
            if address not in generation.sockets:
                close_all(group)
        _log.info("The new configuration is in force.")
        if self._reload_again:
            self._reload_again = False
            self._reload()

    def _give_up(self, generation: Generation, why: str) -> None:
        """The new generation cannot serve: the old one goes on."""
        assert self._now is not None
        self._next = None
        for process in list(generation.processes.values()):
            self._retire(process, True)
            os.kill(process.pid, signal.SIGKILL)
        for address, group in generation.sockets.items():
            if address not in self._now.sockets:
                close_all(group)
        _log.error("The configuration stays as it was: a worker cannot start with the new one. %s", why)

    def _resize(self, difference: int) -> None:
        """One worker more or less; one stays."""
        generation = self._now
        if self._phase is not Phase.RUNNING or generation is None or generation.count + difference < 1:
            return
        generation.count += difference
        _log.info("%d workers are wanted now.", generation.count)
        for number, process in list(generation.processes.items()):
            if number > generation.count:
                self._retire(process, True)
        self._fill(generation)

    # Workers

    def _start(self, generation: Generation, number: int) -> None:
        if self._phase is not Phase.RUNNING or number in generation.processes or number > generation.count:
            return
        backoff = generation.backoff(number)
        backoff.began(time.monotonic())
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            disk = self._spawn("disk", generation.config) if generation.config.server.architecture == "amped" else None
            pid = os.fork()
        except (OSError, StartError) as error:
            ours.close()
            theirs.close()
            self._not_started(generation, number, str(error))
            return
        if pid == 0:
            _become_worker(generation, number, theirs)
        theirs.close()
        process = Process(generation, number, pid, Link(ours, FromWorker))
        if disk is not None:
            process.prepared["disk"] = disk
        process.deadline = self._reactor.later(START_SECONDS, partial(self._kill, process, "it does not get ready"))
        generation.processes[number] = process
        self._reactor.watch(process.link.fileno(), partial(self._readable, process))
        self._reactor.watch_end(pid, partial(self._ended, process))

    def _not_started(self, generation: Generation, number: int, why: str) -> None:
        if generation is self._next:
            self._give_up(generation, why)
        elif generation is self._now and not self._established:
            self._fail(why)
        elif generation is self._now:
            pause = generation.backoff(number).pause(time.monotonic())
            _log.error("Worker %d does not start: %s Tried again in %.1f s.", number, why, pause)
            self._reactor.later(pause, partial(self._start, generation, number))

    def _fail(self, why: str) -> None:
        """Not even the first workers start."""
        self._failure = self._failure or WorkerError(why)
        self._end(at_once=True)

    def _kill(self, process: Process, why: str) -> None:
        _log.error("Worker %d (process %d) is killed: %s.", process.number, process.pid, why)
        os.kill(process.pid, signal.SIGKILL)

    def _retire(self, process: Process, succeeded: bool, abandoned: list[int] | None = None) -> None:
        """Let a worker end when it has answered what is under way."""
        generation = process.generation
        if generation.processes.get(process.number) is process:
            del generation.processes[process.number]
        if process.stage is Stage.RETIRING and succeeded:
            return
        process.stage = Stage.RETIRING
        self._retiring.add(process)
        timeout = generation.config.server.timeout_graceful_shutdown
        self._send(process, Retire(timeout, succeeded, abandoned or []))
        self._set_deadline(process, timeout + GRACE, "it does not end")

    def _set_deadline(self, process: Process, seconds: float, why: str) -> None:
        if process.deadline is not None:
            process.deadline.cancel()
        process.deadline = self._reactor.later(seconds, partial(self._kill, process, why))

    def _ended(self, process: Process, status: int) -> None:
        """A worker has ended. What it had still said is heard first."""
        self._read_all(process)
        self._reactor.forget(process.link.fileno())
        process.link.close()
        if process.deadline is not None:
            process.deadline.cancel()
        for child in process.prepared.values():
            child.control.close()
        if process.counted is not None:
            self._past.update(process.counted.counts)
        generation, stage = process.generation, process.stage
        if generation.processes.get(process.number) is process:
            del generation.processes[process.number]
        self._retiring.discard(process)
        how = f"it was ended by {signal.Signals(-status).name}" if status < 0 else f"it ended with status {status}"
        if self._phase is not Phase.RUNNING:
            self._finish()
        elif stage is Stage.STARTING:
            self._not_started(generation, process.number, process.why or f"{how.capitalize()}.")
        elif stage is Stage.SERVING:
            pause = generation.backoff(process.number).pause(time.monotonic())
            _log.error(
                "Worker %d (process %d) has died: %s; another starts in %.1f s.",
                process.number,
                process.pid,
                how,
                pause,
            )
            self._reactor.later(pause, partial(self._start, generation, process.number))

    # What workers say

    def _readable(self, process: Process) -> None:
        try:
            received = process.link.receive()
        except BlockingIOError:
            return
        except BadMessage as error:
            self._reactor.forget(process.link.fileno())
            self._kill(process, f"it talks nonsense ({error})")
            return
        if received is None:
            self._reactor.forget(process.link.fileno())  # its end will be told by itself
            return
        self._hear(process, *received)

    def _read_all(self, process: Process) -> None:
        try:
            while (received := process.link.receive()) is not None:
                self._hear(process, *received)
        except (BlockingIOError, BadMessage):
            pass

    def _hear(self, process: Process, message: FromWorker, fds: list[int]) -> None:
        process.heard = time.monotonic()
        match message:
            case Taken(clients):
                self._relay(clients, fds)
                return
            case Ready(sandbox):
                process.sandbox = sandbox
                self._ready(process)
            case Failed(why):
                process.why = why
            case Counted():
                process.counted = message
            case Wanted(program):
                self._lend(process, program)
        for fd in fds:  # none belongs to these
            os.close(fd)

    def _ready(self, process: Process) -> None:
        if process.stage is not Stage.STARTING:
            return
        process.stage = Stage.SERVING
        if process.deadline is not None:
            process.deadline.cancel()
        generation = process.generation
        if generation is self._next:
            if len(generation.serving) == generation.count:
                self._switch(generation)
        elif not self._established and len(generation.serving) == generation.count:
            self._established = True
            self._announce(self)
            self._take_over()
        self._house()

    def _send(self, process: Process, message: ToWorker, fds: Sequence[int] = ()) -> None:
        self._send_on(process.link, message, fds)

    def _send_on(self, link: Link[Any], message: Struct, fds: Sequence[int] = ()) -> None:
        try:
            link.send(message, fds)
        except OSError:
            return  # who has died is told of otherwise
        self._watch_room(link)

    def _watch_room(self, link: Link[Any]) -> None:
        """Where messages had to be kept, send them when there is room."""
        if link.waiting:
            self._reactor.watch_room(link.fileno(), partial(self._flush, link))

    def _flush(self, link: Link[Any]) -> None:
        try:
            link.flush()
        except OSError:
            return
        self._watch_room(link)
        if self._phase is not Phase.RUNNING:
            self._finish()

    # Helper programs

    def _spawn(self, name: str, config: Config) -> Child:
        child = spawn(name)
        self._programs[child.pid] = child
        self._reactor.watch_end(child.pid, partial(self._program_ended, child))
        return child

    def _program_ended(self, child: Child, status: int) -> None:
        child.process.returncode = status
        del self._programs[child.pid]

    def _lend(self, process: Process, name: str) -> None:
        """Give a worker the link of a helper program."""
        try:
            if name != "disk":
                raise StartError(f"There is no helper program {name}.")
            child = process.prepared.pop(name, None) or self._spawn(name, process.generation.config)
        except StartError as error:
            self._send(process, NotStarted(name, str(error)))
            return
        self._send(process, Started(name, child.pid), [child.control.detach()])

    # Connections between two requests

    def _relay(self, clients: list[str], fds: list[int]) -> None:
        serving = self._now.serving if self._now else []
        if self._phase is Phase.HANDING_OVER and self._after is not None:
            self._send_on(self._after.link, Taken(clients), fds)
        elif self._phase is Phase.ENDING:
            for fd in fds:
                os.close(fd)
        elif serving:
            self._send(serving[next(self._turn) % len(serving)], Taken(clients), fds)
        else:
            self._homeless.append((clients, fds))

    def _house(self) -> None:
        """Somebody serves now who can take connections."""
        homeless, self._homeless = self._homeless, []
        for clients, fds in homeless:
            self._relay(clients, fds)

    # The program before this one, and the one after it

    def _upgrade(self) -> None:
        """Start the program anew; when it serves, all is handed over to it."""
        if self._phase is not Phase.RUNNING or self._after is not None or self._now is None:
            _log.warning("Another program is taking over already.")
            return
        try:
            self._after = after = start_anew(self._now.sockets)
        except StartError as error:
            _log.error("%s This one serves on.", error)
            return
        _log.info("A new program takes over (process %d).", after.process.pid)
        self._reactor.watch(after.link.fileno(), self._hear_after)
        self._reactor.watch_end(after.process.pid, self._after_ended)

    def _hear_after(self) -> None:
        """The new program serves, or has ended."""
        assert self._after is not None
        link = self._after.link
        try:
            received = link.receive()
        except (BlockingIOError, BadMessage):
            return
        if received is None:
            self._reactor.forget(link.fileno())
        elif self._phase is Phase.RUNNING:
            self._phase = Phase.HANDING_OVER
            _log.info("The new program serves; this one ends when all has been answered.")
            generations = [generation for generation in (self._now, self._next) if generation is not None]
            for process in [process for generation in generations for process in generation.processes.values()]:
                self._retire(process, True)
            for sock in self.listeners:
                disown(sock)
            close_all(self.listeners)
            self._finish()

    def _after_ended(self, status: int) -> None:
        assert self._after is not None
        self._after.process.returncode = status
        if self._phase is Phase.RUNNING:
            _log.error("The new program has ended with status %d before it served; this one serves on.", status)
            self._reactor.forget(self._after.link.fileno())
            self._after.link.close()
            self._after = None

    def _take_over(self) -> None:
        """All workers serve: say so to the program before, and let go of its sockets that are not needed."""
        if self._before is None:
            return
        link, sockets = self._before
        assert self._now is not None
        for address, group in sockets.items():
            if address not in self._now.sockets:
                close_all(group)
        self._reactor.watch(link.fileno(), self._hear_before)
        link.send(Ready(self.sandbox))

    def _hear_before(self) -> None:
        """Connections come from the program before, until it ends."""
        assert self._before is not None
        link = self._before.link
        try:
            received = link.receive()
        except (BlockingIOError, BadMessage):
            return
        if received is None:
            self._reactor.forget(link.fileno())
            link.close()
            self._before = None
        else:
            self._relay(received[0].clients, received[1])

    # Once a second, and at the end

    def _look(self) -> None:
        self._reactor.later(LOOK, self._look)
        now = time.monotonic()
        for process in self._all():
            if process.stage is Stage.SERVING and process.heard + SILENCE < now:
                self._kill(process, f"it has said nothing for {SILENCE:.0f} s")

    def _all(self) -> list[Process]:
        """All workers there are."""
        generations = [generation for generation in (self._now, self._next) if generation is not None]
        return [*chain.from_iterable(g.processes.values() for g in generations), *self._retiring]

    def _interrupt(self) -> None:
        if self._phase is not Phase.ENDING:
            _log.info("Ending when all has been answered; a second Ctrl-C ends at once.")
            self._end()
        else:
            self._status = EXIT_INTERRUPTED
            self._end(at_once=True)

    def _end(self, at_once: bool = False) -> None:
        """Accept no more, answer what is under way, end; or end at once."""
        if self._phase is not Phase.ENDING:
            self._phase = Phase.ENDING
            close_all(self.listeners)
            if self._next is not None:
                close_all(self._next.listeners)
        for process in self._all():
            if at_once:
                os.kill(process.pid, signal.SIGKILL)
            elif process.stage is not Stage.RETIRING:
                self._retire(process, False)
            else:
                self._send(process, Retire(self.config.server.timeout_graceful_shutdown, False))
        self._finish()

    def _finish(self) -> None:
        waiting = self._phase is Phase.HANDING_OVER and self._after is not None and self._after.link.waiting
        if not self._all() and not waiting:
            _log.debug("Counters of all workers: %s", self.counts())
            self._reactor.stop()


def _say_nothing(supervisor: Supervisor) -> None:
    """Nobody wants to know when it serves."""


def _become_worker(generation: Generation, number: int, link: socket.socket) -> NoReturn:
    """What a child does from the fork on. Nothing of the supervisor's stays open in it."""
    try:
        leave_signals()
        kept = {0, 1, 2, link.fileno(), *(sock.fileno() for sock in generation.listeners)}
        for name in os.listdir("/proc/self/fd"):
            if int(name) not in kept:
                try:
                    os.close(int(name))
                except OSError:
                    pass  # that of the listing itself
        set_title(f"flashpy: worker {number} of {os.getppid()}")
        for sock in generation.listeners:
            disown(sock)
        cpus = cpus_for(generation.config, number)
        if cpus:
            os.sched_setaffinity(0, cpus)
        grow_descriptor_table(generation.config)
        worker = Worker(generation.config, generation.listeners, Link(link, ToWorker))
    except BaseException:
        _log.exception("Worker %d cannot begin.", number)
        os._exit(1)
    worker.run()
