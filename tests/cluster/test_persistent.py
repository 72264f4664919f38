"""LARD for persistent connections: the three costs, and what a request adds to a load."""

import pytest

from flashpy.cluster.nodes import Node, Nodes, Standing
from flashpy.cluster.persistent import PersistentLard, share
from flashpy.cluster.policy import Asked, Parameters, Report


def prepared(**loads: float) -> tuple[Nodes, PersistentLard]:
    """Nodes of these loads, and a policy by which the first of them has ``/t``."""
    nodes = Nodes([Node(name) for name in loads])
    tried = PersistentLard(Parameters())
    assert tried.choose(nodes, Asked(b"/t"), 0.0) is next(iter(nodes))
    for name, load in loads.items():
        nodes[name].load = load
    return nodes, tried


@pytest.mark.parametrize(
    ("a", "b", "chosen"),
    [
        (0, 0, "a"),
        (29, 0, "a"),  # below L_idle a node costs nothing
        (78, 0, "a"),  # 48 + 1 against 50
        (79, 0, "b"),  # 49 + 1 against 50: of equals, the least loaded
        (128, 78, "a"),  # 98 + 1 against 48 + 50 + 50: what drives out others costs that, too
        (130, 30, "b"),  # 100 + 1 against 50 + 50: the same, at 30
        (131, 129, "b"),  # above L_overload a node is no candidate
        (131, 132, "a"),  # and where none is, the least loaded is
    ],
)
def test_the_least_sum_of_costs_wins(a: float, b: float, chosen: str) -> None:
    """Of a first request; where it goes, there the target is, and there alone."""
    nodes, tried = prepared(a=a, b=b)
    assert tried.choose(nodes, Asked(b"/t"), 0.0) is nodes[chosen]
    assert list(tried.mapped(b"/t")) == [chosen]


def test_a_later_request_goes_to_who_has_it() -> None:
    """Unless who holds the connection has it too, or has a disk with little to do; then that one has it as well."""
    nodes, tried = prepared(a=40, b=35, c=0)
    assert tried.choose(nodes, Asked(b"/t", at="b"), 0.0) is nodes["a"]
    tried.report("b", Report(1.0, queued=5))
    assert tried.choose(nodes, Asked(b"/t", at="b"), 0.0) is nodes["a"]
    tried.report("b", Report(1.0, queued=4))
    assert tried.choose(nodes, Asked(b"/t", at="b"), 0.0) is nodes["b"]
    assert list(tried.mapped(b"/t")) == ["a", "b"]
    tried.report("b", Report(1.0, queued=9))
    nodes["b"].load = 129
    assert tried.choose(nodes, Asked(b"/t", at="b"), 0.0) is nodes["b"]


def test_a_later_request_is_no_matter_of_third_nodes() -> None:
    """What nobody has is read by who holds the connection, even if another has less to do."""
    nodes, tried = prepared(a=100, b=0)
    assert tried.choose(nodes, Asked(b"/new", at="a"), 0.0) is nodes["a"]


def test_a_disk_of_a_node_that_has_gone_is_unknown() -> None:
    """So the metrics alone say where a request goes."""
    nodes, tried = prepared(a=40, b=35)
    tried.report("b", Report(1.0, queued=0))
    tried.forget("b")
    assert tried.choose(nodes, Asked(b"/t", at="b"), 0.0) is nodes["a"]


def test_who_is_draining_goes_on_with_its_connections_only() -> None:
    """And who is down with none."""
    nodes, tried = prepared(a=0, b=0)
    nodes["b"].standing = Standing.DRAINING
    assert tried.choose(nodes, Asked(b"/new", at="b"), 0.0) is nodes["b"]
    nodes["b"].standing = Standing.DOWN
    assert tried.choose(nodes, Asked(b"/other", at="b"), 0.0) is nodes["a"]


def test_a_batch_is_shared_out() -> None:
    """One for the node that holds the connection, 1/N for each request that another answers."""
    assert share(Asked(b"/t"), "a") == 1
    assert share(Asked(b"/t", at="a", batch=4), "a") == 0
    assert share(Asked(b"/t", at="a", batch=4), "b") == 0.25
