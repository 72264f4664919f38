"""How a running server is measured, one function for each kind of case. Each puts its figures, faults and warnings
into the run that it is given."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import openloop, process, workload, wrk
from benchmarks.result import Run
from benchmarks.servers import Server, ServerFailedError
from benchmarks.workload import Ask

WARM_UP = 1.0
"""Seconds of load before each measurement."""
BUSY = 0.95
"""Below this share of its core the server was not the bottleneck; above it in the load's, the load may have been."""
REACHED = 0.97
"""The share of the intended rate that an open loop must reach."""
IDLE = 5_000
"""Connections that are held open in the idle case."""
SETTLE = 0.5
"""Seconds before memory is read."""
HEAD = 600
"""Bytes that the head of an answer has at most."""


class UnableError(RuntimeError):
    """The server cannot take part in a case by its nature; the message says why."""


@dataclass(frozen=True)
class Target:
    """What is measured: a file by its path and size in bytes, or a list of requests, and how it is asked for."""

    path: str
    size: int
    seconds: float
    scratch: Path
    """A directory for files of the measurement."""
    load: wrk.Load = wrk.STEADY
    asks: Callable[[], list[Ask]] | None = None


@dataclass(frozen=True)
class Loaded:
    """A measurement under load: what wrk found, and the server's CPU seconds meanwhile."""

    outcome: wrk.Outcome
    used: float

    def figures(self) -> dict[str, float]:
        """The figures that all measurements under load have."""
        latencies = {"p50_ms": self.outcome.p50, "p99_ms": self.outcome.p99}
        return {
            "rate": self.outcome.rate,
            # wrk says 0 where it had too few answers for a percentile.
            **{name: value for name, value in latencies.items() if value},
            "cpu_share": self.used / self.outcome.seconds,
            "load_share": self.outcome.cpu_seconds / self.outcome.seconds,
            "requests": self.outcome.requests,
            "cpu_seconds": self.used,
        }


def loaded(server: Server, target: Target, load: wrk.Load) -> Loaded:
    """Warm a server up, and load it."""
    url = server.url(target.path)
    wrk.run(url, WARM_UP, load)
    before = server.cpu_seconds()
    outcome = wrk.run(url, target.seconds, load)
    return Loaded(outcome, max(server.cpu_seconds() - before, 0.01))


def requests(run: Run, server: Server, target: Target) -> None:
    """Requests per CPU second at full load, for one file or for a list."""
    load, messages = target.load, None
    if target.asks:
        messages = workload.write(target.asks(), server, target.scratch / "messages")
        load = replace(load, arguments=(str(messages.file),))
    record(run, found := loaded(server, target, load))
    # Of a list, the last answers are not those to the last requests: some of these are still under way at the end.
    answered = found.outcome.requests
    least = messages.body_octets(max(0, answered - load.connections)) if messages else answered * target.size
    run.faults += found.outcome.faults(least)
    server.check(target.path, target.size)


def revalidations(run: Run, server: Server, target: Target) -> None:
    """Requests per CPU second at full load, all answered with 304: by ETag, or by date where there is none."""
    given = server.ask(target.path).fields
    if "etag" in given:
        name, value = "If-None-Match", given["etag"]
    elif "last-modified" in given:
        name, value = "If-Modified-Since", given["last-modified"]
    else:
        raise UnableError("its answers have no validator")
    if (status := server.ask(target.path, {name: value}).status) != 304:
        raise UnableError(f"it answers its own {name} with {status}")
    record(run, found := loaded(server, target, replace(target.load, headers=(f"{name}: {value}",))))
    run.faults += found.outcome.faults(0, found.outcome.requests * HEAD)


def record(run: Run, found: Loaded) -> None:
    """Put the figures of requests at full load into the run, and warn where the server was not the limit."""
    run.figures |= {"per_cpu_second": found.outcome.requests / found.used, **found.figures()}
    if (share := run.figures["cpu_share"]) < BUSY:
        run.warnings.append(f"server's core in use only {share:.2f}, load's {run.figures['load_share']:.2f}")


def downloads(run: Run, server: Server, target: Target) -> None:
    """CPU seconds per GiB of large files; answers under way at the end count for what has come of them."""
    found = loaded(server, target, target.load)
    gib = found.outcome.octets / 2**30
    run.figures |= {**found.figures(), "cpu_per_gib": found.used / gib, "gib_per_second": gib / found.outcome.seconds}
    run.faults += found.outcome.faults(found.outcome.requests * target.size)
    server.check(target.path, target.size)


def open_loop(run: Run, server: Server, target: Target) -> None:
    """Latencies at half the rate that the server reaches at full load."""
    need_keeping(server, target.path)
    most = loaded(server, replace(target, seconds=max(1.0, target.seconds / 2)), target.load).outcome.rate
    before = server.cpu_seconds()
    found = openloop.run(server.url(target.path), most / 2, target.seconds, target.scratch / "latencies")
    run.figures |= {
        "rate": found.rate,
        "p50_ms": found.percentile(0.50),
        "p99_ms": found.percentile(0.99),
        "p999_ms": found.percentile(0.999),
        "load_share": found.cpu_share,
        "cpu_seconds": server.cpu_seconds() - before,
    }
    if found.failed:
        run.faults.append(f"{found.failed} requests without status 200")
    if found.rate < REACHED * most / 2:
        run.warnings.append(f"{found.rate:.0f} requests/s instead of {most / 2:.0f}")


def idle(run: Run, server: Server, target: Target) -> None:
    """The time to the first answer, and user memory: idle, and with many connections that have had one answer each."""
    need_keeping(server, target.path)
    time.sleep(SETTLE)
    before = process.memory(server.process.pid)
    with connections(server, target.path, IDLE) as held:
        time.sleep(SETTLE)
        after = process.memory(server.process.pid)
        if lost := sum(map(closed, held)):
            run.faults.append(f"{lost} of {IDLE} connections were closed")
    run.figures |= {
        "startup_ms": 1000 * server.startup,
        "largest_mib": before.largest / 2**20,
        "idle_mib": before.together / 2**20,
        "held_mib": after.together / 2**20,
        "kib_per_connection": (after.together - before.together) / IDLE / 1024,
    }


def need_keeping(server: Server, path: str) -> None:
    """Insist on a server that keeps connections."""
    if not server.ask(path).kept:
        raise UnableError("it closes the connection after each answer")


@contextmanager
def connections(server: Server, path: str, count: int) -> Iterator[list[socket.socket]]:
    """Hold so many connections open, each after one request and its answer."""
    message = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode()
    with ExitStack() as stack:
        held: list[socket.socket] = []
        for _ in range(count):
            try:
                link = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=10))
                link.sendall(message)
                link.recv(1 << 16)
            except OSError as error:
                raise ServerFailedError(f"{server.kind.name} held only {len(held)} connections: {error}") from error
            link.setblocking(False)
            held.append(link)
        yield held


def closed(link: socket.socket) -> bool:
    """Whether the other side has closed an idle connection; what is left of its answer is read away."""
    try:
        while link.recv(1 << 16):
            pass
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True
