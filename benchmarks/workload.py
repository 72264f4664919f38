"""What the replayed cases ask for: lists of requests, and the validators that each server gave for its files."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from pathlib import Path

from benchmarks import trace
from benchmarks.heads import Head, heads
from benchmarks.servers import Server
from benchmarks.tree import Tree

SEED = 2000
EXPONENT = 0.8
"""Zipf's exponent."""
LENGTH = 20_000
"""Requests in a list that is drawn; it is replayed in a loop."""
ZIPF = Tree(
    "zipf", "2,000 files of 8 KiB in the median", 2_000, 8 * 1024, 1.0, (".html", ".css", ".js", ".png", ".jpg")
)


PLAIN = Head("")
"""No more than what every request has."""


@dataclass(frozen=True)
class Ask:
    """One request: its path, the size of the file in bytes, its fields after Host, and what makes it conditional."""

    path: str
    size: int
    head: Head = PLAIN


@cache
def short() -> list[Ask]:
    """Files of the tree under Zipf's law, with no more than a Host field."""
    draw = random.Random(SEED)
    chosen = draw.choices(ZIPF.files, cum_weights=ZIPF.zipf(EXPONENT), k=LENGTH)
    return [Ask(path, size) for path, size in chosen]


@cache
def browsers() -> list[Ask]:
    """The same files in the same order, with a browser's head each."""
    draw, known = random.Random(SEED + 1), heads()
    return [Ask(ask.path, ask.size, draw.choice(known)) for ask in short()]


@cache
def replay() -> list[Ask]:
    """The requests of the trace; those that were answered with 304 are conditional by date."""
    lines, sizes = trace.kept()
    conditional = Head("", "If-Modified-Since")
    return [Ask(x.path, sizes[trace.file_of(x.path)], conditional if x.had_it else PLAIN) for x in lines]


def validators(server: Server, asks: Iterable[Ask]) -> dict[tuple[str, str], str]:
    """Per path and conditional field: the value that the server gave. Without one the request is not conditional."""
    source = {"If-None-Match": "etag", "If-Modified-Since": "last-modified"}
    paths = sorted({ask.path for ask in asks if ask.head.condition})
    given = {path: server.ask(path, method="HEAD").fields for path in paths}
    return {(path, field): given[path].get(name, "") for path in paths for field, name in source.items()}


@dataclass(frozen=True)
class Messages:
    """A list of requests as one server is to get it: the file that holds them, and the bytes of the bodies that they
    ask for: of all answers up to each of them."""

    file: Path
    octets: Sequence[int]

    def body_octets(self, requests: int) -> int:
        """The bytes of all bodies together when so many requests have been answered, in a loop over the list."""
        rounds, rest = divmod(requests, len(self.octets))
        return rounds * self.octets[-1] + (self.octets[rest - 1] if rest else 0)


def write(asks: Sequence[Ask], server: Server, file: Path) -> Messages:
    """Write a list of requests for one server, one after another."""
    known = validators(server, asks)
    sizes = []
    with file.open("w", newline="") as out:
        for ask in asks:
            value = known.get((ask.path, ask.head.condition), "")
            validator = f"{ask.head.condition}: {value}\r\n" if value else ""
            out.write(f"GET {ask.path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n{ask.head.fields}{validator}\r\n")
            sizes.append(0 if value else ask.size)
    return Messages(file, list(accumulate(sizes)))
