"""A real log replayed over data sets that do and do not fit into memory (Flash, sections 6.2 and 6.3, figures 8 to 10).

The log of NASA's web server is truncated so that the files it asks for make up a set of a given size. It tells of too
few files for the larger sets: there, its structure is repeated over copies of the files, each request choosing one of
the copies at random (seeded). The server has 128 MiB of memory with its page cache, and a slow disk; 64 clients ask as
fast as answers come, each request on a connection of its own, as browsers did then: MP and MT could not serve more
connections than they have processes and threads otherwise. MP has 8 processes: more do not fit into the memory, since
each comes to take some 8 MiB.

With more memory (--memory) the sets grow with it, and there are more copies of the files.
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
"""Copies of the files, which make up more than twice the memory if that is not larger."""
SETS = (1 / 4, 1 / 2, 3 / 4, 1, 3 / 2, 2)
"""Sizes of the sets, in parts of the memory."""
PLOTTED = 3
"""Fewer cases than that make no plot."""
WHOLE = "trace"
"""The case of the whole log, as it is."""
CLIENTS = 64
WARM_UP = 6
"""Seconds of load at the disk's own speed, so that each server begins with the memory full of what it would keep; with
more memory it takes longer."""
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
PLOTS = (Plot("rate", "requests/s"), Plot("mb_per_second", "MB/s"), Plot("p50_ms", "p50, ms", logarithmic=True),
         Plot("p99_ms", "p99, ms", logarithmic=True))  # fmt: skip


@dataclass(frozen=True)
class Copies:
    """The files of the log, several times, for an image of their own."""

    copies: int = COPIES

    @property
    def name(self) -> str:
        """Which image it is."""
        return "trace" if self.copies == COPIES else f"trace-{self.copies}"

    @property
    def image_mb(self) -> int:
        """What they take, in 10^6 bytes: a copy has 109."""
        return 150 * self.copies

    @property
    def title(self) -> str:
        """What it is."""
        return f"the files of the log, {self.copies} times"

    @property
    def inodes(self) -> int:
        """Files and directories that its image has room for."""
        return len(trace.kept()[1]) * self.copies * 5 // 4

    def write(self, root: Path) -> None:
        """Write the files."""
        names = sorted(trace.kept()[1].items())
        write_files(root, [(f"/{copy}{name}", size) for copy in range(self.copies) for name, size in names])


def copies_for(mib: int) -> int:
    """How many copies of the files a set of so many MiB takes."""
    return -(-mib * 2**20 // sum(trace.kept()[1].values()))


@cache
def asks(mib: int) -> list[Ask]:
    """The beginning of the log, as far as its files are a set of so many MiB; all of it for 0."""
    lines, sizes = trace.kept()
    total = sum(sizes.values())
    copies = copies_for(mib) if mib else 1
    draw, seen, left = random.Random(SEED), set(), mib * 2**20 or total * copies
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
    memory: int = confine.MEMORY


def cases(memory: int) -> dict[str, str]:
    """The data sets, for so many MiB of memory."""
    sizes = [int(part * memory) for part in SETS]
    return {WHOLE: "the whole log, as it is"} | {f"{mib}MiB": f"a set of {mib} MiB" for mib in sizes}


def turn(number: int, case: str, kind: Kind, plan: Plan) -> Run:
    """One server's turn: a cold tree, a warm-up at full speed, and the measurement with the disk slowed down."""
    run = Run(number, case, kind.name)
    wanted = asks(0 if case == WHOLE else int(case.removesuffix("MiB")))
    hot = (wanted[0].path, wanted[0].size)
    with disk.mounted(plan.device, plan.place) as root, confine.confined(plan.memory) as groups:
        try:
            with running(kind, root, hot, plan.choice, confine.entering(groups)) as server:
                messages = workload.write(wanted, server, plan.scratch / "messages")
                load = wrk.Load(CLIENTS, script="replay.lua", arguments=(str(messages.file),), patience=30)
                wrk.run(server.url(hot[0]), warm_up(plan.memory), load)
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


def warm_up(memory: int) -> int:
    """Seconds that it takes to fill so many bytes of memory."""
    return max(WARM_UP, WARM_UP * memory // confine.MEMORY)


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
    parser.add_argument("--cases", help=f"comma-separated, of: {', '.join(cases(confine.MEMORY >> 20))}")
    parser.add_argument("--memory", type=int, default=confine.MEMORY >> 20, metavar="MIB", help="of the server, in MiB")
    parser.add_argument("--scratch", type=Path, help="where to keep the image from one run to the next")
    parser.add_argument("--unthrottled", action="store_true", help="leave the disk as fast as it is")
    options = parser.parse_args()
    confine.need_root("The data sets are")
    harness.need("wrk", *disk.PROGRAMS)
    kinds, choice = harness.chosen(options)
    prepare_process()
    there = cases(options.memory)
    wanted = {name: title for name, title in there.items() if name in (options.cases or ",".join(there)).split(",")}
    copies = Copies(max(COPIES, copies_for(int(SETS[-1] * options.memory))))
    found = Result(
        name=name_of(options),
        title=f"A real log over data sets in {options.memory} MiB of memory"
        + (", disk unthrottled" if options.unthrottled else ""),
        columns=COLUMNS,
        chart=Chart(("rate",), logarithmic=True, columns=2),
        cases=wanted,
        servers={kind.name: kind.title for kind in kinds},
        settings=settings(options, copies),
        machine=harness.machine(kinds, choice),
        overview=dict.fromkeys(wanted, TO_NGINX),
        plots=Plots(f"MiB of the set; the memory is {options.memory} MiB", PLOTS) if len(wanted) > PLOTTED else None,
    )
    with tempfile.TemporaryDirectory(prefix="benchmark-dataset-") as temporary:
        scratch: Path = options.scratch or Path(temporary)
        scratch.mkdir(parents=True, exist_ok=True)
        with disk.attached(disk.image_of(copies, scratch)) as device:
            plan = Plan(
                choice,
                options.seconds,
                device,
                scratch / "mounted",
                Path(temporary),
                not options.unthrottled,
                options.memory << 20,
            )
            for number, case, kind in harness.turns(options.rounds, list(wanted), kinds):
                run = turn(number, case, kind, plan)
                found.runs.append(run)
                result.report(run, COLUMNS)
    result.ratios(found)
    return result.finish(found, options.results)


def name_of(options: argparse.Namespace) -> str:
    """The result's name, which says what is not as it is by default."""
    parts = ["dataset"]
    if options.memory << 20 != confine.MEMORY:
        parts.append(f"{options.memory}MiB")
    if options.unthrottled:
        parts.append("unthrottled")
    return "-".join(parts)


def settings(options: argparse.Namespace, copies: Copies) -> dict[str, object]:
    """What the figures were taken with."""
    return {
        "rounds": options.rounds,
        "seconds": options.seconds,
        "warm-up seconds": warm_up(options.memory << 20),
        "clients": CLIENTS,
        "copies of the files": copies.copies,
        "memory MiB": options.memory,
        **({} if options.unthrottled else {"disk MB/s": confine.READ_BYTES / 1e6, "disk reads/s": confine.READS}),
        "seed": SEED,
    }


if __name__ == "__main__":
    sys.exit(harness.guarded(main))
