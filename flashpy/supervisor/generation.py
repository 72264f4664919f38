"""A generation: one configuration, its listening sockets, and the workers that serve it."""

import os
import socket
import time
from collections.abc import Iterator
from enum import Enum, auto

from flashpy.admin.status import WorkerState
from flashpy.event.link import Link
from flashpy.event.programs import Child
from flashpy.event.service import Secured
from flashpy.event.sockets import Sockets, flat, urls_of
from flashpy.privileges import resolve
from flashpy.report import Report
from flashpy.server import secured
from flashpy.settings import Config
from flashpy.supervisor.accesslogs import AccessLog
from flashpy.supervisor.backoff import Backoff
from flashpy.supervisor.messages import FromWorker
from flashpy.supervisor.reactor import Timer
from flashpy.tls.contexts import Contexts
from flashpy.tls.material import Stamps


class Stage(Enum):
    """How far a worker's life has come."""

    STARTING = auto()
    SERVING = auto()
    RETIRING = auto()  # it ends when it has answered what is under way


class Process:
    """A worker, as its supervisor sees it."""

    def __init__(self, generation: "Generation", number: int, pid: int, link: Link[FromWorker]) -> None:
        self.generation = generation
        self.number = number
        self.pid = pid
        self.link = link
        self.stage = Stage.STARTING
        self.sandbox = 0  # the version of Landlock that confines it
        self.why = ""  # it could not start
        self.report = Report()  # the latest
        self.heard = time.monotonic()
        self.deadline: Timer | None = None  # of its stage; it is killed then
        self.disk: Child | None = None  # its fork server, until it asks for it
        self.logs: list[socket.socket] = []  # our ends of its links to the log helper

    @property
    def state(self) -> WorkerState:
        """It, for whoever asks how all are."""
        report = self.report
        return WorkerState(
            number=self.number,
            pid=self.pid,
            stage=self.stage.name.lower(),
            connections=report.open_connections,
            requests=report.counters.get("requests", 0),
            cpu_seconds=report.cpu_seconds,
            longest_stall=report.worst[0].seconds if report.worst else 0.0,
        )

    def leave(self) -> None:
        """Its place is free."""
        if self.generation.processes.get(self.number) is self:
            del self.generation.processes[self.number]

    def __repr__(self) -> str:
        return f"<worker {self.number}, process {self.pid}, {self.stage.name}>"


class Generation:
    """What one reading of the configuration has brought about."""

    def __init__(
        self,
        config: Config,
        sockets: Sockets,
        log: AccessLog | None,
        admin_sockets: Sockets | None = None,
        contexts: Contexts | None = None,
        stamps: Stamps = (),
    ) -> None:
        self.config = config
        self.contexts = contexts
        self.stamps = stamps  # of the files of the certificates, as they were read
        self.log = log
        self.sockets = sockets
        self.admin_sockets = admin_sockets or {}
        self.identity = resolve(config.server.user, config.server.group)
        self.count = config.server.workers
        self.disks: list[Child] = []  # fork servers of workers that are to come
        self.processes: dict[int, Process] = {}  # by number; those that are wanted
        self.backoffs: dict[int, Backoff] = {}

    @property
    def confined(self) -> bool:
        """Whether workers and helpers are to give up their rights; of the architectures, only AMPED's workers need
        none."""
        return self.config.server.sandbox and self.config.has_helpers

    @property
    def roots(self) -> list[bytes]:
        """The directories that helpers read."""
        roots = [os.path.abspath(root) for root in self.config.roots]
        for site in self.config.all_sites:
            if site.keep_releases:  # the releases before are beside the present one
                roots.append(os.path.dirname(os.path.realpath(site.root)))
        return [os.fsencode(root) for root in dict.fromkeys(roots)]

    @property
    def listeners(self) -> list[socket.socket]:
        """All listening sockets, in the order in which workers know them."""
        return flat(self.sockets)

    @property
    def secured(self) -> Secured | None:
        """Where TLS is spoken, and with which contexts."""
        return secured(self.config, self.sockets, self.contexts)

    @property
    def urls(self) -> list[str]:
        """Where it is reached."""
        public = {address: self.sockets[address] for address in self.config.addresses}
        return urls_of(public, self.config.tls.bind)

    @property
    def all_sockets(self) -> Sockets:
        """All listening sockets by address, those of the admin addresses too."""
        return self.sockets | self.admin_sockets

    @property
    def serving(self) -> list[Process]:
        """The workers that serve."""
        return [process for process in self.processes.values() if process.stage is Stage.SERVING]

    def not_in(self, other: "Generation") -> list[socket.socket]:
        """The listening sockets that the other generation has not."""
        theirs = other.all_sockets
        return flat({address: group for address, group in self.all_sockets.items() if address not in theirs})

    def missing(self) -> Iterator[int]:
        """The numbers of the workers that should be there and are not."""
        return (number for number in range(1, self.count + 1) if number not in self.processes)

    def backoff(self, number: int) -> Backoff:
        """The pauses before this worker is started again."""
        return self.backoffs.setdefault(number, Backoff())


def cpus_for(config: Config, number: int) -> set[int] | None:
    """The processors of a worker (its number begins with 1); None for any."""
    affinity = config.server.cpu_affinity
    cpus = sorted(os.sched_getaffinity(0)) if affinity == "auto" else list(affinity)
    return {cpus[(number - 1) % len(cpus)]} if cpus else None
