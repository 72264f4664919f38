"""The pool for work that takes a processor's time, content codings and passwords: so a disk job never waits behind it.

Its helpers are few, yield to all else, and come when there is something for them to do. What waits is bounded: beyond,
and when it has waited for long, a job is refused, since whoever asked has another answer (the file as it is), or better
gives none (a flood of passwords).
"""

import asyncio
import logging
import os
from collections import deque
from collections.abc import Hashable

from flashpy.errors import StartError
from flashpy.event.forkserver import ForkServer
from flashpy.event.pool import Done, Pool, Task, Wanted
from flashpy.event.programs import Starter
from flashpy.job.encode import SMALL
from flashpy.job.kinds import CpuJob, Encode, Outcome, Result, always
from flashpy.metrics import Metrics
from flashpy.now import Now

_log = logging.getLogger("flashpy.helpers")

ROOM = 64
"""Jobs of a kind that may wait."""
PATIENCE = 2.0
"""Seconds that a coding may wait for a helper; then it is late, and not made."""
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
"""Seconds after a start that failed, before the next; each is longer than the one before."""

_Task = Task[CpuJob]


def default_helpers() -> int:
    """How many helpers there are if nobody says: so many that the loop has a processor, up to 4."""
    processors = len(os.sched_getaffinity(0))
    return max(1, min(4, processors - 1))


class CpuPool(Pool[_Task]):
    """Does in helper processes what takes a processor's time.

    ``most`` is the number of helpers, each of which ends after ``idle`` seconds without a job; ``timeout`` the seconds
    that somebody waits for one.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        starter: Starter,
        now: Now,
        metrics: Metrics,
        most: int,
        idle: float = 30.0,
        timeout: float = 30.0,
        room: int = ROOM,
    ) -> None:
        super().__init__(loop, SMALL, timeout, now, metrics)
        self._starter = starter
        self._most = most
        self._idle_seconds = idle
        self._room = room
        self._tasks: dict[Hashable, _Task] = {}  # all that are queued or in work: equal jobs are done once
        self._passwords: deque[_Task] = deque()  # first: nothing can be answered before
        self._codings: deque[_Task] = deque()
        self._server: ForkServer | None = None
        self._starting: asyncio.Task[None] | None = None
        self._pause = 0.0
        self._not_before = 0.0  # monotonic; it is not started again
        self._noted: set[int] = set()  # errors of the directory of coded forms that have been told

    async def close(self) -> None:
        """End all helpers. Jobs that are not done are dropped."""
        self._part_with_all()
        if self._server is not None:
            await self._server.close()
        if self._starting is not None:
            await self._starting

    def tick(self) -> None:
        """Once a second: give up what has waited for too long, and end a helper that has been idle for long."""
        now = self._now.monotonic
        for task in list(self._tasks.values()):
            self._expire(task, now)
        while self._codings and self._codings[0].since + PATIENCE < now:
            self._refuse(self._codings.popleft(), Outcome.LATE)
        self._thin_out(0, self._idle_seconds)
        self._employ()

    def snapshot(self) -> dict[str, object]:
        """Who works, and what waits."""
        return {
            "pids": sorted(helper.pid for helper in self._helpers.values()),
            "busy": sorted(helper.pid for helper in self._helpers.values() if helper.task is not None),
            "codings": len(self._codings),
            "passwords": len(self._passwords),
        }

    # Jobs

    def run(self, job: CpuJob, done: Done, wanted: Wanted = always) -> None:
        """Queue a job, or join an equal one (see job.kinds.Runner); BUSY if too many wait."""
        now = self._now.monotonic
        task = self._tasks.get(_key(job))
        if task is None:
            queue = self._queue(job)
            if len(queue) >= self._room or now < self._not_before:
                self._metrics.jobs_refused += 1
                self._deliver(done, Result(Outcome.BUSY, job=job))
                return
            task = self._tasks[_key(job)] = _Task(job, now)
            self._metrics.jobs += 1
            queue.append(task)
        task.waiting.append((done, wanted, now + self._timeout))
        self._employ()

    def _queue(self, job: CpuJob) -> deque[_Task]:
        return self._codings if isinstance(job, Encode) else self._passwords

    def _employ(self) -> None:
        while self._idle and (task := self._choose()) is not None:
            self._give(self._idle.pop(), task)
        if not self._idle:
            self._grow()

    def _choose(self) -> _Task | None:
        while queue := self._passwords or self._codings:
            task = queue.popleft()
            if task.is_wanted():
                return task
            self._forget(task)
            self._metrics.jobs_cancelled += 1
        return None

    def _queue_again(self, task: _Task) -> None:
        self._queue(task.job).appendleft(task)

    def _forget(self, task: _Task) -> None:
        self._tasks.pop(_key(task.job), None)

    def _refuse(self, task: _Task, outcome: Outcome) -> None:
        """Tell all who wait for a task that it is not done."""
        self._metrics.jobs_refused += 1
        self._finish(task, Result(outcome))

    def _name(self, task: _Task) -> str:
        job = task.job
        if isinstance(job, Encode):
            return f"Coding {job.identity.size} bytes with {job.coding.decode()}"
        return "Checking a password"

    def _not_kept(self, error: int) -> None:
        if error not in self._noted:
            self._noted.add(error)
            _log.warning("What is compressed is not kept in cache.coded_directory: %s.", os.strerror(error))

    # Helpers

    def _grow(self) -> None:
        waiting = len(self._passwords) + len(self._codings)
        if not waiting or self._closed:
            return
        if self._server is None:
            server = self._server = ForkServer(self._loop, self._starter, "encode", 1, self._born)
            self._starting = self._loop.create_task(self._start(server))
            return
        working = sum(helper.task is not None for helper in self._helpers.values())
        there = len(self._helpers) + self._server.births
        self._server.ask(min(self._most, working + waiting) - there)

    async def _start(self, server: ForkServer) -> None:
        try:
            await server.start()
            self._pause = 0.0
        except (StartError, OSError) as error:  # the latter when descriptors are short
            await server.close()
            self._server = None
            if not self._closed:
                self._not_started(error)
        finally:
            self._starting = None

    def _not_started(self, error: Exception) -> None:
        _log.error("Nothing is compressed and no password checked: %s", error)
        self._pause = min(max(_FIRST_PAUSE, 2 * self._pause), _LONGEST_PAUSE)
        self._not_before = self._now.monotonic + self._pause
        for queue in (self._passwords, self._codings):
            while queue:
                self._refuse(queue.popleft(), Outcome.BUSY)


def _key(job: CpuJob) -> Hashable:
    """What equal jobs have in common: for a coding which version of which file, however it is at hand."""
    return job[1:] if isinstance(job, Encode) else job
