"""What a request costs that is another node's than the one that has its connection: CPU time of the front-end and the
nodes together, when the connection is handed over, and when the answer is fetched (back-end forwarding: Aron et al.,
USENIX ATC 1999).

Two nodes and a front-end share a core. Requests that come alone: each is another's than the one before, and has the
connection handed over; or all are another's than the one that has the connection, and are fetched. And batches of
requests that are each node's in turn, of which those of the other node are fetched, or handed over one after another.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import harness, process, result, wrk
from benchmarks.kinds import FLASHPY_VERSION, Kind
from benchmarks.peers import prepare_process
from benchmarks.result import Chart, Column, Measure, Result, Run
from benchmarks.servers import REPOSITORY, SERVER_CORE, Choice, Server, ServerFailedError, running
from benchmarks.tree import write_files

NODES = "ab"
CONNECTIONS = 8
BATCH = 8
SIZES = {"1KiB": 1024, "10KiB": 10 * 1024, "1MiB": 2**20}
FRONT = ("{python}", "-m", "flashpy", "front", "-c", "{config}")
NODE = "from flashpy.cluster.node import lateral; lateral.LEAST = {least}; from flashpy.cli import main; main()"
LEAST = {"handed": 2**40, "fetched": 1}
"""How many requests must have come together for any to be fetched (cluster.node.lateral)."""
KINDS = [
    Kind("handed", "the connection is handed over", FRONT, FLASHPY_VERSION, "lateral.toml"),
    Kind("fetched", "the answer is fetched", FRONT, FLASHPY_VERSION, "lateral.toml"),
]
COLUMNS = (
    Column("us_per_request", "CPU us per request", 1),
    Column("ratio", "ratio", 2),
    Column("rate", "requests/s"),
    Column("cpu_share", "core in use", 2),
)


@dataclass(frozen=True)
class Cluster:
    """A front-end and its nodes, that run."""

    front: Server
    nodes: list[subprocess.Popen[bytes]]

    def cpu_seconds(self) -> float:
        """Of all of them, until now."""
        return self.front.cpu_seconds() + sum(process.cpu_seconds(node.pid) for node in self.nodes)


@contextmanager
def node(root: Path, handoff: Path, least: int, python: str) -> Iterator[subprocess.Popen[bytes]]:
    """A node."""
    command = ["taskset", "-c", str(SERVER_CORE), python, "-c", NODE.format(least=least), "node", str(root)]
    child = subprocess.Popen(
        [*command, "--listen", str(handoff)], cwd=REPOSITORY, start_new_session=True, stderr=subprocess.PIPE
    )
    try:
        assert child.stderr is not None
        if not any(b"Serving" in line for line in child.stderr):
            raise ServerFailedError("The node does not start.")
        yield child
    finally:
        process.end(child)


@contextmanager
def cluster(kind: Kind, root: Path, place: Path, choice: Choice) -> Iterator[Cluster]:
    """Nodes each of which has its files in memory, behind a front-end that knows."""
    place.mkdir()
    with ExitStack() as stack:
        nodes = [stack.enter_context(node(root, place / name, LEAST[kind.name], choice.python)) for name in NODES]
        sections = "\n".join(f'[[cluster.node]]\nname = "{name}"\nhandoff = "{place / name}"' for name in NODES)
        control = place / "control"
        kind = replace(kind, values={"nodes": sections, "control": str(control)})
        file = place / "control.toml"
        file.write_text(f'[cluster]\ncontrol = "{control}"\n{sections}\n')
        front = stack.enter_context(running(kind, root, ("/start", 1), choice))
        for name, other in zip(NODES, reversed(NODES), strict=True):
            drain = [choice.python, "-m", "flashpy", "drain", other, "-c", str(file)]
            subprocess.run(drain, cwd=REPOSITORY, check=True, stdout=subprocess.DEVNULL)
            for size, octets in SIZES.items():
                front.check(f"/{name}{size}", octets)
            subprocess.run([*drain, "--undo"], cwd=REPOSITORY, check=True, stdout=subprocess.DEVNULL)
        yield Cluster(front, nodes)


def message(folder: Path, size: str, names: str) -> str:
    """A file with requests for files of this size, of these nodes; its name."""
    path = folder / f"{size}-{names}"
    path.write_text("".join(f"GET /{name}{size} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" for name in names))
    return str(path)


def sequence(case: str, kind: str, folder: Path) -> tuple[str, ...]:
    """What a connection asks for (lua/sequence.lua)."""
    size, _, batch = case.partition("-")
    if batch:
        return (message(folder, size, NODES * (BATCH // 2)),) * 2
    first, other = (message(folder, size, name) for name in NODES)
    return (first, other) if kind == "handed" else (first, first, other, other)


def turn(number: int, case: str, kind: Kind, found: Cluster, folder: Path, seconds: float) -> Run:
    """The turn of one means."""
    run = Run(number, case, kind.name)
    size = SIZES[case.partition("-")[0]]
    how = wrk.Load(
        connections=CONNECTIONS, threads=CONNECTIONS, script="sequence.lua",
        arguments=sequence(case, kind.name, folder), patience=20,
    )  # fmt: skip
    url = found.front.url("/")
    wrk.run(url, 1, how)
    before = found.cpu_seconds()
    load = wrk.run(url, seconds, how)
    used = found.cpu_seconds() - before
    run.faults += load.faults(size * load.requests, (size + 1024) * (load.requests + CONNECTIONS * BATCH))
    run.figures = {
        "us_per_request": 1e6 * used / max(load.requests, 1),
        "rate": load.rate,
        "cpu_share": used / load.seconds,
        "requests": load.requests,
        "cpu_seconds": used,
    }
    return run


def main() -> int:
    """Run the benchmark from the command line."""
    options = harness.parser(__doc__ or "", "handed,fetched", rounds=3, seconds=2).parse_args()
    harness.need("wrk")
    choice = Choice(options.python)
    prepare_process()
    titles = {size: f"requests for {size} that come alone" for size in SIZES}
    titles |= {f"{size}-batch": f"batches of {BATCH} requests for {size}, half of them each node's" for size in SIZES}
    found = Result(
        name="lateral",
        title="CPU time per request on connections that another node has, handing over is 1",
        columns=COLUMNS,
        chart=Chart(("us_per_request",), logarithmic=True, columns=2),
        cases=titles,
        servers={kind.name: kind.title for kind in KINDS},
        settings={
            "rounds": options.rounds,
            "seconds": options.seconds,
            "load": f"wrk, {CONNECTIONS} connections; two nodes of flashpy and their front-end on the other core",
        },
        machine=harness.machine(KINDS, choice),
        overview={name: Measure("us_per_request", ("handed",), lower=True) for name in titles},
    )
    with tempfile.TemporaryDirectory(prefix="benchmark-site-") as site, ExitStack() as stack:
        folder = Path(site)
        root = folder / "site"
        write_files(root, [("/start", 1), *((f"/{name}{size}", SIZES[size]) for name in NODES for size in SIZES)])
        clusters = {kind.name: stack.enter_context(cluster(kind, root, folder / kind.name, choice)) for kind in KINDS}
        for number, name, kind in harness.turns(options.rounds, list(titles), KINDS):
            run = turn(number, name, kind, clusters[kind.name], folder, options.seconds)
            found.runs.append(run)
            result.report(run, COLUMNS)
    result.ratios(found)
    return result.finish(found, options.results)


if __name__ == "__main__":
    sys.exit(harness.guarded(main))
