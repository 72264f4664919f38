"""What a front-end costs: its CPU time for each connection, by the means with which a node gets to answer.

One node of flashpy serves a hot file from the core of the load; before it is a front-end on a core of its own. Each
connection is for one request. Only the front-end's CPU time counts: what it does not do, the node does.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import cases, harness, process, result, wrk
from benchmarks.cases import KIB_1, MIB_1
from benchmarks.kinds import FLASHPY_VERSION, Kind
from benchmarks.peers import prepare_process
from benchmarks.result import Chart, Column, Measure, Result, Run
from benchmarks.servers import LOAD_CORE, REPOSITORY, Choice, ServerFailedError, free_port, running

FRONT = ("{python}", "-m", "flashpy", "front", "-c", "{config}")
HAPROXY = ("haproxy", "-db", "-q", "-f", "{config}")
PASSED, RELAYED = 'handoff = "{socket}"', 'address = "127.0.0.1:{node}"'
KINDS = {
    kind.name: kind
    for kind in (
        Kind("passing", "flashpy, the socket is passed", FRONT, FLASHPY_VERSION, "front.toml",
             {"splice": "true", "reach": PASSED}),
        Kind("splice", "flashpy, relayed by splice", FRONT, FLASHPY_VERSION, "front.toml",
             {"splice": "true", "reach": RELAYED}),
        Kind("copy", "flashpy, relayed by copying", FRONT, FLASHPY_VERSION, "front.toml",
             {"splice": "false", "reach": RELAYED}),
        Kind("haproxy", "HAProxy", HAPROXY, ("haproxy", "-v"), "haproxy-front.cfg", {"splice": ""}),
        Kind("haproxy-splice", "HAProxy, by splice", HAPROXY, ("haproxy", "-v"), "haproxy-front.cfg",
             {"splice": "option splice-response"}),
    )
}  # fmt: skip
COLUMNS = (
    Column("us_per_connection", "CPU us per connection", 1),
    Column("ratio", "ratio", 2),
    Column("rate", "connections/s"),
    Column("cpu_share", "front-end's core in use", 2),
)


@dataclass(frozen=True)
class Case:
    """A file that is asked for, and by how many clients at a time."""

    title: str
    file: tuple[str, int]
    clients: int


CASES = {
    "1KiB": Case("a connection for each request of 1 KiB", KIB_1, 64),
    "1MiB": Case("a connection for each request of 1 MiB", MIB_1, 16),
}


@contextmanager
def node(root: Path, port: int, handoff: Path, python: str) -> Iterator[None]:
    """A node, on the core of the load: it is reached in both ways."""
    command = ["taskset", "-c", str(LOAD_CORE), python, "-m", "flashpy", "node", str(root), "--listen", str(handoff),
               "--bind", f"127.0.0.1:{port}"]  # fmt: skip
    child = subprocess.Popen(command, cwd=REPOSITORY, start_new_session=True, stderr=subprocess.PIPE)
    try:
        assert child.stderr is not None
        if not any(b"Serving" in line for line in child.stderr):
            raise ServerFailedError("The node does not start.")
        yield
    finally:
        process.end(child)


def turn(number: int, name: str, kind: Kind, root: Path, seconds: float, choice: Choice) -> Run:
    """One front-end's turn."""
    run, case = Run(number, name, kind.name), CASES[name]
    how = wrk.Load(connections=case.clients, headers=("Connection: close",), patience=20)
    path, size = case.file
    try:
        with running(kind, root, case.file, choice) as server:
            wrk.run(server.url(path), 1, how)
            before = server.cpu_seconds()
            found = wrk.run(server.url(path), seconds, how)
            used = server.cpu_seconds() - before
        run.faults += found.faults(size * found.requests, (size + 1024) * (found.requests + case.clients))
        run.figures = {
            "us_per_connection": 1e6 * used / max(found.requests, 1),
            "rate": found.rate,
            "cpu_share": used / found.seconds,
            "requests": found.requests,
            "cpu_seconds": used,
        }
    except (ServerFailedError, OSError) as error:
        run.faults.append(str(error))
    return run


def main() -> int:
    """Run the benchmark from the command line."""
    parser = harness.parser(__doc__ or "", "passing,splice,copy,haproxy,haproxy-splice", rounds=5, seconds=3)
    options = parser.parse_args()
    harness.need("wrk", "haproxy")
    kinds = [KINDS[name] for name in options.servers.split(",") if name in KINDS]
    choice = Choice(options.python)
    prepare_process()
    found = Result(
        name="front",
        title="A front-end's CPU time per connection, HAProxy at its better setting is 1",
        columns=COLUMNS,
        chart=Chart(("us_per_connection",), logarithmic=True),
        cases={name: case.title for name, case in CASES.items()},
        servers={kind.name: kind.title for kind in kinds},
        settings={
            "rounds": options.rounds,
            "seconds": options.seconds,
            "load": "wrk, 64 clients (1 KiB) and 16 (1 MiB), Connection: close; one node of flashpy on the same core",
        },
        machine=harness.machine(kinds, choice),
        overview={name: Measure("us_per_connection", ("haproxy", "haproxy-splice"), lower=True) for name in CASES},
    )
    with tempfile.TemporaryDirectory(prefix="benchmark-site-") as site:
        folder, port = Path(site), free_port()
        roots = cases.make_sites(folder, [cases.CASES["1KiB"]])
        words = {"node": str(port), "socket": str(folder / "node.sock")}
        kinds = [replace(kind, values={**words, **filled(kind, words)}) for kind in kinds]
        with node(roots["hot"], port, folder / "node.sock", choice.python):
            for number, name, kind in harness.turns(options.rounds, list(CASES), kinds):
                run = turn(number, name, kind, roots["hot"], options.seconds, choice)
                found.runs.append(run)
                result.report(run, COLUMNS)
    result.ratios(found)
    return result.finish(found, options.results)


def filled(kind: Kind, words: dict[str, str]) -> dict[str, str]:
    """The values of a row, with where the node is."""
    return {name: value.format(**words) for name, value in kind.values.items()}


if __name__ == "__main__":
    sys.exit(harness.guarded(main))
