"""A small disk of one's own: an ext4 image on a loop device, mounted afresh whenever it is to be cold.

The machine's own disk is neither slowed nor emptied from its caches: unmounting drops what the kernel knows
of this file system, and of nothing else. The device bypasses the cache of the file under it (direct I/O),
otherwise everything would be in memory twice.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from benchmarks.harness import UnavailableError


class Imaged(Protocol):
    """What an image is made of: a tree, in so many 10^6 bytes, with room for so many files and directories."""

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def image_mb(self) -> int: ...
    @property
    def inodes(self) -> int: ...
    def write(self, root: Path) -> None:
        """Write the files."""
        ...


READ_AHEAD_KIB = 128
"""What disks usually have; the default of loop devices is far larger."""
SECTOR = 512
"""Bytes in the unit of /sys/block/DEVICE/stat."""
PROGRAMS = ("losetup", "mkfs.ext4", "mount", "umount", "blockdev")


def call(*command: str) -> str:
    """Run a command and return what it printed; where it fails, the benchmark cannot be run."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().replace("\n", " ")
        raise UnavailableError(f"The command {command[0]} does not work here: {said}.")
    return done.stdout.strip()


class Read(NamedTuple):
    """Reads of a device, and their bytes together."""

    reads: int
    octets: int


@dataclass(frozen=True)
class Device:
    """A loop device that is attached to an image."""

    path: str

    @property
    def number(self) -> str:
        """Major and minor number, as control groups want them."""
        device = os.stat(self.path).st_rdev
        return f"{os.major(device)}:{os.minor(device)}"

    def setting(self, name: str) -> Path:
        """One of its files in /sys/block."""
        return Path("/sys/block") / Path(self.path).name / name

    def read(self) -> Read:
        """What has been read from it until now."""
        reads, _, sectors, *_ = self.setting("stat").read_text().split()
        return Read(int(reads), int(sectors) * SECTOR)


@contextmanager
def attached(image: Path, writable: bool = False) -> Iterator[Device]:
    """Attach the image to a loop device for the time of the block."""
    mode = () if writable else ("--read-only",)
    device = Device(call("losetup", "--find", "--show", "--direct-io=on", *mode, str(image)))
    try:
        if device.setting("loop/dio").read_text().strip() != "1":
            raise UnavailableError("The file system of the scratch directory does not allow direct I/O.")
        device.setting("queue/read_ahead_kb").write_text(str(READ_AHEAD_KIB))
        yield device
    finally:
        call("losetup", "--detach", device.path)


@contextmanager
def mounted(device: Device, place: Path, writable: bool = False) -> Iterator[Path]:
    """Mount the device for the time of the block; nothing of it is in memory when the block is entered."""
    place.mkdir(parents=True, exist_ok=True)
    call("blockdev", "--flushbufs", device.path)
    call("mount", "-t", "ext4", "-o", "noatime,rw" if writable else "noatime,ro", device.path, str(place))
    try:
        yield place
    finally:
        unmount(place)
        place.rmdir()


def unmount(place: Path, attempts: int = 50) -> None:
    """Unmount; a descriptor that an ending process still holds is waited for, and in the end left behind."""
    for _ in range(attempts):
        if subprocess.run(["umount", str(place)], capture_output=True, check=False).returncode == 0:
            return
        time.sleep(0.1)
    print(f"warning: {place} is busy and was unmounted lazily", file=sys.stderr)
    call("umount", "--lazy", str(place))


def image_of(tree: Imaged, scratch: Path) -> Path:
    """The image that holds the tree; it is built where the scratch directory does not have it yet."""
    ready = scratch / f"{tree.name}.img"
    if not ready.exists():
        unfinished = scratch / f"{tree.name}.unfinished"
        try:
            build(tree, unfinished, scratch / "building")
            unfinished.rename(ready)
        finally:
            unfinished.unlink(missing_ok=True)
    return ready


def build(tree: Imaged, image: Path, place: Path) -> None:
    """Make the image: allocate it, make the file system, write the tree."""
    print(f"building the image: {tree.title}", flush=True)
    with image.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, tree.image_mb * 1_000_000)
    # Small images would get small blocks, and with them many more reads for the same inodes.
    blocks = "-b", "4096", "-I", "256"
    # Nothing may be left to be initialised later, or the kernel would do it during the measurements.
    eager = "lazy_itable_init=0,lazy_journal_init=0"
    call("mkfs.ext4", "-q", "-F", *blocks, "-m", "0", "-N", str(tree.inodes), "-E", eager, str(image))
    with attached(image, writable=True) as device, mounted(device, place, writable=True):
        tree.write(place)
