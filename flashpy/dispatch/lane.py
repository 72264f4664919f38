"""The jobs for one device, in the order in which they are done.

1. Translations before loads: a small file needs nothing more. Those come first upon which somebody is served from a
   cache meanwhile.
2. Loads do not take the last helper, and one is always under way if there are any: so neither waits for all the others.
   Listings and walks are as loads.
3. Beginnings of files and later windows take turns: a short answer does not wait behind scans of large files, nor
   behind listings and walks.
4. With anticipation, loads of one stream (an open file) are kept together, some in a row, and if only others' wait,
   the stream's next is waited for where that pays (dispatch.anticipation).
5. Helpers that are stuck with a job make room for others, up to the most that the device may have.
6. Checks, upon which nobody waits, are done one batch at a time, so that meanwhile more of them gather.
"""

from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from flashpy.dispatch.anticipation import Anticipation
from flashpy.dispatch.width import Sample, Width
from flashpy.job.kinds import Check, Job, List, Load, Translate, Walk

BATCH = 64
"""Checks in a batch, at most."""
SAMPLE = 0.25
"""Seconds that a sample has at least."""


class HasJob(Protocol):
    """What is queued."""

    @property
    def job(self) -> Job:
        """What is to be done."""
        ...


T = TypeVar("T", bound=HasJob)
C = TypeVar("C")


class Lane(Generic[T, C]):
    """What waits for a device and what is at work on it. ``T`` is a queued job, ``C`` whoever wants a check."""

    __slots__ = (
        "_anticipation",
        "_beginnings",
        "_busy",
        "_checking",
        "_checks",
        "_done",
        "_later",
        "_loading",
        "_most",
        "_since",
        "_translations",
        "_turn",
        "done",
        "held",
        "longest_wait",
        "service",
        "stuck",
        "wait",
        "width",
        "working",
    )

    def __init__(self, least: int, most: int, now: float, anticipate: bool = False) -> None:
        self.width = Width(least, most)
        self._translations: deque[T] = deque()
        self._beginnings: deque[T] = deque()
        self._later: deque[T] = deque()
        self._turn = False  # of later windows
        self._checks: list[tuple[Translate, C]] = []
        self._most = most
        self.working = 0
        self.stuck = 0  # of those at work, who have been for so long that they count for nothing; whoever looks sets it
        self._loading = 0
        self._checking = False
        self.done = 0  # jobs, ever
        self.service = 0.0  # seconds that helpers spent on them
        self.wait = self.longest_wait = 0.0  # seconds that they waited for a helper: all together, and the longest
        self._anticipation = Anticipation() if anticipate else None
        self.held = 0.0  # seconds for which ``take`` has just said to wait for a stream
        self._since = now  # the sample began
        self._done, self._busy = 0, 0.0  # in it

    @property
    def waiting(self) -> int:
        """Jobs that wait for a helper; checks are none."""
        return len(self._translations) + len(self._beginnings) + len(self._later)

    @property
    def checks(self) -> int:
        """Checks that wait."""
        return len(self._checks)

    @property
    def wanted(self) -> int:
        """How many helpers should be at work; one for checks too, or nobody would do them while another device keeps
        all helpers there are."""
        return min(self._room, self.working + self.waiting + (bool(self._checks) and not self._checking))

    @property
    def _room(self) -> int:
        return min(self._most, self.width.helpers + self.stuck)

    def add(self, task: T, now: float, first: bool = False) -> None:
        """Queue a job; ``first`` for one that has been at work before."""
        job = task.job
        if self._anticipation is not None and isinstance(job, Load):
            self._anticipation.asked(job.file.fd, now)
        if isinstance(job, Translate):
            queue = self._translations
            first = first or job.known is not None
        else:
            queue = self._beginnings if isinstance(job, Load) and not job.offset else self._later
        (queue.appendleft if first else queue.append)(task)

    def part(self, which: Callable[[T], bool]) -> list[T]:
        """Take the translations out that are another lane's from now on."""
        parted = [task for task in self._translations if which(task)]
        self._translations = deque(task for task in self._translations if not which(task))
        return parted

    def add_checks(self, checks: list[tuple[Translate, C]]) -> None:
        """Queue checks."""
        self._checks += checks

    def take(self, now: float) -> T | None:
        """The job that is next, if a helper may have one. It is not at work before ``begin``."""
        self.held = 0.0
        room = self._room
        if self.working >= room:
            return None
        loads = self._beginnings or self._later
        may_load = self._loading - self.stuck + 1 < room or not self._loading
        if loads and may_load and (not self._translations or not self._loading):
            task = self._next_load(now)
            if task is not None:
                return task
        return self._translations.popleft() if self._translations else None

    def _next_load(self, now: float) -> T | None:
        if self._anticipation is not None:
            favourite = self._anticipation.favourite
            for queue in (self._later, self._beginnings):
                for task in queue:
                    if isinstance(task.job, Load) and task.job.file.fd == favourite:
                        queue.remove(task)
                        return task
            self.held = self._anticipation.wait(now) if not self._loading else 0.0
            if self.held:
                return None
        self._turn = not self._turn
        first, second = (self._later, self._beginnings) if self._turn else (self._beginnings, self._later)
        return (first or second).popleft()

    def take_checks(self) -> list[tuple[Translate, C]]:
        """A batch of checks; none while one is at work, or somebody waits for something else."""
        if self._checking or self.waiting:
            return []
        batch, self._checks = self._checks[:BATCH], self._checks[BATCH:]
        return batch

    def begin(self, job: Job, waited: float) -> None:
        """A helper begins with a job, which has waited so many seconds."""
        self.working += 1
        self.wait += waited
        self.longest_wait = max(self.longest_wait, waited)
        self._loading += isinstance(job, Load | List | Walk)
        self._checking = self._checking or isinstance(job, Check)

    def forget(self, job: Job) -> None:
        """A job that is at work is not this lane's any more."""
        self.working -= 1
        self._loading -= isinstance(job, Load | List | Walk)
        self._checking = self._checking and not isinstance(job, Check)

    def end(self, job: Job, seconds: float, now: float) -> None:
        """A helper has ended with a job, after so many seconds."""
        self.forget(job)
        self.done += 1
        self.service += seconds
        self._done += 1
        self._busy += seconds
        if self._anticipation is not None and isinstance(job, Load):
            waiting = any(isinstance(t.job, Load) and t.job.file.fd == job.file.fd for t in self._later)
            self._anticipation.done(job.file.fd, seconds, now, waiting)
        self.review(now)

    def review(self, now: float) -> None:
        """Let the width learn from the sample, if it is long enough."""
        seconds = now - self._since
        if seconds >= SAMPLE and self.width.learn(Sample(seconds, self._done, self._busy, self.waiting > 0)):
            self._since, self._done, self._busy = now, 0, 0.0

    def snapshot(self) -> dict[str, float]:
        """How it goes; ``_ms``: in milliseconds, in the mean of all jobs so far; else in seconds, all together."""
        done = max(1, self.done)
        return {
            "helpers": self.width.helpers,
            "working": self.working,
            "queued": self.waiting,
            "checks": self.checks,
            "done": self.done,
            "service": self.service,
            "wait": self.wait,
            "service_ms": round(1000 * self.service / done, 3),
            "wait_ms": round(1000 * self.wait / done, 3),
            "longest_wait_ms": round(1000 * self.longest_wait, 3),
        }
