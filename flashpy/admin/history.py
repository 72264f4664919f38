"""The last minutes, second by second. Pure: the time is an argument."""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from msgspec import Struct

from flashpy.histogram import added, quantile, since
from flashpy.report import Report

WINDOW = 10.0
"""Seconds over which what is called "now" is taken: one alone says little where requests are few."""
SAMPLES = 300
"""Seconds that charts go back, at most."""


class Latency(Struct):
    """What half of the answers, nine in ten, and all but one in a hundred did not take longer than, in seconds; None
    where there were none."""

    p50: float | None
    p90: float | None
    p99: float | None


class Rates(Struct):
    """What happened a second. ``hit_rate`` is the part of requests whose answer was at hand."""

    requests: float
    sent_bytes: float
    connections: float
    jobs: float
    cpu: float
    hit_rate: float | None
    answers: Latency
    hits: Latency
    waits: Latency


class Charts(Struct):
    """Figures of each of the last seconds, the latest last; None where there is nothing to tell."""

    requests: list[float]
    sent_bytes: list[float]
    p50: list[float | None]
    p99: list[float | None]
    hit_rate: list[float | None]
    connections: list[int]
    queued: list[int]
    cpu: list[float]


class _Sample(NamedTuple):
    rates: Rates
    connections: int
    queued: int


class History:
    """Reports that came one after the other."""

    def __init__(self) -> None:
        self._reports: deque[tuple[float, Report]] = deque()  # of the window, and the one before
        self._samples: deque[_Sample] = deque(maxlen=SAMPLES)

    def add(self, report: Report, now: float) -> None:
        """Take a report that has come now."""
        reports = self._reports
        if reports:
            before, last = reports[-1]
            queued = sum(pool.queued for pool in report.pools.values())
            self._samples.append(_Sample(_rates(last, report, now - before), report.open_connections, queued))
        reports.append((now, report))
        while len(reports) > 2 and reports[1][0] <= now - WINDOW:
            reports.popleft()

    def now(self) -> Rates:
        """How it goes, over the window."""
        if not self._reports:
            return _rates(Report(), Report(), 1.0)
        (began, first), (ended, last) = self._reports[0], self._reports[-1]
        return _rates(first, last, ended - began)

    def before(self) -> tuple[float, Report]:
        """The report at the beginning of the window, and how many seconds it has lasted."""
        if not self._reports:
            return 0.0, Report()
        return self._reports[-1][0] - self._reports[0][0], self._reports[0][1]

    def charts(self) -> Charts:
        """The last seconds."""

        def each(figure: Callable[[Rates], float]) -> list[float]:
            return [round(figure(sample.rates), 3) for sample in self._samples]

        return Charts(
            requests=each(lambda rates: rates.requests),
            sent_bytes=each(lambda rates: rates.sent_bytes),
            p50=[sample.rates.answers.p50 for sample in self._samples],
            p99=[sample.rates.answers.p99 for sample in self._samples],
            hit_rate=[sample.rates.hit_rate for sample in self._samples],
            connections=[sample.connections for sample in self._samples],
            queued=[sample.queued for sample in self._samples],
            cpu=each(lambda rates: rates.cpu),
        )


def _rates(before: Report, after: Report, seconds: float) -> Rates:
    """What happened a second between two reports. What has begun anew between them counts for nothing."""
    seconds = max(seconds, 0.001)

    def per_second(name: str) -> float:
        return max(0, after.counters.get(name, 0) - before.counters.get(name, 0)) / seconds

    hits, waits = since(after.hits, before.hits), since(after.waits, before.waits)
    at_hand, waited = sum(hits.values()), sum(waits.values())
    return Rates(
        requests=per_second("requests"),
        sent_bytes=per_second("sent_bytes"),
        connections=per_second("connections_accepted"),
        jobs=per_second("jobs"),
        cpu=max(0.0, after.cpu_seconds - before.cpu_seconds) / seconds,
        hit_rate=at_hand / (at_hand + waited) if at_hand + waited else None,
        answers=_latency(added([hits, waits])),
        hits=_latency(hits),
        waits=_latency(waits),
    )


def _latency(histogram: dict[int, int]) -> Latency:
    return Latency(quantile(histogram, 0.5), quantile(histogram, 0.9), quantile(histogram, 0.99))
