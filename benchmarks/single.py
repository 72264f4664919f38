"""One cached file, of 0 to 200 KiB, under the four architectures and nginx (Flash, section 6.1, figures 6 and 7).

Everything is in memory, so the architecture should matter little: AMPED pays for asking whether it is, MP and MT for
switching between processes and threads. Ratios are to SPED, which pays for neither.
"""

from __future__ import annotations

import sys

from benchmarks import harness
from benchmarks.cases import KIB, SIZES, Case
from benchmarks.peers import Comparison, compare
from benchmarks.result import Chart, Measure, Plot, Plots

TO_SPED = Measure("per_cpu_second", ("flashpy-sped",))
CASES = {
    f"{size // KIB}KiB": Case(
        f"{size // KIB}KiB", f"one file of {size // KIB} KiB", "sizes", (path, size), counts=TO_SPED
    )
    for path, size in SIZES
}
SMALL = 20
"""KiB up to which the rate is plotted, beyond which the bandwidth says more (as in the paper)."""
BANDWIDTH = KIB / 1e6
PLOTS = Plots(
    "size of the file, KiB",
    (
        Plot("rate", "requests/s", most=SMALL),
        Plot("rate", "bandwidth, MB/s", times=BANDWIDTH),
        Plot("per_cpu_second", "requests per CPU second", most=SMALL),
        Plot("per_cpu_second", "MB per CPU second", times=BANDWIDTH),
    ),
)
SINGLE = Comparison(
    "single",
    "One cached file: requests per CPU second, SPED is 1",
    __doc__ or "",
    "flashpy,flashpy-sped,flashpy-mp,flashpy-mt,nginx,nginx-copy",
    CASES,
    Chart(("per_cpu_second",), cases=("1KiB", "10KiB", "50KiB", "200KiB"), columns=2),
    {"cases": "1KiB,100KiB", "rounds": 1, "seconds": 1.0},
    seconds=2.0,
    plots=PLOTS,
)


def main() -> int:
    """Run the benchmark from the command line."""
    return compare(SINGLE)


if __name__ == "__main__":
    sys.exit(harness.guarded(main))
