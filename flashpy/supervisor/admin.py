"""The process that answers at the admin address: forked from the supervisor, which tells it once a second how all are.

A process of its own, because the supervisor is to have no client's bytes in it and to wait for nobody; it may open no
file, and has nothing that would be lost with it. It ends with the supervisor, or when that wants another.
"""

import asyncio
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, NoReturn

from flashpy import landlock
from flashpy.addresses import Tcp, parse
from flashpy.admin.status import Status
from flashpy.errors import StartError
from flashpy.event.link import BadMessage, Link
from flashpy.event.sockets import flat, url_of
from flashpy.logs import set_up
from flashpy.privileges import Identity, drop_privileges
from flashpy.process import set_title
from flashpy.server import new_event_loop
from flashpy.settings import AdminSection, LogSection
from flashpy.supervisor.backoff import Backoff
from flashpy.supervisor.generation import Generation
from flashpy.supervisor.messages import Ready
from flashpy.supervisor.reactor import Reactor, leave_descriptors, leave_signals

_log = logging.getLogger("flashpy.admin")

ROOM = 192 * 1024
"""Bytes of a status at most: nearly as much as a packet of a Unix socket can have (net.core.wmem_default)."""
MOST_SKIPPED = 30
"""Statuses in a row that it has not taken, after which it counts as stuck."""


class Order(NamedTuple):
    """What it is to serve by, and as whom."""

    settings: AdminSection
    log: LogSection
    sockets: tuple[socket.socket, ...]
    identity: Identity | None
    confined: bool


class Admin:
    """The admin process, as its supervisor sees it; there is none unless an address is configured. ``status`` says how
    all are."""

    def __init__(self, reactor: Reactor, status: Callable[[], Status]) -> None:
        self._reactor = reactor
        self._status = status
        self._order: Order | None = None
        self._pid = 0
        self._link: Link[Ready] | None = None
        self._skipped = 0
        self._backoff = Backoff()

    def serve(self, generation: Generation) -> None:
        """Serve by this generation's configuration. A process that does so already is kept."""
        config = generation.config
        sockets = tuple(flat(generation.admin_sockets))
        order = (
            Order(config.admin, config.log, sockets, generation.identity, config.server.sandbox) if sockets else None
        )
        if order == self._order:
            return
        self.stop()
        self._order = order
        if order is not None:
            where = " ".join(map(url_of, sockets))
            _log.info("Status and metrics are at %s (/-/status, /-/metrics).", where)
            self._start()

    def tell(self) -> None:
        """Say how all are, if there is anybody to be told."""
        if self._link is None:
            return
        if not self._link.waiting:
            self._skipped = 0
            self._reactor.send(self._link, self._status())
            return
        self._skipped += 1
        if self._skipped == MOST_SKIPPED:
            _log.error("The admin process (%d) is stuck; another takes its place.", self._pid)
            os.kill(self._pid, signal.SIGKILL)

    def stop(self) -> None:
        """Let nobody answer at the admin address any more."""
        self._order = None
        if self._link is not None:
            self._part()
            os.kill(self._pid, signal.SIGKILL)  # it has nothing to finish

    def close(self) -> None:
        """At the end, when the reactor has stopped: nothing is left."""
        pid, running = self._pid, self._link is not None
        self.stop()
        if running:
            os.waitpid(pid, 0)

    def _start(self) -> None:
        order = self._order
        if order is None or self._link is not None:
            return
        self._backoff.began(time.monotonic())
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            pid = os.fork()
        except OSError as error:
            ours.close()
            self._start_later(f"The admin process cannot be started: {error.strerror}.")
            return
        else:
            if pid == 0:
                _become_admin(order, theirs)
        finally:
            theirs.close()
        self._pid, self._link, self._skipped = pid, Link(ours, Ready), 0
        self._reactor.watch(ours.fileno(), partial(self._readable, self._link))
        self._reactor.watch_end(pid, partial(self._ended, self._link))
        self.tell()

    def _start_later(self, what: str) -> None:
        pause = self._backoff.pause(time.monotonic())
        _log.error("%s Another is started in %.1f s.", what, pause)
        self._reactor.later(pause, self._start)

    def _readable(self, link: Link[Ready]) -> None:
        try:
            if link.receive() is None:
                self._reactor.forget(link.fileno())  # its end will be told by itself
        except (BlockingIOError, BadMessage):
            pass

    def _ended(self, link: Link[Ready], status: int) -> None:
        if link is self._link:
            self._part()
            self._start_later(f"The admin process (process {self._pid}) has ended with status {status}.")

    def _part(self) -> None:
        assert self._link is not None
        self._reactor.forget(self._link.fileno())
        self._link.close()
        self._link = None


# In the process


def _become_admin(order: Order, link: socket.socket) -> NoReturn:
    """What the child does from the fork on. Nothing of the supervisor's stays open in it. It ends with its link, not by
    a signal: while the server drains, it says so."""
    leave_signals()
    status = 1
    try:
        leave_descriptors({link.fileno(), *(sock.fileno() for sock in order.sockets)})
        set_title(f"flashpy: admin of {os.getppid()}")
        set_up(order.log)
        if order.identity is not None:
            drop_privileges(order.identity)
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(_serve(order, Link(link, Status, ROOM)))
        status = 0
    except StartError as error:
        _log.error("%s", error)
    except BaseException:
        _log.exception("An exception ended the admin process.")
    finally:
        logging.shutdown()
        os._exit(status)


async def _serve(order: Order, link: Link[Status]) -> None:
    """Answer until the supervisor has ended."""
    from flashpy.admin.server import AdminServer  # here, that the supervisor need not have them in memory
    from flashpy.admin.site import AdminSite

    loop = asyncio.get_running_loop()
    told: asyncio.Queue[Status | None] = asyncio.Queue()

    def readable() -> None:
        try:
            received = link.receive()
        except BlockingIOError:
            return
        if received is None:
            loop.remove_reader(link.fileno())
        told.put_nowait(received[0] if received else None)

    loop.add_reader(link.fileno(), readable)
    if (first := await told.get()) is None:
        return
    site = AdminSite(names(order.settings), first)
    server = AdminServer(site, order.sockets)
    await server.start()
    link.send(Ready(landlock.restrict() if order.confined else 0))
    while (status := await told.get()) is not None:
        site.take(status)


def names(settings: AdminSection) -> Sequence[str]:
    """The names by which it may be asked: those that are configured, and those that it listens at."""
    bound = (parse(address) for address in settings.bind)
    return [*settings.hosts, *(address.host for address in bound if isinstance(address, Tcp))]
