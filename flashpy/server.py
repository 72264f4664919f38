"""The server as a library: ``Server`` in a running loop, ``background`` in a thread, ``run`` to block.

An embedded server touches nothing of the process around it: no signal handlers, no resource limits, no logging
configuration. Those belong to the command line (flashpy.cli).
"""

import asyncio
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from flashpy.arch.architecture import Architecture, architecture
from flashpy.config import Config, load
from flashpy.errors import StartError
from flashpy.event.programs import LocalStarter
from flashpy.event.service import Secured
from flashpy.event.sockets import Sockets, close_all, flat, listen, urls_of
from flashpy.job.codedfiles import why_unfit
from flashpy.memory import memory_limit
from flashpy.metrics import Metrics
from flashpy.tls.contexts import Contexts
from flashpy.tls.material import read_all
from flashpy.tls.serving import contexts_for

_log = logging.getLogger("flashpy")


class Server:
    """One server: a loop, its listening sockets, its helpers.

    Use it as ``async with Server(config) as server: ...`` in uvloop (or any loop that has ``add_reader``); several may
    live in one process. ``config`` is a ``Config``, or a directory to serve on a free port of 127.0.0.1.
    """

    def __init__(self, config: Config | str | Path) -> None:
        if not isinstance(config, Config):
            config = load(overrides={"site": {"root": str(config)}, "server": {"bind": ["127.0.0.1:0"]}})
        self.config = config = fit_into_memory(config)
        self._metrics = Metrics()
        self._sockets: Sockets = {}
        self._contexts: Contexts | None = None
        self._architecture: Architecture | None = None

    @property
    def urls(self) -> list[str]:
        """Where the server is reached; the ports are the real ones."""
        return urls_of(self._sockets, self.config.tls.bind)

    @property
    def url(self) -> str:
        """The first of ``urls``."""
        return self.urls[0]

    def metrics(self) -> dict[str, Any]:
        """All counters, the stall histogram, the caches' and the pool's state; plain values, a copy."""
        stopped = {"connections": 0, "cache": {}, "pool": {}, "residency": {}}
        return {**self._metrics.snapshot(), **(self._architecture.snapshot() if self._architecture else stopped)}

    async def start(self) -> None:
        """Bind, start the helpers, accept.

        Raises:
            StartError: with one plain sentence; nothing is left behind.
        """
        check_roots(self.config)
        if self.config.server.reload:
            raise StartError("server.reload is for the command line: flashpy --reload.")
        if self.config.admin.bind:
            raise StartError("admin.bind is for the command line: flashpy --admin.")
        if self.config.cluster.role:
            raise StartError("cluster.role is for the command line: flashpy front, flashpy node.")
        check_coded_directory(self.config, os.geteuid())
        try:
            server = self.config.server
            self._sockets = listen(self.config.addresses, server.backlog, server.unix_permissions)
            self._contexts = contexts_for(self.config)
            self._architecture = architecture(
                self.config,
                self._sockets,
                self._metrics,
                LocalStarter(cache=self.config.cache),
                secured=secured(self.config, self._sockets, self._contexts),
            )
            await self._architecture.start()
        except BaseException:
            await self._close()
            raise

    async def renew_certificates(self) -> None:
        """Read the certificates of TLS again. Connections that there are do not notice, and no file is waited for here.

        Raises:
            ConfigError: they cannot be used; those from before stay.
        """
        if self._contexts is not None:
            materials = await asyncio.to_thread(read_all, self.config.tls)
            self._contexts.renew(materials)

    async def stop(self, timeout: float | None = None) -> None:
        """Accept no more, answer what is under way (for at most ``timeout`` seconds), close all."""
        if self._architecture is None:
            return
        if timeout is None:
            timeout = self.config.server.timeout_graceful_shutdown
        await self._architecture.drain(timeout)
        _log.debug("Counters at exit: %s", self.metrics())
        await self._close()

    async def _close(self) -> None:
        close_all(flat(self._sockets))
        self._sockets = {}
        self._contexts = None
        architecture, self._architecture = self._architecture, None
        if architecture is not None:
            await architecture.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop(0.0 if kind else None)


def secured(config: Config, sockets: Sockets, contexts: Contexts | None) -> Secured | None:
    """Where TLS is spoken, and with which contexts."""
    if contexts is None:
        return None
    return Secured({sock.fileno() for text in config.tls.bind for sock in sockets[text]}, contexts)


def fit_into_memory(config: Config, among: int = 1) -> Config:
    """The caches of all workers take at most a part of the memory there is: what they take, the kernel's page cache
    lacks."""
    memory = memory_limit() // among
    parts = {"file_bytes": memory // 8, "header_bytes": memory // 32, "pathname_bytes": memory // 32}
    rooms = {name: min(getattr(config.cache, name), part) for name, part in parts.items()}
    return msgspec.structs.replace(config, cache=msgspec.structs.replace(config.cache, **rooms))


def check_roots(config: Config) -> None:
    """Whether all directories can be served.

    Raises:
        StartError: one cannot: why, and what to do.
    """
    for root in config.served:
        check_root(root)


def check_coded_directory(config: Config, uid: int) -> None:
    """Whether coded forms can be kept where they are to be, by helpers of this user.

    Raises:
        StartError: they cannot: why, and what to do.
    """
    path = config.cache.coded_directory
    if not path:
        return
    try:
        why = why_unfit(os.stat(path), uid)
    except OSError as error:
        why = f"cannot be used ({error.strerror})"
    if not why and not os.access(path, os.W_OK):  # a file system that is mounted for reading only
        why = "cannot be written to"
    real = os.path.realpath(path)
    beneath = [
        root for root in config.roots if os.path.commonpath([real, os.path.realpath(root)]) == os.path.realpath(root)
    ]
    if not why and beneath:
        why = f"is beneath {beneath[0]!r}, so that it would be served"
    if why:
        raise StartError(f"The directory {path!r} (cache.coded_directory) {why}; name one of its own for it.")


def check_root(root: str) -> None:
    """Whether a directory can be served at all.

    Raises:
        StartError: it cannot: why, and what to do.
    """
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
