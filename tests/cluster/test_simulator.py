"""The simulator: the costs of single requests to the microsecond, and what holds of any run."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flashpy.cluster.nodes import Node
from flashpy.cluster.policy import POLICIES
from flashpy.cluster.simulator import Outcome, Setting, Simulation
from flashpy.cluster.simulator_costs import COSTS
from flashpy.cluster.simulator_node import CACHES, LARGEST_OF_LRU, LRU, Reading, SimulatedNode
from flashpy.cluster.simulator_traces import SHAPES, Shape, Trace, coverage, logged, made_up

PAPER = COSTS["paper"]
CONNECTION = 2 * 145e-6


def machine(costs: str = "paper") -> SimulatedNode:
    """One with nothing to do."""
    return SimulatedNode(Node("a"), COSTS[costs], LRU(2**20), 10)


def simulated(sizes: list[int], requests: list[int], connections: int = 1, nodes: int = 1) -> Outcome:
    """What comes of these requests, so many at a time, with memories of 1 MiB."""
    trace = Trace([b"/%d" % number for number in range(len(sizes))], sizes, requests)
    return Simulation(Setting("lard", nodes, PAPER, 2**20, "gds", connections), trace).run()


def test_a_small_cached_file_is_sent_as_often_as_in_the_paper() -> None:
    """About 1,075 times a second for 8 KB (section 3.1)."""
    found = simulated([8192], [0] * 1_000, connections=24)
    assert found.warm.throughput == pytest.approx(1 / (CONNECTION + 16 * 40e-6), rel=3e-3)
    assert found.warm.throughput == pytest.approx(1075, rel=3e-3)
    assert found.warm.miss_ratio == 0 and found.warm.cpu == pytest.approx(1)
    assert found.warm.delay == pytest.approx(24 / found.warm.throughput, rel=3e-3)


@pytest.mark.parametrize(
    ("size", "disk", "blocks"),
    [
        (1, 28e-3 + 410e-6, 1),
        (4097, 28e-3 + 2 * 410e-6, 9),
        (45_056, 28e-3 + 11 * 410e-6, 88),
        (45_057, 28e-3 + 14e-3 + 12 * 410e-6, 89),
        (100_000, 28e-3 + 2 * 14e-3 + 25 * 410e-6, 196),
        (0, 28e-3, 0),
    ],
)
def test_what_a_miss_costs(size: int, disk: float, blocks: int) -> None:
    """Sizes are rounded up; a piece is sent while the next is read, so only the last one's sending comes on top."""
    found = simulated([size, 2**20], [0, 1] * 10)
    node = found.cold
    last = (blocks - 1) % 88 + 1 if blocks else 0
    large = 28e-3 + 23 * 14e-3 + 256 * 410e-6 + CONNECTION + (2048 - 23 * 88) * 40e-6
    small = CONNECTION + disk + last * 40e-6
    assert node.delay == pytest.approx((small + large) / 2, rel=0.05)
    assert node.miss_ratio == 1


def test_equal_reads_are_one() -> None:
    """They are counted apart from misses, and get each piece when it is there."""
    found = simulated([200_000], [0] * 100, connections=5)
    assert found.cold.coalesced_ratio == pytest.approx(4 * found.cold.miss_ratio)
    assert found.warm.coalesced_ratio == found.warm.miss_ratio == 0


def test_large_files_take_turns() -> None:
    """The disk and the processor take pieces in the order in which they come."""
    node = machine()
    first, second = Reading(0, 90_112), Reading(1, 4096)
    ends = node.read(0.0, first, 45_056)
    assert ends == pytest.approx(28e-3 + 11 * 410e-6)
    ends += 28e-3 + 410e-6
    assert node.read(0.01, second, 4096) == pytest.approx(ends)
    first.ready = 45_056
    ends += 14e-3 + 11 * 410e-6
    assert node.read(0.02, first, 45_056) == pytest.approx(ends)
    assert node.disk_time(ends) == pytest.approx(ends) and node.disk_time(ends / 2) == pytest.approx(ends / 2)


def test_a_disk_of_today_reads_several_at_a_time() -> None:
    """As many as it has channels; and the network takes what the processor is through with."""
    node, costs = machine("modern"), COSTS["modern"]
    ends = [node.read(0.0, Reading(number, 4096), 4096) for number in range(9)]
    assert len(set(ends)) == 2 and ends[8] == pytest.approx(2 * ends[0])
    computed = 2_048 * costs.send
    assert node.transmit(0.0, 2**20, last=False) == pytest.approx(computed + 2**20 / costs.bandwidth)
    assert node.transmit(0.0, 2**20, last=False) == pytest.approx(computed + 2**21 / costs.bandwidth)


def test_a_node_is_idle_while_it_has_little_to_do() -> None:
    """Below ten requests, of the 25 that T_low is."""
    node = machine()
    for now in range(10):
        node.begin(float(now))
    assert node.idle_time(20.0) == 9
    node.finish(20.0, 0.0)
    assert node.idle_time(21.0) == 10
    node.finish(21.0, 1.0)
    assert node.idle_time(22.0) == 11


def test_a_node_reports_what_it_has_done() -> None:
    """Since the last time: how long requests took, and how much of that was waiting."""
    node = machine()
    node.begin(0.0)
    node.begin(0.0)
    node.compute(0.0, 1.0)
    node.compute(0.0, 1.0)
    node.read(0.0, Reading(0, 4096), 4096)
    node.finish(1.0, 0.0)
    node.finish(2.0, 0.0)
    report = node.report(4.0)
    assert (report.seconds, report.done, report.spent, report.loads) == (4, 2, 3, 1)
    assert report.loading == pytest.approx(28e-3 + 410e-6)
    assert report.waited == pytest.approx(1 - report.loading)
    assert node.report(5.0) == type(report)(seconds=1)


