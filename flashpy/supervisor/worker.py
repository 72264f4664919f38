"""A worker: one process that serves, forked from the supervisor, which tells it when to end."""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import time
from collections import defaultdict, deque
from collections.abc import Sequence
from typing import NoReturn

from msgspec import Struct

from flashpy import landlock
from flashpy.arch.architecture import Architecture, Heritable, architecture
from flashpy.errors import ConfigError, StartError
from flashpy.event.link import MOST, BadMessage, Link
from flashpy.event.programs import Program, Starter
from flashpy.event.service import Secured, Successor
from flashpy.event.sockets import Sockets, flat
from flashpy.metrics import Metrics
from flashpy.report import report_of
from flashpy.server import new_event_loop
from flashpy.settings import Config
from flashpy.supervisor.messages import (
    Bequest,
    Counted,
    Failed,
    NotStarted,
    Ready,
    Renewed,
    Retire,
    Started,
    Taken,
    ToWorker,
    Wanted,
)
from flashpy.tls.material import from_descriptor

_log = logging.getLogger("flashpy.worker")

EXIT_FAILED = 3
REPORT = 1.0
"""Seconds between two reports of what has been counted."""
FLUSH = 3.0
"""Seconds that the last messages to the supervisor, who has little else to do, may take."""


class Lent:
    """A helper program that the supervisor has started for this worker (a Program)."""

    def __init__(self, pid: int, control: socket.socket) -> None:
        self.pid = pid
        self.control = control

    async def ended(self) -> None:
        """See Program. It is the supervisor's child, and not for us to wait for."""


class LentLog:
    """The log helper that the supervisor keeps (a LogSource)."""

    def __init__(self, starter: Starter) -> None:
        self._starter = starter

    async def link(self) -> socket.socket:
        """See LogSource."""
        return (await self._starter.start("log")).control

    async def close(self, timeout: float) -> None:
        """See LogSource. The supervisor, which ends later, waits for the helper."""


