"""Has a node that has just come to life load its share of the targets, before it gets any request.

They are asked for like any client would, so that they come into its caches and into memory; the bodies are thrown
away. A few at a time: reads of what is asked for by others, at an address of the node's own, are not to wait for these.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from flashpy.cluster.backend.exchange import Exchange, Failure
from flashpy.cluster.backend.pool import Backend
from flashpy.http.target import quote_path
from flashpy.job.kinds import Result

if TYPE_CHECKING:
    from flashpy.cluster.front.dispatcher import Dispatcher
    from flashpy.cluster.front.member import Member

_log = logging.getLogger("flashpy.cluster")

AT_A_TIME = 4
"""Requests that are under way at a time."""
MOST = 16_384
"""Targets of a share: a node keeps no more in mind as its own (cluster.node.targets)."""
MISFITS = 16
"""Targets that have not fitted into the node's memory, after which it counts as full."""
_CODINGS = b"gzip, deflate, br, zstd"  # as browsers send it: so the coding gets warm that they are sent


class _Unreachable(Exception):
    """Nobody is there any more."""


class Warming:
    """The warming of one node, which may take place again, after each time that it was down.

    ``backend`` makes a pool of connections to it; each time has one of its own, which ends with it. ``timeout`` is in
    seconds.
    """

    def __init__(
        self, member: "Member", dispatcher: "Dispatcher", backend: Callable[[], Backend], timeout: float
    ) -> None:
        self._member = member
        self._dispatcher = dispatcher
        self._backend = backend
        self._timeout = timeout
        self._task: asyncio.Task[bool] | None = None
        self._began = 0.0
        self._room = 0.0  # bytes that the node has room for
        self._misfits = 0
        self.share = 0  # targets, of the latest time
        self.loaded: list[bytes] = []  # of these

    def begin(self, targets: Sequence[bytes]) -> None:
        """Have these loaded, the most wanted first. The dispatcher is told of the end."""
        loop = asyncio.get_running_loop()
        self.share, self.loaded, self._misfits, self._began = len(targets), [], 0, loop.time()
        reported = self._member.reported
        self._room = reported.memory / 2 if reported is not None and reported.memory else float("inf")
        self._task = loop.create_task(self._run(targets))
        self._task.add_done_callback(self._ended)

    def finish(self) -> None:
        """Load no more: what has been loaded is to do."""
        self.stop()
        seconds = asyncio.get_running_loop().time() - self._began
        _log.info(
            "The node %s has loaded %d of %d targets in %.1f s.",
            *(self._member.name, len(self.loaded), self.share, seconds),
        )
        self._dispatcher.warmed(self._member, self.loaded)

    def stop(self) -> None:
        """Load no more. Nobody is told."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()

    async def _run(self, targets: Sequence[bytes]) -> bool:
        """Load as much as there is time for; whether the node is still there then."""
        backend, left = self._backend(), iter(targets)
        is_there = True
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._timeout), asyncio.TaskGroup() as group:
                    for _ in range(AT_A_TIME):
                        group.create_task(self._load_some(backend, left))
        except* _Unreachable:
            is_there = False
        finally:
            backend.close()
        return is_there

    async def _load_some(self, backend: Backend, left: Iterator[bytes]) -> None:
        for target in left:
            if self._misfits >= MISFITS:
                return
            if await self._load(backend, target):
                self.loaded.append(target)

    async def _load(self, backend: Backend, target: bytes) -> bool:
        """Have the node load a target; whether it has it now.

        Raises:
            _Unreachable: the node is gone.
        """
        lines = (b"GET %s HTTP/1.1" % quote_path(target), b"Host: %s" % self._member.section.host.encode())
        fields = (b"Accept-Encoding: %s" % _CODINGS, b"User-Agent: flashpy-warming", b"", b"")
        exchange = Exchange(backend, b"GET", b"\r\n".join(lines + fields), lambda: None)
        await _come(exchange.begin)
        head = exchange.head
        if exchange.failure is Failure.UNREACHABLE:
            raise _Unreachable(exchange.why)
        if head is None or head.status != 200:
            exchange.abandon()
            return False
        if head.length > self._room:
            exchange.abandon()
            self._misfits += 1
            return False
        self._room -= head.length
        while exchange.left and exchange.failure is None:
            await _come(exchange.wait)
            exchange.more()
        return exchange.failure is None

    def _ended(self, task: asyncio.Task[bool]) -> None:
        if task is not self._task:  # it was stopped
            return
        if (error := task.exception()) is not None:
            _log.error("The node %s could not be warmed.", self._member.name, exc_info=error)
        elif not task.result() and self._member.passing is None:  # a link to the node says itself that it is gone
            self._dispatcher.lose(self._member)
            return
        self.finish()


async def _come(start: Callable[[Callable[[Result], None], Callable[[], bool]], None]) -> None:
    """Wait until what is started has come."""
    coming: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def come(result: Result) -> None:
        if not coming.done():
            coming.set_result(None)

    start(come, lambda: not coming.done())
    await coming