def test_lru_keeps_no_large_files() -> None:
    """And what was not asked for longest goes."""
    cache = LRU(3 * LARGEST_OF_LRU)
    assert cache.put(0, LARGEST_OF_LRU + 1) == [] and not cache.hit(0)
    for key in (1, 2, 3):
        assert cache.put(key, LARGEST_OF_LRU) == []
    assert cache.hit(1)
    assert cache.put(4, 1) == [2]
    assert cache.size == 2 * LARGEST_OF_LRU + 1


@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from(list(POLICIES)),
    st.integers(1, 5),
    st.sampled_from(list(CACHES)),
    st.sampled_from(list(COSTS)),
    st.integers(0, 40),
)
def test_every_run_comes_to_an_end(name: str, nodes: int, cache: str, costs: str, connections: int) -> None:
    """All requests are finished, and parts add up."""
    trace = made_up(Shape(100, 2**22, exponent=0.8), 600)
    setting = Setting(name, nodes, COSTS[costs], 2**19, cache, connections, replays=2)
    told: list[int] = []
    found = Simulation(setting, trace, told.append).run()
    for figures in (found.cold, found.warm):
        assert 0 < figures.requests <= 600 + 5 * 65
        assert 0 <= figures.miss_ratio + figures.coalesced_ratio <= 1
        assert all(-1e-9 <= part <= 1 + 1e-9 for part in (figures.idle, figures.cpu, figures.disk))
        assert figures.throughput == pytest.approx(figures.requests / figures.seconds)
        assert 0 < figures.delay <= figures.delay_p99 * 100
    assert sum(told) == 1_800


def test_a_short_trace_tells_nothing() -> None:
    """And the error says how long one must be."""
    with pytest.raises(ValueError, match="100 requests is too short: 89 are at the 2 nodes at a time"):
        simulated([10], [0] * 100, connections=0, nodes=2)


def test_locality_pays() -> None:
    """Where the set is larger than one memory and smaller than all of them."""
    trace = made_up(Shape(400, 2**24, exponent=0.7), 4_000)
    found = {
        (name, nodes): Simulation(Setting(name, nodes, PAPER, 2**21, replays=2), trace).run().warm
        for name in ("wrr", "lard-r")
        for nodes in (1, 8)
    }
    assert found["lard-r", 8].throughput > 2 * found["wrr", 8].throughput
    assert found["lard-r", 8].miss_ratio < 0.1 * found["lard-r", 1].miss_ratio
    assert found["wrr", 8].miss_ratio > 0.7 * found["wrr", 1].miss_ratio
    assert found["wrr", 8].affinity is None and (found["lard-r", 8].affinity or 0) > 0.9


def test_books_are_kept_of_memories_as_large_as_they_are() -> None:
    """So LB/GC foresees all hits and misses where requests come one by one, also of a memory that is small."""
    trace = made_up(Shape(400, 2**24, exponent=0.7), 4_000)
    found = Simulation(Setting("lb-gc", 1, PAPER, 2**20, "gds", 1), trace).run()
    assert found.warm.affinity == 1 and found.warm.miss_ratio > 0.2


def test_the_shape_of_rice() -> None:
    """37,703 targets of 1,418 MB; what covers most requests is within 8 % of what the paper says."""
    shape = SHAPES["rice"]
    trace = made_up(shape, 50_000)
    assert len(trace.targets) == 37_703
    assert sum(trace.sizes) == pytest.approx(1_418 * 2**20, rel=1e-4)
    for found, said in zip(coverage(trace.sizes, shape.weights()), (560, 705, 927), strict=True):
        assert found / 2**20 == pytest.approx(said, rel=0.08)
    mean = sum(trace.sizes[number] for number in trace.requests) / len(trace.requests)
    assert 12_000 < mean < 20_000


def test_what_is_made_up_is_the_same_each_time() -> None:
    """For a seed."""
    shape = Shape(50, 10_000)
    assert made_up(shape, 100, 1) == made_up(shape, 100, 1) != made_up(shape, 100, 2)


TABLE = b"""time,method,path,status,bytes
0,GET,/a,200,10
1,GET,/a,304,0
2,GET,/b,200,5
2,GET,/a,200,30
3,POST,/b,200,7
4,GET,/c,304,0
4,GET,/d,404,7
5,GET,/b,200,-
6,GET
"""
LOG = b"""1.2.3.4 - - [01/Aug/1995:00:00:01 -0400] "GET /a HTTP/1.0" 200 10
1.2.3.4 - - [01/Aug/1995:00:00:01 -0400] "GET /a HTTP/1.0" 304 -
1.2.3.4 - - [01/Aug/1995:00:00:01 -0400] "GET /b HTTP/1.0" 200 5
1.2.3.4 - - [01/Aug/1995:00:00:01 -0400] "GET /a HTTP/1.0" 200 30
nonsense
{"http.request.method":"GET","url.path":"/c","http.response.status_code":304,"http.response.body.size":0}
"""


@pytest.mark.parametrize("text", [TABLE, LOG])
def test_requests_of_a_log(text: bytes) -> None:
    """The largest answer is the size; what has none is left out."""
    trace = logged(text.splitlines())
    assert trace.targets == [b"/a", b"/b"] and trace.sizes == [30, 5]
    assert list(trace.requests) == [0, 0, 1, 0]


def test_what_covers_the_requests() -> None:
    """The most wanted first."""
    trace = Trace([b"/a", b"/b", b"/c"], [100, 10, 1], [1, 1, 1, 0, 2, 1, 1, 1, 1, 0])
    assert trace.counts() == [2, 7, 1]
    assert coverage(trace.sizes, trace.counts(), (0.5, 0.9, 1.0)) == [10, 110, 111]
