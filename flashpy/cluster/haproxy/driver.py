"""Drives HAProxy: learns requests from its log, loads from its statistics, and tells it what the policy decides.

Nothing of it is in the way of a request. Without the driver HAProxy goes on by its table and by its own hash; what
it logs meanwhile is lost, and so is what comes faster than we read. When it is started anew it is told all again.
"""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress

from flashpy.addresses import Tcp, Unix
from flashpy.cluster.haproxy.decisions import Decisions
from flashpy.cluster.haproxy.speech import asking, entries, request_of, statistics_of
from flashpy.errors import StartError

PERIOD = 0.05
"""Seconds between two looks at the statistics; what has been decided meanwhile is told then."""
LONGEST = 1.0
"""The pause in seconds at most while HAProxy does not answer."""
PATIENCE = 5.0
"""Seconds that it has for an answer."""
RECEIVE_BYTES = 4 << 20
"""Of the log's socket; the kernel gives what it allows (net.core.rmem_max)."""
AT_A_TIME = 500
"""Lines of the log that are read before others get their turn."""

_log = logging.getLogger(__name__)


def log_socket(address: Tcp | Unix) -> socket.socket:
    """A socket for the datagrams of HAProxy's log, at an address of this machine.

    Raises:
        StartError: it cannot be bound.
    """
    family = socket.AF_UNIX if isinstance(address, Unix) else socket.AF_INET6 if ":" in address.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        if isinstance(address, Unix):
            with suppress(FileNotFoundError):
                os.unlink(address.path)
            sock.bind(address.path)
        else:
            sock.bind(address)
    except OSError as error:
        sock.close()
        place = address.path if isinstance(address, Unix) else f"{address.host}:{address.port}"
        raise StartError(f"The log's socket {place} cannot be bound: {error.strerror or error}.") from None
    return sock


class Driver:
    """One HAProxy, one of its backends. ``admin`` is the path of its stats socket, of level admin."""

    def __init__(self, admin: str, log: socket.socket, backend: str, decisions: Decisions) -> None:
        self._admin = admin
        self._socket = log
        self._backend = backend
        self._decisions = decisions
        self._pid = 0

    async def run(self, connected: Callable[[int], None] = lambda pid: None) -> None:
        """Drive it until it is cancelled. Tells each process of HAProxy that has answered for the first time."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._socket, self._read)
        pause = PERIOD
        try:
            while True:
                try:
                    await self._look(connected)
                    pause = PERIOD
                except (OSError, EOFError, ValueError, TimeoutError) as error:
                    if pause == PERIOD:
                        _log.warning("HAProxy does not answer at %s: %s", self._admin, error or "too late")
                    pause = min(2 * pause, LONGEST)
                await asyncio.sleep(pause)
        finally:
            loop.remove_reader(self._socket)

    async def _look(self, connected: Callable[[int], None]) -> None:
        """Look at the statistics, and tell what is to be told."""
        found = statistics_of(await self._say(asking(self._backend)))
        self._decisions.seen(found.servers)
        if found.pid != self._pid:
            self._decisions.tell_all()
            self._pid = found.pid
            connected(found.pid)
        untold = self._decisions.untold()
        for line in entries(self._backend, untold):
            if answer := (await self._say(line)).strip():
                _log.warning("HAProxy has refused an entry: %s", answer.partition("\n")[0])

    async def _say(self, commands: str) -> str:
        """What it answers, on a connection of its own: after a reload that is a connection to the new process."""
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_unix_connection(self._admin)
            try:
                writer.write(commands.encode("ascii"))
                writer.write_eof()
                return (await reader.read(-1)).decode("ascii", "replace")
            finally:
                writer.close()

    def _read(self) -> None:
        """Lines of the log have come."""
        now = time.monotonic()
        for _ in range(AT_A_TIME):
            try:
                line = self._socket.recv(1024)
            except BlockingIOError:
                return
            if (request := request_of(line)) is not None:
                self._decisions.asked(request, now)
