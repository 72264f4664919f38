"""How a front-end leaves to its successor who has which target (cluster.bequest): in a file in memory, some of it at a
time, so that neither process keeps a client waiting."""

import asyncio
import fcntl
import os
from collections.abc import Iterable

from flashpy.cluster.bequest import packed, parts_in, restore
from flashpy.cluster.mapping import Mapping

AT_A_TIME = 500
"""Server sets that are written or read before others have their turn: about 2 ms. (To find out which there are is one
turn, of 25 ms for 150,000, in the process that is relieved.)"""
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


async def leave(mapping: Mapping, warm: Iterable[str], places: dict[str, str], now: float) -> int:
    """A sealed file (memfd_create(2)) with all of a mapping and the nodes that are warm; the caller's, to be closed.

    Raises:
        OSError: there is no memory for it.
    """
    fd = os.memfd_create("flashpy-mapping", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        with open(fd, "wb", closefd=False) as file:
            file.write(packed([], places, now, warm))
            for some in mapping.by_use(AT_A_TIME):
                file.write(packed(some, places, now))
                await asyncio.sleep(0)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
    except BaseException:
        os.close(fd)
        raise
    return fd


async def take(fd: int, mapping: Mapping, places: dict[str, str], now: float) -> set[str]:
    """Put what is in such a file into a mapping; the nodes that are in it.

    Raises:
        ValueError: there is something else in it; a part of it may have been put.
        OSError: it cannot be read.
    """
    names: set[str] = set()
    with open(fd, "rb", closefd=False) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        for part in parts_in(file, size):
            names |= restore(mapping, part, places, now)
            await asyncio.sleep(0)
    return names
