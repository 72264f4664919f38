"""A cluster in simulation, driven by a trace (Pai et al., ASPLOS 1998, section 3), with the policies of the real one.

So many requests are at the nodes at a time as admission lets in: as one is finished the next comes. A request takes
the processor for its connection; its file, if it is not in memory, is read piece by piece; each piece is sent when it
is there. Who asks for a file that is being read waits for the same read.

The trace is replayed. Figures are of the time from the first request of a replay to the first after it: in the first
one the caches are cold in the beginning, in the last they are warm. What the last requests take when nobody comes
after them is in no figure.
"""

import heapq
from array import array
from collections.abc import Callable
from typing import Any

from msgspec import Struct, structs

from flashpy.cluster.admission import limit
from flashpy.cluster.affinity import Affinity
from flashpy.cluster.choosing import Asked, Parameters
from flashpy.cluster.nodes import Node, Nodes
from flashpy.cluster.policy import policy
from flashpy.cluster.simulator_costs import Costs
from flashpy.cluster.simulator_node import CACHES, Reading, Request, SimulatedNode
from flashpy.cluster.simulator_traces import Trace

IDLE = 0.4
"""The part of T_low below which a node's load counts as idleness (Pai et al., section 3.3)."""
TOLD = 1_000
"""Requests between two words about progress."""


class Setting(Struct, frozen=True):
    """What is simulated. ``connections``: how many requests are at the nodes at a time; 0: as admission says."""

    policy: str
    nodes: int
    costs: Costs
    cache_bytes: int = 2**25
    cache: str = "gds"
    connections: int = 0
    replays: int = 1
    """Of the trace, to warm the caches up."""
    parameters: Parameters = Parameters()


class Figures(Struct):
    """Of one replay. Times in seconds; parts are of all requests (of misses, hits), or of the time and the nodes (of
    idleness and work)."""

    requests: int
    seconds: float
    throughput: float
    """Requests a second."""
    miss_ratio: float
    coalesced_ratio: float
    """Requests for what was being read already; they are not misses."""
    idle: float
    cpu: float
    disk: float
    delay: float
    delay_p99: float
    affinity: float | None
    """The part of requests for which it was known whether their target is in memory; None: nobody knows of any."""


class Outcome(Struct):
    """Of a policy and a number of nodes: with cold and with warm caches."""

    policy: str
    nodes: int
    cold: Figures
    warm: Figures


