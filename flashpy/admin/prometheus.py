"""The metrics in Prometheus' text format, by a collector of prometheus-client (an optional library) that reads the
latest report: one page for all workers, without the library's files for several processes."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from flashpy import __version__
from flashpy.admin.status import Status
from flashpy.histogram import Sparse, cumulative, total_seconds
from flashpy.metrics import COUNTERS, STALL_BOUNDS
from flashpy.report import ClusterState, Report

BOUNDS = (*(factor * 10.0**power for power in range(-5, 1) for factor in (1, 2.5, 5)), 10.0, 30.0)
"""Upper bounds of the buckets of answers, in seconds; the histogram that they are made of has an error of 1.6 %."""
_NAMES = {
    "requests": "flashpy_requests_received_total",
    "mispredictions": "flashpy_residency_mispredictions_total",
    "residency_hits": "flashpy_residency_resident_windows_total",
    "loads": "flashpy_residency_absent_windows_total",
    "loads_ahead": "flashpy_residency_windows_loaded_ahead_total",
}
"""Where the name is not that of the counter."""

_Families = dict[str, CounterMetricFamily | GaugeMetricFamily]


class Metrics:
    """The page. ``latest`` gives the latest status."""

    def __init__(self, latest: Callable[[], Status]) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Collector(latest))

    def page(self, accept: str) -> tuple[bytes, str]:
        """The page and its media type, in the form that an Accept field prefers."""
        encode, kind = choose_encoder(accept)
        return encode(self._registry), kind


class _Collector(Collector):
    def __init__(self, latest: Callable[[], Status]) -> None:
        self._latest = latest

    def describe(self) -> Iterable[Metric]:
        """None of another collector's names can be the same: there is no other."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """See Collector."""
        status = self._latest()
        yield from _server(status)
        yield from _counters(status.report)
        yield from _histograms(status.report)
        yield from _states(status.report)
        yield from _devices(status.report)
        yield from _workers(status)
        if status.report.cluster is not None:
            yield from _cluster(status.report.cluster)


def _server(status: Status) -> Iterator[Metric]:
    yield InfoMetricFamily("flashpy_build", "The version that runs.", value={"version": __version__})
    yield GaugeMetricFamily("flashpy_start_time_seconds", "When the supervisor began, since 1970.", value=status.began)
    yield GaugeMetricFamily("flashpy_ready", "1 if workers serve and go on serving.", value=status.ready)
    yield GaugeMetricFamily("flashpy_workers", "Workers that serve.", value=status.serving)
    yield GaugeMetricFamily("flashpy_workers_wanted", "Workers that should serve.", value=status.wanted)
    yield CounterMetricFamily("flashpy_worker_starts_total", "Workers that were started.", value=status.started)
    yield CounterMetricFamily(
        "flashpy_reloads_total", "Times that a new configuration took effect.", value=status.reloads
    )


def _counters(report: Report) -> Iterator[Metric]:
    answers = CounterMetricFamily("flashpy_requests_total", "Answers by status.", labels=["code"])
    for code, count in sorted(report.statuses.items()):
        answers.add_metric([str(code)], count)
    yield answers
    for name, count in (dict.fromkeys(COUNTERS, 0) | report.counters).items():
        yield CounterMetricFamily(_NAMES.get(name, f"flashpy_{name}_total"), COUNTERS.get(name, name), value=count)
    yield CounterMetricFamily(
        "flashpy_cpu_seconds_total", "Processor time of the workers, without helpers.", value=report.cpu_seconds
    )


def _histograms(report: Report) -> Iterator[Metric]:
    answers = HistogramMetricFamily(
        "flashpy_answer_seconds",
        "From when a request is read until its answer begins to leave; at hand, or after a job.",
        labels=["cache"],
    )
    for label, histogram in (("hit", report.hits), ("miss", report.waits)):
        answers.add_metric([label], _buckets(histogram), total_seconds(histogram))
    yield answers
    yield HistogramMetricFamily(
        "flashpy_loop_stall_seconds",
        "Turns of the event loop that took 2 ms and more; their sum is not known.",
        buckets=list(_stalls(report.stalls)),
    )
    longest = report.worst[0].seconds if report.worst else 0.0
    yield GaugeMetricFamily("flashpy_loop_stall_longest_seconds", "The longest turn of an event loop.", value=longest)


def _buckets(histogram: Sparse) -> list[tuple[str, float]]:
    found: list[tuple[str, float]] = [(f"{bound:g}", count) for bound, count in cumulative(histogram, BOUNDS)]
    return [*found, ("+Inf", sum(histogram.values()))]


def _stalls(counts: Sequence[int]) -> Iterator[tuple[str, float]]:
    total = 0
    for bound, count in zip(
        (*map("{:g}".format, STALL_BOUNDS), "+Inf"), counts or [0] * (len(STALL_BOUNDS) + 1), strict=False
    ):
        total += count
        yield bound, total


def _states(report: Report) -> Iterator[Metric]:
    connections = GaugeMetricFamily("flashpy_connections", "Connections by what they wait for.", labels=["state"])
    for state, count in report.connections.items():
        connections.add_metric([state], count)
    yield connections
    families: _Families = {
        "entries": GaugeMetricFamily("flashpy_cache_entries", "Entries of a cache.", labels=["cache"]),
        "bytes": GaugeMetricFamily("flashpy_cache_bytes", "Bytes of a cache.", labels=["cache"]),
        "most_entries": GaugeMetricFamily("flashpy_cache_max_entries", "Its budget of entries.", labels=["cache"]),
        "most_bytes": GaugeMetricFamily("flashpy_cache_max_bytes", "Its budget of bytes.", labels=["cache"]),
        "evictions": CounterMetricFamily(
            "flashpy_cache_evictions_total", "Entries that went because others needed their room.", labels=["cache"]
        ),
        "misses": CounterMetricFamily(
            "flashpy_cache_misses_total",
            "Requests that found nothing there (pathname, header, file).",
            labels=["cache"],
        ),
    }
    for name, cache in report.caches.items():
        for field, family in families.items():
            family.add_metric([name], getattr(cache, field))
    yield from families.values()


