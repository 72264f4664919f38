"""The supervisor: holds listening sockets, configuration and signals; decides which workers there are.

It has no client's bytes in it, and nobody waits for it: workers serve on while it is at work. So it may do what blocks
(read the configuration, bind, fork), one thing after the other.

What each signal does is what people know from nginx and gunicorn: HUP reads the configuration again, USR1 opens the log
files again, USR2 starts the program anew and hands everything over to it, TTIN and TTOU add and remove a worker, TERM,
QUIT and INT end when all has been answered, a second INT at once.
"""

import gc
import importlib
import linecache
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from enum import Enum, auto
from functools import partial
from itertools import count

from flashpy import notify, pid_file
from flashpy.activation import Passed
from flashpy.admin.status import MOST_WORKERS, Status
from flashpy.arch import architecture
from flashpy.errors import ConfigError, StartError, WorkerError
from flashpy.event.sockets import Sockets, close_all, flat, listen
from flashpy.event.unixsockets import disown
from flashpy.landlock import describe
from flashpy.loghelper import close_log, open_log
from flashpy.logs import set_up
from flashpy.privileges import Identity, resolve
from flashpy.process import set_title
from flashpy.server import check_coded_directory, check_roots, fit_into_memory
from flashpy.settings import Config
from flashpy.supervisor.accesslogs import AccessLog
from flashpy.supervisor.admin import Admin
from flashpy.supervisor.generation import Generation, Process, Stage
from flashpy.supervisor.limits import raise_descriptor_limit
from flashpy.supervisor.messages import Left, Renewed
from flashpy.supervisor.reactor import Reactor
from flashpy.supervisor.upgrade import Inherited, Predecessor, Successor
from flashpy.supervisor.workers import Workers
from flashpy.tls.material import read_all, stamps, to_descriptor
from flashpy.tls.serving import contexts_for

_log = logging.getLogger("flashpy.supervisor")

LOOK = 1.0
"""Seconds between two looks at how all are."""
PRIVATE = 0o600
"""The mode of sockets for a cluster's own use, unless ``server.unix_mode`` says another."""
EXIT_INTERRUPTED = 130


class Phase(Enum):
    """What the supervisor is about."""

    RUNNING = auto()
    HANDING_OVER = auto()  # a new program serves; the workers here retire
    ENDING = auto()


