"""What the supervisor tells of itself and its workers, once a second."""

from msgspec import Struct

from flashpy.report import Report

MOST_WORKERS = 100
"""Workers that are told of one by one."""


class WorkerState(Struct):
    """A worker: its number, its process, how far its life has come; what it has counted, and is."""

    number: int
    pid: int
    stage: str
    connections: int
    requests: int
    cpu_seconds: float
    longest_stall: float


class Status(Struct):
    """How the server is.

    ``phase`` is what the supervisor is about; ``serving`` is how many workers serve, of those that are ``wanted``;
    ``started`` how many have been started, ever. ``began`` is when the supervisor did, in seconds since 1970.
    """

    phase: str
    serving: int
    wanted: int
    started: int
    reloads: int
    pid: int
    began: float
    addresses: list[str]
    workers: list[WorkerState]
    report: Report

    @property
    def ready(self) -> bool:
        """Whether requests are answered and go on being answered: somebody serves, and it is not coming to its end."""
        return self.phase == "running" and self.serving > 0
