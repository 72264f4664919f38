"""The pool of disk helpers: the runner of the AMPED architecture (Flash, section 3.4).

Each helper has one job at a time; the queues are here, one for each device (dispatch.lane), so that priorities,
coalescing and giving a job to another helper are work on lists, and a device that is slow or dead keeps only the
helpers that it has.
"""

import asyncio
import errno
import logging
import os
import select
import time
from collections.abc import Iterable
from functools import partial

from flashpy.dispatch.lane import Lane
from flashpy.dispatch.mounts import Places, parse
from flashpy.event.forkserver import ForkServer
from flashpy.event.pool import Done, Helper, Pool, Task, Wanted
from flashpy.event.programs import Starter
from flashpy.job.kinds import Check, DiskJob, List, Load, Outcome, Result, Translate, Walk, always
from flashpy.metrics import Metrics
from flashpy.now import Now
from flashpy.settings import HelpersSection

_log = logging.getLogger("flashpy.helpers")

_MOST_COMPLAINTS = 1_000
_MOST_LANES = 64
_STUCK = 1.0
"""Seconds after which a helper counts as stuck with its job."""
_MOUNTS = "/proc/self/mountinfo"


class _Task(Task[DiskJob]):
    """A job that is for a device."""

    most_kills = 3  # a disk job is soon done, and it may not have been the job that killed them

    __slots__ = ("device", "stale")

    def __init__(self, job: DiskJob, device: int, now: float) -> None:
        super().__init__(job, now)
        self.device = device
        self.stale = 0  # helpers that it has found to be so


_Lane = Lane[_Task, Done]
_Helper = Helper[_Task]


