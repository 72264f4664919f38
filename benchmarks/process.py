"""Processes that a benchmark started: what CPU time and memory they use, and how they are ended.

A server is the leader of a session of its own, so that all that it starts can be found again: what belongs to
the session, and what descends from it. Nothing is ever ended by name.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
"""Ticks per second of the times in /proc."""


@dataclass(frozen=True)
class Stat:
    """The fields of /proc/PID/stat that matter here. Times are in ticks; ``reaped`` is of ended children."""

    pid: int
    state: str
    parent: int
    session: int
    own: int
    reaped: int


def read_stat(pid: int) -> Stat | None:
    """Read one process, or None when it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name stands in parentheses and may hold anything: count fields from the last one.
    fields = text[text.rindex(")") + 2 :].split()
    own, reaped = int(fields[11]) + int(fields[12]), int(fields[13]) + int(fields[14])
    return Stat(pid, fields[0], int(fields[1]), int(fields[3]), own, reaped)


def all_stats() -> Iterator[Stat]:
    """Every process that can be seen."""
    for name in os.listdir("/proc"):
        if name.isdigit() and (stat := read_stat(int(name))):
            yield stat


def members(pid: int) -> dict[int, Stat]:
    """The process, its descendants, and whoever else is in its session."""
    stats = {stat.pid: stat for stat in all_stats()}
    found = {key: stat for key, stat in stats.items() if pid in (key, stat.session)}
    grown = True
    while grown:
        more = {key: stat for key, stat in stats.items() if stat.parent in found and key not in found}
        found |= more
        grown = bool(more)
    return found


def cpu_seconds(pid: int) -> float:
    """CPU seconds, user and system, that the process and all its descendants have used until now.

    A child that ended and was reaped is in its parent's figure, so the sum never falls, and the difference
    of two readings is the CPU time of the span between them.
    """
    return sum(stat.own + stat.reaped for stat in members(pid).values()) / TICKS


@dataclass(frozen=True)
class Memory:
    """Memory of a server in bytes: resident in its largest process, and of all its processes together, where pages
    that are shared count once."""

    largest: int
    together: int


def memory(pid: int) -> Memory:
    """The memory of the process and all its descendants now. Nothing of the kernel's (socket buffers) is in it."""
    rollups = []
    for member in members(pid):
        with suppress(FileNotFoundError, ProcessLookupError):
            lines = Path(f"/proc/{member}/smaps_rollup").read_text().splitlines()[1:]
            rollups.append({line.split(":")[0]: 1024 * int(line.split()[1]) for line in lines})
    return Memory(max(found["Rss"] for found in rollups), sum(found["Pss"] for found in rollups))


def end(process: subprocess.Popen[bytes], patience: float = 10.0) -> list[str]:
    """End a process by SIGTERM, and by SIGKILL after ``patience`` seconds; return what had to be forced."""
    before = members(process.pid)
    process.terminate()
    forced = []
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        forced.append(f"process {process.pid} did not end within {patience:g} s of SIGTERM")
        process.kill()
        process.wait()
    for pid in survivors(process.pid, before):
        forced.append(f"process {pid} outlived the server that started it")
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return forced


def survivors(leader: int, before: dict[int, Stat], patience: float = 2.0) -> list[int]:
    """Those in ``before``, or in the leader's session, that still live after ``patience`` seconds."""

    def known(stat: Stat) -> bool:
        # A number that another process got meanwhile does not count.
        return stat.pid in before and stat.session == before[stat.pid].session

    deadline = time.monotonic() + patience
    while True:
        living = [stat for stat in all_stats() if stat.state != "Z" and (stat.session == leader or known(stat))]
        if not living or time.monotonic() > deadline:
            return [stat.pid for stat in living]
        time.sleep(0.02)