class _Phase:
    """What has been counted in a replay, and the times of all nodes at its beginning."""

    def __init__(self, now: float, nodes: list[SimulatedNode]) -> None:
        self.began = now
        self.times = _times(nodes, now)
        self.hits = self.misses = self.coalesced = 0
        self.delays = array("d")
        self.affinity = Affinity()

    def figures(self, now: float, nodes: list[SimulatedNode]) -> Figures:
        """At its end."""
        seconds, done = now - self.began, len(self.delays)
        asked = self.hits + self.misses + self.coalesced
        idle, cpu, disk = (
            (after - before) / seconds / len(nodes)
            for after, before in zip(_times(nodes, now), self.times, strict=True)
        )
        ordered = sorted(self.delays)
        return Figures(
            requests=done,
            seconds=seconds,
            throughput=done / seconds,
            miss_ratio=self.misses / asked,
            coalesced_ratio=self.coalesced / asked,
            idle=idle,
            cpu=cpu,
            disk=disk,
            delay=sum(ordered) / done,
            delay_p99=ordered[done * 99 // 100],
            affinity=self.affinity.accuracy if self.affinity.predicted else None,
        )


def _times(nodes: list[SimulatedNode], now: float) -> tuple[float, float, float]:
    return (
        sum(node.idle_time(now) for node in nodes),
        sum(node.cpu_time(now) for node in nodes),
        sum(node.disk_time(now) for node in nodes),
    )


class Simulation:
    """One run, through all replays."""

    def __init__(self, setting: Setting, trace: Trace, progress: Callable[[int], None] = lambda requests: None) -> None:
        self._setting = setting
        self._trace = trace
        self._progress = progress
        # LB/GC must not believe that memories are of another size than they are.
        parameters = structs.replace(setting.parameters, node_bytes=setting.cache_bytes)
        self._policy = policy(setting.policy, parameters)
        made = [Node(str(number)) for number in range(setting.nodes)]
        self._nodes = Nodes(made)
        self._machines = {
            node.name: SimulatedNode(
                node, setting.costs, CACHES[setting.cache](setting.cache_bytes), IDLE * parameters.t_low
            )
            for node in made
        }
        self._all = list(self._machines.values())
        # (when, a number for those at the same time, what happens, to what)
        self._events: list[tuple[float, int, Callable[[float, Any], None], Any]] = []
        self._number = 0
        self._next = 0
        self._there = 0
        self._most = self._admitted()
        self._phase = _Phase(0.0, self._all)
        self._found: list[Figures] = []

    def run(self) -> Outcome:
        """The figures of the first and of the last replay.

        Raises:
            ValueError: the trace is too short to tell anything.
        """
        if len(self._trace.requests) < 2 * self._most:
            raise ValueError(
                f"A trace of {len(self._trace.requests):,} requests is too short: {self._most:,} are at the "
                f"{self._setting.nodes} nodes at a time; it takes twice as many at least."
            )
        self._at(self._setting.costs.report, self._report, None)
        self._admit(0.0)
        while len(self._found) <= self._setting.replays:
            now, _, happens, what = heapq.heappop(self._events)
            happens(now, what)
        return Outcome(self._setting.policy, self._setting.nodes, self._found[0], self._found[-1])

    def _admitted(self) -> int:
        return self._setting.connections or limit(self._setting.nodes, *self._policy.thresholds)

    def _at(self, when: float, happens: Callable[[float, Any], None], what: Any) -> None:
        self._number += 1
        heapq.heappush(self._events, (when, self._number, happens, what))

    def _admit(self, now: float) -> None:
        """As many requests as there is room for."""
        trace = self._trace
        total = len(trace.requests)
        while self._there < self._most and len(self._found) <= self._setting.replays:
            number = trace.requests[self._next]
            size = trace.sizes[number]
            asked = Asked(trace.targets[number], size)
            believed = self._policy.mapped(asked.target)
            node = self._policy.choose(self._nodes, asked, now)
            assert node is not None, "all nodes are up"
            machine = self._machines[node.name]
            machine.begin(now)
            self._there += 1
            request = Request(number, size, machine, now, node.name in believed)
            self._at(machine.compute(now, machine.costs.connect), self._connected, request)
            self._next += 1
            if self._next % TOLD == 0 or self._next == total:
                self._progress((self._next - 1) % TOLD + 1)
            if self._next == total:
                self._next = 0
                self._found.append(self._phase.figures(now, self._all))
                self._phase = _Phase(now, self._all)

    def _connected(self, now: float, request: Request) -> None:
        """It is known what is wanted: it is in memory, on its way there, or on the disk."""
        node, phase = request.node, self._phase
        reading = node.readings.get(request.target)
        if node.cache.hit(request.target):
            phase.hits += 1
            phase.affinity.note(request.predicted, True)
            self._send(now, request)
        elif reading is not None:
            phase.coalesced += 1
            phase.affinity.note(request.predicted, True)
            request.reading = reading
            self._go_on(now, request)
        else:
            phase.misses += 1
            phase.affinity.note(request.predicted, False)
            reading = node.readings[request.target] = Reading(request.target, request.size)
            request.reading = reading
            reading.waiting.append(request)
            self._read(now, node, reading)

    def _read(self, now: float, node: SimulatedNode, reading: Reading) -> None:
        size = min(node.costs.piece, reading.size - reading.ready)
        self._at(node.read(now, reading, size), self._loaded, (node, reading, size))

    def _loaded(self, now: float, what: tuple[SimulatedNode, Reading, int]) -> None:
        """A piece is there: the next is read, while this one is sent."""
        node, reading, size = what
        reading.ready += size
        if reading.ready < reading.size:
            self._read(now, node, reading)
        else:
            del node.readings[reading.target]
            node.cache.put(reading.target, reading.size)
        waiting, reading.waiting = reading.waiting, []
        for request in waiting:
            self._send(now, request)

    def _go_on(self, now: float, request: Request) -> None:
        """Send the next piece, or wait for it."""
        reading = request.reading
        if reading is None or reading.ready > request.sent or reading.ready == reading.size:
            self._send(now, request)
        else:
            reading.waiting.append(request)

    def _send(self, now: float, request: Request) -> None:
        reading, node = request.reading, request.node
        there = request.size if reading is None else reading.ready
        size = min(node.costs.piece, there - request.sent)
        request.sent += size
        last = request.sent == request.size
        self._at(node.transmit(now, size, last), self._finished if last else self._go_on, request)

    def _finished(self, now: float, request: Request) -> None:
        request.node.finish(now, request.began)
        self._phase.delays.append(now - request.began)
        self._there -= 1
        self._admit(now)

    def _report(self, now: float, nothing: None) -> None:
        """All nodes say how they are."""
        for name, machine in self._machines.items():
            self._policy.report(name, machine.report(now))
        self._most = self._admitted()
        self._at(now + self._setting.costs.report, self._report, None)
        self._admit(now)
