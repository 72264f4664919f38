"""The access log's writer: records are handed over in the request path, rendered some at a time, and written off it."""

import asyncio
import contextlib
import logging
import os
import sys

import aiofiles
import aiofiles.threadpool.binary

from flashpy.errors import StartError
from flashpy.log import Record, combined

_log = logging.getLogger("flashpy.access")

PAUSE = 0.1
"""Seconds in which lines gather before they are written."""
BATCH = 200
"""Records rendered in one go: so many that the code and what it needs are in the processor's caches, so few that the
loop is not held for long (0.1 ms)."""
ROOM = 16 * 2**20
"""Bytes of lines that may wait; when a disk is too slow for more, lines are dropped and counted."""


def open_log(path: str) -> int:
    """A descriptor for appending lines to a file; for ``-`` that of the standard output, which stays its owner's.

    Raises:
        StartError: it cannot be opened.
    """
    if path == "-":
        if sys.stdout is None:
            raise StartError("There is no standard output for the access log; give it a file (log.access_file).")
        return 1
    try:
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise StartError(f"The access log {path} cannot be opened: {error.strerror}.") from None


class AccessLog:
    """Writes lines to a file, or to standard output for ``-``."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._records: list[Record] = []
        self._lines: list[bytes] = []  # of a batch each
        self._room = ROOM
        self._dropped = 0
        self._wake = asyncio.Event()
        self._file: aiofiles.threadpool.binary.AsyncBufferedIOBase | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    async def start(self) -> None:
        """Open the file for appending.

        Raises:
            StartError: it cannot be opened.
        """
        fd = open_log(self._path)
        if self._path != "-":
            self._file = await aiofiles.open(fd, "ab")
        self._task = asyncio.create_task(self._write_all())

    def add(self, record: Record) -> None:
        """Hand over a record; never waits."""
        records = self._records
        records.append(record)
        if len(records) == 1:
            self._wake.set()
        elif len(records) == BATCH:
            self._render()

    def _render(self) -> None:
        count, lines = len(self._records), combined(self._records)
        self._records.clear()
        if len(lines) > self._room:
            self._dropped += count
        else:
            self._room -= len(lines)
            self._lines.append(lines)

    async def close(self) -> None:
        """Write what was handed over, and close."""
        self._closing = True
        self._wake.set()
        if self._task is not None:
            await self._task
        if self._file is not None:
            with contextlib.suppress(OSError):
                await self._file.close()

    async def _write_all(self) -> None:
        while True:
            await self._wake.wait()
            if not self._closing:
                await asyncio.sleep(PAUSE)
            self._wake.clear()
            while self._records or self._lines:
                self._render()
                lines, self._lines, self._room = self._lines, [], ROOM
                await self._write(b"".join(lines))
            if self._dropped:
                _log.warning(
                    "%d lines of the access log are missing: they could not be written, or not fast enough.",
                    self._dropped,
                )
                self._dropped = 0
            if self._closing:
                return

    async def _write(self, lines: bytes) -> None:
        try:
            if self._file is None:
                await aiofiles.stdout_bytes.write(lines)
                await aiofiles.stdout_bytes.flush()
            else:
                await self._file.write(lines)
                await self._file.flush()
        except (OSError, ValueError) as error:
            self._dropped += lines.count(b"\n")
            _log.error("The access log cannot be written: %s", error)
