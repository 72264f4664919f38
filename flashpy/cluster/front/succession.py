"""How a front-end leaves to its successor who has joined, and who has which target (cluster.bequest): in a file in
memory, some of it at a time, so that neither process keeps a client waiting."""

import asyncio
import fcntl
import os
from collections.abc import Callable, Iterable, Sequence

from flashpy.cluster.bequest import Joined, packed, parts_in, restore
from flashpy.cluster.mapping import Mapping

AT_A_TIME = 500
"""Server sets that are written or read before others have their turn: about 2 ms. (To find out which there are is one
turn, of 25 ms for 150,000, in the process that is relieved.)"""
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


async def leave(
    mapping: Mapping | None, warm: Iterable[str], joined: Sequence[Joined], places: dict[str, str], now: float
) -> int:
    """A sealed file (memfd_create(2)) with all of a mapping, if there is one, and the nodes that are warm, or have
    joined; the caller's, to be closed.

    Raises:
        OSError: there is no memory for it.
    """
    fd = os.memfd_create("flashpy-mapping", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        with open(fd, "wb", closefd=False) as file:
            file.write(packed([], places, now, warm, joined))
            for some in mapping.by_use(AT_A_TIME) if mapping is not None else ():
                file.write(packed(some, places, now))
                await asyncio.sleep(0)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
    except BaseException:
        os.close(fd)
        raise
    return fd


async def take(
    fd: int, mapping: Mapping | None, join: Callable[[Joined], None], places: dict[str, str], now: float
) -> set[str]:
    """Put what is in such a file into a mapping, if there is one, and let nodes join; those that are in it.

    Raises:
        ValueError: there is something else in it; a part of it may have been put.
        OSError: it cannot be read.
    """
    names: set[str] = set()
    with open(fd, "rb", closefd=False) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        for part in parts_in(file, size):
            for node in part.joined:
                join(node)
            if mapping is not None:
                names |= restore(mapping, part, places, now)
            await asyncio.sleep(0)
    return names
