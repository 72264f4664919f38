"""The stall test: how long hot requests wait while other clients ask for files that do not fit into memory.

Each server gets 128 MiB of memory and a slow disk (control groups), a freshly mounted tree of 600 MB, and
32 clients that keep the disk busy. A probe asks for one hot file 100 times a second. A server whose loop
waits for the disk lets the probe wait as well.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import confine, disk, harness, result
from benchmarks.disk import Device
from benchmarks.kinds import Kind
from benchmarks.result import Chart, Column, Result, Run
from benchmarks.servers import LOAD_CORE, PEERS, REPOSITORY, Choice, Server, ServerFailedError, running
from benchmarks.stall_clients import EXPONENT, GRACE, RATE
from benchmarks.tree import HOT, SEED, TREES, DiskTree

ALONE = 5.0
"""Seconds of the measurement of the probe alone, before each measurement under load."""
LATE = 5.0
"""A run is invalid where the probe itself was later than so many milliseconds in its 99th percentile."""
CASES = {
    "load": "the probe beside clients that keep the disk busy",
    "beside": "the same, with work for helpers beside: {beside}",
    "alone": "the probe alone",
}
WORKS = {
    "coding": "one client asks for brotli of texts of 3 MB, which is made for each request",
    "listing": "one asks for the listing of a directory of 100,000 names",
}
BESIDE = PEERS / "flashpy-beside.toml"
"""flashpy's configuration for them: there is no cache of coded forms, so that each is made anew."""
COLUMNS = (
    Column("p50_ms", "hot p50 ms", 1),
    Column("p99_ms", "hot p99 ms", 1),
    Column("p999_ms", "hot p99.9 ms", 1),
    Column("max_ms", "hot max ms", 1),
    Column("over_10_ms", "% over 10 ms", 2),
    Column("over_50_ms", "% over 50 ms", 2),
    Column("unanswered", f"no answer after {GRACE:g} s", 0),
    Column("disk_rate", "disk-bound requests/s", 0),
    Column("lag_p99_ms", "probe's own lag p99 ms", 2),
    Column("cpu_seconds", "CPU s of the server", 2),
    Column("own_mib", "own memory MiB", 0),
)
BESIDE_COLUMNS = Column("coding_rate", "codings/s", 1), Column("listing_rate", "listings/s", 1)


@dataclass(frozen=True)
class Plan:
    """What is done in every run."""

    tree: DiskTree
    clients: int
    seconds: float
    choice: Choice
    device: Device
    place: Path
    beside: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[Column, ...]:
        """The figures."""
        return COLUMNS + (BESIDE_COLUMNS if self.beside else ())

    @property
    def cases(self) -> dict[str, str]:
        """The cases, each with its title."""
        beside = ", ".join(WORKS[name] for name in self.beside)
        return {name: title.format(beside=beside) for name, title in CASES.items() if beside or name != "beside"}


def clients_command(
    port: int, tree: DiskTree, clients: int, warm_up: float, seconds: float, beside: Sequence[str]
) -> list[str]:
    """The command that loads a server, pinned to its core."""
    return [
        "taskset", "-c", str(LOAD_CORE), sys.executable, "-m", "benchmarks.stall_clients",
        "--port", str(port), "--tree", tree.name, "--clients", str(clients),
        "--warm-up", str(warm_up), "--seconds", str(seconds), "--beside", *beside,
    ]  # fmt: skip


def measure(
    run: Run, server: Server, plan: Plan, clients: int, warm_up: float, seconds: float, beside: Sequence[str] = ()
) -> None:
    """Load the server once, and put figures and faults into the run."""
    command = clients_command(server.port, plan.tree, clients, warm_up, seconds, beside)
    before = server.cpu_seconds()
    limit = warm_up + seconds + GRACE + 30
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=limit, check=False)
    if done.returncode:
        raise ServerFailedError(f"the clients of {server.kind.name} failed: {done.stderr.strip()[-500:]}")
    said = json.loads(done.stdout)
    run.figures |= said["figures"]
    run.figures["cpu_seconds"] = server.cpu_seconds() - before
    run.faults += [f"{number} times {reason}" for reason, number in said["errors"].items()]
    if (lag := run.figures["lag_p99_ms"]) > LATE:
        run.faults.append(f"the probe itself was late, by {lag:.1f} ms in the 99th percentile")
    if not server.alive():
        run.faults.append("the server has ended")


