"""A real log replayed over data sets that do and do not fit into memory (Flash, sections 6.2 and 6.3, figures 8 to 10).

The log of NASA's web server is truncated so that the files it asks for make up a set of a given size. It tells of too
few files for the larger sets: there, its structure is repeated over copies of the files, each request choosing one of
the copies at random (seeded). The server has 128 MiB of memory with its page cache, and a slow disk; 64 clients ask as
fast as answers come, each request on a connection of its own, as browsers did then: MP and MT could not serve more
connections than they have processes and threads otherwise. MP has 8 processes:
more do not fit into the memory, since each comes to take some 8 MiB.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from benchmarks import confine, disk, harness, result, trace, workload, wrk
from benchmarks.disk import Device
from benchmarks.heads import Head
from benchmarks.kinds import Kind
from benchmarks.peers import prepare_process
from benchmarks.result import Chart, Column, Measure, Plot, Plots, Result, Run
from benchmarks.servers import Choice, ServerFailedError, running
from benchmarks.stall import throttled
from benchmarks.tree import write_files
from benchmarks.workload import SEED, Ask

COPIES = 3
SETS = (32, 64, 96, 128, 192, 256)
"""Sizes of the sets in MiB: from a quarter of the memory to twice the memory."""
WHOLE = "trace"
"""The case of the whole log, as it is."""
CLIENTS = 64
WARM_UP = 6
"""Seconds of load at the disk's own speed, so that each server begins with the memory full of what it would keep."""
CLOSING = Head("Connection: close\r\n")
SERVERS = "flashpy,flashpy-sped,flashpy-mp-8,flashpy-mt,nginx,nginx-aio"
TO_NGINX = Measure("rate", ("nginx-aio",))
COLUMNS = (
    Column("rate", "requests/s"),
    Column("ratio", "ratio", 2),
    Column("mb_per_second", "MB/s", 1),
    Column("p50_ms", "p50 ms", 1),
    Column("p99_ms", "p99 ms", 1),
    Column("cpu_share", "server's core in use", 2),
    Column("own_mib", "own memory MiB", 0),
)
PLOTS = Plots(
    "MiB of the set; the memory is 128 MiB",
    (Plot("rate", "requests/s"), Plot("mb_per_second", "MB/s"), Plot("p50_ms", "p50, ms", logarithmic=True),
     Plot("p99_ms", "p99, ms", logarithmic=True)),
)  # fmt: skip


@dataclass(frozen=True)
class Copies:
    """The files of the log, several times, for an image of their own."""

    name: str = "trace"
    image_mb: int = 450

    @property
    def title(self) -> str:
        """What it is."""
        return f"the files of the log, {COPIES} times"

    @property
    def inodes(self) -> int:
        """Files and directories that its image has room for."""
        return len(trace.kept()[1]) * COPIES * 5 // 4

    def write(self, root: Path) -> None:
        """Write the files."""
        sizes = trace.kept()[1]
        write_files(root, [(f"/{copy}{name}", size) for copy in range(COPIES) for name, size in sorted(sizes.items())])


