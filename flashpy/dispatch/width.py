"""How many helpers work on one device at a time: as many as it takes, and as pay.

Where jobs are done as they come, Little's law says how many are at work in the mean: jobs per second times the seconds
that each takes. Where jobs wait for a helper, a few more are tried, and kept if the device then gives more throughput:
a disk with one head does not, nor one that is held to a rate, nor a network mount that is dead. What was tried in vain
is tried again after a while, since load changes.
"""

import math
from typing import NamedTuple

LEAST_SAMPLE = 30
"""Jobs done without which a rate says little: it scatters by the root of their number."""
GAIN = 1.1
"""How much more throughput pays for more helpers."""
HOLD = 10.0
"""Seconds before what was tried in vain is tried again."""
SPARE = 1
"""Helpers that are left above the mean, because jobs come in crowds."""


class Sample(NamedTuple):
    """What happened on a device in a time: seconds, jobs done, the seconds that helpers spent on them together, and
    whether jobs wait for a helper at its end."""

    seconds: float
    done: int
    busy: float
    waiting: bool


class Width:
    """The number of helpers that a device may have, between bounds. It follows from what it has been told alone."""

    __slots__ = ("_before", "_held", "_least", "_most", "_rate", "helpers")

    def __init__(self, least: int, most: int) -> None:
        self._least = least
        self._most = most
        self._before = 0  # the number from which more are being tried, or 0
        self._rate = 0.0  # jobs per second, then
        self._held = 0.0  # seconds until the next try
        self.helpers = least

    def learn(self, sample: Sample) -> bool:
        """Take a sample into account; False if it says too little yet, and should go on."""
        if sample.waiting and sample.done < LEAST_SAMPLE:
            return False
        self._held = max(0.0, self._held - sample.seconds)
        if sample.waiting:
            self._climb(sample.done / sample.seconds)
        else:
            self._before = 0
            if math.ceil(sample.busy / sample.seconds) + SPARE < self.helpers:
                self.helpers = max(self._least, self.helpers - 1)
        return True

    def _climb(self, rate: float) -> None:
        if self._before and rate < self._rate * GAIN:
            self.helpers, self._before, self._held = self._before, 0, HOLD
        elif self.helpers < self._most and not self._held:
            self._before, self._rate = self.helpers, rate
            self.helpers = min(self._most, self.helpers + max(1, self.helpers // 2))
        else:
            self._before = 0
