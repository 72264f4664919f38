"""The pool of helper processes: the runner of the AMPED architecture (Flash, section 3.4).

Each helper has one job at a time; the queue is here, so that priorities, coalescing and giving a job to another
helper are work on lists. A helper is linked by a Unix socket pair; the loop learns of a result as of any other event.
"""

import asyncio
import errno
import logging
import os
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path

from flashpy.config import HelpersSection
from flashpy.errors import StartError
from flashpy.job.framing import HEAD_ROOM, BadMessage, decode_result, encode_job
from flashpy.job.kinds import Check, Job, Load, Outcome, Result, Translate
from flashpy.job.programs import BORN, descriptors_in, send_with
from flashpy.metrics import STALL_BOUNDS, Metrics
from flashpy.now import Now

_log = logging.getLogger("flashpy.helpers")

_MAX_KILLS = 2
_BATCH = 64
_MOST_COMPLAINTS = 1_000
_START_SECONDS = 20.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
_NOT_STARTED = "The helper processes did not start; is this Python installation complete?"
_TITLE_ROOM = "." * 64
_CMSG_ROOM = socket.CMSG_SPACE(4)
Done = Callable[[Result], None]


def helper_program(name: str) -> Path:
    """The path of a helper program: inside the package when installed, beside it in a source tree."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "_helpers" / f"{name}.py"
    return inside if inside.exists() else package.parent / "helpers" / f"{name}.py"


class _Task:
    """A job with everyone who waits for it."""

    __slots__ = ("job", "kills", "waiting")

    def __init__(self, job: Job, done: Done) -> None:
        self.job = job
        self.waiting = [done]
        self.kills = 0


class _Helper:
    __slots__ = ("idle_since", "pid", "pipe", "task")

    def __init__(self, pid: int, pipe: socket.socket, now: float) -> None:
        self.pid = pid
        self.pipe = pipe
        self.task: _Task | None = None
        self.idle_since = now


class HelperPool:
    """Runs jobs in helper processes (a job.kinds.Runner); grows and shrinks with its queue."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, config: HelpersSection, small: int, now: Now, metrics: Metrics
    ) -> None:
        self._loop = loop
        self._config = config
        self._now = now
        self._metrics = metrics
        self._buffer = bytearray(small + HEAD_ROOM)
        self._tasks: dict[Job, _Task] = {}  # all that are queued or in work: equal jobs are done once
        self._translates: deque[_Task] = deque()
        self._loads: deque[_Task] = deque()
        self._checks: list[tuple[Translate, Done]] = []  # wait to be joined to one job
        self._loading = 0  # helpers at work on loads
        self._checking = False  # a helper is at work on checks
        self._idle: list[_Helper] = []  # the last to become idle is the next to work: its memory is warm
        self._helpers: dict[int, _Helper] = {}
        self._births = 0  # asked of the fork server and not yet there
        self._server: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._ready: asyncio.Future[None] | None = None  # while starting
        self._restarting: asyncio.Task[None] | None = None
        self._pause = 0.0  # before the fork server is started again; doubles while no helper comes
        self._closed = False
        self._complained: set[str] = set()

    # Starting and ending

    async def start(self) -> None:
        """Start the fork server and the least number of helpers, and wait until they are there.

        Raises:
            StartError: they do not come.
        """
        self._ready = self._loop.create_future()
        self._adopt(*_start_fork_server())
        try:
            await asyncio.wait_for(self._ready, _START_SECONDS)
        except TimeoutError:
            raise StartError(_NOT_STARTED) from None
        finally:
            self._ready = None

    async def close(self) -> None:
        """End all helpers. Jobs that are not done are dropped."""
        self._closed = True
        for helper in list(self._helpers.values()):
            self._part_with(helper)
        if self._control is not None:
            self._drop_control()
        if self._restarting is not None:
            self._restarting.cancel()
        server, self._server = self._server, None
        if server is not None:
            try:
                await self._loop.run_in_executor(None, server.wait, 5.0)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()

    def tick(self) -> None:
        """Once a second: end a helper that has been idle for long, if there are more than the least number."""
        if len(self._helpers) > self._config.min and self._idle:
            helper = self._idle[0]
            if helper.idle_since + self._config.idle < self._now.monotonic:
                self._part_with(helper)

    def snapshot(self) -> dict[str, object]:
        """Who works, who waits."""
        return {
            "helpers": len(self._helpers),
            "idle": len(self._idle),
            "queued": len(self._translates) + len(self._loads) + len(self._checks),
            "pids": sorted(helper.pid for helper in self._helpers.values()),
            "busy": sorted(helper.pid for helper in self._helpers.values() if helper.task is not None),
        }

    def _adopt(self, server: subprocess.Popen[bytes], control: socket.socket) -> None:
        if self._closed:
            control.close()
            server.wait()
            return
        self._server, self._control = server, control
        self._loop.add_reader(control.fileno(), self._born)
        self._births = 0
        self._grow_to(self._config.min)

    def _drop_control(self) -> None:
        if self._control is not None:
            self._loop.remove_reader(self._control.fileno())
            self._control.close()
            self._control = None

    def _grow_to(self, count: int) -> None:
        while self._control is not None and len(self._helpers) + self._births < count:
            try:
                self._control.send(b"f")
            except OSError:
                return  # it has died: its reader will see to it
            self._births += 1

    def _born(self) -> None:
        """The fork server has something to say: a helper is there, or it has died itself."""
        assert self._control is not None
        self._now.monotonic = time.monotonic()
        try:
            message, ancillary, _, _ = self._control.recvmsg(BORN.size, _CMSG_ROOM, socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            return
        except OSError:
            message, ancillary = b"", []
        if not message:
            self._fork_server_died()
            return
        self._births = max(0, self._births - 1)
        pid, number = BORN.unpack(message)
        fds = descriptors_in(ancillary)
        if not fds:
            _log.warning("No new helper process: %s.", os.strerror(number) if number else "out of descriptors")
            return
        pipe = socket.socket(fileno=fds[0])
        pipe.setblocking(False)
        helper = _Helper(pid, pipe, self._now.monotonic)
        self._helpers[pipe.fileno()] = helper
        self._loop.add_reader(pipe.fileno(), self._readable, helper)
        self._pause = 0.0
        if self._ready is not None and not self._ready.done() and len(self._helpers) >= self._config.min:
            self._ready.set_result(None)
        self._next_job(helper)

    def _fork_server_died(self) -> None:
        self._drop_control()
        if self._ready is not None:
            if not self._ready.done():
                self._ready.set_exception(StartError(_NOT_STARTED))
        elif not self._closed:
            _log.error("The fork server of the helpers died; starting another.")
            self._restarting = self._loop.create_task(self._restart())

    async def _restart(self) -> None:
        """Start another fork server, off the loop: running a program may have to read it from the disk."""
        if self._server is not None:
            await self._loop.run_in_executor(None, self._server.wait)
        while not self._closed:
            await asyncio.sleep(self._pause)
            self._pause = min(2 * self._pause + _FIRST_PAUSE, _LONGEST_PAUSE)
            try:
                server, control = await self._loop.run_in_executor(None, _start_fork_server)
            except (OSError, StartError) as error:
                _log.error("The fork server of the helpers does not start: %s", error)
                continue
            self._adopt(server, control)
            return

    # Jobs

    def run(self, job: Job, done: Done) -> None:
        """Queue a job, or join an equal one (see job.kinds.Runner)."""
        if isinstance(job, Check):
            self._checks += [(translation, done) for translation in job.translations]
            if self._idle and not self._checking:
                self._next_job(self._idle.pop())
            return
        task = self._tasks.get(job)
        if task is not None:
            task.waiting.append(done)
            return
        task = self._tasks[job] = _Task(job, done)
        self._metrics.jobs += 1
        if isinstance(job, Load):
            self._loads.append(task)
        elif job.known is not None:
            self._translates.appendleft(task)  # somebody is served from a cache on the strength of this one
        else:
            self._translates.append(task)
        if self._idle:
            self._next_job(self._idle.pop())
        else:
            waiting = len(self._translates) + len(self._loads)
            self._grow_to(min(self._config.max, len(self._helpers) + waiting))

    def _next_job(self, helper: _Helper) -> None:
        """Give a free helper the next job, or let it be idle."""
        task = self._choose()
        if task is None:
            helper.idle_since = self._now.monotonic
            self._idle.append(helper)
            return
        helper.task = task
        self._count(task, 1)
        message, fds = encode_job(task.job)
        try:
            send_with(helper.pipe, [message], fds)
        except OSError:
            self._lost(helper, blame=False)

    def _choose(self) -> _Task | None:
        """Translations first, since a small file needs nothing more; loads may not take the last helper; checks, upon
        which nobody waits, one helper at a time, so that meanwhile more of them gather."""
        may_load = self._loading + 1 < self._config.max or self._config.max == 1
        if self._loads and may_load and (not self._translates or self._loading == 0):
            return self._loads.popleft()
        if self._translates:
            return self._translates.popleft()
        if self._checks and not self._checking:
            batch, self._checks = self._checks[:_BATCH], self._checks[_BATCH:]
            self._metrics.jobs += 1
            return _Task(Check(tuple(translation for translation, _ in batch)), partial(self._spread, batch))
        return None

    def _count(self, task: _Task, change: int) -> None:
        """A helper has begun (1) or ended (-1) to work on a task."""
        if isinstance(task.job, Load):
            self._loading += change
        elif isinstance(task.job, Check):
            self._checking = change > 0

    def _spread(self, batch: list[tuple[Translate, Done]], result: Result) -> None:
        """Give each of the joined checks its part of the result."""
        body = result.body or b""
        for index, (_, done) in enumerate(batch):
            self._deliver(done, result._replace(body=body[index : index + 1]))

    def _readable(self, helper: _Helper) -> None:
        """A result has come, or the helper has died."""
        self._now.monotonic = time.monotonic()
        try:
            size, ancillary, _, _ = helper.pipe.recvmsg_into([self._buffer], _CMSG_ROOM, socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            return
        except OSError:  # it died with our job unread
            size, ancillary = 0, []
        task = helper.task
        if not size or task is None:
            self._lost(helper)
            return
        try:
            result = decode_result(memoryview(self._buffer)[:size], descriptors_in(ancillary))
        except BadMessage as error:
            _log.error("Helper %d talks nonsense (%s); it is replaced.", helper.pid, error)
            self._lost(helper)
            return
        helper.task = None
        self._count(task, -1)
        self._next_job(helper)
        self._finish(task, _checked(result))
        iteration = self._loop.time()
        late = time.monotonic() - iteration
        if late > STALL_BOUNDS[0]:
            self._metrics.stalls.note(iteration, late, f"after {_describe(task.job).lower()}")

    def _finish(self, task: _Task, result: Result) -> None:
        self._tasks.pop(task.job, None)
        if result.outcome is Outcome.NO_DESCRIPTORS:
            self._metrics.descriptors_exhausted += 1
        elif result.outcome is Outcome.FAILED:
            _log.error("%s failed: %s.", _describe(task.job), os.strerror(result.error) if result.error else "killed")
        elif result.outcome is Outcome.FORBIDDEN or result.error == errno.EXDEV:
            self._complain(task.job, result)
        result = result._replace(job=task.job)
        for done in task.waiting:
            self._deliver(done, result)

    def _deliver(self, done: Done, result: Result) -> None:
        try:
            done(result)
        except Exception:
            self._metrics.faults += 1
            _log.exception("A result could not be delivered.")

    def _complain(self, job: Job, result: Result) -> None:
        """Say once of each path why the server does not serve what lies there: its owner will wonder."""
        what = _describe(job)
        if what not in self._complained and len(self._complained) < _MOST_COMPLAINTS:
            self._complained.add(what)
            outside = "it leads outside the root (site.allowed_roots can allow that)"
            _log.warning("%s: %s.", what, outside if result.error == errno.EXDEV else os.strerror(result.error))

    def _lost(self, helper: _Helper, blame: bool = True) -> None:
        """A helper is gone: its job goes to another, unless it has killed helpers before."""
        task = helper.task
        self._part_with(helper)
        if self._closed:
            return
        self._metrics.helper_deaths += 1
        _log.warning("Helper process %d died; another takes its place.", helper.pid)
        self._grow_to(max(self._config.min, min(self._config.max, len(self._helpers) + 1)))
        if task is None:
            return
        task.kills += blame
        if task.kills >= _MAX_KILLS:
            self._finish(task, Result(Outcome.FAILED))
            return
        (self._loads if isinstance(task.job, Load) else self._translates).appendleft(task)
        if self._idle:
            self._next_job(self._idle.pop())

    def _part_with(self, helper: _Helper) -> None:
        """Close a helper's pipe, upon which it ends."""
        if self._helpers.pop(helper.pipe.fileno(), None) is None:
            return
        self._loop.remove_reader(helper.pipe.fileno())
        helper.pipe.close()
        if helper in self._idle:
            self._idle.remove(helper)
        if helper.task is not None:
            self._count(helper.task, -1)
            helper.task = None


def _checked(result: Result) -> Result:
    """A file whose descriptor did not fit into our table (MSG_CTRUNC) is no file."""
    if result.outcome is Outcome.FILE and result.file is None and result.body is None:
        return Result(Outcome.NO_DESCRIPTORS)
    return result


def _describe(job: Job) -> str:
    if isinstance(job, Translate):
        return f"Looking for {os.fsdecode(job.path)!r}"
    if isinstance(job, Check):
        return f"Checking {len(job.translations)} files"
    return f"Reading {job.length} bytes at {job.offset} of descriptor {job.file.fd}"


def _start_fork_server() -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Start the program of the disk helpers. The one place that starts helper programs."""
    package = Path(__file__).resolve().parent.parent.parent
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    fd = theirs.fileno()
    command = [sys.executable, "-I", "-S", str(helper_program("disk")), str(package), str(fd), _TITLE_ROOM]
    try:
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=(fd,))
    except OSError as error:
        ours.close()
        raise StartError(f"The helper program cannot be run with {sys.executable}: {error.strerror}.") from None
    finally:
        theirs.close()
    return server, ours
