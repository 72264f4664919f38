"""Which device a path lies on, from the kernel's table of mounts: no disk is asked, which may be dead.

A symbolic link to another file system is not seen here. What it leads to is known once it has been found.
"""

import os
import re

_OCTAL = re.compile(rb"\\([0-7]{3})")


def parse(text: bytes) -> dict[bytes, int]:
    """The device numbers (as stat(2) gives them) by mount point; of several on one point the last is on top.

    ``text`` is that of /proc/self/mountinfo (proc_pid_mountinfo(5)).
    """
    found: dict[bytes, int] = {}
    for line in text.splitlines():
        fields = line.split(b" ")
        if len(fields) < 5:
            continue
        major, _, minor = fields[2].partition(b":")
        point = _OCTAL.sub(lambda match: bytes((int(match[1], 8),)), fields[4])
        found[point] = os.makedev(int(major), int(minor))
    return found


class Places:
    """The devices beneath one directory, given by its real path and its own device."""

    __slots__ = ("_below", "device")

    def __init__(self, root: bytes, device: int, mounts: dict[bytes, int]) -> None:
        base = root.rstrip(b"/") + b"/"
        self.device = device
        below = {point[len(base) - 1 :]: number for point, number in mounts.items() if point.startswith(base)}
        self._below = sorted(below.items(), key=lambda item: -len(item[0]))

    def device_of(self, path: bytes) -> int:
        """The device of a path, which begins with "/" and is taken from the directory."""
        for point, device in self._below:
            if path.startswith(point) and path[len(point) : len(point) + 1] in (b"", b"/"):
                return device
        return self.device