def _devices(report: Report) -> Iterator[Metric]:
    helpers = GaugeMetricFamily("flashpy_helpers", "Helper processes by pool.", labels=["pool"])
    busy = GaugeMetricFamily("flashpy_helpers_busy", "Helper processes that have a job.", labels=["pool"])
    queued = GaugeMetricFamily("flashpy_jobs_queued", "Jobs that wait for a helper.", labels=["pool"])
    for name, pool in report.pools.items():
        helpers.add_metric([name], pool.helpers)
        busy.add_metric([name], pool.busy)
        queued.add_metric([name], pool.queued)
    yield from (helpers, busy, queued)
    families: _Families = {
        "helpers": GaugeMetricFamily("flashpy_device_helpers", "Helpers that may work at once.", labels=["device"]),
        "working": GaugeMetricFamily("flashpy_device_helpers_busy", "Helpers at work.", labels=["device"]),
        "queued": GaugeMetricFamily("flashpy_device_jobs_queued", "Jobs that wait.", labels=["device"]),
        "done": CounterMetricFamily("flashpy_device_jobs_total", "Jobs done.", labels=["device"]),
        "service": CounterMetricFamily("flashpy_device_service_seconds_total", "Time of helpers.", labels=["device"]),
        "wait": CounterMetricFamily("flashpy_device_wait_seconds_total", "Time that jobs waited.", labels=["device"]),
    }
    for name, state in report.devices.items():
        for field, family in families.items():
            family.add_metric([name], getattr(state, field))
    yield from families.values()


def _workers(status: Status) -> Iterator[Metric]:
    requests = CounterMetricFamily("flashpy_worker_requests_total", "Requests received.", labels=["worker"])
    connections = GaugeMetricFamily("flashpy_worker_connections", "Connections that are open.", labels=["worker"])
    for worker in status.workers:
        if worker.stage == "serving":
            requests.add_metric([str(worker.number)], worker.requests)
            connections.add_metric([str(worker.number)], worker.connections)
    yield from (requests, connections)


def _cluster(cluster: ClusterState) -> Iterator[Metric]:
    yield GaugeMetricFamily("flashpy_cluster_active", "What the nodes have to do, together.", value=cluster.active)
    yield GaugeMetricFamily("flashpy_cluster_active_max", "What they may have.", value=cluster.most)
    yield GaugeMetricFamily("flashpy_cluster_waiting", "Requests that wait for a node.", value=cluster.waiting)
    yield CounterMetricFamily(
        "flashpy_cluster_refused_total", "Requests answered 503 for want of a node.", value=cluster.refused
    )
    yield GaugeMetricFamily("flashpy_cluster_targets", "Targets that are mapped to nodes.", value=cluster.targets)
    yield GaugeMetricFamily(
        "flashpy_cluster_replicated_targets", "Of these, those that several nodes serve.", value=cluster.replicated
    )
    yield GaugeMetricFamily("flashpy_cluster_mapping_bytes", "Memory for that.", value=cluster.mapping_bytes)
    up = GaugeMetricFamily("flashpy_node_up", "1 if a node may get more.", labels=["node"])
    warming = GaugeMetricFamily("flashpy_node_warming", "1 if a node loads its share first.", labels=["node"])
    first = CounterMetricFamily(
        "flashpy_node_first_requests_total",
        "First requests of connections, by whether the target was predicted to be in memory, and whether it was.",
        labels=["node", "predicted", "hit"],
    )
    families: _Families = {
        "load": GaugeMetricFamily(
            "flashpy_node_load", "What was handed to a node and is not finished.", labels=["node"]
        ),
        "targets": GaugeMetricFamily("flashpy_node_targets", "Targets that are mapped to a node.", labels=["node"]),
        "delay": GaugeMetricFamily("flashpy_node_delay_seconds", "Mean time to an answer, of late.", labels=["node"]),
        "handed": CounterMetricFamily("flashpy_node_handed_total", "Connections handed to a node.", labels=["node"]),
        "returned": CounterMetricFamily("flashpy_node_returned_total", "Of these, those come back.", labels=["node"]),
        "relayed": CounterMetricFamily("flashpy_node_relayed_total", "Requests relayed to a node.", labels=["node"]),
        "fetched": CounterMetricFamily(
            "flashpy_node_fetched_total", "Answers that a node has fetched from others.", labels=["node"]
        ),
        "share": GaugeMetricFamily(
            "flashpy_node_share_targets", "What a node was to load when it last came to life.", labels=["node"]
        ),
        "loaded": GaugeMetricFamily("flashpy_node_loaded_targets", "What it has loaded of that.", labels=["node"]),
    }
    for name, node in cluster.nodes.items():
        up.add_metric([name], node.standing == "up")
        warming.add_metric([name], node.standing == "warming")
        for field, family in families.items():
            family.add_metric([name], getattr(node, field))
        for predicted, hit, count in (
            *(("true", "true", node.true_hits), ("true", "false", node.false_hits)),
            *(("false", "false", node.true_misses), ("false", "true", node.false_misses)),
        ):
            first.add_metric([name, predicted, hit], count)
    yield from (up, warming, first, *families.values())
