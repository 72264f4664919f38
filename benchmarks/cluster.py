"""A cluster of four nodes on one machine: what balancing by locality is worth (Pai et al., ASPLOS 1998, section 4).

Each node has a disk of its own, with the same files, slowed down, and memory for a quarter of the set: pages belong to
a file and to who has read them first, so nodes over one tree would share one cache. A real log is replayed over the
cold cluster, and once again over what that has left in memory, by as many clients as LARD admits; each request has a
connection of its own. The nodes and who is in front of them share one core, so each node has a quarter of the disk
that other benchmarks have: with faster ones that core would be the limit, for all alike.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import confine, dataset, disk, harness, result, workload, wrk
from benchmarks.disk import Device
from benchmarks.kinds import KINDS, Kind
from benchmarks.peers import prepare_process
from benchmarks.result import Chart, Column, Measure, Result, Run
from benchmarks.servers import Choice, Server, ServerFailedError, running
from benchmarks.stall import throttled
from benchmarks.workload import Ask

NODES = 4
SET = 256
"""The files that are asked for, in MiB."""
OWN = 72
"""MiB that a node's processes and the kernel need for themselves, as measured."""
STARTING = 512 << 20
"""Bytes that a node may have until it serves."""
PACE = confine.Pace(confine.READ_BYTES // NODES, confine.READS // NODES)
CLIENTS = (NODES - 1) * 65 + 25 - 1
"""As many connections as LARD admits (T_high is 65, T_low 25)."""
LONGEST = 600
"""Seconds that one replay may take."""
SERVERS = "front-rr,front-chbl,front-lard,front-lard-r,haproxy-uri,haproxy-lard"
TO_ROUND_ROBIN = Measure("rate", ("front-rr", "haproxy-rr"))
CASES = {"cold": "the first replay, with nothing in memory", "warm": "the second replay"}
COLUMNS = (
    Column("rate", "requests/s"),
    Column("ratio", "ratio", 2),
    Column("mb_per_second", "MB/s", 1),
    Column("missed", "MB read per MB sent", 3),
    Column("reads", "disk reads per request", 3),
    Column("p50_ms", "p50 ms", 1),
    Column("p99_ms", "p99 ms", 1),
    Column("cpu_share", "core of front and nodes in use", 2),
    Column("front_us", "front's CPU µs per request", 0),
    Column("own_mib", "own memory of a node MiB", 0),
)


@dataclass(frozen=True)
class NodeCopies(dataset.Copies):
    """The files of the log on the image of one node."""

    node: int = 0

    @property
    def name(self) -> str:
        """Which image it is."""
        return f"{super().name}-node{self.node}"


@dataclass(frozen=True)
class Plan:
    """What all turns share."""

    choice: Choice
    devices: Sequence[Device]
    scratch: Path
    temporary: Path
    wanted: Sequence[Ask]
    memory: int

    @property
    def hot(self) -> tuple[str, int]:
        """What servers are asked for when they start."""
        return self.wanted[0].path, self.wanted[0].size


@dataclass(frozen=True)
class Node:
    """A node that runs."""

    number: int
    server: Server
    groups: confine.Groups
    device: Device

    def section(self) -> str:
        """What flashpy's front-end is told of it."""
        handoff = self.server.log.with_name("node.sock")
        address = f"127.0.0.1:{self.server.port}"
        return f'[[cluster.node]]\nname = "node{self.number}"\nhandoff = "{handoff}"\naddress = "{address}"\n'

    def line(self) -> str:
        """What HAProxy is told of it."""
        return f"server node{self.number} 127.0.0.1:{self.server.port}"


@contextmanager
def cluster(plan: Plan) -> Iterator[list[Node]]:
    """The nodes for the time of the block: cold, with their memory limited and their disks slow."""
    with ExitStack() as stack:
        nodes = []
        for number, device in enumerate(plan.devices, start=1):
            root = stack.enter_context(disk.mounted(device, plan.scratch / f"mounted{number}"))
            groups = stack.enter_context(confine.confined(STARTING, f"node{number}"))
            server = stack.enter_context(running(KINDS["node"], root, plan.hot, plan.choice, confine.entering(groups)))
            groups.limit(plan.memory)
            nodes.append(Node(number, server, groups, device))
        for node in nodes:
            stack.enter_context(throttled(node.groups, node.device, PACE))
        yield nodes


@contextmanager
def front(kind: Kind, nodes: Sequence[Node], plan: Plan) -> Iterator[Server]:
    """Who is in front of the nodes."""
    words = {
        "nodes": "\n".join(node.section() for node in nodes),
        "servers": "\n    ".join(node.line() for node in nodes),
    }
    with running(replace(kind, values={**kind.values, **words}), plan.scratch, plan.hot, plan.choice) as server:
        yield server


def turn(number: int, kind: Kind, plan: Plan) -> list[Run]:
    """One front's turn: nodes that are cold, and two replays."""
    runs = [Run(number, case, kind.name) for case in CASES]
    try:
        with cluster(plan) as nodes, front(kind, nodes, plan) as server:
            messages = workload.write(plan.wanted, server, plan.temporary / "messages")
            for run in runs:
                replay(run, server, nodes, plan, messages)
    except (ServerFailedError, OSError) as error:
        runs[-1].faults.append(str(error))
    return [run for run in runs if run.figures or run.faults]


def replay(run: Run, server: Server, nodes: Sequence[Node], plan: Plan, messages: workload.Messages) -> None:
    """Replay the log once, and put figures and faults into the run."""
    load = wrk.Load(CLIENTS, script="once.lua", arguments=(str(messages.file),), patience=30)
    read = [node.device.read() for node in nodes]
    own, others = server.cpu_seconds(), sum(node.server.cpu_seconds() for node in nodes)
    outcome = wrk.run(server.url(plan.hot[0]), LONGEST, load)
    own, others = server.cpu_seconds() - own, sum(node.server.cpu_seconds() for node in nodes) - others
    found = [node.device.read() for node in nodes]
    octets = sum(after.octets - before.octets for after, before in zip(found, read, strict=True))
    reads = sum(after.reads - before.reads for after, before in zip(found, read, strict=True))
    run.figures |= {
        "rate": outcome.rate,
        "mb_per_second": outcome.octets / outcome.seconds / 1e6,
        "missed": octets / max(1, outcome.octets),
        "reads": reads / max(1, outcome.requests),
        "p50_ms": outcome.p50,
        "p99_ms": outcome.p99,
        "cpu_share": (own + others) / outcome.seconds,
        "front_us": 1e6 * own / max(1, outcome.requests),
        "own_mib": max(node.groups.own_memory() for node in nodes) / 2**20,
    }
    largest = sum(sorted((ask.size for ask in plan.wanted), reverse=True)[:CLIENTS])
    run.faults += outcome.faults(messages.body_octets(outcome.requests) - largest)
    if outcome.requests < len(plan.wanted) - 2 * CLIENTS:  # some are under way at the end
        run.faults.append(f"{outcome.requests} requests of {len(plan.wanted)} in {LONGEST} s")


def settings(options: argparse.Namespace, wanted: Sequence[Ask]) -> dict[str, object]:
    """What the figures were taken with."""
    return {
        "rounds": options.rounds,
        "nodes": NODES,
        "clients": CLIENTS,
        "set MiB": options.set,
        "files": len({ask.path for ask in wanted}),
        "requests of a replay": len(wanted),
        "MB of a replay": round(sum(ask.size for ask in wanted) / 1e6),
        "memory of a node MiB": f"{options.set // NODES}, and {OWN} for itself",
        "disk MB/s": PACE.octets / 1e6,
        "disk reads/s": PACE.reads,
        "seed": workload.SEED,
    }


def main() -> int:
    """Run the benchmark from the command line."""
    parser = harness.parser(__doc__ or "", SERVERS, rounds=3, seconds=LONGEST)
    parser.add_argument("--set", type=int, default=SET, metavar="MIB", help="size of all files together")
    parser.add_argument("--scratch", type=Path, help="where to keep the images from one run to the next")
    options = parser.parse_args()
    confine.need_root("The cluster is")
    harness.need("wrk", *disk.PROGRAMS)
    kinds, choice = harness.chosen(options)
    prepare_process()
    wanted = dataset.asks(options.set)
    copies = dataset.copies_for(options.set)
    found = Result(
        name="cluster",
        title=f"Four nodes, each with memory for a quarter of {options.set} MiB",
        columns=COLUMNS,
        chart=Chart(("rate",)),
        cases=CASES,
        servers={kind.name: kind.title for kind in kinds},
        settings=settings(options, wanted),
        machine=harness.machine(kinds, choice),
        overview=dict.fromkeys(CASES, TO_ROUND_ROBIN),
    )
    with tempfile.TemporaryDirectory(prefix="benchmark-cluster-") as temporary, ExitStack() as stack:
        scratch: Path = options.scratch or Path(temporary)
        scratch.mkdir(parents=True, exist_ok=True)
        images = [disk.image_of(NodeCopies(copies, node), scratch) for node in range(1, NODES + 1)]
        devices = [stack.enter_context(disk.attached(image)) for image in images]
        memory = (options.set // NODES + OWN) << 20
        plan = Plan(choice, devices, scratch, Path(temporary), wanted, memory)
        for number, _, kind in harness.turns(options.rounds, ["both"], kinds):
            for run in turn(number, kind, plan):
                found.runs.append(run)
                result.report(run, COLUMNS)
            found.write(options.results)  # it takes long, and may be broken off
    result.ratios(found)
    return result.finish(found, options.results)


if __name__ == "__main__":
    sys.exit(harness.guarded(main))