class Supervisor:
    """Runs workers for a configuration until it is told to end (a workers.Master).

    ``load`` reads the configuration anew; ``announce`` is called when the first workers serve. ``before`` is what the
    program has left that this one relieves, ``passed`` what systemd has passed.
    """

    def __init__(
        self,
        config: Config,
        load: Callable[[], Config],
        announce: Callable[["Supervisor"], None] | None = None,
        before: Inherited | None = None,
        passed: Sequence[Passed] = (),
    ) -> None:
        self._load = load
        self._passed = passed
        self._announce = announce
        self._established = False  # it has served
        self._reactor = Reactor()
        self._workers = Workers(self._reactor, self)
        self._admin = Admin(self._reactor, self._how_all_are)
        self._began = time.time()
        self._reloads = 0
        self._first = config
        self._now: Generation | None = None  # what serves
        self._next: Generation | None = None  # what is to serve, while its workers start
        self._reload_again = False
        self._logs: dict[tuple[str, Identity | None], AccessLog] = {}
        self._homeless: list[tuple[Left, list[int]]] = []  # what no worker could take yet
        self._turn = count()
        self._phase = Phase.RUNNING
        self._status = 0  # with which it ends
        self._failure: StartError | None = None
        self._predecessor = Predecessor(self._reactor, self, before) if before else None
        self._successor: Successor | None = None

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
    def urls(self) -> list[str]:
        """Where it is reached."""
        return self._now.urls if self._now else []

    @property
    def sandbox(self) -> str:
        """By what workers and helpers are confined, in a few words."""
        number = min((process.sandbox for process in self._now.serving), default=0) if self._now else 0
        return f"confined by Landlock (ABI {number})" if number else "not confined"

    @property
    def status(self) -> str:
        """What it does, in one line."""
        return f"Serving {self.config.subject} at {' '.join(self.urls)}"

    @property
    def admin_listeners(self) -> list[socket.socket]:
        """The listening sockets of the admin addresses."""
        return flat(self._now.admin_sockets) if self._now else []

    def run(self) -> int:
        """Start, supervise, and end; the exit status.

        Raises:
            StartError: the addresses cannot be bound, or the first workers not be started (then a WorkerError).
        """
        set_title("flashpy: supervisor")
        try:
            self._run()
        finally:
            self._reactor.close()
        if self._failure is not None:
            raise self._failure
        return self._status

    def _run(self) -> None:
        self._now = self._generation(self._first, self._predecessor.sockets if self._predecessor else {})
        signals: dict[signal.Signals, Callable[[], object]] = {
            signal.SIGHUP: self._reload,
            signal.SIGUSR1: self._reopen_logs,
            signal.SIGUSR2: self._upgrade,
            signal.SIGTTIN: partial(self._resize, 1),
            signal.SIGTTOU: partial(self._resize, -1),
            signal.SIGTERM: self._end,
            signal.SIGQUIT: self._end,
            signal.SIGINT: self._interrupt,
        }
        for number, callback in signals.items():
            self._reactor.on_signal(number, callback)
        if self._predecessor is None:
            self._write_pid_file(self._now)
        self._workers.prepare(self._now, self._now.count)
        # What lives now is shared with the workers; a collection would write to all of it.
        architecture.load(self.config)
        importlib.import_module("uvloop")
        _remember_sources()
        gc.collect()
        gc.freeze()
        self._admin.serve(self._now)
        self._fill(self._now)
        self._reactor.later(LOOK, self._look)
        self._reactor.run()
        self._admin.close()
        close_all(self.admin_listeners)
        for generation in (self._now, self._next):
            for child in generation.disks if generation else ():
                child.control.close()
        self._workers.reap()
        pid_file.remove(self.config.server.pid_file)
        for log in self._logs.values():
            log.close()

    # Generations

    def _generation(self, config: Config, before: Sockets) -> Generation:
        """What a configuration asks for, checked as far as it can be without serving.

        Raises:
            StartError: it cannot be had.
        """
        server = config.server
        check_roots(config)
        identity = resolve(server.user, server.group)
        check_coded_directory(config, identity.uid if identity else os.geteuid())
        raise_descriptor_limit(config)
        log = self._access_log(config)
        seen = stamps(config.tls)
        contexts = contexts_for(config, self._now.contexts if self._now else None)
        sockets = listen(config.addresses, server.backlog, server.unix_permissions, before)
        try:
            sockets |= listen(config.cluster.addresses, server.backlog, server.unix_permissions or PRIVATE, before)
            admin_sockets = listen(config.admin.bind, server.backlog, config.admin.unix_permissions, before)
        except StartError:
            close_all(flat({address: group for address, group in sockets.items() if address not in before}))
            raise
        return Generation(fit_into_memory(config, server.workers), sockets, log, admin_sockets, contexts, seen)

    def _access_log(self, config: Config) -> AccessLog | None:
        """The access log of a configuration, which may be that of the one before."""
        path = config.log.access_file
        if not config.log.access:
            return None
        if config.server.architecture in ("mp", "mt"):
            close_log(open_log(path))  # they open it themselves
            return None
        identity = resolve(config.server.user, config.server.group)
        log = self._logs.get((path, identity))
        if log is None:
            arguments = ("confined",) if config.server.sandbox else ()
            spawn = partial(self._workers.spawn, "log", arguments, identity)
            log = self._logs[path, identity] = AccessLog(self._reactor, path, spawn)
        return log

    def _reopen_logs(self) -> None:
        """After the files have been renamed."""
        for log in self._logs.values():
            log.reopen()
        _log.info("The log files are open again.")

    def _write_pid_file(self, generation: Generation) -> None:
        """Say where the supervisor is. Its first start fails where that cannot be done."""
        path = generation.config.server.pid_file
        if not path:
            return
        try:
            pid_file.write(path)
        except StartError as error:
            if not self._established:
                close_all(flat(generation.all_sockets))
                raise
            _log.error("%s", error)

    def _fill(self, generation: Generation) -> None:
        """Start the workers that are missing."""
        for number in list(generation.missing()):
            self._start(generation, number)

    def _start(self, generation: Generation, number: int) -> None:
        """Start a worker, if it is still wanted."""
        if self._phase is not Phase.RUNNING or generation not in (self._now, self._next):
            return
        if number not in generation.missing():
            return
        generation.backoff(number).began(time.monotonic())
        try:
            self._workers.start(generation, number)
        except StartError as error:
            self._not_started(generation, number, str(error))

    def _not_started(self, generation: Generation, number: int, why: str) -> None:
        if generation is self._next:
            self._give_up(generation, why)
        elif not self._established:
            self._failure = self._failure or WorkerError(why)
            self._end_at_once()
        elif generation is self._now:
            self._start_later(generation, number, f"Worker {number} does not start: {why}")

    def _start_later(self, generation: Generation, number: int, what: str) -> None:
        pause = generation.backoff(number).pause(time.monotonic())
        _log.error("%s Another is started in %.1f s.", what, pause)
        self._reactor.later(pause, partial(self._start, generation, number))

    def _reload(self) -> None:
        """Read the configuration and let new workers serve by it; if it is not good, nothing changes."""
        if self._phase is not Phase.RUNNING or self._now is None:
            return
        if self._next is not None:
            self._reload_again = True
            return
        _log.info("Reading the configuration again.")
        notify.reloading()
        try:
            self._next = self._generation(self._load(), self._now.all_sockets)
        except (ConfigError, StartError) as error:
            self._stay(str(error))
            return
        self._fill(self._next)

    def _stay(self, why: str) -> None:
        _log.error("The configuration stays as it was. %s", why)
        notify.ready()
        self._reload_if_asked()

    def _reload_if_asked(self) -> None:
        """Somebody has asked while new workers started."""
        if self._reload_again:
            self._reload_again = False
            self._reload()

    def _switch(self, generation: Generation) -> None:
        """The new generation serves: the old one retires."""
        old, self._now, self._next = self._now, generation, None
        assert old is not None
        left = old.not_in(generation)
        abandoned = [number for number, sock in enumerate(old.listeners) if sock in left]
        for process in list(old.processes.values()):
            self._workers.retire(process, True, abandoned)
        close_all(left)
        self._reloads += 1
        self._admin.serve(generation)
        if generation.config.server.pid_file != old.config.server.pid_file:
            pid_file.remove(old.config.server.pid_file)
            self._write_pid_file(generation)
        set_up(generation.config.log)
        _log.info("The new configuration is in force.")
        notify.ready(self.status)
        self._reload_if_asked()

    def _give_up(self, generation: Generation, why: str) -> None:
        """The new generation cannot serve: the old one goes on."""
        assert self._now is not None
        self._next = None
        for process in list(generation.processes.values()):
            process.leave()
            process.stage = Stage.RETIRING
            self._workers.kill(process)
        close_all(generation.not_in(self._now))
        self._stay(f"A worker cannot start with the new one. {why}")

    def _resize(self, difference: int) -> None:
        """One worker more or less; one stays."""
        generation = self._now
        if self._phase is not Phase.RUNNING or generation is None or generation.count + difference < 1:
            return
        generation.count += difference
        _log.info("Workers that are wanted now: %d.", generation.count)
        for number, process in list(generation.processes.items()):
            if number > generation.count:
                self._workers.retire(process, True)
        self._fill(generation)

    # What happens to workers (a workers.Master)

    def serves(self, process: Process) -> None:
        """See Master."""
        generation = process.generation
        complete = len(generation.serving) == generation.count
        if generation is self._next and complete:
            self._switch(generation)
        elif not self._established and complete:
            self._established = True
            if generation.confined:
                _log.log(logging.DEBUG if process.sandbox else logging.WARNING, "%s", describe(process.sandbox))
            if self._announce is not None:
                self._announce(self)
            notify.ready(self.status)
            self._feed_watchdog()
            if self._predecessor is not None:
                self._write_pid_file(generation)
                self._predecessor.relieve(generation.all_sockets)
        self._admin.tell()
        homeless, self._homeless = self._homeless, []
        for message, fds in homeless:
            self.left(message, fds)

    def died(self, process: Process, stage: Stage, why: str) -> None:
        """See Master."""
        if self._phase is not Phase.RUNNING:
            self._finish()
        elif stage is Stage.STARTING:
            self._not_started(process.generation, process.number, why)
        elif stage is Stage.SERVING:
            name = f"Worker {process.number} (process {process.pid})"
            self._start_later(process.generation, process.number, f"{name} has died. {why}")

    def program_ended(self) -> None:
        """See Master."""
        if self._phase is not Phase.RUNNING:
            self._finish()

    def left(self, message: Left, fds: list[int]) -> None:
        """See Master. To the new program if there is one, else to the workers in turn."""
        serving = self._now.serving if self._now else []
        if self._phase is Phase.ENDING:
            for fd in fds:
                os.close(fd)
        elif self._phase is Phase.HANDING_OVER and self._successor is not None:
            self._successor.give(message, fds)
        elif serving:
            self._workers.send(serving[next(self._turn) % len(serving)], message, fds)
        else:
            self._homeless.append((message, fds))

    # A new program

    def _upgrade(self) -> None:
        """Start the program anew; when it serves, all is handed over to it."""
        if self._phase is not Phase.RUNNING or self._now is None:
            return
        if self._successor is not None:
            _log.warning("A new program is being started already.")
            return
        try:
            self._successor = Successor(
                self._reactor, self._now.all_sockets, self._passed, self._hand_over, self._not_succeeded
            )
        except StartError as error:
            _log.error("%s This one serves on.", error)

    def _hand_over(self) -> None:
        """The new program serves: all workers retire."""
        if self._phase is not Phase.RUNNING:
            return
        self._phase = Phase.HANDING_OVER
        if self._successor is not None:
            notify.main_pid(self._successor.pid)
        _log.info("The new program serves; this one ends when all has been answered.")
        for process in self._workers.all:
            self._workers.retire(process, True)
        self._admin.stop()
        listeners = self.listeners + self.admin_listeners
        for sock in listeners:
            disown(sock)
        close_all(listeners)
        self._finish()

    def _not_succeeded(self, status: int) -> None:
        """The new program has ended."""
        self._successor = None
        if self._phase is Phase.RUNNING:
            _log.error("The new program has ended with status %d before it served; this one serves on.", status)

    # Once a second, and at the end

    def _feed_watchdog(self) -> None:
        """As long as this loop turns, the service is alive: it sees to workers that are not."""
        interval = notify.watchdog_interval()
        if interval is not None:
            notify.watchdog()
            self._reactor.later(interval, self._feed_watchdog)

    def _look(self) -> None:
        self._reactor.later(LOOK, self._look)
        self._workers.look(time.monotonic())
        self._reactor.reap_orphans()
        self._look_after_logs()
        self._look_after_certificates()
        self._admin.tell()
        if self._phase is not Phase.RUNNING:
            self._finish()

    def _look_after_certificates(self) -> None:
        """Where their files have changed, let all workers use the new ones. A file that has changed before the one that
        belongs to it is tried again when that has changed too."""
        generation = self._now
        if self._phase is not Phase.RUNNING or generation is None or generation.contexts is None or self._next:
            return
        if (found := stamps(generation.config.tls)) == generation.stamps:
            return
        generation.stamps = found
        try:
            materials = read_all(generation.config.tls)
            generation.contexts.renew(materials)
        except ConfigError as error:
            _log.error("The certificates stay as they were. %s", error)
            return
        for process in generation.processes.values():
            self._workers.send(process, Renewed(), [to_descriptor(material.pem) for material in materials])
        _log.info("The new certificates are in use.")

    def _how_all_are(self) -> Status:
        assert self._now is not None
        return Status(
            phase=self._phase.name.lower(),
            serving=len(self._now.serving),
            wanted=self._now.count,
            started=self._workers.started,
            reloads=self._reloads,
            pid=os.getpid(),
            began=self._began,
            addresses=self.urls,
            workers=[process.state for process in self._workers.in_order[:MOST_WORKERS]],
            report=self._workers.report(),
        )

    def _look_after_logs(self) -> None:
        """End those that nobody writes to any more."""
        generations = (self._now, self._next) if self._phase is Phase.RUNNING else ()
        used = {generation.log for generation in generations if generation is not None}
        used |= {process.generation.log for process in self._workers.all}
        for key, log in list(self._logs.items()):
            log.look()
            if log not in used:
                log.finish()
                if not log.busy:
                    log.close()
                    del self._logs[key]

    def _interrupt(self) -> None:
        if self._phase is Phase.ENDING:
            self._status = EXIT_INTERRUPTED
            self._end_at_once()
        else:
            _log.info("Ending when all has been answered; a second Ctrl-C ends at once.")
            self._end()

    def _end(self) -> None:
        """Accept no more, answer what is under way, end."""
        if self._phase is not Phase.ENDING:
            self._phase = Phase.ENDING
            notify.stopping()
            close_all(self.listeners)
            if self._next is not None and self._now is not None:
                close_all(self._next.listeners)
                close_all(self._next.not_in(self._now))  # of its admin sockets too
            for process in list(self._workers.all):
                self._workers.retire(process, False)
            self._admin.tell()
        self._finish()

    def _end_at_once(self) -> None:
        self._end()
        for process in self._workers.all:
            self._workers.kill(process)

    def _finish(self) -> None:
        """End, if there is nothing left to wait for."""
        giving = self._phase is Phase.HANDING_OVER and self._successor is not None and self._successor.giving
        if self._workers.all or giving:
            return
        self._look_after_logs()
        if not any(log.busy for log in self._logs.values()):
            _log.debug("Counters of all workers: %s", self._workers.report().counters)
            self._reactor.stop()


def _remember_sources() -> None:
    """Read the lines of all modules of ours, for the tracebacks of workers, which may not."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "flashpy" and (module.__file__ or "").endswith(".py"):
            linecache.getlines(module.__file__ or "")
