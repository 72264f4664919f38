"""A simulated node: a processor, a disk, a network, and a memory for files. Each of the first three takes what it is
given in the order in which it comes, so it is known when that will be done as soon as it is given."""

import heapq
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Protocol

from flashpy.cluster.choosing import Report
from flashpy.cluster.greedydual import GreedyDual
from flashpy.cluster.nodes import Node
from flashpy.cluster.simulator_costs import Costs

LARGEST_OF_LRU = 500 * 1024
"""Larger files are not kept by LRU (Pai et al., section 3.1)."""


class Cache(Protocol):
    """What is in a node's memory, as numbers of targets."""

    def hit(self, key: int) -> bool:
        """Whether it is there. It is of more worth then."""

    def put(self, key: int, size: int) -> list[int]:
        """Take it in; return what had to go."""


class LRU:
    """What has not been asked for longest goes."""

    __slots__ = ("_sizes", "most", "size")

    def __init__(self, most: int) -> None:
        self._sizes: OrderedDict[int, int] = OrderedDict()
        self.most = most
        self.size = 0

    def hit(self, key: int) -> bool:
        """Whether it is there. It is the last to go then."""
        if key not in self._sizes:
            return False
        self._sizes.move_to_end(key)
        return True

    def put(self, key: int, size: int) -> list[int]:
        """Take in what is not there, unless it is large; return what had to go."""
        gone: list[int] = []
        if size > min(self.most, LARGEST_OF_LRU):
            return gone
        self.size += size
        while self.size > self.most:
            oldest, its_size = self._sizes.popitem(last=False)
            self.size -= its_size
            gone.append(oldest)
        self._sizes[key] = size
        return gone


CACHES: Mapping[str, Callable[[int], Cache]] = {"gds": GreedyDual[int], "lru": LRU}


class Reading:
    """A file that is on its way from the disk, and who waits for its next piece."""

    __slots__ = ("ready", "size", "target", "waiting")

    def __init__(self, target: int, size: int) -> None:
        self.target = target
        self.size = size
        self.ready = 0
        self.waiting: list[Request] = []


class Request:
    """A request at a node. ``reading``: where its file comes from, if it is not in memory."""

    __slots__ = ("began", "node", "predicted", "reading", "sent", "size", "target")

    def __init__(self, target: int, size: int, node: "SimulatedNode", began: float, predicted: bool) -> None:
        self.target = target
        self.size = size
        self.node = node
        self.began = began
        self.predicted = predicted
        self.sent = 0
        self.reading: Reading | None = None


class SimulatedNode:
    """The machine of a node. Times are when something is given to it; what is returned is when that is done."""

    __slots__ = (
        *("_channels", "_cpu", "_idle_below", "_idle_since", "_idle_time", "_network", "cache", "costs", "node"),
        *("done", "loading", "loads", "readings", "reported_at", "reported_work", "spent", "work_cpu", "work_disk"),
    )

    def __init__(self, node: Node, costs: Costs, cache: Cache, idle_below: float) -> None:
        self.node = node
        self.costs = costs
        self.cache = cache
        self.readings: dict[int, Reading] = {}
        self._cpu = 0.0
        self._network = 0.0
        self._channels = [0.0] * costs.channels
        self.work_cpu = 0.0
        self.work_disk = 0.0
        self._idle_below = idle_below
        self._idle_since: float | None = 0.0
        self._idle_time = 0.0
        self.done = 0
        self.spent = 0.0
        self.loads = 0
        self.loading = 0.0
        self.reported_at = 0.0
        self.reported_work = 0.0

    def compute(self, now: float, cost: float) -> float:
        """The processor works."""
        begins = self._cpu if self._cpu > now else now
        self._cpu = begins + cost
        self.work_cpu += cost
        return self._cpu

    def read(self, now: float, reading: Reading, size: int) -> float:
        """The disk reads the next piece of a file."""
        costs = self.costs
        cost = (costs.seek if reading.ready else costs.latency) + -(-size // costs.page) * costs.read
        ends = max(now, self._channels[0]) + cost
        heapq.heapreplace(self._channels, ends)
        self.work_disk += cost
        self.loading += cost
        self.loads += not reading.ready
        return ends

    def transmit(self, now: float, size: int, last: bool) -> float:
        """The processor sends a piece, and closes the connection behind the last one; the network takes it on."""
        costs = self.costs
        ends = self.compute(now, -(-size // costs.block) * costs.send + (costs.disconnect if last else 0.0))
        if costs.bandwidth == float("inf"):
            return ends
        self._network = max(self._network, ends) + size / costs.bandwidth
        return self._network

    def begin(self, now: float) -> None:
        """One request more."""
        self.node.load += 1
        if self._idle_since is not None and self.node.load >= self._idle_below:
            self._idle_time += now - self._idle_since
            self._idle_since = None

    def finish(self, now: float, began: float) -> None:
        """One request less."""
        self.node.load -= 1
        self.done += 1
        self.spent += now - began
        if self._idle_since is None and self.node.load < self._idle_below:
            self._idle_since = now

    def idle_time(self, now: float) -> float:
        """Seconds until now in which it had little to do (Pai et al.: a load below 40 % of T_low)."""
        return self._idle_time + (now - self._idle_since if self._idle_since is not None else 0.0)

    def cpu_time(self, now: float) -> float:
        """Seconds until now in which the processor worked."""
        return self.work_cpu - max(0.0, self._cpu - now)

    def disk_time(self, now: float) -> float:
        """Seconds until now in which the disk worked; of several channels the mean."""
        ahead = sum(max(0.0, channel - now) for channel in self._channels)
        return (self.work_disk - ahead) / len(self._channels)

    def report(self, now: float) -> Report:
        """What it says of the time since it said so last."""
        work = self.cpu_time(now) + self.disk_time(now) * len(self._channels)
        report = Report(
            seconds=now - self.reported_at,
            done=self.done,
            spent=self.spent,
            waited=max(0.0, self.spent - (work - self.reported_work)),
            loads=self.loads,
            loading=self.loading,
            queued=len(self.readings),
        )
        self.reported_at, self.reported_work = now, work
        self.done, self.spent, self.loads, self.loading = 0, 0.0, 0, 0.0
        return report
