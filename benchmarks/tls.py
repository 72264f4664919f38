"""TLS: what encryption and handshakes cost, beside nginx with the same certificate.

TLS 1.3 with AES-128-GCM and a certificate of P-256: requests per CPU second of the server for hot files, on connections
that are kept; connections per CPU second, each with a handshake and one request, full and resumed by a ticket; and how
long a client who is connected waits for an answer while 64 handshakes arrive together.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import cases, harness, measures, result, tls_clients
from benchmarks.cases import KIB_1, KIB_10, MIB_1
from benchmarks.kinds import Kind
from benchmarks.measures import Target
from benchmarks.peers import prepare_process
from benchmarks.result import Chart, Column, Measure, Result, Run
from benchmarks.servers import Choice, Server, ServerFailedError, running

SERVERS = "flashpy-tls,nginx-tls,nginx-tls-copy"
NGINX = ("nginx-tls", "nginx-tls-copy")
ARRIVING, ROUNDS = 64, 20
CLIENT = """
openssl_conf = all
[all]
ssl_conf = ssl
[ssl]
system_default = clients
[clients]
MinProtocol = TLSv1.3
Ciphersuites = TLS_AES_128_GCM_SHA256
Groups = P-256
"""
"""OpenSSL's configuration for the load (config(5)): what is agreed upon is the client's choice."""
COLUMNS = (
    Column("per_cpu_second", "requests per CPU second"),
    Column("mib_per_cpu_second", "MiB per CPU second"),
    Column("ratio", "ratio", 2),
    Column("rate", "requests/s"),
    Column("p50_ms", "p50 ms", 2),
    Column("p99_ms", "p99 ms", 2),
    Column("longest_ms", "longest ms", 2),
    Column("cpu_share", "server's core in use", 2),
)


@dataclass(frozen=True)
class Case:
    """One case: a file that is asked for, how that is measured, and what counts."""

    title: str
    file: tuple[str, int]
    method: Callable[[Run, Server, Target, Path], None]
    counts: Measure


def requests(run: Run, server: Server, target: Target, certificate: Path) -> None:
    """Of connections that are kept."""
    measures.requests(run, server, target)
    run.figures["mib_per_cpu_second"] = run.figures["per_cpu_second"] * target.size / 2**20


def handshakes(run: Run, server: Server, target: Target, certificate: Path, resumed: bool = False) -> None:
    """Of connections that are new."""
    before = server.cpu_seconds()
    done = tls_clients.handshakes(server.port, target.path, target.size, certificate, target.seconds, resumed)
    used = max(server.cpu_seconds() - before, 0.01)
    run.figures |= {
        "per_cpu_second": done / used,
        "rate": done / target.seconds,
        "cpu_share": used / target.seconds,
        "requests": done,
        "cpu_seconds": used,
    }


def resumptions(run: Run, server: Server, target: Target, certificate: Path) -> None:
    """Of connections that are new, and go on with a session from before."""
    handshakes(run, server, target, certificate, resumed=True)


def stall(run: Run, server: Server, target: Target, certificate: Path) -> None:
    """Of a connection that is there, while others arrive."""
    found = sorted(tls_clients.bursts(server.port, target.path, target.size, certificate, ARRIVING, ROUNDS))
    run.figures |= {
        "p50_ms": 1000 * found[len(found) // 2],
        "p99_ms": 1000 * found[len(found) * 99 // 100],
        "longest_ms": 1000 * found[-1],
        "requests": len(found),
    }


PER_CPU_SECOND = Measure("per_cpu_second", NGINX)
CASES = {
    "10KiB": Case("a hot file of 10 KiB, connections kept", KIB_10, requests, PER_CPU_SECOND),
    "1MiB": Case("a hot file of 1 MiB, connections kept", MIB_1, requests, PER_CPU_SECOND),
    "full": Case("a handshake for each request of 1 KiB", KIB_1, handshakes, PER_CPU_SECOND),
    "resumed": Case("a resumed handshake for each request of 1 KiB", KIB_1, resumptions, PER_CPU_SECOND),
    "stall": Case(
        f"{ARRIVING} handshakes arrive beside a client", KIB_1, stall, Measure("longest_ms", NGINX, lower=True)
    ),
}


def make_certificate(folder: Path) -> dict[str, str]:
    """A certificate of P-256 for this machine, as the words of the servers' commands."""
    file, key = folder / "certificate.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
               "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-days", "30",
               "-out", str(file), "-keyout", str(key)]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    return {"certificate": str(file), "key": str(key)}


def turn(number: int, name: str, kind: Kind, target: Target, root: Path, choice: Choice) -> Run:
    """One server's turn."""
    run, case = Run(number, name, kind.name), CASES[name]
    try:
        with running(kind, root, case.file, choice) as server:
            case.method(run, server, target, Path(kind.values["certificate"]))
    except (ServerFailedError, OSError) as error:
        run.faults.append(str(error))
    return run


def main() -> int:
    """Run the benchmark from the command line."""
    parser = harness.parser(__doc__ or "", SERVERS, rounds=5, seconds=3)
    parser.add_argument("--cases", default=",".join(CASES), help=f"comma-separated, of: {', '.join(CASES)}")
    options = parser.parse_args()
    harness.need("wrk", "openssl")
    kinds, choice = harness.chosen(options)
    prepare_process()
    wanted = options.cases.split(",")
    found = Result(
        name="tls",
        title="TLS: requests per CPU second, nginx at its better setting is 1",
        columns=COLUMNS,
        chart=Chart(("ratio",)),
        cases={name: CASES[name].title for name in wanted},
        servers={kind.name: kind.title for kind in kinds},
        settings={
            "rounds": options.rounds,
            "seconds": options.seconds,
            "load": "wrk, 64 connections; one client after the other for handshakes",
            "TLS": "1.3, AES-128-GCM, P-256",
        },
        machine=harness.machine(kinds, choice),
        overview={name: CASES[name].counts for name in wanted},
    )
    with tempfile.TemporaryDirectory(prefix="benchmark-site-") as site:
        folder = Path(site)
        (folder / "openssl.cnf").write_text(CLIENT)
        os.environ["OPENSSL_CONF"] = str(folder / "openssl.cnf")
        words = make_certificate(folder)
        kinds = [replace(kind, values={**kind.values, **words}) for kind in kinds]
        roots = cases.make_sites(folder, [cases.CASES["1KiB"]])
        for number, name, kind in harness.turns(options.rounds, wanted, kinds):
            target = Target(*CASES[name].file, options.seconds, folder)
            run = turn(number, name, kind, target, roots["hot"], choice)
            found.runs.append(run)
            result.report(run, COLUMNS)
    result.ratios(found)
    return result.finish(found, options.results)


if __name__ == "__main__":
    sys.exit(harness.guarded(main))
