"""A day of a real server's log, and the files that it tells of: NASA's web server at the Kennedy Space Center,
1 August 1995, as published in the Internet Traffic Archive, with clients as numbers.

Only what a server of files would answer with a file is kept: GET of plain paths, without a query, that got 200 or 304.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import unquote

LOG = Path(__file__).resolve().parent / "traces" / "nasa-1995-08-01.csv.gz"
PROGRAMS = ("/cgi-bin/", "/htbin/")
"""Folders whose paths name programs, not files."""


@dataclass(frozen=True)
class Line:
    """One request of the log: its path as it was sent, and whether the client had the file already (304)."""

    path: str
    had_it: bool


@cache
def kept() -> tuple[list[Line], dict[str, int]]:
    """The requests in their order, and the size in bytes of each file."""
    rows = list(wanted())
    sizes: dict[str, int] = {}
    for row in rows:
        if row["status"] == "200":
            # Some were sent in part only, and some changed: the largest answer is taken for the file.
            name = file_of(row["path"])
            sizes[name] = max(sizes.get(name, 0), int(row["bytes"]))
    lines = [Line(row["path"], row["status"] == "304") for row in rows if file_of(row["path"]) in sizes]
    return lines, sizes


def wanted() -> Iterator[dict[str, str]]:
    """The rows of the log that ask for a file and got it."""
    with gzip.open(LOG, "rt", newline="") as file:
        for row in csv.DictReader(file):
            path = row["path"]
            if row["method"] != "GET" or row["status"] not in ("200", "304"):
                continue
            if "?" not in path and "//" not in path and not path.startswith(PROGRAMS):
                yield row


def file_of(path: str) -> str:
    """The file that a path names, as a path too: its escapes decoded, the index file for a folder."""
    name = unquote(path)
    return f"{name}index.html" if name.endswith("/") else name


def size_of(path: str) -> int:
    """The size in bytes of the file that a path names."""
    return kept()[1][file_of(path)]
