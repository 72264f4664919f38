"""The server's side of the log helper (job.logwriter), without an event loop: for whoever started it."""

import contextlib
import logging
import os
import socket
import sys
from typing import NamedTuple

from flashpy.errors import StartError
from flashpy.job.logwriter import LONGEST_PACKET, PRODUCER, REPORT, WRITE_TO
from flashpy.job.programs import send_with

_log = logging.getLogger("flashpy.access")

STANDARD_OUTPUT = 1


def open_log(path: str) -> int:
    """A descriptor for appending lines to a file, and for reading where that is one of the kind and lets itself be read
    (see job.logwriter.WRITE_TO); for ``-`` that of the standard output, which stays its owner's.

    Raises:
        StartError: it cannot be opened.
    """
    if path == "-":
        if sys.stdout is None:
            raise StartError("There is no standard output for the access log; give it a file (log.access_file).")
        return STANDARD_OUTPUT
    flags = os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    try:
        if os.path.isfile(path) or not os.path.exists(path):
            with contextlib.suppress(PermissionError):
                return os.open(path, os.O_RDWR | flags, 0o666)
        return os.open(path, os.O_WRONLY | flags, 0o666)
    except OSError as error:
        raise StartError(f"The access log {path} cannot be opened: {error.strerror}.") from None


def close_log(fd: int) -> None:
    """Close what ``open_log`` has opened."""
    if fd != STANDARD_OUTPUT:
        os.close(fd)


def producer_link() -> tuple[socket.socket, socket.socket]:
    """A link from a producer of lines to the log helper: the producer's end, non-blocking, and the helper's.

    Who keeps the helper's end open beside the helper can hand it to another helper when that one dies: then what is on
    the link is not lost, and the producer does not notice.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    return ours, theirs


def left_on(reading: socket.socket) -> int:
    """How many lines are left on a link that nobody reads any more; it is empty afterwards."""
    lines = 0
    try:
        while packet := reading.recv(LONGEST_PACKET, socket.MSG_DONTWAIT):
            lines += packet.count(b"\n")
    except OSError:
        pass  # no more are there
    return lines


class Report(NamedTuple):
    """So many lines were dropped since the last report, the last of them for this reason (an errno)."""

    lines: int
    error: int

    def log(self) -> None:
        """Say so in the error log."""
        _log.error("%d lines of the access log are missing: %s.", self.lines, os.strerror(self.error))


class LogHelper:
    """A log helper that runs. ``control`` is our end of its link, which is non-blocking (event.programs.spawn); when it
    is readable, ask for ``reports``."""

    def __init__(self, control: socket.socket) -> None:
        self.control = control
        self.gone = False
        """It has ended; known by ``reports``."""

    def write_to(self, fd: int) -> None:
        """Have it write to this file from now on; the descriptor may be closed then.

        Raises:
            OSError: it has ended, or takes nothing.
        """
        send_with(self.control, [WRITE_TO], [fd])

    def add_producer(self, fd: int) -> None:
        """Have it read from this end of a producer's link too.

        Raises:
            OSError: it has ended, or takes nothing.
        """
        send_with(self.control, [PRODUCER], [fd])

    def reports(self) -> list[Report]:
        """What it has reported; never waits."""
        found: list[Report] = []
        while not self.gone:
            try:
                message = self.control.recv(REPORT.size)
            except BlockingIOError:
                break
            except OSError:
                message = b""
            if message:
                found.append(Report(*REPORT.unpack(message)))
            else:
                self.gone = True
        return found

    def finish(self) -> None:
        """Let it end when its producers have ended and all is written; reports may still come."""
        try:
            self.control.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it has ended already
