"""LARD/R that goes by reports: its thresholds, its server sets, its newcomers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashpy.cluster.adaptive import AdaptiveLard
from flashpy.cluster.control import MOST, SPARE, Control
from flashpy.cluster.nodes import Node, Nodes, Standing
from flashpy.cluster.policy import Asked, Parameters, Report, Thresholds
from flashpy.cluster.summary import Summary

START = Thresholds(25, 65)
AMOUNTS = st.floats(0, 1e6)


def cluster(**loads: float) -> Nodes:
    """Nodes of these names and loads, all up."""
    return Nodes([Node(name, load=load) for name, load in loads.items()])


def chosen(tried: AdaptiveLard, nodes: Nodes, target: bytes = b"/t", now: float = 0.0) -> str:
    """The name of the node that is chosen."""
    node = tried.choose(nodes, Asked(target), now)
    assert node is not None
    return node.name


def said(seconds: float, done: int, work: float, read: float = 0.0) -> Report:
    """A report of so many requests at work at a time, as many again waiting, and reads of so many seconds."""
    spent = 2 * work * seconds
    return Report(seconds, done, spent, spent / 2, 10 if read else 0, 10 * read)


def test_a_node_of_the_paper_has_the_thresholds_of_the_paper() -> None:
    """One request at work, and 500 a second, of which some are read in 40 ms."""
    control = Control(START)
    assert control.thresholds == START
    for _ in range(100):
        control.report("a", 1.0, said(1.0, 500, 1.0, 0.04))
    assert control.thresholds == pytest.approx((25, 65))
    assert control.throughput == pytest.approx(500)


def test_slow_clients_raise_the_thresholds() -> None:
    """For who takes what it has been given waits for nobody: 700 of these are no reason to move anything."""
    control = Control(START)
    control.report("a", 1.0, said(1.0, 100, 700))
    assert control.thresholds == (700 + SPARE, 700 + 2 * SPARE)


def test_the_busiest_node_says_when_one_idles() -> None:
    """By weight; the throughput is the mean. Who has gone has no say."""
    control = Control(START)
    control.report("a", 1.0, said(1.0, 100, 1))
    control.report("b", 4.0, said(1.0, 1_200, 16, 0.25))
    assert control.throughput == 200
    assert control.thresholds == (4 + SPARE, 4 + SPARE + 2 * 200 * 0.25)
    control.forget("b")
    control.report("a", 1.0, said(1.0, 100, 1))
    assert control.thresholds == (1 + SPARE, 1 + 2 * SPARE)


def test_idle_nodes_tell_nothing() -> None:
    """Neither does a report of no time."""
    control = Control(START)
    control.report("a", 1.0, Report(1.0))
    control.report("a", 1.0, Report(0.0, 5, 1.0))
    assert control.thresholds == START and control.throughput == 0


def test_measures_follow_within_some_thousand_requests() -> None:
    """And not at once."""
    control = Control(START)
    control.report("a", 1.0, said(1.0, 1_000, 1, 0.01))
    control.report("a", 1.0, said(1.0, 1_000, 11, 0.03))
    assert 1 + SPARE < control.thresholds.low < 6 + SPARE
    for _ in range(20):
        control.report("a", 1.0, said(1.0, 1_000, 11, 0.03))
    assert control.thresholds == pytest.approx((11 + SPARE, 11 + SPARE + 60), rel=0.01)


@given(
    st.lists(st.builds(Report, AMOUNTS, st.integers(0, 10**6), AMOUNTS, AMOUNTS, st.integers(0, 10**6), AMOUNTS)),
    st.floats(0.1, 10),
)
def test_thresholds_stay_in_order_whatever_is_reported(reports: list[Report], weight: float) -> None:
    """And within bounds."""
    control = Control(START)
    for report in reports:
        control.report("a", weight, report)
        low, high = control.thresholds
        assert SPARE <= low <= high <= MOST


def prepared(**loads: float) -> tuple[Nodes, AdaptiveLard]:
    """Nodes of these loads, all of which serve ``/t`` since 0."""
    nodes, tried = cluster(**dict.fromkeys(loads, 0.0)), AdaptiveLard(Parameters())
    assert chosen(tried, nodes) == next(iter(nodes)).name
    for _ in loads:
        for node in nodes:
            node.load = 200.0 if node.name in tried.mapped(b"/t") else 0.0
        chosen(tried, nodes)
    assert set(tried.mapped(b"/t")) == set(loads)
    for name, load in loads.items():
        nodes[name].load = load
    return nodes, tried


def test_a_set_that_is_not_needed_shrinks() -> None:
    """By the most loaded of those that are not chosen, when it has not changed for K."""
    nodes, tried = prepared(a=30, b=35, c=33)
    assert chosen(tried, nodes, now=20) == "a"
    assert len(tried.mapped(b"/t")) == 3
    assert chosen(tried, nodes, now=21) == "a"
    assert list(tried.mapped(b"/t")) == ["a", "c"]
    assert chosen(tried, nodes, now=42) == "a"
    assert chosen(tried, nodes, now=63) == "a"
    assert list(tried.mapped(b"/t")) == ["a"]


def test_a_set_that_is_needed_stays() -> None:
    """As long as more is asked for than the rest can carry at half their throughput."""
    nodes, tried = prepared(a=30, b=30)
    for name in "ab":
        tried.report(name, said(1.0, 20, 1))
    for _ in range(220):
        chosen(tried, nodes, now=10)
    chosen(tried, nodes, now=21)  # 10.5 a second, where one node does 20
    assert len(tried.mapped(b"/t")) == 2
    chosen(tried, nodes, now=40)
    assert len(tried.mapped(b"/t")) == 2
    chosen(tried, nodes, now=42)
    assert len(tried.mapped(b"/t")) == 1


def test_a_hot_target_gets_another_node() -> None:
    """By thresholds that follow what is reported."""
    nodes, tried = cluster(a=0, b=0), AdaptiveLard(Parameters())
    assert chosen(tried, nodes) == "a"
    nodes["a"].load = 100
    tried.report("a", said(1.0, 100, 80))
    assert tried.thresholds == (80 + SPARE, 80 + 2 * SPARE)
    assert chosen(tried, nodes) == "a"
    nodes["a"].load = 129
    assert chosen(tried, nodes) == "b"
    assert list(tried.mapped(b"/t")) == ["a", "b"]


def test_what_is_forgotten_is_found_where_it_is() -> None:
    """By what the nodes say they have, unless the one that has it is overloaded, or gone."""
    nodes, tried = cluster(a=1, b=5, c=4), AdaptiveLard(Parameters())
    for name in "bc":
        tried.report(name, Report(1.0, resident=Summary.of([b"/1", b"/2", b"/3"], 10)))
    tried.report("a", Report(1.0, resident=Summary.of([], 10)))
    assert chosen(tried, nodes, b"/1") == "c"
    nodes["c"].standing = Standing.DOWN
    tried.forget("c")
    assert chosen(tried, nodes, b"/2") == "b"
    nodes["b"].load = 130
    assert chosen(tried, nodes, b"/3") == "a"
    assert chosen(tried, nodes, b"/4") == "a"


def test_nodes_without_load_are_told_apart_by_their_targets() -> None:
    """One request after the other, as of a single client: all nodes get their part, by weight."""
    nodes = Nodes([Node("a"), Node("b", 2), Node("c")])
    tried = AdaptiveLard(Parameters())
    found = [chosen(tried, nodes, b"/%d" % number) for number in range(400)]
    assert {name: found.count(name) for name in "abc"} == {"a": 100, "b": 200, "c": 100}
