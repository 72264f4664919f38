"""Hot files: requests per CPU second of the server at full load, against nginx at its better setting.

The servers take turns within each round, each started afresh, on one core; wrk loads them from the other.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import harness, result, wrk
from benchmarks.result import Chart, Column, Result, Run
from benchmarks.servers import Choice, Kind, Server, ServerFailedError, running

STEADY = wrk.Load()
WARM_UP = 1.0
"""Seconds of load before each measurement."""

COLUMNS = (
    Column("per_cpu_second", "requests per CPU second"),
    Column("per_cpu_second_ratio", "of nginx's better", 2),
    Column("rate", "requests/s"),
    Column("rate_ratio", "requests/s of nginx's better", 2),
    Column("p50_ms", "p50 ms", 2),
    Column("p99_ms", "p99 ms", 2),
    Column("cpu_share", "server's core in use", 2),
)


@dataclass(frozen=True)
class Case:
    """What is asked for, and how. ``size`` is that of the file in bytes."""

    name: str
    title: str
    path: str
    size: int
    load: wrk.Load = STEADY


CASES = {
    case.name: case
    for case in (
        Case("1KiB", "a hot file of 1 KiB, 64 connections", "/1KiB.html", 1024),
        Case("100KiB", "a hot file of 100 KiB, 64 connections", "/100KiB.html", 100 * 1024),
    )
}


def make_site(root: Path, cases: Sequence[Case]) -> None:
    """Write the files of the cases; their content is random, and the same in every run."""
    for case in cases:
        (root / case.path.lstrip("/")).write_bytes(random.Random(case.name).randbytes(case.size))
    root.chmod(0o755)


def measure(server: Server, case: Case, seconds: float) -> tuple[dict[str, float], list[str]]:
    """Load one server in one case; return the figures, and the faults that make them invalid."""
    url = server.url(case.path)
    wrk.run(url, WARM_UP, case.load)
    before = server.cpu_seconds()
    outcome = wrk.run(url, seconds, case.load)
    used = server.cpu_seconds() - before
    server.check(case.path, case.size)
    figures = {
        "per_cpu_second": outcome.requests / max(used, 0.01),
        "rate": outcome.rate,
        "p50_ms": outcome.p50,
        "p99_ms": outcome.p99,
        "cpu_share": used / outcome.seconds,
        "requests": outcome.requests,
        "cpu_seconds": used,
    }
    return figures, outcome.faults(case.size)


def turn(number: int, case: Case, kind: Kind, root: Path, choice: Choice, seconds: float) -> Run:
    """One server's turn: start it, measure it, stop it. A server that fails makes the run invalid."""
    run = Run(number, case.name, kind.name)
    try:
        with running(kind, root, (case.path, case.size), choice) as server:
            run.figures, run.faults = measure(server, case, seconds)
    except (ServerFailedError, OSError) as error:
        run.faults.append(str(error))
    return run


def main() -> int:
    """Run the benchmark from the command line."""
    parser = harness.parser(__doc__ or "", "nginx,nginx-copy,flashpy", rounds=5, seconds=5)
    parser.add_argument("--cases", default=",".join(CASES), help="comma-separated, of those of the default")
    options = parser.parse_args()
    harness.need("wrk")
    kinds, choice = harness.chosen(options)
    cases = [CASES[name] for name in options.cases.split(",")]
    found = Result(
        name="hot",
        title="Hot files: requests per CPU second of the server",
        columns=COLUMNS,
        chart=Chart(("per_cpu_second",)),
        cases={case.name: case.title for case in cases},
        servers={kind.name: kind.title for kind in kinds},
        settings={"rounds": options.rounds, "seconds": options.seconds, "load": "wrk, one thread"},
        machine=harness.machine(kinds, choice),
    )
    with tempfile.TemporaryDirectory(prefix="benchmark-site-") as scratch:
        make_site(Path(scratch), cases)
        for number, case, kind in harness.turns(options.rounds, list(found.cases), kinds):
            run = turn(number, CASES[case], kind, Path(scratch), choice, options.seconds)
            found.runs.append(run)
            result.report(run, COLUMNS)
    for key in ("per_cpu_second", "rate"):
        result.ratios(found.runs, key)
    return result.finish(found, options.results)


if __name__ == "__main__":
    sys.exit(harness.guarded(main))
