"""Handing over to a new program, as nginx does it: the new supervisor is started by the old one with the listening
sockets, takes over, and the old one ends when it has answered what was under way.

What the new program inherits stands in an environment variable. Over a link it says that it serves; then it gets what
the workers leave: connections that are between two requests, and what a successor is to know.
"""

import json
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from flashpy.activation import Passed
from flashpy.addresses import Packets, Unix, parse_any
from flashpy.errors import StartError
from flashpy.event.link import BadMessage, Link
from flashpy.event.sockets import Sockets, close_all
from flashpy.event.unixsockets import own
from flashpy.supervisor.messages import Left, Ready
from flashpy.supervisor.reactor import Reactor

_log = logging.getLogger("flashpy.supervisor")

VARIABLE = "FLASHPY_INHERITED"
"""Descriptors: ``{"link": N, "sockets": {ADDRESS: [N, ...], ...}, "passed": [[N, NAME], ...]}``."""
_STARTED_IN = os.environ.get("PWD") or os.getcwd()
"""Where the program was started: by name, because the directory may have been replaced since (a deploy)."""


class Taker(Protocol):
    """Who finds a worker for what others have left."""

    def left(self, message: Left, fds: list[int]) -> None:
        """See workers.Master."""
        ...


class Successor:
    """The new program, started as this one was.

    ``serves`` is called when it serves, ``ended`` with its status when it has ended.
    """

    def __init__(
        self,
        reactor: Reactor,
        sockets: Sockets,
        passed: Sequence[Passed],
        serves: Callable[[], None],
        ended: Callable[[int], None],
    ) -> None:
        self._reactor = reactor
        self._serves = serves
        self._tell = ended
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        numbers = {address: [sock.fileno() for sock in group] for address, group in sockets.items()}
        said = {"link": theirs.fileno(), "sockets": numbers, "passed": passed}
        environment = os.environ | {VARIABLE: json.dumps(said)}
        environment.pop("WATCHDOG_PID", None)  # it is the new program that the service manager will watch
        left = [theirs.fileno(), *(number for group in numbers.values() for number in group)]
        command = [sys.executable, *sys.orig_argv[1:]]
        directory = _STARTED_IN if os.path.isdir(_STARTED_IN) else None
        try:
            self._process = subprocess.Popen(command, env=environment, pass_fds=left, cwd=directory)
        except OSError as error:
            ours.close()
            raise StartError(f"The new program {command[0]} cannot be run: {error.strerror}.") from None
        finally:
            theirs.close()
        self._process.returncode = 0  # it is reaped by the reactor, or outlives this program: no concern of Popen's
        self._link: Link[Ready] = Link(ours, Ready)
        reactor.watch(ours.fileno(), self._readable)
        reactor.watch_end(self._process.pid, self._ended)
        _log.info("A new program takes over (process %d).", self._process.pid)

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    @property
    def giving(self) -> bool:
        """Whether there is something that it has not got yet."""
        return bool(self._link.waiting)

    def give(self, message: Left, fds: list[int]) -> None:
        """Give it what a worker has left."""
        self._reactor.send(self._link, message, fds)

    def _readable(self) -> None:
        try:
            received = self._link.receive()
        except (BlockingIOError, BadMessage):
            return
        if received is None:
            self._reactor.forget(self._link.fileno())
        else:
            self._serves()

    def _ended(self, status: int) -> None:
        self._reactor.forget(self._link.fileno())
        self._link.close()
        self._tell(status)


class Inherited(NamedTuple):
    """What the program before has left: a link to it, its listening sockets, and what systemd had passed to it."""

    link: Link[Left]
    sockets: Sockets
    passed: list[Passed]


def inherited() -> Inherited | None:
    """What the environment tells of; None if this is the first program. The variable is taken away: it is nobody
    else's."""
    text = os.environ.pop(VARIABLE, None)
    if text is None:
        return None
    said = json.loads(text)
    groups = {
        address: [_listener(address, number) for number in numbers] for address, numbers in said["sockets"].items()
    }
    link = socket.socket(fileno=said["link"])
    link.set_inheritable(False)
    return Inherited(Link(link, Left), groups, [Passed(fd, name) for fd, name in said["passed"]])


def _listener(address: str, number: int) -> socket.socket:
    os.set_inheritable(number, False)
    return own(number) if isinstance(parse_any(address), Unix | Packets) else socket.socket(fileno=number)


class Predecessor:
    """The program that has started this one in order to be relieved."""

    def __init__(self, reactor: Reactor, taker: Taker, left: Inherited) -> None:
        self._reactor = reactor
        self._taker = taker
        self._link = left.link
        self.sockets = left.sockets

    def relieve(self, kept: Sockets) -> None:
        """This program serves. Sockets that it does not need are closed."""
        for address, group in self.sockets.items():
            if address not in kept:
                close_all(group)
        self._reactor.watch(self._link.fileno(), self._readable)
        self._reactor.send(self._link, Ready())

    def _readable(self) -> None:
        """It gives what its workers leave, until it ends."""
        try:
            received = self._link.receive()
        except (BlockingIOError, BadMessage):
            return
        if received is None:
            self._reactor.forget(self._link.fileno())
            self._link.close()
        else:
            self._taker.left(*received)
