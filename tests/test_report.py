"""Reports of workers: they are added up, whatever the order."""

from hypothesis import given
from hypothesis import strategies as st

from flashpy.metrics import STALL_BOUNDS, WORST, Metrics, Stall
from flashpy.report import CacheState, DeviceState, PoolState, Report, merged, report_of, what_remains

COUNTS = st.integers(0, 2**40)
NAMES = st.sampled_from(["one", "two", "three"])
TIMES = st.integers(0, 1000).map(float)  # whole, so that sums do not depend on the order
REPORTS = st.builds(
    Report,
    counters=st.dictionaries(NAMES, COUNTS),
    statuses=st.dictionaries(st.integers(100, 599), COUNTS, max_size=3),
    hits=st.dictionaries(st.integers(0, 1000), COUNTS, max_size=3),
    waits=st.dictionaries(st.integers(0, 1000), COUNTS, max_size=3),
    stalls=st.one_of(st.just([]), st.lists(COUNTS, min_size=len(STALL_BOUNDS) + 1, max_size=len(STALL_BOUNDS) + 1)),
    worst=st.lists(st.builds(Stall, TIMES, NAMES, TIMES), max_size=WORST).map(
        lambda stalls: sorted(stalls, reverse=True)
    ),
    connections=st.dictionaries(NAMES, COUNTS),
    caches=st.dictionaries(NAMES, st.builds(CacheState, *[COUNTS] * 6)),
    devices=st.dictionaries(NAMES, st.builds(DeviceState, *[COUNTS] * 5, *[TIMES] * 3)),
    pools=st.dictionaries(NAMES, st.builds(PoolState, *[COUNTS] * 3)),
    cpu_seconds=TIMES,
)


def comparable(report: Report) -> Report:
    """Of stalls that were equally long, it does not matter which is named."""
    report.worst = [stall._replace(cause="", when=0.0) for stall in report.worst]
    return report


@given(REPORTS, REPORTS, REPORTS)
def test_the_order_does_not_matter(a: Report, b: Report, c: Report) -> None:
    together = comparable(merged([a, b, c]))
    assert comparable(merged([c, a, b])) == together
    assert comparable(merged([merged([a, b]), c])) == together
    assert comparable(merged([merged([]), a, merged([b, c])])) == together


@given(REPORTS, REPORTS)
def test_of_one_that_has_ended_the_counts_remain(ended: Report, other: Report) -> None:
    """And nothing of what it was: connections, helpers and what was in its caches are gone with it."""
    rest = merged([what_remains(ended), other])
    assert rest.counters == merged([ended, other]).counters
    assert rest.hits == merged([ended, other]).hits
    assert rest.connections == other.connections and rest.pools == other.pools
    for name, state in other.caches.items():
        assert rest.caches[name].entries == state.entries
    for name, device in other.devices.items():
        assert (rest.devices[name].queued, rest.devices[name].working) == (device.queued, device.working)


def test_a_report_has_all_that_was_counted() -> None:
    """Of an architecture that says little of itself, too."""
    metrics = Metrics()
    metrics.requests = 3
    metrics.statuses[404] = 2
    metrics.stalls.note(1.0, 0.3, "x" * 1000)
    report = report_of(metrics, {"connections": 5, "cache": {}}, 1.5)
    assert (report.counters["requests"], report.statuses, report.open_connections) == (3, {404: 2}, 5)
    assert (report.cpu_seconds, report.devices, report.pools) == (1.5, {}, {})
    (stall,) = report.worst
    assert stall.seconds == 0.3 and len(stall.cause) == 200
