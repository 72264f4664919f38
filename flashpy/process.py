"""What a process says of itself and wants of the kernel. Standard library only: helpers import it."""

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1


def set_title(title: str) -> None:
    """Write what ``ps`` shows over the process's own arguments (their place: proc_pid_stat(5), fields 48 and 49)."""
    try:
        with open("/proc/self/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        start, end = int(fields[45]), int(fields[46])
        if end > start:
            room = end - start
            ctypes.memmove(start, title.encode()[: room - 1].ljust(room, b"\0"), room)
    except (OSError, IndexError, ValueError):
        pass  # a title is for people; the work does not need it


def die_with(parent: int) -> None:
    """Have the kernel end this process when its parent ends (prctl(2), PR_SET_PDEATHSIG), and end it now if that has
    happened already: between the fork and this call nobody would have told it."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