class HelperPool(Pool[_Task]):
    """Does in helper processes what may wait for a disk; grows and shrinks with its queues.

    ``roots`` are the directories that paths are taken from.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        config: HelpersSection,
        small: int,
        now: Now,
        metrics: Metrics,
        starter: Starter,
        roots: Iterable[bytes] = (),
    ) -> None:
        super().__init__(loop, small, config.timeout, now, metrics)
        self._config = config
        self._tasks: dict[DiskJob, _Task] = {}  # all that are queued or in work: equal jobs are done once
        self._lanes: dict[int, _Lane] = {}  # by device; the first is the next to get a helper
        self._roots = {root: (os.path.realpath(root), os.stat(root).st_dev) for root in roots}
        self._places: dict[bytes, Places] = {}
        self._apart: dict[bytes, int] = {}  # beginnings of paths that have a lane of their own, by a negative number
        self._mounts = open(_MOUNTS, "rb", buffering=0)  # noqa: SIM115
        self._mounts_changed = select.poll()
        self._server = ForkServer(loop, starter, "disk", config.min, self._born)
        self._holding = False  # a timer for a stream that is waited for runs
        self._complained: set[str] = set()

    # Starting and ending

    async def start(self) -> None:
        """Start the least number of helpers, and wait until they are there.

        Raises:
            StartError: they do not come.
        """
        self._mounts_changed.register(self._mounts, select.POLLPRI)
        self._read_mounts()
        await self._server.start()

    async def close(self) -> None:
        """End all helpers. Jobs that are not done are dropped."""
        self._part_with_all()
        self._mounts.close()
        await self._server.close()

    def tick(self) -> None:
        """Once a second: give up what has waited for too long, and end a helper that has been idle for long."""
        now = self._now.monotonic
        for task in list(self._tasks.values()):
            self._expire(task, now)
        stuck = [h.task for h in self._helpers.values() if h.task is not None and h.task.began + _STUCK < now]
        for task in stuck:
            self._set_apart(task)
        for lane in self._lanes.values():
            lane.stuck = 0
        for task in stuck:
            self._lane(task.device).stuck += 1
        for device, lane in list(self._lanes.items()):
            lane.review(now)
            if (device < 0 or len(self._lanes) > _MOST_LANES) and not (lane.working or lane.waiting or lane.checks):
                del self._lanes[device]
        self._apart = {name: device for name, device in self._apart.items() if device in self._lanes}
        if self._mounts_changed.poll(0):
            self._read_mounts()
        self._thin_out(self._config.min, self._config.idle)
        self._employ()

    def snapshot(self) -> dict[str, object]:
        """Who works, who waits, and on which device."""
        return {
            "helpers": len(self._helpers),
            "idle": len(self._idle),
            "queued": sum(lane.waiting + lane.checks for lane in self._lanes.values()),
            "pids": sorted(helper.pid for helper in self._helpers.values()),
            "busy": sorted(helper.pid for helper in self._helpers.values() if helper.task is not None),
            "devices": {self._place(device): lane.snapshot() for device, lane in self._lanes.items()},
        }

    def _place(self, device: int) -> str:
        if device >= 0:
            return f"{os.major(device)}:{os.minor(device)}"
        return next((os.fsdecode(name) for name, number in self._apart.items() if number == device), "?")

    def _read_mounts(self) -> None:
        self._mounts.seek(0)
        mounts = parse(self._mounts.readall() or b"")
        self._places = {root: Places(real, device, mounts) for root, (real, device) in self._roots.items()}

    def _grow(self) -> None:
        """Have as many helpers as the lanes want, within bounds."""
        wanted = sum(lane.wanted for lane in self._lanes.values())
        there = len(self._helpers) + self._server.births
        self._server.ask(max(self._config.min, min(self._config.total, wanted)) - there)

    # Jobs

    def run(self, job: DiskJob, done: Done, wanted: Wanted = always) -> None:
        """Queue a job, or join an equal one (see job.kinds.Runner)."""
        now = self._now.monotonic
        if isinstance(job, Check):
            for translation in job.translations:
                self._lane(self._device(translation)).add_checks([(translation, done)])
            self._employ()
            return
        task = self._tasks.get(job)
        if task is None:
            task = self._tasks[job] = _Task(job, self._device(job), now)
            self._metrics.jobs += 1
            self._lane(task.device).add(task, now)
        task.waiting.append((done, wanted, now + self._config.timeout))
        self._employ()

    def _device(self, job: DiskJob) -> int:
        """The device that a job is for, as far as it is known without asking it."""
        if isinstance(job, Load):
            return job.file.device
        if isinstance(job, Check):
            return self._device(job.translations[0])
        if isinstance(job, Translate) and job.known is not None:
            return job.known.device
        if self._apart and (apart := self._apart.get(_beginning(job.path))):
            return apart
        places = self._places.get(job.roots[0])
        return places.device_of(job.path) if places else 0

    def _lane(self, device: int) -> _Lane:
        lane = self._lanes.get(device)
        if lane is None:
            config = self._config
            lane = Lane(config.min, config.max, self._now.monotonic, config.anticipate)
            self._lanes[device] = lane
        return lane

    def _set_apart(self, task: _Task) -> None:
        """A translation is stuck: perhaps a link has led it to a device that is dead. From now on what has the same
        beginning has a lane of its own, so that it keeps no helper from others."""
        job = task.job
        if not isinstance(job, Translate) or task.device < 0 or task.device != self._device(job):
            return
        name = _beginning(job.path)
        number = self._apart.setdefault(name, min(self._apart.values(), default=0) - 1)
        _log.warning("%s takes long; what begins with %r has a queue of its own now.", _describe(job), name)
        old, new = self._lane(task.device), self._lane(number)
        old.forget(job)
        task.device = number
        new.begin(job, 0.0)
        for other in old.part(lambda queued: self._device(queued.job) == number):
            other.device = number
            new.add(other, self._now.monotonic)

    def _employ(self) -> None:
        """Give idle helpers the next jobs, and get more helpers if they are too few."""
        while self._idle and (task := self._choose()) is not None:
            self._give(self._idle.pop(), task)
        if not self._idle:
            self._grow()

    def _choose(self) -> _Task | None:
        """The next job, of the devices in turn; checks only where nobody waits for anything."""
        now = self._now.monotonic
        for device, lane in list(self._lanes.items()):
            while (task := lane.take(now)) is not None:
                if task.is_wanted():
                    self._lanes[device] = self._lanes.pop(device)  # the others first, next time
                    return task
                self._tasks.pop(task.job, None)
                self._metrics.jobs_cancelled += 1
            if lane.held and not self._holding:
                self._holding = True
                self._loop.call_later(lane.held, self._go_on)
        for device, lane in self._lanes.items():
            if batch := lane.take_checks():
                self._metrics.jobs += 1
                task = _Task(Check(tuple(translation for translation, _ in batch)), device, self._now.monotonic)
                task.waiting.append((partial(self._spread, batch), always, float("inf")))
                return task
        return None

    def _go_on(self) -> None:
        """A stream has been waited for."""
        self._holding = False
        self._now.monotonic = time.monotonic()
        if not self._closed:
            self._employ()

    def _begin(self, task: _Task) -> None:
        self._lane(task.device).begin(task.job, task.began - task.since)

    def _end(self, task: _Task) -> None:
        now = self._now.monotonic
        self._lane(task.device).end(task.job, now - task.began, now)

    def _queue_again(self, task: _Task) -> None:
        self._lane(task.device).add(task, self._now.monotonic, first=True)

    def _forget(self, task: _Task) -> None:
        self._tasks.pop(task.job, None)

    def _name(self, task: _Task) -> str:
        return _describe(task.job)

    def _spread(self, batch: list[tuple[Translate, Done]], result: Result) -> None:
        """Give each of the joined checks its part of the result."""
        body = result.body or b""
        for index, (_, done) in enumerate(batch):
            self._deliver(done, result._replace(body=body[index : index + 1]))

    def _done(self, helper: _Helper, result: Result) -> None:
        if result.outcome is Outcome.STALE:
            self._retire(helper)
        else:
            super()._done(helper, result)

    def _remark(self, task: _Task, result: Result) -> None:
        if result.outcome is Outcome.FORBIDDEN or result.error == errno.EXDEV:
            self._complain(task.job, result)

    def _complain(self, job: DiskJob, result: Result) -> None:
        """Say once of each path why the server does not serve what lies there: its owner will wonder."""
        what = _describe(job)
        if what not in self._complained and len(self._complained) < _MOST_COMPLAINTS:
            self._complained.add(what)
            outside = "it leads outside the root (site.allowed_roots can allow that)"
            _log.warning("%s: %s.", what, outside if result.error == errno.EXDEV else os.strerror(result.error))

    def _retire(self, helper: _Helper) -> None:
        """A helper may read what the roots were, not what they are (job.confined): that is nobody's fault, and another
        does its job. A job that finds more such helpers than there can be is refused; the roots do not rest."""
        task = self._part_with(helper)
        assert task is not None
        _log.debug("Helper process %d has ended, for the roots are others now; another takes its place.", helper.pid)
        task.stale += 1
        if task.stale > self._config.total + 1:
            self._finish(task, Result(Outcome.FORBIDDEN, error=errno.EACCES))
        else:
            self._queue_again(task)
        self._employ()
        self._grow()


def _beginning(path: bytes) -> bytes:
    """The first component of a path."""
    return path[: path.find(b"/", 1)] if b"/" in path[1:] else path


def _describe(job: DiskJob) -> str:
    if isinstance(job, Translate):
        return f"Looking for {os.fsdecode(job.path)!r}"
    if isinstance(job, List):
        return f"Listing {os.fsdecode(job.path)!r}"
    if isinstance(job, Walk):
        return f"Walking through {os.fsdecode(job.path)!r}"
    if isinstance(job, Check):
        return f"Checking {len(job.translations)} files"
    return f"Reading {job.length} bytes at {job.offset} of descriptor {job.file.fd}"
