"""How the server is, as a document: what ``/-/status.json`` says, the page shows, and ``flashpy top`` draws."""

from msgspec import Struct

from flashpy import __version__
from flashpy.admin.history import Charts, History, Rates
from flashpy.admin.status import Status
from flashpy.metrics import COUNTERS, STALL_BOUNDS
from flashpy.report import CacheState, ClusterState, DeviceState, NodeState, PoolState, Report


class CacheView(Struct):
    """A cache. ``hit_rate``: the part of the requests of late that found there what they needed; None where it is not
    counted, or there were none."""

    name: str
    state: CacheState
    hit_rate: float | None


class DeviceView(Struct):
    """A device (as MAJOR:MINOR, or the beginning of a path that has a queue of its own), its jobs a second of late, and
    the seconds that each waited and took in the mean."""

    name: str
    state: DeviceState
    jobs: float
    wait: float | None
    service: float | None


class StallView(Struct):
    """A stall of the loop: how long, what was running then, and how many seconds ago it was."""

    seconds: float
    cause: str
    ago: float


class Stalls(Struct):
    """Stalls: how many were not longer than each bound but longer than the one before; the last has no bound."""

    bounds: list[float]
    counts: list[int]
    worst: list[StallView]


class WorkerView(Struct):
    """A worker, with its requests a second and processor time a second of late."""

    number: int
    pid: int
    stage: str
    connections: int
    requests: int
    longest_stall: float
    requests_per_second: float
    cpu: float


class NodeView(Struct):
    """A node of a cluster; connections handed to it, requests relayed and answers that it has fetched a second of late,
    and the part of the first requests of the connections whose place in memory was predicted right. None where there
    were none."""

    name: str
    state: NodeState
    handed: float
    relayed: float
    fetched: float
    predicted: float | None


class ClusterView(Struct):
    """A cluster, and its nodes."""

    state: ClusterState
    nodes: list[NodeView]


class View(Struct):
    """All of it. Times are in seconds, sizes in bytes."""

    version: str
    phase: str
    ready: bool
    serving: int
    wanted: int
    uptime: float
    addresses: list[str]
    rates: Rates
    charts: Charts
    counters: dict[str, int]
    statuses: dict[int, int]
    connections: dict[str, int]
    caches: list[CacheView]
    residency: float | None
    devices: list[DeviceView]
    pools: dict[str, PoolState]
    stalls: Stalls
    workers: list[WorkerView]
    cluster: ClusterView | None = None


def view_of(status: Status, before: Status, history: History, now: float, wall: float) -> View:
    """The document, by what was told now and at the second before; ``now`` is monotonic, ``wall`` since 1970."""
    report = status.report
    seconds, past = history.before()
    return View(
        version=__version__,
        phase=status.phase,
        ready=status.ready,
        serving=status.serving,
        wanted=status.wanted,
        uptime=round(wall - status.began, 1),
        addresses=status.addresses,
        rates=history.now(),
        charts=history.charts(),
        counters=dict.fromkeys(COUNTERS, 0) | report.counters,
        statuses=dict(sorted(report.statuses.items())),
        connections=report.connections,
        caches=[_cache(name, report, past) for name in report.caches],
        residency=_residency(report, past),
        devices=[_device(name, state, past, seconds) for name, state in sorted(report.devices.items())],
        pools=report.pools,
        stalls=Stalls(
            list(STALL_BOUNDS),
            report.stalls,
            [StallView(stall.seconds, stall.cause, round(max(0.0, now - stall.when), 1)) for stall in report.worst],
        ),
        workers=_workers(status, before),
        cluster=_cluster(report.cluster, past.cluster, seconds) if report.cluster is not None else None,
    )


def _more(name: str, report: Report, past: Report) -> int:
    return max(0, report.counters.get(name, 0) - past.counters.get(name, 0))


def _cache(name: str, report: Report, past: Report) -> CacheView:
    state, requests = report.caches[name], _more("requests", report, past)
    rate = None
    if name in ("pathname", "header", "file") and requests:
        misses = state.misses - past.caches.get(name, CacheState()).misses
        rate = min(1.0, max(0.0, 1 - misses / requests))
    return CacheView(name, state, rate)


def _residency(report: Report, past: Report) -> float | None:
    """The part of the windows of files that were in memory when they were to be sent."""
    resident, absent = _more("residency_hits", report, past), _more("loads", report, past)
    return resident / (resident + absent) if resident + absent else None


def _device(name: str, state: DeviceState, past: Report, seconds: float) -> DeviceView:
    before = past.devices.get(name, DeviceState())
    if before.done > state.done:  # its queue was given up, and is there again
        before = DeviceState()
    done = state.done - before.done
    wait = (state.wait - before.wait) / done if done else None
    service = (state.service - before.service) / done if done else None
    return DeviceView(name, state, done / seconds if seconds else 0.0, wait, service)


def _cluster(state: ClusterState, past: ClusterState | None, seconds: float) -> ClusterView:
    earlier = past.nodes if past is not None else {}
    return ClusterView(
        state, [_node(name, node, earlier.get(name, node), seconds) for name, node in state.nodes.items()]
    )


def _node(name: str, state: NodeState, before: NodeState, seconds: float) -> NodeView:
    right, wrong = state.true_hits + state.true_misses, state.false_hits + state.false_misses
    return NodeView(
        name,
        state,
        handed=max(0, state.handed - before.handed) / seconds if seconds else 0.0,
        relayed=max(0, state.relayed - before.relayed) / seconds if seconds else 0.0,
        fetched=max(0, state.fetched - before.fetched) / seconds if seconds else 0.0,
        predicted=right / (right + wrong) if right + wrong else None,
    )


def _workers(status: Status, before: Status) -> list[WorkerView]:
    """What was counted in a second is told by the reports, which come once a second."""
    earlier = {worker.pid: worker for worker in before.workers}
    found = []
    for worker in status.workers:
        last = earlier.get(worker.pid, worker)
        found.append(
            WorkerView(
                number=worker.number,
                pid=worker.pid,
                stage=worker.stage,
                connections=worker.connections,
                requests=worker.requests,
                longest_stall=worker.longest_stall,
                requests_per_second=float(worker.requests - last.requests),
                cpu=worker.cpu_seconds - last.cpu_seconds,
            )
        )
    return found
