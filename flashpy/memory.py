"""How much memory this process may use: the machine's, or less where a control group says so (cgroups(7))."""

import os
from pathlib import Path

_PROC, _SYS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


def memory_limit(membership: Path = _PROC, mounted: Path = _SYS) -> int:
    """The least of the machine's memory and the limits of the process's control groups and their parents, in bytes.

    ``membership`` and ``mounted`` are where the kernel shows the groups; both versions of cgroups are understood.
    """
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return limits[0]
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if not controllers:  # version 2
            limits += _limits(mounted, group, "memory.max") + _limits(mounted / "unified", group, "memory.max")
        elif "memory" in controllers.split(","):
            limits += _limits(mounted / "memory", group, "memory.limit_in_bytes")
    return min(limits)


def _limits(base: Path, group: str, name: str) -> list[int]:
    """The limits of a group and of all above it. In a container, the group's path may be that of the host: then only
    the base says something."""
    found: list[int] = []
    place = Path(group.lstrip("/"))
    for part in (place, *place.parents):
        try:
            text = (base / part / name).read_text().strip()
        except OSError:
            continue
        if text.isdecimal():  # not "max"
            found.append(int(text))
    return found