@cache
def asks(mib: int) -> list[Ask]:
    """The beginning of the log, as far as its files are a set of so many MiB; all of it for 0."""
    lines, sizes = trace.kept()
    total = sum(sizes.values())
    copies = -(-mib * 2**20 // total) if mib else 1
    draw, seen, left = random.Random(SEED), set(), mib * 2**20 or total * COPIES
    found: list[Ask] = []
    for _ in range(copies):
        for line in lines:
            place = f"/{draw.randrange(copies)}{trace.file_of(line.path)}"
            size = sizes[trace.file_of(line.path)]
            if place not in seen:
                seen.add(place)
                left -= size
            found.append(Ask(place.removesuffix("index.html"), size, CLOSING))
            if left <= 0:
                return found
    return found


@dataclass(frozen=True)
class Plan:
    """What all turns share."""

    choice: Choice
    seconds: float
    device: Device
    place: Path
    scratch: Path
    throttle: bool


def cases() -> dict[str, str]:
    """The data sets."""
    return {WHOLE: "the whole log, as it is"} | {f"{mib}MiB": f"a set of {mib} MiB" for mib in SETS}


def turn(number: int, case: str, kind: Kind, plan: Plan) -> Run:
    """One server's turn: a cold tree, a warm-up at full speed, and the measurement with the disk slowed down."""
    run = Run(number, case, kind.name)
    wanted = asks(0 if case == WHOLE else int(case.removesuffix("MiB")))
    hot = (wanted[0].path, wanted[0].size)
    with disk.mounted(plan.device, plan.place) as root, confine.confined() as groups:
        try:
            with running(kind, root, hot, plan.choice, confine.entering(groups)) as server:
                messages = workload.write(wanted, server, plan.scratch / "messages")
                load = wrk.Load(CLIENTS, script="replay.lua", arguments=(str(messages.file),), patience=30)
                wrk.run(server.url(hot[0]), WARM_UP, load)
                with throttled(groups, plan.device) if plan.throttle else nothing():
                    before = server.cpu_seconds()
                    outcome = wrk.run(server.url(hot[0]), plan.seconds, load)
                    used = server.cpu_seconds() - before
                run.figures |= {
                    "rate": outcome.rate,
                    "mb_per_second": outcome.octets / outcome.seconds / 1e6,
                    "p50_ms": outcome.p50,
                    "p99_ms": outcome.p99,
                    "cpu_share": used / outcome.seconds,
                    "own_mib": groups.own_memory() / 2**20,
                }
                run.faults += outcome.faults(least(messages, wanted, outcome.requests))
        except (ServerFailedError, OSError) as error:
            run.faults.append(str(error))
    return run


def least(messages: workload.Messages, wanted: list[Ask], answered: int) -> int:
    """The bytes that so many answers have at least: those that are still under way may be the largest."""
    largest = sum(sorted((ask.size for ask in wanted), reverse=True)[:CLIENTS])
    return messages.body_octets(answered) - largest


@contextmanager
def nothing() -> Iterator[None]:
    """A disk that is left as it is."""
    yield


def main() -> int:
    """Run the benchmark from the command line."""
    parser = harness.parser(__doc__ or "", SERVERS, rounds=5, seconds=10)
    parser.add_argument("--cases", default=",".join(cases()), help=f"comma-separated, of: {', '.join(cases())}")
    parser.add_argument("--scratch", type=Path, help="where to keep the image from one run to the next")
    parser.add_argument("--unthrottled", action="store_true", help="leave the disk as fast as it is")
    options = parser.parse_args()
    confine.need_root("The data sets are")
    harness.need("wrk", *disk.PROGRAMS)
    kinds, choice = harness.chosen(options)
    prepare_process()
    wanted = {name: title for name, title in cases().items() if name in options.cases.split(",")}
    found = Result(
        name="dataset-unthrottled" if options.unthrottled else "dataset",
        title="A real log over data sets in 128 MiB of memory" + (", disk unthrottled" if options.unthrottled else ""),
        columns=COLUMNS,
        chart=Chart(("rate",), logarithmic=True, columns=2),
        cases=wanted,
        servers={kind.name: kind.title for kind in kinds},
        settings=settings(options),
        machine=harness.machine(kinds, choice),
        overview=dict.fromkeys(wanted, TO_NGINX),
        plots=None if options.unthrottled else PLOTS,
    )
    with tempfile.TemporaryDirectory(prefix="benchmark-dataset-") as temporary:
        scratch: Path = options.scratch or Path(temporary)
        scratch.mkdir(parents=True, exist_ok=True)
        with disk.attached(disk.image_of(Copies(), scratch)) as device:
            plan = Plan(choice, options.seconds, device, scratch / "mounted", Path(temporary), not options.unthrottled)
            for number, case, kind in harness.turns(options.rounds, list(wanted), kinds):
                run = turn(number, case, kind, plan)
                found.runs.append(run)
                result.report(run, COLUMNS)
    result.ratios(found)
    return result.finish(found, options.results)


def settings(options: argparse.Namespace) -> dict[str, object]:
    """What the figures were taken with."""
    return {
        "rounds": options.rounds,
        "seconds": options.seconds,
        "warm-up seconds": WARM_UP,
        "clients": CLIENTS,
        "copies of the files": COPIES,
        "memory MiB": confine.MEMORY >> 20,
        **({} if options.unthrottled else {"disk MB/s": confine.READ_BYTES / 1e6, "disk reads/s": confine.READS}),
        "seed": SEED,
    }


if __name__ == "__main__":
    sys.exit(harness.guarded(main))
