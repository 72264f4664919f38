"""What pools of helper processes have in common: how helpers come, get a job, give its result, and are lost.

Each helper has one job at a time and is linked by a Unix socket pair; the loop learns of a result as of any other
event. Which job is next, and how many helpers there should be, is for each pool to say.
"""

import asyncio
import contextlib
import errno
import logging
import os
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Generic, TypeVar

from flashpy.job.framing import HEAD_ROOM, BadMessage, decode_result, encode_job
from flashpy.job.kinds import Job, Outcome, Result
from flashpy.job.programs import descriptors_in, send_with
from flashpy.metrics import STALL_BOUNDS, Metrics
from flashpy.now import Now

_log = logging.getLogger("flashpy.helpers")

_MAX_LOSSES = 10
_CMSG_ROOM = socket.CMSG_SPACE(4)

Done = Callable[[Result], None]
Wanted = Callable[[], bool]
J = TypeVar("J", bound=Job)


class Task(Generic[J]):
    """A job with everyone who waits for it: whom to tell, whether he still wants it, and until when he waits."""

    most_kills = 2
    """Helpers that it may kill before it is given up."""

    __slots__ = ("began", "job", "kills", "losses", "since", "waiting")

    def __init__(self, job: J, now: float) -> None:
        self.job = job
        self.waiting: list[tuple[Done, Wanted, float]] = []
        self.kills = 0  # helpers that died of it
        self.losses = 0  # helpers that died with it, read or not
        self.since = now
        self.began = now

    def is_wanted(self) -> bool:
        """Whether anybody still waits."""
        return any(wanted() for _, wanted, _ in self.waiting)

    def give_up(self, now: float) -> list[Done]:
        """Let go of those who have waited for too long."""
        late = [done for done, _, until in self.waiting if until <= now]
        if late:
            self.waiting = [waiter for waiter in self.waiting if waiter[2] > now]
        return late

    def lose(self, blame: bool) -> bool:
        """A helper has died with it, perhaps of it; whether another is to try."""
        self.kills += blame
        self.losses += 1
        return self.kills < self.most_kills and self.losses < _MAX_LOSSES


T = TypeVar("T", bound=Task)  # type: ignore[type-arg]


class Helper(Generic[T]):
    """A helper process and the task that it has."""

    __slots__ = ("idle_since", "pid", "pipe", "task")

    def __init__(self, pid: int, pipe: socket.socket, now: float) -> None:
        self.pid = pid
        self.pipe = pipe
        self.task: T | None = None
        self.idle_since = now


