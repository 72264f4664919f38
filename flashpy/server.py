"""The server as a library: ``Server`` in a running loop, ``background`` in a thread, ``run`` to block.

An embedded server touches nothing of the process around it: no signal handlers, no resource limits, no logging
configuration. Those belong to the command line (flashpy.cli).
"""

import asyncio
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from flashpy.cache.residency import Residency
from flashpy.config import Config, load
from flashpy.errors import StartError
from flashpy.event.accesslog import AccessLog
from flashpy.event.connection import Connection
from flashpy.event.deadlines import Timed
from flashpy.event.helpers import HelperPool
from flashpy.event.inline import InlineRunner, Unasked
from flashpy.event.listener import Listener, bind, url_of
from flashpy.event.service import Service
from flashpy.http.fields import http_date
from flashpy.http.http1 import Http1Shared
from flashpy.http.wire import Tails
from flashpy.job.kinds import Runner
from flashpy.memory import memory_limit
from flashpy.metrics import Metrics
from flashpy.now import Now
from flashpy.site import Site

_log = logging.getLogger("flashpy")

INLINE_SWITCH = "FLASHPY_TEST_INLINE"
"""With this environment variable set to 1, file work is done in the loop: for measuring what the helpers are worth."""


class Server:
    """One server: a loop, its listening sockets, its helpers.

    Use it as ``async with Server(config) as server: ...`` in uvloop (or any loop that has ``add_reader``); several may
    live in one process. ``config`` is a ``Config``, or a directory to serve on a free port of 127.0.0.1.
    """

    def __init__(self, config: Config | str | Path) -> None:
        if not isinstance(config, Config):
            config = load(overrides={"site": {"root": str(config)}, "server": {"bind": ["127.0.0.1:0"]}})
        self.config = config = _fit_into_memory(config)
        self._metrics = Metrics()
        self._now = Now(time.monotonic(), time.time())
        self._pool: HelperPool | None = None
        self._service: Service | None = None
        self._log: AccessLog | None = None
        self._tails = Tails(http_date(self._now.wall))
        self._sockets: list[socket.socket] = []
        self._listeners: list[Listener] = []
        self._ticker: asyncio.TimerHandle | None = None
        self._residency = Residency(config.cache.valid)

    @property
    def urls(self) -> list[str]:
        """Where the server is reached; the ports are the real ones."""
        return [url_of(listener.sock) for listener in self._listeners]

    @property
    def url(self) -> str:
        """The first of ``urls``."""
        return self.urls[0]

    def metrics(self) -> dict[str, Any]:
        """All counters, the stall histogram, the caches' and the pool's state; plain values, a copy."""
        service = self._service
        return {
            **self._metrics.snapshot(),
            "connections": service.connections if service else 0,
            "cache": service.site.files.snapshot() if service else {},
            "pool": self._pool.snapshot() if self._pool else {},
            "residency": self._residency.means(),
        }

    async def start(self) -> None:
        """Bind, start the helpers, accept.

        Raises:
            StartError: with one plain sentence; nothing is left behind.
        """
        loop = asyncio.get_running_loop()
        _check_root(self.config.site.root)
        try:
            for address in self.config.server.bind:
                self._sockets += bind(address, self.config.server.backlog)
            runner = await self._start_runner(loop)
            if self.config.log.access:
                self._log = AccessLog(self.config.log.access_file)
                await self._log.start()
        except BaseException:
            await self._abandon()
            raise
        limits = self.config.limits
        self._service = Service(
            loop,
            limits,
            Http1Shared(limits, self._tails),
            Site(self.config, runner, self._now),
            runner,
            self._residency,
            self._now,
            self._metrics,
            self._log,
        )
        self._listeners = [Listener(self._service, sock) for sock in self._sockets]
        for listener in self._listeners:
            listener.start()
        self._tick()

    async def _start_runner(self, loop: asyncio.AbstractEventLoop) -> Runner:
        if os.environ.get(INLINE_SWITCH) == "1":
            _log.warning("%s is set: file work is done in the event loop, which will wait for the disk.", INLINE_SWITCH)
            self._residency = Unasked(self.config.cache.valid)
            return InlineRunner()
        self._pool = HelperPool(loop, self.config.helpers, self.config.cache.small_file, self._now, self._metrics)
        await self._pool.start()
        return self._pool

    async def stop(self, timeout: float | None = None) -> None:
        """Accept no more, answer what is under way (for at most ``timeout`` seconds), close all."""
        service = self._service
        if service is None:
            return
        if timeout is None:
            timeout = self.config.server.timeout_graceful_shutdown
        for listener in self._listeners:
            listener.close()
        gone = asyncio.Event()
        service.draining = True
        service.drained = gone.set
        for connection in _connections(service):
            connection.drain()
        if service.connections:
            try:
                await asyncio.wait_for(gone.wait(), timeout)
            except TimeoutError:
                _log.warning("%d connections were cut off at shutdown.", service.connections)
        for connection in _connections(service):
            connection.close()
        _log.debug("Counters at exit: %s", self.metrics())
        self._service = None
        await self._abandon()

    async def _abandon(self) -> None:
        """Let go of everything that is not a connection."""
        if self._ticker is not None:
            self._ticker.cancel()
            self._ticker = None
        for sock in self._sockets:
            sock.close()
        self._sockets, self._listeners = [], []
        if self._log is not None:
            await self._log.close()
            self._log = None
        if self._pool is not None:
            await self._pool.close()
            self._pool = None

    def _tick(self) -> None:
        """Once a second, just after the wall clock's: the Date, the time-outs, the pool."""
        service = self._service
        if service is None:
            return
        now, wall = time.monotonic(), time.time()
        self._now.monotonic, self._now.wall = now, wall
        self._tails.set(http_date(wall))
        self._ticker = service.loop.call_later(1.001 - wall % 1.0, self._tick)
        self._metrics.timeouts += service.deadlines.sweep(now, _give_up)
        if self._pool is not None:
            self._pool.tick()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop(0.0 if kind else None)


