"""What a service tells systemd of itself: sd_notify(3). Standard library only.

Without ``NOTIFY_SOCKET`` nothing is said. Nothing here fails: that the service manager does not hear is no reason not
to serve.
"""

import logging
import os
import socket
import time

_log = logging.getLogger("flashpy.notify")

PATIENCE = 1.0
"""Seconds that a message may wait for room in the manager's queue."""


def ready(status: str = "") -> None:
    """The service is up, or has its new configuration after ``reloading``."""
    _tell("READY=1", *([_status(status)] if status else []))


def reloading() -> None:
    """A new configuration is being read; ``ready`` follows, whatever has come of it. The time tells the manager that
    this is the answer to its signal (``Type=notify-reload``)."""
    _tell("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")


def stopping() -> None:
    """The service is ending."""
    _tell("STOPPING=1")


def status(text: str) -> None:
    """What ``systemctl status`` shows: one line for people."""
    _tell(_status(text))


def watchdog() -> None:
    """The service is alive; due at least every ``watchdog_interval``."""
    _tell("WATCHDOG=1")


def main_pid(pid: int) -> None:
    """Another process is the service's main process from now on."""
    _tell(f"MAINPID={pid}")


def watchdog_interval() -> float | None:
    """Seconds between two calls of ``watchdog``: half of what the manager waits for (sd_watchdog_enabled(3)). None: it
    does not wait, or not for this process."""
    time_left, pid = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if pid not in ("", str(os.getpid())):
        return None
    if not (time_left.isascii() and time_left.isdecimal()) or int(time_left[:20]) == 0:
        return None
    return int(time_left[:20]) / 2_000_000


def _status(text: str) -> str:
    return "STATUS=" + " ".join(text.splitlines())


def _tell(*assignments: str) -> None:
    name = os.environ.get("NOTIFY_SOCKET", "")
    if not name:
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.settimeout(PATIENCE)
            sock.connect("\0" + name[1:] if name[0] == "@" else name)
            sock.send("\n".join(assignments).encode(errors="replace"))
    except OSError as error:
        _log.debug("The service manager at %s was not told %s: %s.", name, assignments[0], error.strerror or error)
