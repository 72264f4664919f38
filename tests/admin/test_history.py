"""The last minutes, second by second."""

import pytest

from flashpy.admin.history import SAMPLES, WINDOW, History
from flashpy.histogram import Histogram
from flashpy.report import PoolState, Report


def report(requests: int, *durations: float, waited: int = 0, queued: int = 0) -> Report:
    """After so many requests, whose answers took so long; so many of them at the end had to wait."""
    hits, waits = Histogram(), Histogram()
    for seconds in durations[: len(durations) - waited]:
        hits.note(seconds)
    for seconds in durations[len(durations) - waited :]:
        waits.note(seconds)
    return Report(
        counters={"requests": requests, "sent_bytes": 100 * requests},
        hits=hits.sparse(),
        waits=waits.sparse(),
        connections={"idle": 2, "working": 1},
        pools={"disk": PoolState(queued=queued)},
        cpu_seconds=requests / 1000,
    )


def test_nothing_is_known_at_first() -> None:
    history = History()
    assert history.now().requests == 0 and history.now().answers.p50 is None
    history.add(report(1000), 5.0)
    assert history.now().requests == 0
    assert history.charts().requests == []


def test_rates_are_of_what_has_come_between() -> None:
    history = History()
    history.add(report(1000), 5.0)
    history.add(report(1200, 0.001, 0.001, 0.1, waited=1, queued=4), 7.0)
    rates, charts = history.now(), history.charts()
    assert (rates.requests, rates.sent_bytes) == (100.0, 10_000.0)
    assert rates.cpu == pytest.approx(0.1)
    assert rates.hit_rate == pytest.approx(2 / 3)
    assert rates.answers.p50 == pytest.approx(0.001, rel=0.02)
    assert rates.answers.p99 == rates.waits.p50 == pytest.approx(0.1, rel=0.02)
    assert (charts.requests, charts.connections, charts.queued) == ([100.0], [3], [4])


def test_now_is_the_last_seconds_and_charts_are_bounded() -> None:
    history = History()
    for second in range(SAMPLES + 50):
        history.add(report(min(second, 100) * 10), float(second))
    charts = history.charts()
    assert len(charts.requests) == SAMPLES
    assert history.now().requests == 0
    seconds, first = history.before()
    assert (seconds, first.counters["requests"]) == (WINDOW, 1000)


def test_what_has_begun_anew_counts_for_nothing() -> None:
    """Rather than for less than nothing."""
    history = History()
    history.add(report(1000, 0.1, 0.1), 1.0)
    history.add(report(10), 2.0)
    assert history.now().requests == 0 and history.now().answers.p50 is None
