"""Control groups that give a server little memory and a slow disk, in version 1 and in version 2.

A server is put into them before it is executed: pages belong to the group that touches them first. The
throttle is a separate act, because a server is neither started nor stopped under it.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import NamedTuple

from benchmarks.harness import UnavailableError

MEMORY = 128 << 20
"""Bytes of memory that the server and its page cache have, where nothing else is asked for."""
READ_BYTES = 20_000_000
"""Bytes per second that may be read from the disk."""
READS = 300
"""Reads per second that the disk may do."""


class Pace(NamedTuple):
    """How fast a disk may be: bytes and reads per second."""

    octets: int
    reads: int


PACE = Pace(READ_BYTES, READS)

ROOT = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Version1:
    """One group in the memory hierarchy, and one in that of block devices."""

    name: str

    @property
    def groups(self) -> tuple[Path, ...]:
        """The groups that a server enters; the memory group is the first."""
        return ROOT / "memory" / self.name, ROOT / "blkio" / self.name

    def limit(self, memory: int) -> None:
        """Limit the memory, to so many bytes."""
        (self.groups[0] / "memory.limit_in_bytes").write_text(str(memory))

    def throttle(self, device: str, pace: Pace | None) -> None:
        """Slow the reads from a device (major:minor) down, or let them go free (0 means no limit)."""
        for name, value in zip(("read_bps_device", "read_iops_device"), pace or (0, 0), strict=True):
            (self.groups[1] / f"blkio.throttle.{name}").write_text(f"{device} {value}")

    def own_memory(self) -> int:
        """Bytes of memory that are the processes' own, not page cache."""
        return read_figure(self.groups[0] / "memory.stat", "rss")

    @staticmethod
    def usable() -> bool:
        """Whether both hierarchies are there and may be written."""
        files = ROOT / "memory" / "memory.limit_in_bytes", ROOT / "blkio" / "blkio.throttle.read_bps_device"
        return all(file.exists() and os.access(file.parent, os.W_OK) for file in files)


@dataclass(frozen=True)
class Version2:
    """One group with the controllers memory and io."""

    name: str

    @property
    def groups(self) -> tuple[Path, ...]:
        """The group that a server enters."""
        return (ROOT / self.name,)

    def limit(self, memory: int) -> None:
        """Limit the memory, to so many bytes; swapping out is no way around it."""
        (self.groups[0] / "memory.max").write_text(str(memory))
        swap = self.groups[0] / "memory.swap.max"
        if swap.exists():
            swap.write_text("0")

    def throttle(self, device: str, pace: Pace | None) -> None:
        """Slow the reads from a device (major:minor) down, or let them go free."""
        rbps, riops = pace or ("max", "max")
        (self.groups[0] / "io.max").write_text(f"{device} rbps={rbps} riops={riops}")

    def own_memory(self) -> int:
        """Bytes of memory that are the processes' own, not page cache."""
        return read_figure(self.groups[0] / "memory.stat", "anon")

    @staticmethod
    def usable() -> bool:
        """Whether the controllers are there, and can be switched on for groups of ours."""
        control = ROOT / "cgroup.subtree_control"
        try:
            if not {"memory", "io"} <= set((ROOT / "cgroup.controllers").read_text().split()):
                return False
            if not {"memory", "io"} <= set(control.read_text().split()):
                control.write_text("+memory +io")
        except OSError:
            return False
        return True


Groups = Version1 | Version2


def read_figure(file: Path, key: str) -> int:
    """One figure of a file that has a key and a figure on each line."""
    return next(int(line.split()[1]) for line in file.read_text().splitlines() if line.split()[0] == key)


def need_root(what: str) -> None:
    """Insist on root, and on control groups that can be used."""
    if os.geteuid():
        raise UnavailableError(f"{what} measured on an image that is mounted, in control groups; that needs root.")
    version()


def version() -> type[Version1] | type[Version2]:
    """Which version of control groups can be used here."""
    for kind in (Version1, Version2):
        if kind.usable():
            return kind
    raise UnavailableError("Control groups for memory and block devices cannot be used here.")


@contextmanager
def confined(memory: int = MEMORY, name: str = "server") -> Iterator[Groups]:
    """Make the groups for the time of the block, with the memory limit set and the disk free. Several at a time have a
    name each."""
    groups = version()(f"flashpy-benchmark-{os.getpid()}-{name}")
    try:
        for folder in groups.groups:
            folder.mkdir()
        groups.limit(memory)
        yield groups
    finally:
        for folder in groups.groups:
            remove(folder)


def remove(folder: Path, attempts: int = 50) -> None:
    """Remove a group; a process that is just ending is waited for."""
    for _ in range(attempts):
        with suppress(OSError):
            folder.rmdir()
        if not folder.exists():
            return
        time.sleep(0.1)
    print(f"warning: the control group {folder} is still in use and was left", file=sys.stderr)


def entering(groups: Groups) -> list[str]:
    """A command that enters the groups and then executes what follows it."""
    enter = "".join(f"echo $$ > {quote(str(folder))}/cgroup.procs && " for folder in groups.groups)
    return ["sh", "-c", enter + 'exec "$@"', "sh"]
