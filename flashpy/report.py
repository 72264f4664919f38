"""What a worker reports: all that it has counted since it began, and how it is now. Reports are added up."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from flashpy.histogram import added
from flashpy.metrics import COUNTERS, WORST, Metrics, Stall

_MOST_OF_CAUSE = 200
"""Characters of a stall's cause; there may be a client's path in it."""


class CacheState(Struct):
    """How full a cache is and may be, how many entries have had to go, and how many requests found nothing in it."""

    entries: int = 0
    bytes: int = 0
    most_entries: int = 0
    most_bytes: int = 0
    evictions: int = 0
    misses: int = 0


class DeviceState(Struct):
    """The queue of a device: how many helpers may work on it, how many do, how many jobs and checks wait; how many
    have been done, and for how many seconds helpers worked on them and they had waited, all together and the longest.
    """

    helpers: int = 0
    working: int = 0
    queued: int = 0
    checks: int = 0
    done: int = 0
    service: float = 0.0
    wait: float = 0.0
    longest_wait: float = 0.0


class PoolState(Struct):
    """The helpers that are there, those at work, and the jobs that wait."""

    helpers: int = 0
    busy: int = 0
    queued: int = 0


class NodeState(Struct):
    """A node of a cluster: what it is for, its load (what was handed to it and is not finished, rounded up);
    connections handed to it and come back, requests relayed, and answers that it has fetched from other nodes, ever;
    the mean delay of late in seconds, and jobs that wait there. First requests by whether they were predicted to be in
    its memory (hits) and whether that was true. ``share`` targets were to be loaded when it last came to life, and
    ``loaded`` of these have been. ``targets`` are mapped to it."""

    standing: str = ""
    weight: float = 1.0
    load: int = 0
    handed: int = 0
    returned: int = 0
    relayed: int = 0
    fetched: int = 0
    delay: float = 0.0
    queued: int = 0
    true_hits: int = 0
    false_hits: int = 0
    true_misses: int = 0
    false_misses: int = 0
    share: int = 0
    loaded: int = 0
    targets: int = 0


class ClusterState(Struct):
    """A cluster, by its front-end: how many connections its nodes have and may have together, how many wait, how many
    have been refused; the targets that are mapped to nodes, those of them that several nodes serve, and the memory that
    the mapping takes."""

    policy: str = ""
    active: int = 0
    most: int = 0
    waiting: int = 0
    refused: int = 0
    targets: int = 0
    replicated: int = 0
    mapping_bytes: int = 0
    nodes: dict[str, NodeState] = {}


class Report(Struct):
    """Counters by name (metrics.COUNTERS), answers by status, histograms by bucket (histogram), stalls by bucket
    (metrics.STALL_BOUNDS) and the worst of them; connections by state, caches, devices and pools by name."""

    counters: dict[str, int] = {}
    statuses: dict[int, int] = {}
    hits: dict[int, int] = {}
    waits: dict[int, int] = {}
    stalls: list[int] = []
    worst: list[Stall] = []
    connections: dict[str, int] = {}
    caches: dict[str, CacheState] = {}
    devices: dict[str, DeviceState] = {}
    pools: dict[str, PoolState] = {}
    cpu_seconds: float = 0.0
    cluster: ClusterState | None = None

    @property
    def open_connections(self) -> int:
        """How many connections there are."""
        return sum(self.connections.values())


def report_of(metrics: Metrics, snapshot: Mapping[str, Any], cpu_seconds: float) -> Report:
    """The report of a server, by its metrics and its architecture's snapshot."""
    pool, cpu = snapshot.get("pool") or {}, snapshot.get("cpu_pool") or {}
    pools = {"disk": PoolState(pool["helpers"], len(pool["busy"]), pool["queued"])} if pool else {}
    if cpu:
        pools["cpu"] = PoolState(len(cpu["pids"]), len(cpu["busy"]), cpu["codings"] + cpu["passwords"])
    devices = {
        name: DeviceState(**{key: found[key] for key in DeviceState.__struct_fields__ if key in found})
        for name, found in pool.get("devices", {}).items()
    }
    for name, device in devices.items():
        device.longest_wait = pool["devices"][name]["longest_wait_ms"] / 1000
    return Report(
        counters={name: getattr(metrics, name) for name in COUNTERS},
        statuses={status: count for status, count in enumerate(metrics.statuses) if count},
        hits=metrics.hits.sparse(),
        waits=metrics.waits.sparse(),
        stalls=list(metrics.stalls.buckets),
        worst=[stall._replace(cause=stall.cause[:_MOST_OF_CAUSE]) for stall in metrics.stalls.worst],
        connections=snapshot.get("states") or {"open": snapshot["connections"]},
        caches={name: CacheState(**state) for name, state in snapshot["cache"].get("caches", {}).items()},
        devices=devices,
        pools=pools,
        cpu_seconds=cpu_seconds,
        cluster=snapshot.get("cluster"),
    )


def merged(reports: Sequence[Report]) -> Report:
    """What several have counted, and are, together."""
    worst = sorted((stall for report in reports for stall in report.worst), key=lambda stall: -stall.seconds)
    return Report(
        counters=_sums(report.counters for report in reports),
        statuses=_sums(report.statuses for report in reports),
        hits=added([report.hits for report in reports]),
        waits=added([report.waits for report in reports]),
        stalls=[sum(counts) for counts in zip_longest(*(report.stalls for report in reports), fillvalue=0)],
        worst=worst[:WORST],
        connections=_sums(report.connections for report in reports),
        caches=_merged_states(CacheState, [report.caches for report in reports]),
        devices=_merged_states(DeviceState, [report.devices for report in reports]),
        pools=_merged_states(PoolState, [report.pools for report in reports]),
        cpu_seconds=sum(report.cpu_seconds for report in reports),
        cluster=next((report.cluster for report in reports if report.cluster is not None), None),  # of one front-end
    )


def what_remains(report: Report) -> Report:
    """What is still true of a worker that has ended: what it has counted, but not what it was."""
    return msgspec.structs.replace(
        report,
        connections={},
        cluster=None,
        pools={},
        caches={
            name: CacheState(evictions=cache.evictions, misses=cache.misses) for name, cache in report.caches.items()
        },
        devices={
            name: msgspec.structs.replace(device, helpers=0, working=0, queued=0, checks=0)
            for name, device in report.devices.items()
        },
    )


K = TypeVar("K", str, int)
S = TypeVar("S", bound=Struct)


def _sums(tables: Iterable[Mapping[K, int]]) -> dict[K, int]:
    total: dict[K, int] = {}
    for table in tables:
        for name, count in table.items():
            total[name] = total.get(name, 0) + count
    return total


def _merged_states(kind: type[S], tables: Sequence[Mapping[str, S]]) -> dict[str, S]:
    """By name, the sums of all fields; of the longest wait the maximum."""
    groups: dict[str, list[S]] = {}
    for table in tables:
        for name, state in table.items():
            groups.setdefault(name, []).append(state)
    return {
        name: kind(
            **{
                field: (max if field == "longest_wait" else sum)(getattr(state, field) for state in states)
                for field in kind.__struct_fields__
            }
        )
        for name, states in groups.items()
    }