class Worker:
    """Serves at the sockets until it is told to retire. Also the Starter of its helper programs: it asks for them.

    ``confined``: it gives up its rights to files and to the network before it serves.
    """

    def __init__(
        self,
        config: Config,
        sockets: Sockets,
        link: Link[ToWorker],
        confined: bool = False,
        secured: Secured | None = None,
    ) -> None:
        self._confined = confined
        self._secured = secured
        self._config = config
        self._sockets = sockets
        self._link = link
        self._metrics = Metrics()
        self._architecture: Architecture | None = None
        self._asked: dict[str, deque[asyncio.Future[Lent]]] = defaultdict(deque)
        self._leaving: list[tuple[socket.SocketType, str]] = []
        self._order: asyncio.Future[Retire] | None = None
        self._draining: asyncio.Task[None] | None = None

    def run(self) -> NoReturn:
        """Serve, and end the process."""
        status = 1
        try:
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                status = runner.run(self._serve())
        except BaseException:
            _log.exception("An exception ended this worker.")
        finally:
            logging.shutdown()
            os._exit(status)

    async def _serve(self) -> int:
        loop = asyncio.get_running_loop()
        self._order = loop.create_future()
        loop.add_signal_handler(signal.SIGTERM, self._retire, self._at_once())
        loop.add_reader(self._link.fileno(), self._readable)
        log = LentLog(self)
        self._architecture = architecture(self._config, self._sockets, self._metrics, self, log, self._secured)
        try:
            await self._architecture.start()
        except StartError as error:
            self._tell(Failed(str(error)))
            return EXIT_FAILED
        # All is open and imported that it needs, and no client has been heard yet.
        sandbox = landlock.restrict() if self._confined else 0
        settle()
        self._tell(Ready(sandbox))
        self._report()
        await self._drain(self._architecture, await self._order)
        self._count()
        await self._flushed()
        _log.debug("Counters at exit: %s", {**self._metrics.snapshot(), **self._architecture.snapshot()})
        await self._architecture.close()
        return 0

    async def _drain(self, architecture: Architecture, order: Retire) -> None:
        self._draining = asyncio.get_running_loop().create_task(self._make_way(architecture, order))
        await asyncio.wait([self._draining])
        if self._draining.cancelled():  # by a second order
            await architecture.drain(0.0)
        else:
            self._draining.result()

    async def _make_way(self, architecture: Architecture, order: Retire) -> None:
        """Let the successor, if there is one, know what it is to know before it gets any connection."""
        if order.succeeded and isinstance(architecture, Heritable):
            fd = await architecture.bequeath()
            if fd is not None:
                self._tell(Bequest(), [fd])
        await architecture.drain(order.timeout, self._successor(order))

    # The Starter of helper programs

    async def start(self, name: str) -> Program:
        """See Starter: ask the supervisor, which may, and wait."""
        future: asyncio.Future[Lent] = asyncio.get_running_loop().create_future()
        self._asked[name].append(future)
        self._tell(Wanted(name))
        return await future

    # What the supervisor says

    def _readable(self) -> None:
        try:
            received = self._link.receive()
        except BlockingIOError:
            return
        except BadMessage as error:
            _log.error("The supervisor talks nonsense: %s.", error)
            return
        if received is None:
            self._abandoned()
            return
        message, fds = received
        match message:
            case Taken(clients):
                self._adopt(clients, fds)
            case Bequest():
                self._inherit(fds)
            case Started(name, pid):
                self._answer(name, Lent(pid, _socket(fds[0])) if fds else StartError("Out of descriptors."))
            case NotStarted(name, why):
                self._answer(name, StartError(why))
            case Renewed():
                self._renew(fds)
            case Retire():
                self._retire(message)

    def _renew(self, fds: Sequence[int]) -> None:
        """Use other certificates from now on. The supervisor has tried them."""
        try:
            if self._secured is not None and len(fds) == len(self._config.tls.certificate):
                self._secured.contexts.renew([from_descriptor(fd) for fd in fds])
        except (ConfigError, ValueError):
            _log.exception("The new certificates are not used.")
        finally:
            for fd in fds:
                os.close(fd)

    def _answer(self, name: str, answer: Lent | StartError) -> None:
        waiting = self._asked[name]
        future = waiting.popleft() if waiting else None
        if future is None or future.done():  # given up meanwhile
            if isinstance(answer, Lent):
                answer.control.close()
        elif isinstance(answer, Lent):
            future.set_result(answer)
        else:
            future.set_exception(answer)

    def _abandoned(self) -> None:
        """The supervisor has died: finish what is under way, and end."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._link.fileno())
        loop.remove_writer(self._link.fileno())
        self._link.close()
        _log.error("The supervisor has died; this worker ends.")
        for name, waiting in self._asked.items():
            while waiting:
                self._answer(name, StartError("The supervisor has died."))
        self._retire(self._at_once())

    def _at_once(self) -> Retire:
        return Retire(self._config.server.timeout_graceful_shutdown, succeeded=False)

    def _retire(self, order: Retire) -> None:
        assert self._order is not None
        if not self._order.done():
            self._order.set_result(order)
        elif self._draining is not None and order.timeout is not None:
            asyncio.get_running_loop().call_later(order.timeout, self._draining.cancel)

    # What the supervisor is told

    def _tell(self, message: Struct, fds: Sequence[int] = ()) -> None:
        try:
            self._link.send(message, fds)
        except OSError:
            return  # it has died, as its end of the link says
        if self._link.waiting:
            asyncio.get_running_loop().add_writer(self._link.fileno(), self._flush)

    def _flush(self) -> None:
        try:
            done = self._link.flush()
        except OSError:
            done = True
        if done:
            asyncio.get_running_loop().remove_writer(self._link.fileno())

    def _report(self) -> None:
        """Once a second: what has been counted, and that this worker lives."""
        self._count()
        asyncio.get_running_loop().call_later(REPORT, self._report)

    def _count(self) -> None:
        assert self._architecture is not None
        self._tell(Counted(report_of(self._metrics, self._architecture.snapshot(), time.process_time())))

    # Connections that come and go

    def _adopt(self, clients: Sequence[str], fds: Sequence[int]) -> None:
        assert self._architecture is not None
        for client, fd in zip(clients, fds, strict=False):
            self._architecture.adopt(socket.SocketType(fileno=fd), client)
        if len(fds) < len(clients):
            _log.warning("%d connections are lost: out of descriptors.", len(clients) - len(fds))

    def _inherit(self, fds: list[int]) -> None:
        assert self._architecture is not None
        if fds and isinstance(self._architecture, Heritable):
            self._architecture.inherit(fds.pop(0))
        elif not fds:
            _log.warning("What the worker before knew is lost: out of descriptors.")
        for fd in fds:
            os.close(fd)

    def _successor(self, order: Retire) -> Successor | None:
        if not order.succeeded:
            return None
        listens = {sock.fileno() for number, sock in enumerate(flat(self._sockets)) if number not in order.abandoned}
        return Successor(self._take, listens)

    def _take(self, sock: socket.SocketType, client: str) -> None:
        if not self._leaving:
            asyncio.get_running_loop().call_soon(self._send_away)
        self._leaving.append((sock, client))

    def _send_away(self) -> None:
        while self._leaving:
            group, self._leaving = self._leaving[:MOST], self._leaving[MOST:]
            self._tell(Taken([client for _, client in group]), [sock.detach() for sock, _ in group])

    async def _flushed(self) -> None:
        """What the successor is to get has left, and what the supervisor is to know."""
        self._send_away()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FLUSH):
                while self._link.waiting:
                    await asyncio.sleep(0.01)


def settle() -> None:
    """What lives now lives for long, so no collection needs to look at it; and what comes later (cache entries above
    all) has no cycles, so a full collection would only stall the loop: 40 ms with some ten thousand entries."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(1_000, 3, 1_000_000)


def _socket(fd: int) -> socket.socket:
    sock = socket.socket(fileno=fd)
    sock.setblocking(False)
    return sock
