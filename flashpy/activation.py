"""Sockets that systemd opened for this process, as sd_listen_fds(3) tells it. Standard library only."""

import os
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from flashpy.addresses import Inherited, parse
from flashpy.errors import StartError

FIRST = 3
"""The number of the first descriptor that is passed (SD_LISTEN_FDS_START)."""

_VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID")


class Passed(NamedTuple):
    """A descriptor, and the name that its unit gave it (``FileDescriptorName=``; by default the unit's own)."""

    fd: int
    name: str


def take_passed() -> list[Passed]:
    """The descriptors that were passed to this process; children get neither them nor the variables that tell of them.

    Raises:
        StartError: the variables are malformed, or tell of what is not open.
    """
    pid, count, names, _ = (os.environ.pop(name, "") for name in _VARIABLES)
    if pid != str(os.getpid()):  # they were meant for another process, which has left them in the environment
        return []
    if not (count.isascii() and count.isdecimal() and len(count) < 7):
        raise StartError(f"LISTEN_FDS is {count!r}, which is no number of descriptors; start flashpy by systemd.")
    numbers = range(FIRST, FIRST + int(count))
    named = names.split(":") if names else ["unknown"] * len(numbers)
    if len(named) != len(numbers):
        raise StartError(
            f"LISTEN_FDNAMES has {len(named)} names for {len(numbers)} descriptors; start flashpy by systemd."
        )
    for fd in numbers:
        try:
            os.set_inheritable(fd, False)
        except OSError:
            raise StartError(f"LISTEN_FDS tells of {count} descriptors, but {fd} is not open.") from None
    return [Passed(fd, name) for fd, name in zip(numbers, named, strict=True)]


def by_number(addresses: Iterable[str], passed: Sequence[Passed]) -> list[str]:
    """The same addresses, with ``fd://N`` for each socket that ``fd://NAME`` stands for.

    Raises:
        StartError: no socket of that name was passed.
        ValueError: an address means nothing; the text is one plain sentence.
    """
    numbered: list[str] = []
    for text in addresses:
        address = parse(text)
        if not isinstance(address, Inherited) or address.name.isdecimal():
            numbered.append(text)
            continue
        found = [f"fd://{fd}" for fd, name in passed if name == address.name]
        if not found:
            names = ", ".join(sorted({name for _, name in passed})) or "none"
            raise StartError(f"{text}: systemd passed no socket of this name; it passed: {names}.")
        numbered += found
    return numbered
