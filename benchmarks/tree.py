"""Trees of files of log-normal sizes, that are asked for under Zipf's law.

A tree follows from its seed alone: whoever writes it and whoever asks for it need no list.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator
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
    suffixes: tuple[str, ...] = (".bin",)

    @cached_property
    def sizes(self) -> list[int]:
        """The sizes in bytes, in the order of popularity; popularity and size are independent."""
        draw = random.Random(SEED)
        middle = math.log(self.median)
        drawn = (round(draw.lognormvariate(middle, self.spread)) for _ in range(self.count))
        return [min(LARGEST, max(SMALLEST, size)) for size in drawn]

    def path(self, number: int) -> str:
        """The path of a file, from its place in the order of popularity."""
        # Popular neighbours shall not be neighbours on the disk as well: 7919 is prime to every count.
        place = number * 7919 % self.count
        return f"/{place // PER_FOLDER:03}/{place:05}{self.suffixes[place % len(self.suffixes)]}"

    @cached_property
    def files(self) -> list[tuple[str, int]]:
        """Path and size of every file, the most popular first."""
        return [(self.path(number), size) for number, size in enumerate(self.sizes)]

    def zipf(self, exponent: float) -> list[float]:
        """Cumulated weights of the files under Zipf's law."""
        return list(accumulate((rank + 1) ** -exponent for rank in range(self.count)))

    def write(self, root: Path) -> None:
        """Write the tree, in the order of the paths."""
        write_files(root, sorted(self.files))

    def __iter__(self) -> Iterator[tuple[str, int]]:
        return iter(self.files)


@dataclass(frozen=True)
class DiskTree(Tree):
    """A tree of the stall test, on an image of its own, with the hot file beside it. It does not fit into the memory
    that the server is given."""

    image_mb: int = 0
    """The size in 10^6 bytes of the ext4 image that holds it."""
    warm_up: float = 0.0
    """Seconds of load before a measurement. Bodies: about what it takes to fill the memory at the disk's pace.
    Names: short, because all the inodes (12.5 MB) have come in after some 12 seconds, and stay."""

    @property
    def inodes(self) -> int:
        """Files and directories that its image has room for."""
        return self.count * 5 // 4

    def write(self, root: Path) -> None:
        """Write the tree and the hot file, in the order of the paths."""
        write_files(root, sorted([*self.files, HOT]))


@dataclass(frozen=True)
class BesideTree(DiskTree):
    """A tree of the stall test that has large texts too, and one directory of very many names."""

    texts: tuple[str, ...] = tuple(f"/texts/{number:02}.txt" for number in range(24))
    text_bytes: int = 3_000_000
    many: str = "/many/"
    names: int = 100_000

    @property
    def inodes(self) -> int:
        """Files and directories that its image has room for."""
        return super().inodes + self.names + 100

    def write(self, root: Path) -> None:
        """Write the tree, the texts and the names."""
        super().write(root)
        draw = random.Random(SEED)
        words = ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randint(2, 9))) for _ in range(5_000)]
        (root / "texts").mkdir()
        for path in self.texts:
            text = " ".join(draw.choices(words, k=self.text_bytes // 3))[: self.text_bytes]
            (root / path.lstrip("/")).write_text(text)
        directory = root / self.many.strip("/")
        directory.mkdir()
        for number in range(self.names):
            (directory / f"name-{number:06}.txt").touch()


def write_files(root: Path, files: Iterable[tuple[str, int]]) -> None:
    """Write files of given paths and sizes in bytes below ``root``; their content is random, and always the same."""
    noise = b""
    for path, size in files:
        if size > len(noise):
            noise = random.Random(SEED).randbytes(size)
        place = root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(noise[:size])


TREES = {
    tree.name: tree
    for tree in (
        DiskTree("bodies", "6,000 files, 600 MB", 6_000, 12 * 1024, 2.085, image_mb=900, warm_up=8.0),
        DiskTree("names", "40,000 cold files of 1 KiB", 40_000, 1024, 0.0, image_mb=350, warm_up=2.0),
        BesideTree("beside", "6,000 files, 600 MB", 6_000, 12 * 1024, 2.085, image_mb=1050, warm_up=8.0),
    )
}