class Pool(ABC, Generic[T]):
    """Helper processes that are there, and what they do.

    ``small`` bounds the bytes in a result, ``timeout`` the seconds that somebody waits for one.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, small: int, timeout: float, now: Now, metrics: Metrics) -> None:
        self._loop = loop
        self._timeout = timeout
        self._now = now
        self._metrics = metrics
        self._buffer = bytearray(small + HEAD_ROOM)
        self._idle: list[Helper[T]] = []  # the last to become idle is the next to work: its memory is warm
        self._helpers: dict[int, Helper[T]] = {}
        self._closed = False

    # What each pool has its own way of

    @abstractmethod
    def _employ(self) -> None:
        """Give idle helpers the next jobs, and get more helpers if they are too few."""

    @abstractmethod
    def _grow(self) -> None:
        """Have as many helpers as are wanted, within bounds."""

    @abstractmethod
    def _queue_again(self, task: T) -> None:
        """Queue a task that has been at work before, in front of others."""

    @abstractmethod
    def _forget(self, task: T) -> None:
        """A task that will not be done, or has been."""

    @abstractmethod
    def _name(self, task: T) -> str:
        """What is done, in words for people."""

    def _begin(self, task: T) -> None:
        """A task comes to a helper."""

    def _end(self, task: T) -> None:
        """A task comes back from a helper, done or not."""

    def _remark(self, task: T, result: Result) -> None:
        """Say of a result what people should know."""

    def _not_kept(self, error: int) -> None:
        """A helper says that what it makes cannot be kept."""

    # The life of a helper

    def _born(self, pid: int, pipe: socket.socket) -> None:
        """A new helper is there."""
        self._now.monotonic = time.monotonic()
        if self._closed:
            pipe.close()
            return
        helper: Helper[T] = Helper(pid, pipe, self._now.monotonic)
        self._helpers[pipe.fileno()] = helper
        self._loop.add_reader(pipe.fileno(), self._readable, helper)
        self._idle.append(helper)
        self._employ()

    def _give(self, helper: Helper[T], task: T) -> None:
        helper.task = task
        task.began = self._now.monotonic
        self._begin(task)
        message, fds = encode_job(task.job)
        try:
            send_with(helper.pipe, [message], fds)
        except OSError as error:
            if error.errno == errno.EMSGSIZE:  # longer than a socket's buffer: no helper can get it
                self._done(helper, Result(Outcome.FAILED, error=errno.EMSGSIZE))
            else:
                self._lost(helper, blame=False)

    def _readable(self, helper: Helper[T]) -> None:
        """A result has come, or the helper has died."""
        self._now.monotonic = time.monotonic()
        try:
            size, ancillary, _, _ = helper.pipe.recvmsg_into([self._buffer], _CMSG_ROOM, socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            return
        except OSError:  # it died with our job unread (ECONNRESET)
            self._lost(helper, blame=False)
            return
        if not size:
            self._lost(helper)
            return
        try:
            result = decode_result(memoryview(self._buffer)[:size], descriptors_in(ancillary))
        except BadMessage as error:
            _log.error("Helper %d talks nonsense (%s); it is replaced.", helper.pid, error)
            self._lost(helper)
            return
        if result.outcome is Outcome.NOT_KEPT:
            self._not_kept(result.error)
        elif helper.task is None:
            self._lost(helper)
        else:
            self._done(helper, _checked(result))

    def _done(self, helper: Helper[T], result: Result) -> None:
        """A helper has done its job."""
        began = self._now.monotonic
        task = self._take_back(helper)
        assert task is not None
        helper.idle_since = began
        self._idle.append(helper)
        self._employ()
        self._finish(task, result)
        held = time.monotonic() - began
        if held > STALL_BOUNDS[0]:
            self._metrics.stalls.note(began, held, f"after {self._name(task).lower()}")

    def _take_back(self, helper: Helper[T]) -> T | None:
        """A helper has ended with its job, or is gone."""
        task, helper.task = helper.task, None
        if task is not None:
            self._end(task)
        return task

    def _lost(self, helper: Helper[T], blame: bool = True) -> None:
        """A helper is gone: its job goes to another, unless it has killed helpers before."""
        task = self._part_with(helper)
        if self._closed:
            return
        self._metrics.helper_deaths += 1
        _log.warning("Helper process %d died; another takes its place.", helper.pid)
        if task is not None:
            if task.lose(blame):
                self._queue_again(task)
            else:
                self._finish(task, Result(Outcome.FAILED))
        self._employ()
        self._grow()

    def _part_with(self, helper: Helper[T]) -> T | None:
        """Close a helper's pipe, upon which it ends. The job that it had."""
        if self._helpers.pop(helper.pipe.fileno(), None) is None:
            return None
        self._loop.remove_reader(helper.pipe.fileno())
        helper.pipe.close()
        with contextlib.suppress(ValueError):
            self._idle.remove(helper)
        return self._take_back(helper)

    def _thin_out(self, least: int, idle: float) -> None:
        """End a helper that has been idle for so many seconds, if there are more than the least."""
        if len(self._helpers) > least and self._idle:
            helper = self._idle[0]
            if helper.idle_since + idle < self._now.monotonic:
                self._part_with(helper)

    def _part_with_all(self) -> None:
        """The end: jobs that are not done are dropped."""
        self._closed = True
        for helper in list(self._helpers.values()):
            self._part_with(helper)

    # Results

    def _finish(self, task: T, result: Result) -> None:
        self._forget(task)
        self._remark(task, result)
        if result.outcome is Outcome.NO_DESCRIPTORS:
            self._metrics.descriptors_exhausted += 1
        elif result.outcome is Outcome.FAILED:
            _log.error("%s failed: %s.", self._name(task), os.strerror(result.error) if result.error else "killed")
        self._tell([done for done, _, _ in task.waiting], task, result)

    def _expire(self, task: T, now: float) -> None:
        """Tell those who have waited for too long. The job itself, if in work, cannot be called back."""
        late = task.give_up(now)
        if late:
            self._metrics.jobs_late += len(late)
            _log.warning("%s has taken longer than %g s.", self._name(task), self._timeout)
            self._tell(late, task, Result(Outcome.LATE, error=errno.ETIMEDOUT))

    def _tell(self, waiting: list[Done], task: T, result: Result) -> None:
        queued, took = task.began - task.since, self._now.monotonic - task.began
        result = result._replace(job=task.job, queued=queued, took=took)
        for done in waiting:
            self._deliver(done, result)

    def _deliver(self, done: Done, result: Result) -> None:
        try:
            done(result)
        except Exception:
            self._metrics.faults += 1
            _log.exception("A result could not be delivered.")


def _checked(result: Result) -> Result:
    """A file whose descriptor did not fit into our table (MSG_CTRUNC) is no file."""
    has_content = result.outcome in (Outcome.FILE, Outcome.LISTED, Outcome.WALKED, Outcome.ENCODED)
    if has_content and result.file is None and result.body is None:
        return Result(Outcome.NO_DESCRIPTORS)
    return result
