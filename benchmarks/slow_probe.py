"""The probe beside an attack, a process of its own: a client of another address that asks for a page at fixed moments.

Each time it opens a connection, however many are still under way, so that it needs a new place in the server. What it
waits for is counted from the moment at which it meant to ask. Prints its figures as JSON.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import count

from benchmarks.connection import Connection, Poll, request
from benchmarks.stall_clients import percentile, preferred

PATIENCE = 10.0
"""Seconds after which an answer that has not come is a failure."""


@dataclass
class Probe:
    """The client: what it asks, and what came of it."""

    poll: Poll
    message: bytes
    size: int
    latencies: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    waiting: set[Connection] = field(default_factory=set)

    def ask(self, intended: float) -> None:
        """Ask on a new connection."""
        connection = Connection(self.poll, self.done, self.failed)
        self.waiting.add(connection)
        connection.get(self.message, self.size, intended)

    def done(self, connection: Connection) -> None:
        """Take the latency."""
        self.latencies.append(time.perf_counter() - connection.intended)
        self.end(connection)
        connection.socket.close()

    def failed(self, connection: Connection, reason: str) -> None:
        """Count the failure; the connection has been closed."""
        self.errors[reason] += 1
        self.waiting.discard(connection)

    def end(self, connection: Connection) -> None:
        """No more is wanted of this connection."""
        self.poll.remove(connection)
        self.waiting.discard(connection)

    def give_up(self, before: float) -> None:
        """Those that have been asked before this moment, and are not answered, have failed."""
        for connection in [each for each in self.waiting if each.intended < before]:
            self.errors[f"no answer after {PATIENCE:g} s"] += 1
            self.end(connection)
            connection.socket.close()

    def figures(self) -> dict[str, float]:
        """What was measured; times are in milliseconds."""
        values = sorted(1000 * seconds for seconds in self.latencies) or [float("inf")]
        return {
            "p50_ms": percentile(values, 0.50),
            "p99_ms": percentile(values, 0.99),
            "p999_ms": percentile(values, 0.999),
            "max_ms": values[-1],
            "probes": len(self.latencies) + self.errors.total(),
            "failed": self.errors.total(),
        }


def run(probe: Probe, seconds: float, every: float) -> None:
    """Ask for so many seconds, and wait for the last answers."""
    start = time.perf_counter() + 0.1
    for number in count():
        due = start + number * every
        if due >= start + seconds:
            break
        while (left := due - time.perf_counter()) > 0:
            probe.poll.step(min(left, 0.05))
        probe.give_up(time.perf_counter() - PATIENCE)
        probe.ask(due)
    while probe.waiting:
        probe.poll.step(0.01)
        probe.give_up(time.perf_counter() - PATIENCE)


def main() -> int:
    """Run the probe from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--source", required=True, help="the address that it comes from")
    parser.add_argument("--path", required=True)
    parser.add_argument("--size", type=int, required=True, help="bytes of the page")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--every", type=float, required=True, help="seconds from one question to the next")
    options = parser.parse_args()
    preferred()
    gc.disable()
    probe = Probe(Poll(options.port, options.source), request(options.path, "Connection: close"), options.size)
    run(probe, options.seconds, options.every)
    print(json.dumps({"figures": probe.figures(), "errors": dict(probe.errors)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
