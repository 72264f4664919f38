"""The requests of a simulation: from logs, or made up."""

import csv
import math
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from random import Random
from typing import NamedTuple

from msgspec import Struct

from flashpy.log.reading import Sent, sent


class Trace(NamedTuple):
    """Targets with their sizes in bytes, and the requests in their order, as numbers of targets."""

    targets: Sequence[bytes]
    sizes: Sequence[int]
    requests: Sequence[int]

    def counts(self) -> list[int]:
        """How often each target is asked for."""
        counts = [0] * len(self.targets)
        for number in self.requests:
            counts[number] += 1
        return counts


class Shape(Struct, frozen=True):
    """Of a trace that is made up. The target of rank r is asked for in proportion to 1 / (r + shift) ** exponent.

    Its size is in the median in proportion to r ** growth, and spread about that as the exponential of a normal
    distribution with the deviation ``spread``: most files on the Web are small, a few are large.
    """

    targets: int
    size: int
    """Of all targets together."""
    exponent: float = 0.9
    shift: float = 0.0
    growth: float = 0.0
    spread: float = 1.3

    def weights(self) -> list[float]:
        """How often each target is asked for, in proportion; by rank."""
        return [(rank + self.shift) ** -self.exponent for rank in range(1, self.targets + 1)]


SHAPES: Mapping[str, Shape] = {
    # Pai et al., section 3.2: 97, 98 and 99 % of the requests are for 560, 705 and 927 MB; about 17 KB a request. With
    # these it is 536, 716 and 992 MB, and 17 KB.
    "rice": Shape(37_703, 1_418 * 2**20, exponent=1.37, shift=40, growth=0.228),
    "zipf": Shape(100_000, 2**30),
    # For hundreds of nodes.
    "large": Shape(1_000_000, 100 * 2**30),
}


def made_up(shape: Shape, requests: int, seed: int = 0) -> Trace:
    """So many requests of a shape, independent of each other."""
    random = Random(seed)
    ranks = range(1, shape.targets + 1)
    weights = shape.weights()
    sizes = [rank**shape.growth * math.exp(random.gauss(0, shape.spread)) for rank in ranks]
    scale = shape.size / sum(sizes)
    return Trace(
        [b"/%d" % rank for rank in ranks],
        [max(1, round(size * scale)) for size in sizes],
        array("I", random.choices(range(shape.targets), cum_weights=list(accumulate(weights)), k=requests)),
    )


def logged(lines: Iterable[bytes]) -> Trace:
    """The requests of an access log, or of a table with a head (CSV) that has path and bytes, and may have method and
    status.

    The size of a target is that of its largest answer with status 200; requests for those without one are left out.
    What clients had already (304) counts as a request for all of it.
    """
    found = list(_read(lines))
    sizes: dict[bytes, int] = {}
    for request in found:
        if request.status == 200:
            sizes[request.target] = max(sizes.get(request.target, 0), request.size)
    numbers = {target: number for number, target in enumerate(sizes)}
    requests = array("I", (numbers[request.target] for request in found if request.target in numbers))
    return Trace(list(sizes), list(sizes.values()), requests)


def _read(lines: Iterable[bytes]) -> Iterator[Sent]:
    rest = iter(lines)
    for line in rest:
        head = line.decode("latin-1").strip().split(",")
        if {"path", "bytes"} <= set(head):
            yield from _from_table(head, rest)
        elif (found := sent(line)) is not None:
            yield found


def _from_table(head: list[str], lines: Iterator[bytes]) -> Iterator[Sent]:
    for row in csv.DictReader((line.decode("latin-1") for line in lines), head):
        status, size, path = row.get("status") or "200", row["bytes"], row["path"]
        if row.get("method") in (None, "GET") and status in ("200", "206", "304") and path and str(size).isdecimal():
            yield Sent(path.encode("latin-1"), int(status), int(size))


def coverage(sizes: Sequence[int], weights: Sequence[float], parts: Sequence[float] = (0.97, 0.98, 0.99)) -> list[int]:
    """How many bytes the most wanted targets have together that make up each of these parts of the requests."""
    ranked = sorted(range(len(weights)), key=lambda number: -weights[number])
    asked = list(accumulate(weights[number] for number in ranked))
    size = list(accumulate(sizes[number] for number in ranked))
    return [
        next((size[place] for place, so_far in enumerate(asked) if so_far >= part * asked[-1]), 0) for part in parts
    ]
