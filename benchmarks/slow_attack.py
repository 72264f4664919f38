"""Slow attacks: what a client of another address feels while thousands of connections do all they can to be in the way.

slowhttptest holds 4,000 connections from 127.0.0.1 in each of its modes: heads that do not end (slowloris), bodies that
do not, requests for very many ranges, answers that are read byte by byte. When the server has closed all of them it
begins again. Meanwhile a probe from 127.0.0.2 asks for a small page every 100 ms, on a new connection each time. All
servers are attacked and asked at the same time, so that what else the machine does befalls them alike.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

from benchmarks import cases, harness, result
from benchmarks.cases import KIB_1, MIB_1
from benchmarks.kinds import Kind
from benchmarks.peers import prepare_process
from benchmarks.result import Chart, Column, Measure, Result, Run
from benchmarks.servers import LOAD_CORE, REPOSITORY, Choice, Server, ServerFailedError, running
from benchmarks.slow_probe import PATIENCE

PROBE = "127.0.0.2"
EVERY = 0.1
CONNECTIONS = 4_000
RATE = 1_000
"""Connections that the attacker opens in a second."""
INTERVAL = 5
"""Seconds between two pieces of what an attacker sends."""
MODES = {
    "headers": ("-H", "-i", str(INTERVAL)),
    "body": ("-B", "-i", str(INTERVAL), "-s", "60000"),
    "ranges": ("-R", "-a", "1", "-b", "2000"),
    "read": ("-X", "-w", "512", "-y", "1024", "-n", str(INTERVAL), "-z", "32", "-k", "3"),
}
"""The options of slowhttptest."""
CASES = {
    "headers": "heads that do not end",
    "body": "bodies that do not end",
    "ranges": "very many ranges",
    "read": "answers read byte by byte",
}
COLUMNS = (
    Column("p50_ms", "probe p50 ms", 2),
    Column("p99_ms", "probe p99 ms", 2),
    Column("p999_ms", "probe p99.9 ms", 2),
    Column("max_ms", "probe max ms", 2),
    Column("failed", "probes failed"),
    Column("probes", "probes"),
    Column("held", "connections held"),
    Column("ratio", "ratio", 2),
    Column("cpu_share", "server's core in use", 2),
)
_CONNECTED = re.compile(rb"connected:\D*?(\d+)\s*$", re.MULTILINE)
_COLOUR = re.compile(rb"\x1b\[[0-9;]*[A-Za-z]")


class Attack:
    """slowhttptest against a server, begun again whenever it ends."""

    def __init__(self, server: Server, mode: str, connections: int, log: Path) -> None:
        self._command = [
            "taskset", "-c", str(LOAD_CORE), "slowhttptest", *MODES[mode], "-c", str(connections), "-r", str(RATE),
            "-l", "600", "-u", server.url(MIB_1[0]),
        ]  # fmt: skip
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def keep_on(self) -> None:
        """Begin, or begin again if it has ended."""
        if self._process is None or self._process.poll() is not None:
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def end(self) -> None:
        """End it; when it is interrupted, it says all that it has to say."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def held(self) -> int:
        """The most connections that it has held at a time, as it says every few seconds."""
        return max(map(int, _CONNECTED.findall(_COLOUR.sub(b"", self._log.read_bytes()))), default=0)


def measure(run: Run, server: Server, seconds: float, attack: Attack) -> None:
    """Attack, probe, and put figures and faults into the run."""
    command = ["taskset", "-c", str(LOAD_CORE), sys.executable, "-m", "benchmarks.slow_probe",
               "--port", str(server.port), "--source", PROBE, "--path", KIB_1[0], "--size", str(KIB_1[1]),
               "--seconds", str(seconds), "--every", str(EVERY)]  # fmt: skip
    before, began = server.cpu_seconds(), time.perf_counter()
    limit = began + seconds + PATIENCE + 30
    probe = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        while probe.poll() is None and time.perf_counter() < limit:
            attack.keep_on()
            time.sleep(0.05)
    finally:
        attack.end()
        probe.kill()
    said, complaint = probe.communicate()
    if probe.returncode:
        raise ServerFailedError(f"the probe failed: {complaint.strip()[-500:]}")
    found = json.loads(said)
    run.figures |= found["figures"]
    run.figures["held"] = attack.held()
    run.figures["cpu_share"] = (server.cpu_seconds() - before) / (time.perf_counter() - began)
    run.faults += [f"{number} times {reason}" for reason, number in found["errors"].items()]
    if not server.alive():
        run.faults.append("the server has ended")


def turn(number: int, case: str, kind: Kind, seconds: float, root: Path, choice: Choice, connections: int) -> Run:
    """One server's turn under one attack."""
    run = Run(number, case, kind.name)
    try:
        with running(kind, root, KIB_1, choice) as server, tempfile.TemporaryDirectory() as scratch:
            measure(run, server, seconds, Attack(server, case, connections, Path(scratch) / "log"))
    except (ServerFailedError, OSError) as error:
        run.faults.append(str(error))
    return run


def main() -> int:
    """Run the benchmark from the command line."""
    parser = harness.parser(__doc__ or "", "flashpy,nginx", rounds=3, seconds=60)
    parser.add_argument("--modes", default=",".join(MODES), help="kinds of attack, with commas between")
    parser.add_argument("--connections", type=int, default=CONNECTIONS, help="that the attacker holds")
    options = parser.parse_args()
    harness.need("slowhttptest")
    kinds, choice = harness.chosen(options)
    if unknown := [mode for mode in options.modes.split(",") if mode not in MODES]:
        raise harness.UnavailableError(f"There is no attack called {unknown[0]}; known are {', '.join(MODES)}.")
    prepare_process()
    wanted = {mode: CASES[mode] for mode in options.modes.split(",")}
    found = Result(
        name="slow-attack",
        title=f"A client beside {options.connections:,} connections of a slow attack",
        columns=COLUMNS,
        chart=Chart(("p99_ms", "p999_ms"), logarithmic=True),
        cases=wanted,
        servers={kind.name: kind.title for kind in kinds},
        settings={
            "rounds": options.rounds,
            "seconds": options.seconds,
            "connections": options.connections,
            "connections opened per second": RATE,
            "probes per second": 1 / EVERY,
        },
        machine=harness.machine(kinds, choice),
        overview=dict.fromkeys(wanted, Measure("p999_ms", ("nginx",), lower=True)),
    )
    with tempfile.TemporaryDirectory(prefix="benchmark-site-") as site:
        os.chmod(site, 0o755)
        roots = cases.make_sites(Path(site), [cases.CASES["1KiB"]])
        with ThreadPoolExecutor(len(kinds)) as together:
            for number, case in product(range(1, options.rounds + 1), wanted):
                rest = options.seconds, roots["hot"], choice, options.connections
                for run in [together.submit(turn, number, case, kind, *rest) for kind in kinds]:
                    found.runs.append(run.result())
                    result.report(run.result(), COLUMNS)
    result.ratios(found)
    return result.finish(found, options.results)


if __name__ == "__main__":
    sys.exit(harness.guarded(main))
