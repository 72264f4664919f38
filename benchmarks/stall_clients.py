"""The load of the stall test, a process of its own: clients that keep the disk busy, and a probe.

``--clients`` closed-loop clients ask for files of a tree under Zipf's law. The probe is open-loop: it asks
for the one hot file at a fixed rate, on whichever connection is idle, and its latency counts from the moment
at which the request was *intended*, so that a server that stalls does not slow down the questions about it.

Plain sockets and epoll, one thread, before ordinary processes where that is allowed: the generator must not
be what stalls. It says how late it was itself in sending the probes (``lag``). Prints one JSON object.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count, cycle

from benchmarks.connection import Connection, Poll, request
from benchmarks.tree import HOT, SEED, TREES, BesideTree, Tree

RATE = 100.0
"""Probes per second."""
EXPONENT = 0.6
"""Zipf's exponent."""
GRACE = 10.0
"""Seconds after the end in which late answers to probes are waited for."""


@dataclass
class Readers:
    """The closed-loop clients: each asks for the next file as soon as it has the last one."""

    poll: Poll
    tree: Tree
    window: tuple[float, float]
    answered: int = 0
    octets: int = 0
    errors: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.random = random.Random(SEED)
        self.weights = self.tree.zipf(EXPONENT)
        self.messages = [(request(path), size) for path, size in self.tree.files]

    def start(self, clients: int) -> None:
        """Open the connections and send the first requests."""
        for _ in range(clients):
            self.ask(Connection(self.poll, self.done, self.failed))

    def ask(self, connection: Connection) -> None:
        """Draw a file and ask for it."""
        message, size = self.random.choices(self.messages, cum_weights=self.weights)[0]
        connection.get(message, size, 0.0)

    def done(self, connection: Connection) -> None:
        """Count the answer if it fell into the measurement, and go on."""
        if self.window[0] <= time.perf_counter() < self.window[1]:
            self.answered += 1
            self.octets += connection.size or 0
        self.ask(connection)

    def failed(self, connection: Connection, reason: str) -> None:
        """Count the failure, and go on with a new connection."""
        self.errors[f"reader: {reason}"] += 1
        self.start(1)


@dataclass(frozen=True)
class Work:
    """What one client asks for again and again beside the others: requests in turn, and what the head of an answer has
    in it where the server has done what was asked."""

    messages: tuple[bytes, ...]
    sign: bytes


def works(tree: BesideTree) -> dict[str, Work]:
    """What may be asked for beside, by name. Who refuses the file as it is waits until it is coded."""
    wanted = "Accept-Encoding: br, identity;q=0"
    return {
        "coding": Work(tuple(request(path, wanted) for path in tree.texts), b"\r\ncontent-encoding: br\r\n"),
        "listing": Work((request(tree.many),), b"\r\ncontent-type: text/html"),
    }


@dataclass
class Beside:
    """A closed-loop client on a connection of its own, which asks for what takes a helper long."""

    name: str
    poll: Poll
    work: Work
    window: tuple[float, float]
    answered: int = 0
    errors: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.messages = cycle(self.work.messages)

    def start(self) -> None:
        """Open the connection and send the first request."""
        self.ask(Connection(self.poll, self.done, self.failed))

    def ask(self, connection: Connection) -> None:
        """Ask for what is next."""
        connection.get(next(self.messages), None, 0.0)

    def done(self, connection: Connection) -> None:
        """Count what has been done, and go on."""
        if self.window[0] <= time.perf_counter() < self.window[1]:
            if self.work.sign in connection.head.lower():
                self.answered += 1
            else:
                self.errors[f"{self.name}: an answer of another kind"] += 1
        self.ask(connection)

    def failed(self, connection: Connection, reason: str) -> None:
        """Count the failure, and go on with a new connection."""
        self.errors[f"{self.name}: {reason}"] += 1
        self.start()