def _fit_into_memory(config: Config) -> Config:
    """The file cache takes at most an eighth of the memory there is: what it takes, the kernel's page cache lacks."""
    room = min(config.cache.file_bytes, memory_limit() // 8)
    return msgspec.structs.replace(config, cache=msgspec.structs.replace(config.cache, file_bytes=room))


def _connections(service: Service) -> list[Connection]:
    return [timed for timed in service.deadlines.all() if isinstance(timed, Connection)]


def _give_up(timed: Timed) -> None:
    _log.exception("An exception ended %r.", timed)
    if isinstance(timed, Connection):
        timed.close()


def _check_root(root: str) -> None:
    try:
        if not os.path.isdir(root):
            kind = "is not a directory" if os.path.exists(root) else "does not exist"
            raise StartError(f"The directory {root!r} {kind}; name one that can be served.")
        os.close(os.open(root, os.O_PATH))
        if not os.access(root, os.X_OK):
            raise StartError(f"The directory {root!r} may not be entered by this user.")
    except OSError as error:
        raise StartError(f"The directory {root!r} cannot be served: {error.strerror}.") from None
    if not os.path.exists("/proc/self/fd"):
        raise StartError("/proc is not mounted; flashpy opens files through /proc/self/fd.")


def new_event_loop() -> asyncio.AbstractEventLoop:
    """The loop that flashpy is made for."""
    import uvloop

    return uvloop.new_event_loop()


def configure(directory: str | Path = ".", *, host: str = "127.0.0.1", port: int = 8000, **sections: Any) -> Config:
    """A configuration in one call: ``configure("site", port=0, cache={"valid": 5.0})``.

    Raises:
        ConfigError: a key is unknown or a value does not fit.
    """
    tables = {name: dict(values) for name, values in sections.items()}
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    tables.setdefault("site", {}).setdefault("root", str(directory))
    tables.setdefault("server", {}).setdefault("bind", [address])
    return load(overrides=tables)


def run(directory: str | Path = ".", *, host: str = "127.0.0.1", port: int = 8000, **sections: Any) -> None:
    """Serve a directory until interrupted (Ctrl-C), then drain. Sections are as in ``configure``.

    Raises:
        ConfigError, StartError: with one plain sentence.
    """
    config = configure(directory, host=host, port=port, **sections)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        try:
            runner.run(_serve_forever(config))
        except KeyboardInterrupt:
            pass


async def _serve_forever(config: Config) -> None:
    async with Server(config):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:  # asyncio.Runner turns SIGINT into this
            pass


class Background:
    """A server in a thread of its own; see ``background``."""

    def __init__(self, server: Server, loop: asyncio.AbstractEventLoop) -> None:
        self._server = server
        self._loop = loop
        self.urls = server.urls
        self.url = server.url
        self.config = server.config

    def metrics(self) -> dict[str, Any]:
        """As ``Server.metrics``, from any thread."""
        return asyncio.run_coroutine_threadsafe(self._metrics(), self._loop).result(10.0)

    async def _metrics(self) -> dict[str, Any]:
        return self._server.metrics()


@contextmanager
def background(
    directory: str | Path | Config = ".", *, host: str = "127.0.0.1", port: int = 0, **sections: Any
) -> Iterator[Background]:
    """Serve in a thread while the block runs, on a free port unless one is given.

    Raises:
        ConfigError, StartError: with one plain sentence.
    """
    if isinstance(directory, Config):
        config = msgspec.structs.replace(directory)
    else:
        config = configure(directory, host=host, port=port, **sections)
    loop = new_event_loop()
    server = Server(config)
    thread = threading.Thread(target=_run_loop, args=(loop,), name="flashpy", daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(server.start(), loop).result()
        try:
            yield Background(server, loop)
        finally:
            asyncio.run_coroutine_threadsafe(server.stop(), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


def _run_loop(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
