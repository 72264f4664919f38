"""What each of Flash's three caches is worth: all eight combinations of them, on one file (Flash, section 6.4,
figure 11). Without the pathname cache every request goes to a helper."""

from __future__ import annotations

import sys

from benchmarks import harness
from benchmarks.cases import KIB, SIZES, Case
from benchmarks.kinds import CACHES
from benchmarks.peers import Comparison, compare
from benchmarks.result import Chart, Measure

TO_ALL = Measure("per_cpu_second", (CACHES[0],))
CASES = {
    f"{size // KIB}KiB": Case(
        f"{size // KIB}KiB", f"one file of {size // KIB} KiB", "sizes", (path, size), counts=TO_ALL
    )
    for path, size in SIZES
    if size in (KIB, 10 * KIB, 100 * KIB)
}
BREAKDOWN = Comparison(
    "breakdown",
    "What the three caches are worth: requests per CPU second, all three together are 1",
    __doc__ or "",
    ",".join(CACHES),
    CASES,
    Chart(("per_cpu_second",), columns=1),
    {"cases": "1KiB", "rounds": 1, "seconds": 1.0},
    seconds=2.0,
)


def main() -> int:
    """Run the benchmark from the command line."""
    return compare(BREAKDOWN)


if __name__ == "__main__":
    sys.exit(harness.guarded(main))
