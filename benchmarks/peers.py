"""flashpy beside other servers of static files: requests per CPU second of the server, in many cases.

Each server is started afresh for each measurement, with its best settings for the case, on a core of its own; the load
comes from the other core. They take turns within each round. Servers that are not installed are named as absent.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import cases, harness, measures, result, workload
from benchmarks.cases import CASES, Case
from benchmarks.harness import UnavailableError
from benchmarks.kinds import Kind
from benchmarks.result import Chart, Column, Plots, Result, Run
from benchmarks.servers import LOAD_CORE, Choice, ServerFailedError, running

ALL = ("flashpy,flashpy-log,flashpy-compiled,flashpy-compiled-log,nginx,nginx-copy,lighttpd,h2o,caddy,granian,"
       "granian-whitenoise,uvicorn-starlette,aiohttp,http.server")  # fmt: skip
QUICK = {
    "servers": "flashpy,nginx,nginx-copy",
    "cases": "1KiB,100KiB,browsers,unique,new,pipelined,304,large,trace,latency,idle",
    "rounds": 1,
    "seconds": 1.0,
}
"""What the short form asks for, where the command line says nothing else."""
CHARTED = ("1KiB", "100KiB", "browsers", "new", "304", "trace")

COLUMNS = (
    Column("per_cpu_second", "requests per CPU second"),
    Column("cpu_per_gib", "CPU s per GiB", 3),
    Column("ratio", "ratio", 2),
    Column("rate", "requests/s"),
    Column("gib_per_second", "GiB/s", 2),
    Column("p50_ms", "p50 ms", 2),
    Column("p99_ms", "p99 ms", 2),
    Column("p999_ms", "p99.9 ms", 2),
    Column("startup_ms", "first answer after ms"),
    Column("largest_mib", "largest process MiB", 1),
    Column("idle_mib", "all processes MiB", 1),
    Column("held_mib", f"with {measures.IDLE:,} connections MiB", 1),
    Column("kib_per_connection", "KiB per connection", 2),
    Column("cpu_share", "server's core in use", 2),
    Column("load_share", "load's core in use", 2),
)


@dataclass(frozen=True)
class Comparison:
    """A table of cases, and who is compared in them."""

    name: str
    title: str
    description: str
    servers: str
    cases: Mapping[str, Case]
    chart: Chart
    quick: Mapping[str, object]
    rounds: int = 5
    seconds: float = 3.0
    plots: Plots | None = None


PEERS = Comparison(
    "peers",
    "flashpy and its peers: requests per CPU second, nginx at its better setting is 1",
    __doc__ or "",
    ALL,
    CASES,
    Chart(("ratio",), cases=CHARTED, columns=2),
    QUICK,
)


@dataclass(frozen=True)
class Plan:
    """What all turns share."""

    choice: Choice
    seconds: float
    roots: dict[str, Path]
    scratch: Path


def turn(number: int, case: Case, kind: Kind, plan: Plan) -> Run:
    """One server's turn: start it, measure it, stop it. A server that fails makes the run invalid."""
    run = Run(number, case.name, kind.name)
    try:
        with running(kind, plan.roots[case.site], case.file, plan.choice) as server:
            case.method(run, server, case.target(plan.seconds, plan.scratch))
    except measures.UnableError as error:
        run.unable = str(error)
    except (ServerFailedError, OSError) as error:
        run.faults.append(str(error))
    return run


def options(what: Comparison) -> argparse.Namespace:
    """The command line, with the short form's choices filled in."""
    parser = harness.parser(what.description, what.servers, what.rounds, what.seconds)
    parser.add_argument("--cases", default=",".join(what.cases), help=f"comma-separated, of: {', '.join(what.cases)}")
    parser.add_argument(
        "--name", default=what.name, help="of the result; a part of the servers may have one of its own"
    )
    parser.add_argument("--quick", action="store_true", help="a check in two minutes: few servers, one short round")
    if parser.parse_args().quick:
        parser.set_defaults(**what.quick)
    return parser.parse_args()


def chosen_cases(names: str, known: Mapping[str, Case]) -> list[Case]:
    """The cases that the command line names."""
    if unknown := [name for name in names.split(",") if name not in known]:
        raise UnavailableError(f"There is no case called {unknown[0]}; known are {', '.join(known)}.")
    return [known[name] for name in names.split(",")]


def prepare_process() -> None:
    """Move away from the servers' core, and allow as many connections as the machine does, also to the servers."""
    os.sched_setaffinity(0, {LOAD_CORE})
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def blank(
    what: Comparison, chosen: argparse.Namespace, wanted: Sequence[Case], kinds: Sequence[Kind], choice: Choice
) -> Result:
    """The result before the first run: what is to be measured, on which machine, and who is absent."""
    machine = harness.machine(kinds, choice)
    present = [kind for kind in kinds if machine["versions"][kind.name] != harness.ABSENT]
    machine["versions"] = {kind.name: machine["versions"][kind.name] for kind in present}
    return Result(
        name=f"{what.name}-quick"
        if chosen.quick
        else chosen.name,  # a check by hand does not replace what is committed
        title=what.title,
        columns=COLUMNS,
        chart=what.chart,
        plots=what.plots,
        cases={case.name: case.title for case in wanted},
        servers={kind.name: kind.title for kind in present},
        settings={
            "rounds": chosen.rounds,
            "seconds": chosen.seconds,
            "warm-up seconds": measures.WARM_UP,
            "load": "wrk, one thread, 64 connections; h2load for the latency",
            "seed": workload.SEED,
        },
        machine=machine,
        absent=[kind.title for kind in kinds if kind not in present],
        overview={case.name: case.counts for case in wanted if case.counts},
    )


def compare(what: Comparison) -> int:
    """Run a comparison from the command line."""
    chosen = options(what)
    harness.need("wrk", "h2load")
    kinds, choice = harness.chosen(chosen)
    wanted = chosen_cases(chosen.cases, what.cases)
    prepare_process()
    found = blank(what, chosen, wanted, kinds, choice)
    for title in found.absent:
        print(f"absent: {title}", flush=True)
    present = [kind for kind in kinds if kind.name in found.servers]
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="benchmark-site-") as site, tempfile.TemporaryDirectory() as scratch:
        plan = Plan(choice, chosen.seconds, cases.make_sites(Path(site), wanted), Path(scratch))
        for number, case, kind in harness.turns(chosen.rounds, list(found.cases), present):
            run = turn(number, what.cases[case], kind, plan)
            found.runs.append(run)
            result.report(run, COLUMNS)
    result.ratios(found)
    print(f"\ntook {time.monotonic() - begin:.0f} s")
    return result.finish(found, chosen.results)


def main() -> int:
    """flashpy and its peers."""
    return compare(PEERS)


if __name__ == "__main__":
    sys.exit(harness.guarded(main))
