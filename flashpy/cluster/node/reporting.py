"""What a node tells of itself, from what it has counted. Pure: the time is an argument."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from flashpy.cluster.choosing import Report
from flashpy.cluster.node.targets import Targets
from flashpy.histogram import total_seconds
from flashpy.metrics import Metrics

SUMMARY = 5.0
"""Seconds between two summaries of what is in memory: they are long, and change little."""


class _Sums(NamedTuple):
    done: int = 0
    spent: float = 0.0
    waited: float = 0.0
    loads: int = 0
    loading: float = 0.0


class Reporting:
    """Makes reports of what has been counted since the one before."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._before = _Sums()
        self._at = 0.0
        self._summarised = 0.0

    def report(self, pool: Mapping[str, Any], targets: Targets, now: float) -> Report:
        """The next one. ``pool`` is the snapshot of the disk helpers."""
        metrics = self._metrics
        hits, waits = metrics.hits.sparse(), metrics.waits.sparse()
        devices = pool.get("devices", {}).values()
        sums = _Sums(
            done=sum(hits.values()) + sum(waits.values()),
            spent=total_seconds(hits) + total_seconds(waits),
            waited=sum(device["wait"] for device in devices),
            loads=sum(device["done"] for device in devices),
            loading=sum(device["service"] for device in devices),
        )
        before, self._before = self._before, sums
        seconds, self._at = now - self._at if self._at else 0.0, now
        summary = None
        if now - self._summarised >= SUMMARY:
            self._summarised = now
            summary = targets.summary()
        return Report(
            seconds=seconds,
            done=sums.done - before.done,
            spent=max(0.0, sums.spent - before.spent),
            waited=max(0.0, sums.waited - before.waited),
            loads=max(0, sums.loads - before.loads),
            loading=max(0.0, sums.loading - before.loading),
            queued=int(pool.get("queued", 0)),
            resident=summary,
        )