@dataclass
class Probe:
    """The open-loop client: at each intended moment it asks, however many answers are outstanding."""

    poll: Poll
    window: tuple[float, float]
    latencies: list[float] = field(default_factory=list)
    lags: list[float] = field(default_factory=list)
    waiting: set[Connection] = field(default_factory=set)
    errors: Counter[str] = field(default_factory=Counter)

    unanswered: int = 0

    def __post_init__(self) -> None:
        self.idle: list[Connection] = []
        self.message = request(HOT[0])

    def measured(self, intended: float) -> bool:
        """Whether a probe belongs to the measurement, and not to the warming up."""
        return self.window[0] <= intended < self.window[1]

    def ask(self, intended: float) -> None:
        """Send a probe on an idle connection, or on a new one."""
        connection = self.idle.pop() if self.idle else Connection(self.poll, self.done, self.failed)
        self.waiting.add(connection)
        if self.measured(intended):
            self.lags.append(time.perf_counter() - intended)
        connection.get(self.message, HOT[1], intended)

    def done(self, connection: Connection) -> None:
        """Take the latency."""
        if self.measured(connection.intended):
            self.latencies.append(time.perf_counter() - connection.intended)
        self.waiting.discard(connection)
        self.idle.append(connection)

    def failed(self, connection: Connection, reason: str) -> None:
        """Count the failure of a probe; the end of an idle connection is none."""
        if connection.busy:
            self.errors[f"probe: {reason}"] += 1
            self.waiting.discard(connection)
        elif connection in self.idle:
            self.idle.remove(connection)

    def give_up(self) -> None:
        """Take the probes that are still unanswered with the time that they have waited: the least it can be."""
        now = time.perf_counter()
        late = [now - c.intended for c in self.waiting if self.measured(c.intended)]
        self.latencies += late
        self.unanswered = len(late)


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile of values in ascending order."""
    return values[max(0, -int(-share * len(values) // 1) - 1)]


def figures(probe: Probe, readers: Readers) -> dict[str, float]:
    """The measurement's figures; times are in milliseconds, shares in percent."""
    values = sorted(1000 * seconds for seconds in probe.latencies)
    lags = sorted(1000 * seconds for seconds in probe.lags)
    seconds = readers.window[1] - readers.window[0]
    return {
        "p50_ms": percentile(values, 0.50),
        "p99_ms": percentile(values, 0.99),
        "p999_ms": percentile(values, 0.999),
        "max_ms": values[-1],
        "over_10_ms": 100 * sum(value > 10 for value in values) / len(values),
        "over_50_ms": 100 * sum(value > 50 for value in values) / len(values),
        "probes": len(values),
        "unanswered": probe.unanswered,
        "disk_rate": readers.answered / seconds,
        "disk_mb_per_second": readers.octets / seconds / 1e6,
        "lag_p99_ms": percentile(lags, 0.99),
        "lag_max_ms": lags[-1],
    }


def preferred() -> None:
    """Run before all ordinary processes of the core, where that is allowed: little is needed, but at once."""
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


def load(
    port: int, tree: Tree, clients: int, warm_up: float, seconds: float, beside: Sequence[str]
) -> dict[str, object]:
    """Warm up, measure, wait for the last answers; return the figures and the errors."""
    poll = Poll(port)
    start = time.perf_counter() + 0.1
    window = (start + warm_up, start + warm_up + seconds)
    probe, readers = Probe(poll, window), Readers(poll, tree, window)
    readers.start(clients)
    asked = works(tree) if isinstance(tree, BesideTree) else {}
    others = [Beside(name, poll, asked[name], window) for name in beside]
    for other in others:
        other.start()
    gc.collect()
    gc.disable()
    for number in count():
        due = start + number / RATE
        if due >= window[1]:
            break
        while (left := due - time.perf_counter()) > 0:
            poll.step(left)
        probe.ask(due)
    while probe.waiting and time.perf_counter() < window[1] + GRACE:
        poll.step(0.01)
    probe.give_up()
    rates = {f"{other.name}_rate": other.answered / seconds for other in others}
    errors = sum((other.errors for other in others), probe.errors + readers.errors)
    return {"figures": figures(probe, readers) | rates, "errors": dict(errors)}


def main() -> int:
    """Run one load from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--tree", choices=TREES, required=True)
    parser.add_argument("--clients", type=int, required=True)
    parser.add_argument("--warm-up", type=float, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--beside", nargs="*", default=[])
    o = parser.parse_args()
    preferred()
    print(json.dumps(load(o.port, TREES[o.tree], o.clients, o.warm_up, o.seconds, o.beside)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
