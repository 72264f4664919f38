"""The access log's producer: records are handed over in the request path, rendered some at a time, and sent to the log
helper, which writes them. Nothing here waits: who cannot be reached, or is too slow, gets its lines later or never."""

import asyncio
import errno
import logging
import socket
from collections import deque

from flashpy.errors import StartError
from flashpy.event.logsource import LogSource
from flashpy.job.logwriter import LONGEST_PACKET
from flashpy.log.forms import Renderer
from flashpy.log.record import Record

_log = logging.getLogger("flashpy.access")

PAUSE = 0.1
"""Seconds in which records gather before they are sent."""
BATCH = 200
"""Records rendered in one go: so many that the code and what it needs are in the processor's caches, so few that the
loop is not held for long (0.1 ms)."""
PACKET = 64 * 1024
"""Bytes of lines in a packet; a longer line has one of its own, up to LONGEST_PACKET."""
ROOM = 16 * 2**20
"""Bytes of lines that may wait for the log helper; beyond, lines are dropped and counted."""
QUIET = 5.0
"""Seconds between two complaints."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
"""Seconds before another link is asked for; each is longer than the one before while links do not last."""
_BUFFER = 2**20  # bytes on the link, as far as the kernel allows (net.core.wmem_max)


def packets(lines: bytes) -> list[bytes]:
    """Lines as packets of whole lines, each of at most ``PACKET`` bytes unless a single line is longer."""
    found = []
    start = 0
    while len(lines) - start > PACKET:
        end = lines.rfind(b"\n", start, start + PACKET) + 1 or lines.find(b"\n", start + PACKET) + 1
        found.append(lines[start:end])
        start = end
    if start < len(lines):
        found.append(lines[start:])
    return found


class AccessLog:
    """Sends lines on a link from a source; asks for another when it breaks."""

    def __init__(self, source: LogSource, render: Renderer) -> None:
        self._source = source
        self._render = render
        self._records: list[Record] = []
        self._waiting: deque[bytes] = deque()  # packets
        self._room = ROOM
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None  # until what has gathered is sent
        self._link: socket.socket | None = None
        self._writing = False  # registered for writing
        self._linked = 0.0  # loop time
        self._pause = 0.0
        self._linking: asyncio.Task[None] | None = None
        self._dropped = 0  # lines, and not yet spoken of
        self._why = ""
        self._complaint: asyncio.TimerHandle | None = None  # until the next complaint may be made
        self._emptied: asyncio.Future[None] | None = None  # while it is closing

    async def start(self) -> None:
        """Get the link.

        Raises:
            StartError: there is none.
        """
        self._loop = asyncio.get_running_loop()
        self._adopt(await self._source.link())

    def _adopt(self, link: socket.socket) -> None:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
        self._link = link
        self._linked = asyncio.get_running_loop().time()

    # From records to packets

    def add(self, record: Record) -> None:
        """Hand over a record; never waits."""
        records = self._records
        records.append(record)
        if len(records) == 1:
            if self._timer is None and self._loop is not None:
                self._timer = self._loop.call_later(PAUSE, self._gathered)
        elif len(records) == BATCH:
            self._hand_over()

    def _gathered(self) -> None:
        self._timer = None
        self._hand_over()

    def _hand_over(self) -> None:
        if self._records:
            lines = self._render(self._records)
            self._records.clear()
            for packet in packets(lines):
                self._enqueue(packet)
            if not self._writing:
                self._send()

    def _enqueue(self, packet: bytes) -> None:
        if len(packet) > LONGEST_PACKET:
            self._drop(packet, "it is too long")
        elif len(packet) > self._room:
            self._drop(packet, "the log helper does not take them fast enough")
        else:
            self._room -= len(packet)
            self._waiting.append(packet)

    # From packets to the link

    def _send(self) -> None:
        """Send as much as the link takes now."""
        waiting = self._waiting
        while waiting and self._link is not None:
            try:
                self._link.send(waiting[0])
            except BlockingIOError:
                self._set_writing(True)
                return
            except OSError as error:
                if error.errno in (errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN):
                    self._broken()
                    return
                self._drop(waiting[0], error.strerror or str(error))
            self._room += len(waiting.popleft())
        self._set_writing(False)
        if self._emptied is not None and not waiting and not self._emptied.done():
            self._emptied.set_result(None)

    def _set_writing(self, wanted: bool) -> None:
        if wanted is not self._writing and self._link is not None and self._loop is not None:
            self._writing = wanted
            if wanted:
                self._loop.add_writer(self._link.fileno(), self._send)
            else:
                self._loop.remove_writer(self._link.fileno())

    def _broken(self) -> None:
        """Nobody reads from the link any more: get another."""
        self._close_link()
        _log.error("The log helper ended; what it had not yet written is missing.")
        if self._loop is not None:
            if self._loop.time() - self._linked > LONGEST_PAUSE:
                self._pause = 0.0
            self._linking = self._loop.create_task(self._link_again())

    def _close_link(self) -> None:
        self._set_writing(False)
        if self._link is not None:
            self._link.close()
            self._link = None

    async def _link_again(self) -> None:
        while self._link is None:
            await asyncio.sleep(self._pause)
            self._pause = min(2 * self._pause + FIRST_PAUSE, LONGEST_PAUSE)
            try:
                self._adopt(await self._source.link())
            except (StartError, OSError) as error:  # the latter when descriptors are short
                _log.error("The access log is not written: %s", error)
        self._send()

    def _drop(self, packet: bytes, why: str) -> None:
        self._dropped += packet.count(b"\n")
        self._why = why
        if self._complaint is None:
            self._complain()

    def _complain(self) -> None:
        """Say what is missing: at once for the first line, then once in a while."""
        self._complaint = None
        if self._dropped:
            _log.warning("%d lines of the access log are missing: %s.", self._dropped, self._why)
            self._dropped = 0
            if self._loop is not None:
                self._complaint = self._loop.call_later(QUIET, self._complain)

    # Ending

    async def close(self, timeout: float) -> None:
        """Hand over what is left, have it written, and close; in at most ``timeout`` seconds, or what is left then is
        dropped."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        if self._timer is not None:
            self._timer.cancel()
        self._hand_over()
        if self._waiting:
            self._emptied = loop.create_future()
            await asyncio.wait([self._emptied], timeout=timeout)
        if self._linking is not None:
            self._linking.cancel()
            await asyncio.wait([self._linking])
        for packet in self._waiting:
            self._drop(packet, "the log helper did not take them in time")
        self._waiting.clear()
        self._close_link()
        if self._complaint is not None:
            self._complaint.cancel()
        self._complain()
        if self._complaint is not None:
            self._complaint.cancel()
        await self._source.close(max(0.0, deadline - loop.time()))
