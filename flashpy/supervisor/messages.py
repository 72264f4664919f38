"""What a supervisor and its workers tell each other (on an event.link).

A worker reads what clients send, and the supervisor may be root: so a message is data of a fixed shape (never pickled),
and one that is not what it should be ends the worker.
"""

from msgspec import Struct

from flashpy.report import Report


class Ready(Struct, tag=True):
    """A worker serves. ``sandbox`` is the version of Landlock that confines it; 0 is none."""

    sandbox: int = 0


class Failed(Struct, tag=True):
    """A worker cannot start: why, in one sentence. It ends."""

    why: str


class Counted(Struct, tag=True):
    """What a worker has counted since it began, and how it is. Sent once a second; a worker that says nothing for long
    is stuck."""

    report: Report


class Wanted(Struct, tag=True):
    """A worker needs a helper program, which it may not start itself."""

    program: str


class Started(Struct, tag=True):
    """It has been started; the descriptor beside this message is its link."""

    program: str
    pid: int


class NotStarted(Struct, tag=True):
    """It could not be started: why, in one sentence."""

    program: str
    why: str


class Taken(Struct, tag=True):
    """Connections between two requests, for the successor to go on with: their clients' addresses; the descriptors are
    beside this message, in the same order."""

    clients: list[str]


class Bequest(Struct, tag=True):
    """What a retiring worker knows, for its successor to go on with: in a file in memory, beside this message. Only the
    architecture looks into it (arch.architecture.Heritable)."""


Left = Taken | Bequest
"""What one worker leaves, and another gets."""


class Renewed(Struct, tag=True):
    """There are new certificates for TLS: beside this message, a file in memory for each (tls.material)."""


class Retire(Struct, tag=True):
    """End when all that is under way has been answered, but within so many seconds (None: however long it takes). A
    second order may set a limit that the first did not.

    ``succeeded``: others listen at the same sockets, and the connections are theirs; but for the sockets whose numbers
    (by their order) are ``abandoned``: there, nobody will listen any more.
    """

    timeout: float | None
    succeeded: bool
    abandoned: list[int] = []


FromWorker = Ready | Failed | Counted | Wanted | Left
ToWorker = Started | NotStarted | Left | Renewed | Retire
