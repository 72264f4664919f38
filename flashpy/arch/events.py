"""The driver of AMPED and SPED: all connections in one event loop."""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flashpy.access.forwarding import Forwarding
from flashpy.access.rates import Rates
from flashpy.cache.residency import Residency
from flashpy.event.accesslog import AccessLog
from flashpy.event.bodies import Bodies
from flashpy.event.connection import Connection
from flashpy.event.crowd import Crowd
from flashpy.event.deadlines import AT_A_TIME, State, Timed
from flashpy.event.listener import Listener
from flashpy.event.logsource import LocalLog, LogSource
from flashpy.event.preface import Preface
from flashpy.event.programs import Starter
from flashpy.event.service import HTTP2, Secured, Service, Successor
from flashpy.event.sockets import Sockets, flat
from flashpy.http.fields import http_date
from flashpy.http.http1 import Http1Shared
from flashpy.http.wire import Tails, Wire
from flashpy.job.kinds import Runner
from flashpy.log.forms import renderer
from flashpy.metrics import Metrics
from flashpy.now import Now
from flashpy.settings import Config
from flashpy.site.clients import ClientsSite
from flashpy.site.sites import Answering, answering, known_hosts
from flashpy.site.timing import TimedSite
from flashpy.site.tohttps import ToHttps

if TYPE_CHECKING:
    from flashpy.event.handshake import Handshakes

_log = logging.getLogger("flashpy")

LOG_PATIENCE = 5.0
"""Seconds that the last lines of the access log may take to be written, at the end."""


_TOLD = (State.HANDSHAKE, State.HEAD, State.IDLE, State.WORKING, State.SENDING, State.LINGERING)
"""States of connections that there is something to be told of."""


class EventDriven:
    """Serves connections in the running loop (an arch.architecture.Architecture, but for its runner)."""

    def __init__(
        self,
        config: Config,
        sockets: Sockets,
        metrics: Metrics,
        starter: Starter,
        log_source: LogSource | None = None,
        secured: Secured | None = None,
    ) -> None:
        self._config = config
        self._secured = secured
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
        server = config.server
        self._forwarding = (
            Forwarding(server.trusted_proxies, server.client_ip_field) if server.trusted_proxies else None
        )

        per_second = config.limits.requests_per_second_per_client
        self._rates = Rates(per_second, config.limits.burst_per_client) if per_second else None

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

    def _answering(self, runner: Runner) -> Answering:
        """What answers by the configuration."""
        sites = answering(self._config, runner, self._now)
        return TimedSite(sites, self._residency, self._now) if self._config.server.server_timing else sites

    def _around(self, site: Answering) -> Answering:
        """What answers, around what the configuration says."""
        if self._forwarding is None and self._rates is None:
            return site
        return ClientsSite(site, self._forwarding, self._rates, self._now, self._metrics)

    async def start(self) -> None:
        """See Architecture."""
        runner = await self._start_runner()
        inner = self._answering(runner)
        config = self._config
        if config.log.access:
            self._log = AccessLog(self._log_source, renderer(config.log.access_format, os.environ))
            await self._log.start()
        self._service = Service(
            asyncio.get_running_loop(),
            config.limits,
            Http1Shared(config.limits, self._tails, config.cache.file_bytes),
            self._around(inner),
            runner,
            self._residency,
            self._now,
            self._metrics,
            self._log,
            self._forwarding,
        )
        if config.server.http2:
            self._service.wires[HTTP2] = self._http2(self._service)
        self._listeners = self._make_listeners(self._service, inner)
        for listener in self._listeners:
            listener.start()
        self._tick()

    def _make_listeners(self, service: Service, inner: Answering) -> list[Listener]:
        crowd, secured, handshakes, plainly = Crowd(service), self._secured, None, None
        if secured is not None:
            from flashpy.event.handshake import Handshakes  # OpenSSL is for those who use it

            handshakes = Handshakes(service, secured.contexts)
            plainly = self._around(self._to_https(inner, secured)) if self._config.tls.https_redirect else None
        listener = self._listener
        return [
            listener(service, sock, crowd, self._config.server.is_proxied(address), handshakes)
            if secured is not None and sock.fileno() in secured.listens
            else listener(service, sock, crowd, self._config.server.is_proxied(address), site=plainly)
            for address, group in self._sockets.items()
            if address not in self._config.cluster.addresses
            for sock in group
        ]

    def _listener(
        self,
        service: Service,
        sock: socket.socket,
        crowd: Crowd,
        proxied: bool,
        handshakes: "Handshakes | None" = None,
        site: Answering | None = None,
    ) -> Listener:
        """What accepts at one of the sockets for clients."""
        return Listener(service, sock, crowd, proxied, handshakes, site)

    def _to_https(self, site: Answering, secured: Secured) -> Answering:
        port = self._config.tls.https_port
        for sock in flat(self._sockets):
            if not port and sock.fileno() in secured.listens and sock.family != socket.AF_UNIX:
                port = sock.getsockname()[1]
        return ToHttps(site, port or 443, known_hosts(self._config))

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
        for timed in service.deadlines.all():
            timed.close()

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
            "states": {state.name.lower(): service.deadlines.count(state) for state in _TOLD} if service else {},
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
        self._sweep(service)
        if (stall := self._metrics.stalls.worst_since()) is not None:
            _log.warning("The event loop was held for %.0f ms (%s).", 1000 * stall[0], stall[1])
        self._tick_runner()

    def _sweep(self, service: Service) -> None:
        """End what is late, some connections at a time, between which others have their turn."""
        expired = service.deadlines.sweep(time.monotonic(), _give_up)
        self._metrics.timeouts += expired
        if expired == AT_A_TIME:
            service.loop.call_soon(self._sweep, service)


def _connections(service: Service) -> list[Connection | Preface]:
    return [timed for timed in service.deadlines.all() if isinstance(timed, Connection | Preface)]


def _give_up(timed: Timed) -> None:
    _log.exception("An exception ended %r.", timed)
    timed.close()
