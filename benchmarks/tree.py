"""The trees of the stall test: files that do not fit into the memory that the server is given.

A tree follows from its seed alone: the image that holds it and the clients that ask for it need no list.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path

SEED = 1999
HOT = ("/hot.bin", 4096)
"""Path and size in bytes of the one file that the probe asks for."""
SMALLEST, LARGEST = 64, 8_000_000
"""Bounds of the sizes in bytes."""
PER_FOLDER = 100
"""Files in one directory."""


@dataclass(frozen=True)
class Tree:
    """A tree of ``count`` files of log-normal sizes: the median in bytes, and the spread (0: all equal)."""

    name: str
    title: str
    count: int
    median: int
    spread: float
    image_mb: int
    """The size in 10^6 bytes of the ext4 image that holds it."""
    warm_up: float
    """Seconds of load before a measurement. Bodies: about what it takes to fill the memory at the disk's pace.
    Names: short, because all the inodes (12.5 MB) have come in after some 12 seconds, and stay."""

    @cached_property
    def sizes(self) -> list[int]:
        """The sizes in bytes, in the order of popularity; popularity and size are independent."""
        draw = random.Random(SEED)
        middle = math.log(self.median)
        drawn = (round(draw.lognormvariate(middle, self.spread)) for _ in range(self.count))
        return [min(LARGEST, max(SMALLEST, size)) for size in drawn]

    def path(self, number: int) -> str:
        """The path of a file, from its place in the order of popularity."""
        # Popular neighbours shall not be neighbours on the disk as well: 7919 is prime to both counts.
        place = number * 7919 % self.count
        return f"/{place // PER_FOLDER:03}/{place:05}.bin"

    @cached_property
    def files(self) -> list[tuple[str, int]]:
        """Path and size of every file, the most popular first."""
        return [(self.path(number), size) for number, size in enumerate(self.sizes)]

    def zipf(self, exponent: float) -> list[float]:
        """Cumulated weights of the files under Zipf's law."""
        return list(accumulate((rank + 1) ** -exponent for rank in range(self.count)))

    def write(self, root: Path) -> None:
        """Write the tree, in the order of the paths."""
        noise = random.Random(SEED).randbytes(LARGEST)
        for path, size in sorted([*self.files, HOT]):
            place = root / path.lstrip("/")
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(noise[:size])

    def __iter__(self) -> Iterator[tuple[str, int]]:
        return iter(self.files)


TREES = {
    tree.name: tree
    for tree in (
        Tree("bodies", "6,000 files, 600 MB", 6_000, 12 * 1024, 2.085, 900, 8.0),
        Tree("names", "40,000 cold files of 1 KiB", 40_000, 1024, 0.0, 350, 2.0),
    )
}
