"""HTTP/2: what a request costs, and what a burst of resets does to others.

h2load asks for one hot file over HTTP/2 in clear text (prior knowledge), on 50 connections with 32 requests under way
each (pipelined, where a server is asked over HTTP/1.1); what counts is requests per CPU second of the server. In the
case ``burst`` a client sends 64 KiB of HEADERS and RST_STREAM in pairs, again and again on new connections, while a
probe asks for the same file over HTTP/1, 20 times a second: its latencies say for how long the server was held up.
"""

from __future__ import annotations

import os
import re
import socket
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

from benchmarks import cases, harness, load, result
from benchmarks.cases import KIB_1
from benchmarks.kinds import Kind
from benchmarks.peers import prepare_process
from benchmarks.result import Chart, Column, Measure, Result, Run
from benchmarks.servers import LOAD_CORE, Choice, Server, ServerFailedError, running

SERVERS = "flashpy-http2,nginx-http2"
CASES = {"1KiB": "1 KiB over HTTP/2", "burst": "1 KiB over HTTP/1 beside bursts of resets over HTTP/2"}
COLUMNS = (
    Column("per_cpu_second", "requests per CPU second"),
    Column("ratio", "ratio", 2),
    Column("rate", "requests/s"),
    Column("p50_ms", "p50 of the probe, ms", 2),
    Column("p99_ms", "p99 of the probe, ms", 2),
    Column("longest_ms", "longest, ms", 2),
    Column("bursts", "bursts"),
)
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
BURST = 64 * 1024
PERIOD = 0.05
"""Seconds between two questions of the probe."""


def address(server: Server) -> tuple[str, int]:
    """Where the server speaks HTTP/2: nginx 1.22 does so on an address of its own."""
    return server.kind.values.get("http2", "127.0.0.1"), server.port


def burst() -> bytes:
    """HEADERS and RST_STREAM in pairs, as many as fit into the burst."""
    block = bytes((0x82, 0x86, 0x84, 0x41, 7)) + b"example"  # GET, http, /, :authority: all in HPACK's static table
    sent, stream = PREFACE, 1
    while len(sent) < BURST:
        number = stream.to_bytes(4, "big")
        sent += len(block).to_bytes(3, "big") + bytes((1, 5)) + number + block
        sent += bytes((0, 0, 4, 3, 0)) + number + bytes((0, 0, 0, 8))
        stream += 2
    return sent


def throughput(run: Run, server: Server, seconds: float) -> None:
    """Requests per CPU second under full load."""
    host, port = address(server)
    plain = () if server.kind.name.endswith("-http2") else ("--h1",)
    command = ("h2load", *plain, "-c", "50", "-m", "32", "-D", f"{seconds:g}", "--warm-up-time", "1",
               f"http://{host}:{port}{KIB_1[0]}")  # fmt: skip
    began = server.cpu_seconds()
    said, _ = load.run(command, seconds + 30)
    used = server.cpu_seconds() - began
    counted = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", said)
    if not counted:
        raise ServerFailedError(f"h2load said nothing of its requests: {said.strip()[-200:]}")
    done, *bad = map(int, counted.groups())
    if any(bad):
        run.faults.append(f"h2load: {counted[0]}")
    # The warm-up second is in the CPU time, and not in the requests.
    run.figures |= {"per_cpu_second": done / (used * seconds / (seconds + 1)), "rate": done / seconds}


def bombard(where: tuple[str, int], data: bytes, stop: threading.Event, count: list[int]) -> None:
    """Send bursts until told to stop."""
    while not stop.is_set():
        with socket.create_connection(where, 10) as link:
            try:
                link.sendall(data)
                while link.recv(1 << 16):
                    pass
            except OSError:
                pass
        count[0] += 1


def beside(run: Run, server: Server, seconds: float) -> None:
    """The latencies of a probe beside the bursts."""
    stop, count, taken = threading.Event(), [0], []
    attacker = threading.Thread(target=bombard, args=(address(server), burst(), stop, count))
    question = f"GET {KIB_1[0]} HTTP/1.1\r\nHost: example\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", server.port), 10) as probe:
        attacker.start()
        try:
            due = time.perf_counter()
            for _ in range(int(seconds / PERIOD)):
                time.sleep(max(0.0, due - time.perf_counter()))
                probe.sendall(question)
                got = b""
                while len(got.partition(b"\r\n\r\n")[2]) < KIB_1[1]:
                    got += probe.recv(1 << 16)
                taken.append(1000 * (time.perf_counter() - due))
                due += PERIOD
        finally:
            stop.set()
            attacker.join()
    run.figures |= {
        "p50_ms": statistics.median(taken),
        "p99_ms": statistics.quantiles(taken, n=100, method="inclusive")[98],
        "longest_ms": max(taken),
        "bursts": count[0],
    }


def turn(number: int, case: str, kind: Kind, seconds: float, root: Path, choice: Choice) -> Run:
    """One server's turn in one case."""
    run = Run(number, case, kind.name)
    try:
        with running(kind, root, KIB_1, choice) as server:
            (beside if case == "burst" else throughput)(run, server, seconds)
    except (ServerFailedError, OSError) as error:
        run.faults.append(str(error))
    return run


def main() -> int:
    """Run the benchmark from the command line."""
    options = harness.parser(__doc__ or "", SERVERS, rounds=3, seconds=4).parse_args()
    harness.need("h2load")
    kinds, choice = harness.chosen(options)
    prepare_process()
    os.sched_setaffinity(0, {LOAD_CORE})
    found = Result(
        name="http2",
        title="HTTP/2: requests per CPU second, nginx is 1",
        columns=COLUMNS,
        chart=Chart(("per_cpu_second",), cases=("1KiB",)),
        cases=CASES,
        servers={kind.name: kind.title for kind in kinds},
        settings={
            "rounds": options.rounds,
            "seconds": options.seconds,
            "load": "h2load -c 50 -m 32 (HTTP/1.1: pipelined), 1 KiB",
        },
        machine=harness.machine(kinds, choice),
        overview={"1KiB": Measure("per_cpu_second", ("nginx-http2",))},
    )
    with tempfile.TemporaryDirectory(prefix="benchmark-site-") as site:
        os.chmod(site, 0o755)
        roots = cases.make_sites(Path(site), [cases.CASES["1KiB"]])
        for number, case, kind in harness.turns(options.rounds, list(CASES), kinds):
            run = turn(number, case, kind, options.seconds, roots["hot"], choice)
            found.runs.append(run)
            result.report(run, COLUMNS)
    result.ratios(found)
    return result.finish(found, options.results)


if __name__ == "__main__":
    sys.exit(harness.guarded(main))
