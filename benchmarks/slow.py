"""Many slow clients beside the load: what long connections cost each architecture (Flash, section 6.5, figure 12).

A number of clients hold a connection each, on which they ask slowly and read slowly, while wrk asks for a hot file on
64 connections as fast as answers come. What counts is how many requests are answered per CPU second of the server,
those of the slow clients among them; and how many bytes are sent, because the answers to slow clients are ten times as
large. For comparison there are clients who hold a connection and ask for nothing. MP and MT have a process or a thread
for each connection; with MP more than 500 do not fit into the memory of most machines.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import cases, harness, measures, result, wrk
from benchmarks.cases import KIB_1, KIB_10
from benchmarks.kinds import Kind
from benchmarks.peers import prepare_process
from benchmarks.result import Chart, Column, Measure, Plot, Plots, Result, Run
from benchmarks.servers import LOAD_CORE, REPOSITORY, Choice, Server, ServerFailedError, running

COUNTS = (0, 100, 500, 2_000, 5_000)
IDLE = "-idle"
"""The end of the names of cases in which clients ask for nothing."""
MOST = {"flashpy-mp": 500}
"""More connections than this are not tried."""
SPARE = 16
"""Processes or threads above the number of connections."""
SERVERS = "flashpy,flashpy-sped,flashpy-mp,flashpy-mt,nginx"
PATIENCE = 60.0
COLUMNS = (
    Column("per_cpu_second", "requests per CPU second"),
    Column("ratio", "ratio", 2),
    Column("mb_per_cpu_second", "MB per CPU second", 1),
    Column("rate", "requests/s"),
    Column("slow_rate", "slow requests/s"),
    Column("p99_ms", "p99 ms", 2),
    Column("cpu_share", "server's core in use", 2),
)
PLOTS = Plots(
    "slow clients",
    (
        Plot("per_cpu_second", "requests per CPU second"),
        Plot("mb_per_cpu_second", "MB per CPU second"),
        Plot("p99_ms", "p99 of the load, ms", logarithmic=True),
    ),
)


@dataclass
class Clients:
    """The process of the slow clients."""

    process: subprocess.Popen[str]

    def line(self) -> str:
        """What it says next."""
        assert self.process.stdout is not None
        said = self.process.stdout.readline().strip()
        if not said:
            raise ServerFailedError("the slow clients have ended")
        return said

    def answers(self) -> int:
        """How many answers they have had."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return int(self.line())


@contextmanager
def slow_clients(port: int, path: str, count: int) -> Iterator[Clients]:
    """Have so many slow clients, each of which has had an answer, for the time of the block."""
    command = ["taskset", "-c", str(LOAD_CORE), sys.executable, "-m", "benchmarks.slow_clients",
               "--port", str(port), "--path", path, "--clients", str(count)]  # fmt: skip
    process = subprocess.Popen(
        command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        clients = Clients(process)
        clients.line()
        yield clients
    finally:
        process.kill()
        process.communicate()


@dataclass
class Idle:
    """Clients who hold a connection each and ask for nothing more."""

    def answers(self) -> int:
        """None."""
        return 0


@contextmanager
def idle_clients(server: Server, path: str, count: int) -> Iterator[Idle]:
    """Have so many idle clients, each of which has had an answer, for the time of the block."""
    with measures.connections(server, path, count) as held:
        yield Idle()
        if lost := sum(map(measures.closed, held)):
            raise ServerFailedError(f"{lost} of {count} idle connections were closed")


def turn(number: int, case: str, kind: Kind, seconds: float, root: Path, choice: Choice) -> Run:
    """One server's turn beside so many slow clients."""
    run, count = Run(number, case, kind.name), int(case.removesuffix(IDLE))
    if count > MOST.get(kind.name, count):
        run.unable = "it would need a process for each connection"
        return run
    if "concurrency" in kind.values:
        kind = replace(kind, values={"concurrency": str(count + wrk.STEADY.connections + SPARE)})
    try:
        with (
            running(kind, root, KIB_1, choice) as server,
            idle_clients(server, KIB_10[0], count)
            if case.endswith(IDLE)
            else slow_clients(server.port, KIB_10[0], count) as clients,
        ):
            wrk.run(server.url(KIB_1[0]), 1, wrk.STEADY)
            before, slow, began = server.cpu_seconds(), clients.answers(), time.perf_counter()
            outcome = wrk.run(server.url(KIB_1[0]), seconds, wrk.STEADY)
            used, took = server.cpu_seconds() - before, time.perf_counter() - began
            slow = clients.answers() - slow
            run.figures |= {
                "per_cpu_second": (outcome.requests + slow) / used,
                "mb_per_cpu_second": (outcome.octets + slow * KIB_10[1]) / used / 1e6,
                "rate": outcome.rate,
                "slow_rate": slow / took,
                "p99_ms": outcome.p99,
                "cpu_share": used / outcome.seconds,
            }
            run.faults += outcome.faults(outcome.requests * KIB_1[1])
    except (ServerFailedError, OSError) as error:
        run.faults.append(str(error))
    return run


def main() -> int:
    """Run the benchmark from the command line."""
    parser = harness.parser(__doc__ or "", SERVERS, rounds=5, seconds=3)
    parser.add_argument("--counts", default=",".join(map(str, COUNTS)) + f",{COUNTS[-1]}{IDLE}",
                        help=f"numbers of slow clients, or with {IDLE} behind it of idle ones")  # fmt: skip
    options = parser.parse_args()
    harness.need("wrk")
    kinds, choice = harness.chosen(options)
    prepare_process()
    wanted = {
        case: f"{int(case.removesuffix(IDLE)):,} {'idle' if case.endswith(IDLE) else 'slow'} clients"
        for case in options.counts.split(",")
    }
    found = Result(
        name="slow",
        title="Many slow clients beside the load: requests per CPU second, AMPED is 1",
        columns=COLUMNS,
        chart=Chart(("per_cpu_second",), columns=2),
        cases=wanted,
        servers={kind.name: kind.title for kind in kinds},
        settings={"rounds": options.rounds, "seconds": options.seconds, "load": "wrk, 64 connections, 1 KiB"},
        machine=harness.machine(kinds, choice),
        overview=dict.fromkeys(wanted, Measure("per_cpu_second", ("flashpy",))),
        plots=PLOTS,
    )
    with tempfile.TemporaryDirectory(prefix="benchmark-site-") as site:
        os.chmod(site, 0o755)
        roots = cases.make_sites(Path(site), [cases.CASES["1KiB"]])
        for number, case, kind in harness.turns(options.rounds, list(wanted), kinds):
            run = turn(number, case, kind, options.seconds, roots["hot"], choice)
            found.runs.append(run)
            result.report(run, COLUMNS)
    result.ratios(found)
    return result.finish(found, options.results)


if __name__ == "__main__":
    sys.exit(harness.guarded(main))
