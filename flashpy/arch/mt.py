"""MT, multi-threaded (Flash, section 3.2): threads that wait, each for its own connection, over shared caches."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from flashpy.arch.blocking import Common, Driver
from flashpy.arch.inline import UnlockingRunner
from flashpy.event.logsource import LogSource
from flashpy.event.programs import Starter
from flashpy.event.service import Successor
from flashpy.event.sockets import Sockets, flat
from flashpy.loghelper import close_log, open_log
from flashpy.metrics import Metrics
from flashpy.settings import Config

POLL = 0.02
"""Seconds between two looks at whether all threads have ended."""


class MultiThreaded:
    """Serves ``server.concurrency`` connections at a time (an arch.architecture.Architecture).

    The threads write the access log themselves: each waits for its own connection as it is.
    """

    def __init__(
        self,
        config: Config,
        sockets: Sockets,
        metrics: Metrics,
        starter: Starter,
        log_source: LogSource | None = None,
    ) -> None:
        self._config = config
        self._sockets = flat(sockets)
        self._metrics = metrics
        self._log: int | None = None
        self._common: Common | None = None
        self._drivers: list[Driver] = []
        self._threads: list[threading.Thread] = []

    async def start(self) -> None:
        """See Architecture."""
        if self._config.log.access:
            self._log = open_log(self._config.log.access_file)
        common = self._common = Common(self._config, self._metrics, UnlockingRunner, self._sockets, self._log)
        self._drivers = [Driver(common) for _ in range(self._config.server.concurrency)]
        for number, driver in enumerate(self._drivers):
            thread = threading.Thread(target=driver.run, name=f"flashpy-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    async def drain(self, timeout: float | None, successor: Successor | None = None) -> None:
        """See Architecture."""
        if self._common is not None:
            self._common.stop()
            await self._wait(Driver.interrupt, timeout)
            await self._wait(Driver.cut_off, None)

    async def _wait(self, act: Callable[[Driver], None], timeout: float | None) -> None:
        """Tell all drivers, again and again (one may have just been between two connections), until they have ended."""
        end = None if timeout is None else time.monotonic() + timeout
        while any(thread.is_alive() for thread in self._threads):
            for driver in self._drivers:
                act(driver)
            if end is not None and time.monotonic() >= end:
                return
            await asyncio.sleep(POLL)

    def adopt(self, sock: socket.SocketType, client: str) -> None:
        """See Architecture."""
        sock.close()

    async def close(self) -> None:
        """See Architecture."""
        await self.drain(0.0)
        self._threads, self._drivers = [], []
        if self._common is not None:
            self._common.close()
            self._common = None
        if self._log is not None:
            close_log(self._log)
            self._log = None

    def snapshot(self) -> dict[str, Any]:
        """See Architecture."""
        common = self._common
        if common is None:
            return {"connections": 0, "cache": {}}
        with common.lock:
            return {"connections": sum(driver.busy for driver in self._drivers), "cache": common.site.snapshot()}
