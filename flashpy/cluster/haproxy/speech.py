"""What HAProxy says and is told: lines of its log, its statistics, entries of its stick table. Pure.

A target is known by the number that HAProxy has made of its path (xxh32), here and in its table. Not a byte that a
client has sent comes into what is written to its command line, where ``;`` and the end of a line begin a command.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from flashpy.cluster.nodes import Standing

LOG_FORMAT = "%[var(txn.lard)] %s %ST %B"
"""As in the configuration: the number of the path, the server, the status, the bytes of the answer."""
_LINE = re.compile(rb"(\d{1,10}) ([!-~]{1,200}) (\d{3}) (\d{1,19})\s*")
_PID = re.compile(r"^Pid: (\d+)$", re.MULTILINE)
_STANDINGS = {"UP": Standing.UP, "no": Standing.UP, "NOLB": Standing.DRAINING, "DRAIN": Standing.DRAINING}
"""By the first word of a server's status ("no check", "UP 1/3"); any other is DOWN."""


class Request(NamedTuple):
    """A request that has been answered: the number of its path, by whom, how, with how many bytes."""

    target: int
    server: str
    status: int
    size: int


class Server(NamedTuple):
    """A server of the backend: its name, its number (``sid``), its connections and what waits for it, its weight."""

    name: str
    number: int
    load: int
    weight: int
    standing: Standing


class Statistics(NamedTuple):
    """Which process has answered, and how its servers are."""

    pid: int
    servers: Sequence[Server]


def request_of(line: bytes) -> Request | None:
    """What a line of the log tells; None if it has another form, as that of a request without a path."""
    found = _LINE.fullmatch(line)
    if found is None:
        return None
    return Request(int(found[1]), found[2].decode("ascii"), int(found[3]), int(found[4]))


def asking(backend: str) -> str:
    """The commands whose answer ``statistics_of`` reads."""
    return f"show info;show stat {backend} 4 -1\n"


def statistics_of(text: str) -> Statistics:
    """What HAProxy has answered.

    Raises:
        ValueError: it is something else; the text is what it said.
    """
    pid, start = _PID.search(text), text.find("# pxname,")
    if pid is None or start < 0:
        raise ValueError(text.strip().rpartition("\n")[2] or "it said nothing")
    rows = csv.DictReader(text[start + 2 :].splitlines())
    return Statistics(int(pid[1]), [_server(row) for row in rows if row["svname"]])


def _server(row: dict[str, str]) -> Server:
    standing = _STANDINGS.get(row["status"].split(" ")[0], Standing.DOWN)
    return Server(row["svname"], int(row["sid"]), int(row["scur"]) + int(row["qcur"]), int(row["weight"]), standing)


def entries(table: str, decided: Iterable[tuple[int, int]], most: int = 200) -> Iterator[str]:
    """The commands that put targets with their servers' numbers into the table, so many to a line: HAProxy reads a line
    of 16 KiB at most (tune.bufsize)."""
    commands = [f"set table {table} key {target} data.server_id {server}" for target, server in decided]
    for first in range(0, len(commands), most):
        yield ";".join(commands[first : first + most]) + "\n"
