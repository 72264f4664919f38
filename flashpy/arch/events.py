"""The driver of AMPED and SPED: all connections in one event loop."""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any

from flashpy.cache.residency import Residency
from flashpy.event.accesslog import AccessLog
from flashpy.event.bodies import Bodies
from flashpy.event.connection import Connection
from flashpy.event.deadlines import Timed
from flashpy.event.listener import Listener
from flashpy.event.logsource import LocalLog, LogSource
from flashpy.event.programs import Starter
from flashpy.event.service import HTTP2, Service, Successor
from flashpy.http.fields import http_date
from flashpy.http.http1 import Http1Shared
from flashpy.http.wire import Tails, Wire
from flashpy.job.kinds import Runner
from flashpy.log.forms import renderer
from flashpy.metrics import Metrics
from flashpy.now import Now
from flashpy.settings import Config
from flashpy.site.sites import Answering, answering

_log = logging.getLogger("flashpy")

LOG_PATIENCE = 5.0
"""Seconds that the last lines of the access log may take to be written, at the end."""


class EventDriven:
    """Serves connections in the running loop (an arch.architecture.Architecture, but for its runner)."""

    def __init__(
        self,
        config: Config,
        sockets: Sequence[socket.socket],
        metrics: Metrics,
        starter: Starter,
        log_source: LogSource | None = None,
    ) -> None:
        self._config = config
        self._log_source = log_source or LocalLog(config.log.access_file, starter)
        self._starter = starter
        self._sockets = sockets
        self._metrics = metrics
        self._now = Now(time.monotonic(), time.time())
        self._tails = Tails(http_date(self._now.wall))
        self._service: Service | None = None
        self._listeners: list[Listener] = []
        self._log: AccessLog | None = None
        self._ticker: asyncio.TimerHandle | None = None
        self._residency = self._make_residency()

    def _make_residency(self) -> Residency:
        """What tells whether a window may be sent at once."""
        raise NotImplementedError

    async def _start_runner(self) -> Runner:
        """Who carries out jobs."""
        raise NotImplementedError

    async def _close_runner(self) -> None:
        """Its end."""

    def _tick_runner(self) -> None:
        """Called once a second."""

    def _around(self, site: Answering) -> Answering:
        """What answers, around what the configuration says."""
        return site

    async def start(self) -> None:
        """See Architecture."""
        runner = await self._start_runner()
        config = self._config
        if config.log.access:
            self._log = AccessLog(self._log_source, renderer(config.log.access_format, os.environ))
            await self._log.start()
        self._service = Service(
            asyncio.get_running_loop(),
            config.limits,
            Http1Shared(config.limits, self._tails, config.cache.file_bytes),
            self._around(answering(config, runner, self._now)),
            runner,
            self._residency,
            self._now,
            self._metrics,
            self._log,
        )
        if config.server.http2:
            self._service.wires[HTTP2] = self._http2(self._service)
        self._listeners = [Listener(self._service, sock) for sock in self._sockets]
        for listener in self._listeners:
            listener.start()
        self._tick()

    def _http2(self, service: Service) -> Callable[[Connection], Wire]:
        """What makes the wires of HTTP/2. Its library is imported for those alone who use it, and before a worker gives
        up its right to open files."""
        from flashpy.http.http2 import Http2, Http2Shared

        shared = Http2Shared(self._config.limits, self._tails, self._now)
        return lambda connection: Http2(shared, Bodies(service, connection))

    async def drain(self, timeout: float | None, successor: Successor | None = None) -> None:
        """See Architecture."""
        service = self._service
        if service is None:
            return
        for listener in self._listeners:
            if successor is not None and listener.sock.fileno() in successor.listens:
                listener.leave()
            else:
                listener.close()
        gone = asyncio.Event()
        service.draining = True
        service.drained = gone.set
        service.take_over = successor.take if successor else None
        for connection in _connections(service):
            connection.drain()
        if service.connections:
            try:
                await asyncio.wait_for(gone.wait(), timeout)
            except TimeoutError:
                _log.warning("%d connections were cut off at shutdown.", service.connections)
        service.take_over = None
        for connection in _connections(service):
            connection.close()

    def adopt(self, sock: socket.SocketType, client: str) -> None:
        """See Architecture."""
        if self._service is None or self._service.draining:
            sock.close()
        else:
            self._listeners[0].adopt(sock, client)

    async def close(self) -> None:
        """See Architecture."""
        self._service = None
        if self._ticker is not None:
            self._ticker.cancel()
            self._ticker = None
        self._listeners = []
        if self._log is not None:
            await self._log.close(LOG_PATIENCE)
            self._log = None
        await self._close_runner()

    def snapshot(self) -> dict[str, Any]:
        """See Architecture."""
        service = self._service
        return {
            "connections": service.connections if service else 0,
            "cache": service.site.snapshot() if service else {},
            "residency": self._residency.means(),
        }

    def _tick(self) -> None:
        """Once a second, just after the wall clock's: the Date, the time-outs, the runner."""
        service = self._service
        if service is None:
            return
        now, wall = time.monotonic(), time.time()
        self._now.monotonic, self._now.wall = now, wall
        self._tails.set(http_date(wall))
        self._ticker = service.loop.call_later(1.001 - wall % 1.0, self._tick)
        self._metrics.timeouts += service.deadlines.sweep(now, _give_up)
        if (stall := self._metrics.stalls.worst_since()) is not None:
            _log.warning("The event loop was held for %.0f ms (%s).", 1000 * stall[0], stall[1])
        self._tick_runner()


def _connections(service: Service) -> list[Connection]:
    return [timed for timed in service.deadlines.all() if isinstance(timed, Connection)]


def _give_up(timed: Timed) -> None:
    _log.exception("An exception ended %r.", timed)
    if isinstance(timed, Connection):
        timed.close()
