"""Load at a fixed rate, by h2load over HTTP/1.1, and the latencies that it found.

h2load has a timer for each client, of 10 ms at the shortest; what is due meanwhile is sent in a row, each request when
the last one has its answer. Clients that begin together stay together, as one burst every 10 ms; so they begin one
after the other, 1 ms apart, and are few. Few clients also mean that a long stall weighs less than it should, because
what falls due meanwhile is sent, and timed, after it: the stall test is for that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from benchmarks import load
from benchmarks.servers import ServerFailedError

PER_CLIENT = 1000
"""Requests per second of one client, at most."""
LEAST_CLIENTS = 16
SETTLING, ENDING = 0.5, 0.2
"""Seconds at the beginning and at the end that do not count: clients begin and end one after the other."""


@dataclass(frozen=True)
class Found:
    """What one run found: latencies in milliseconds in ascending order, the rate that was reached in requests per
    second, answers whose status was not 200, and h2load's own CPU seconds per second."""

    latencies: list[float]
    rate: float
    failed: int
    cpu_share: float

    def percentile(self, share: float) -> float:
        """The nearest-rank percentile of the latencies."""
        return self.latencies[max(0, math.ceil(share * len(self.latencies)) - 1)]


def run(url: str, rate: float, seconds: float, log: Path) -> Found:
    """Ask for the URL at a rate in requests per second; ``log`` is a file that may be written and removed."""
    clients = max(LEAST_CLIENTS, math.ceil(rate / PER_CLIENT))
    span = SETTLING + seconds + ENDING
    total = clients * max(1, round(rate * span / clients))
    command = [
        "h2load", "--h1", f"--rps={rate / clients:.4f}", f"-c{clients}", "-r1", "--rate-period=1ms", f"-n{total}",
        "-t1", f"--log-file={log}", url,
    ]  # fmt: skip
    log.unlink(missing_ok=True)
    _, used = load.run(command, 3 * span + 30)
    rows = [[int(word) for word in line.split()] for line in log.read_text().splitlines()]
    if not rows:
        raise ServerFailedError("h2load had no answer")
    begin, end = min(row[0] for row in rows), max(row[0] for row in rows)
    counted = [row for row in rows if SETTLING <= (row[0] - begin) / 1e6 < SETTLING + seconds]
    return Found(
        latencies=sorted(row[2] / 1e3 for row in counted),
        rate=len(counted) / seconds,
        failed=sum(row[1] != 200 for row in rows) + total - len(rows),
        cpu_share=used / ((end - begin) / 1e6),
    )
