"""flashpy with one thing done in another way, for comparison: ``python -m benchmarks.ways WAY [ARGUMENTS...]``.

Ways of testing and sending windows that are cold (flashpy itself: cachestat and RWF_NOWAIT probes, then sendfile for
what is hot, and preadv2(RWF_NOWAIT) and send for what a helper has just loaded):

- ``sendfile``: the same tests, and sendfile for all;
- ``probes``: RWF_NOWAIT probes alone, and sendfile for all.

Ways of keeping a scan from driving out what is hot (flashpy itself: helpers load by a populated mapping, which does not
count as use of the pages):

- ``read``: helpers load by reading;
- ``dontneed``: what had to be loaded is dropped as soon as it has been sent (POSIX_FADV_DONTNEED).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from flashpy.buffers import Slice
from flashpy.cache.residency import Residency
from flashpy.cli import main as flashpy
from flashpy.event import programs
from flashpy.event.output import Output

HERE = Path(__file__).resolve().parent


def sendfile() -> None:
    """Send by sendfile even what has just been loaded."""
    Output._send_by_memory = Output._send_file  # type: ignore[method-assign]


def probes() -> None:
    """Ask cachestat nothing."""
    sendfile()
    Residency._all_cached = lambda self, fd, offset, length: None  # type: ignore[method-assign]


def read() -> None:
    """Have helpers read."""
    programs.helper_program = lambda name: HERE / "peers" / f"{name}_read.py"


def dontneed() -> None:
    """Drop what had to be loaded behind what is sent of it."""
    send = Output._send_by_memory

    def send_and_drop(self: Output, piece: Slice) -> int:
        sent = send(self, piece)
        if sent > 0:
            os.posix_fadvise(piece.file.fd, piece.offset, sent, os.POSIX_FADV_DONTNEED)
        return sent

    Output._send_by_memory = send_and_drop  # type: ignore[method-assign]


WAYS: dict[str, Callable[[], None]] = {"sendfile": sendfile, "probes": probes, "read": read, "dontneed": dontneed}

if __name__ == "__main__":
    WAYS[sys.argv[1]]()
    flashpy(sys.argv[2:])
