"""The thresholds of LARD, from what the nodes measure, so that nobody sets them.

T_low is the load below which a node begins to idle. By Little's law, of the requests at a node so many were at work at
a time in the mean as the seconds they spent there without waiting, by the seconds that passed. That many it takes to
keep it busy, if they came evenly; and because they do not, some more. A node with a processor and a disk that have
equally much to do reaches N / (N + 1) of its throughput with N requests (balanced job bounds: Zahorjan et al., CACM
1982). So 24 more keep it at 96 % (and, with a request or two at work, that is the 25 of the paper):

    T_low = (work per second, of the node that has most of it) + SPARE

Slow clients make for many requests at work that do not wait, and so for higher thresholds.

T_high is the load above which it pays to move a target. A move costs a read from the disk. Above T_low a request more
makes all others wait for 1 / X, where X is the throughput of a node; so the difference in load that is worth as much
as a read is X times the time of one, and a move must save READS of them:

    T_high = T_low + max(SPARE, READS * X * (seconds per read))

All measures are averages in which the latest requests count most. Until there are any, the thresholds are as
configured.
"""

import math
from collections.abc import Iterable

from flashpy.cluster.choosing import Report, Thresholds

SPARE = 24.0
"""Requests above those at work that keep a node at 96 % of its throughput: 0.96 / (1 - 0.96)."""
READS = 2.0
"""Reads from the disk that a move must save: the one that it costs, and the one that it costs what has to go for it.

In simulation 1 gives shorter delays with warm caches, and 2 more throughput where memories are scarce."""
MEMORY = 2_000.0
"""Requests after which a measure has lost all but 37 % of its weight: by time, a fast node would remember too much."""
SHORTEST = 1e-3
"""Seconds that a report must cover to tell anything."""
MOST = 10_000.0
"""No threshold is above that, whatever is reported."""


class Measures:
    """Of one node: requests at work, throughput (a second), seconds per read (None: there was none)."""

    __slots__ = ("read", "throughput", "work")

    def __init__(self) -> None:
        self.work = 0.0
        self.throughput = 0.0
        self.read: float | None = None

    def add(self, report: Report, weight: float) -> None:
        """What it has said; per weight 1."""
        # The first report counts in full.
        part = 1 - math.exp(-report.done / MEMORY) if self.throughput else 1.0
        scale = report.seconds * weight
        self.work += part * (max(0.0, report.spent - report.waited) / scale - self.work)
        self.throughput += part * (report.done / scale - self.throughput)
        if report.loads:
            read = report.loading / report.loads
            self.read = read if self.read is None else self.read + part * (read - self.read)


class Control:
    """The thresholds, per weight 1."""

    __slots__ = ("_measures", "thresholds", "throughput")

    def __init__(self, start: Thresholds) -> None:
        self._measures: dict[str, Measures] = {}
        self.thresholds = start
        self.throughput = 0.0
        """Requests a second of a node, in the mean; 0: nothing is known."""

    def report(self, name: str, weight: float, report: Report) -> None:
        """A node has said how it is. If it has done nothing, that tells nothing."""
        if report.seconds >= SHORTEST and report.done:
            self._measures.setdefault(name, Measures()).add(report, weight)
            self._follow()

    def forget(self, name: str) -> None:
        """A node has gone."""
        self._measures.pop(name, None)

    def _follow(self) -> None:
        found = self._measures.values()
        self.throughput = _mean(measures.throughput for measures in found)
        read = _mean(measures.read for measures in found if measures.read is not None)
        low = min(MOST, max(measures.work for measures in found) + SPARE)
        self.thresholds = Thresholds(low, min(MOST, low + max(SPARE, READS * self.throughput * read)))


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found) if found else 0.0