@contextmanager
def throttled(groups: confine.Groups, device: Device, pace: confine.Pace = confine.PACE) -> Iterator[None]:
    """Slow the disk down for the time of the block."""
    groups.throttle(device.number, pace)
    try:
        yield
    finally:
        groups.throttle(device.number, None)


def turn(number: int, case: str, kind: Kind, plan: Plan) -> list[Run]:
    """One server's turn on a cold tree: the probe alone, then the probe under load."""
    loaded, alone = Run(number, case, kind.name), Run(number, "alone", kind.name)
    beside = plan.beside if case == "beside" else ()
    with disk.mounted(plan.device, plan.place) as root, confine.confined() as groups:
        try:
            with (
                running(kind, root, HOT, plan.choice, confine.entering(groups)) as server,
                throttled(groups, plan.device),
            ):
                measure(alone, server, plan, 0, 1.0, min(ALONE, plan.seconds))
                measure(loaded, server, plan, plan.clients, plan.tree.warm_up, plan.seconds, beside)
                loaded.figures["own_mib"] = groups.own_memory() / 2**20
        except (ServerFailedError, OSError) as error:
            loaded.faults.append(str(error))
    return [run for run in (alone, loaded) if run.figures or run.faults]


def settings(plan: Plan, rounds: int) -> dict[str, object]:
    """What the figures were taken with, for the result."""
    return {
        "rounds": rounds,
        "seconds": plan.seconds,
        "warm-up seconds": plan.tree.warm_up,
        "tree": plan.tree.title,
        "clients": plan.clients,
        "Zipf exponent": EXPONENT,
        "probes per second": RATE,
        "memory MiB": confine.MEMORY >> 20,
        "disk MB/s": confine.READ_BYTES / 1e6,
        "disk reads/s": confine.READS,
        "seed": SEED,
    }


@contextmanager
def prepared(options: argparse.Namespace, choice: Choice) -> Iterator[Plan]:
    """The image, built if need be and attached, for the time of the block."""
    tree = TREES["beside" if options.beside else "names" if options.cold_names else "bodies"]
    with tempfile.TemporaryDirectory(prefix="benchmark-disk-") as temporary:
        scratch: Path = options.scratch or Path(temporary)
        scratch.mkdir(parents=True, exist_ok=True)
        with disk.attached(disk.image_of(tree, scratch)) as device:
            place = scratch / "mounted"
            yield Plan(tree, options.clients, options.seconds, choice, device, place, options.beside)


def beside(value: str) -> tuple[str, ...]:
    """The works that a command line names."""
    names = tuple(value.split(","))
    if not WORKS.keys() >= set(names):
        raise argparse.ArgumentTypeError(f"it is some of {', '.join(WORKS)}, with a comma between")
    return names


def main() -> int:
    """Run the benchmark from the command line."""
    parser = harness.parser(
        __doc__ or "", "flashpy,flashpy-sped,flashpy-mp,flashpy-mt,nginx-aio,nginx", rounds=3, seconds=20
    )
    parser.add_argument("--cold-names", action="store_true", help="40,000 files of 1 KiB: names are cold too")
    parser.add_argument("--clients", type=int, default=32, help="clients that keep the disk busy")
    parser.add_argument("--beside", type=beside, default=(), help="work for helpers, of: coding,listing")
    parser.add_argument("--name", help="of the result, if not stall-bodies, stall-names or stall-beside")
    parser.add_argument("--scratch", type=Path, help="where to keep the image from one run to the next")
    options = parser.parse_args()
    confine.need_root("Stalls are")
    harness.need(*disk.PROGRAMS)
    if options.beside and options.config is None:
        options.config = BESIDE
    kinds, choice = harness.chosen(options)
    with prepared(options, choice) as plan:
        found = Result(
            name=options.name or f"stall-{plan.tree.name}",
            title=f"Hot requests while {plan.clients} clients keep the disk busy: {plan.tree.title}",
            columns=plan.columns,
            chart=Chart(("p50_ms", "p99_ms"), logarithmic=True),
            cases=plan.cases,
            servers={kind.name: kind.title for kind in kinds},
            settings=settings(plan, options.rounds),
            machine=harness.machine(kinds, choice),
        )
        loaded = [case for case in plan.cases if case != "alone"]
        for number, case, kind in harness.turns(options.rounds, loaded, kinds):
            for run in turn(number, case, kind, plan):
                found.runs.append(run)
                result.report(run, plan.columns)
    return result.finish(found, options.results)


if __name__ == "__main__":
    sys.exit(harness.guarded(main))
