"""What a node that joins is to load, and how it takes that over: the pure part."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashpy.cluster.nodes import Node, Nodes, Standing
from flashpy.cluster.policy import POLICIES, Asked, Parameters, Policy, policy

TARGETS = [b"/%d" % number for number in range(2_000)]
LARDS = [name for name in POLICIES if name.startswith("lard")]
ALL = 10_000


def asked(tried: Policy, nodes: Nodes, targets: list[bytes], now: float = 0.0) -> list[str]:
    """The nodes that get requests for these, each of which stays a load."""
    found = []
    for target in targets:
        node = tried.choose(nodes, Asked(target), now)
        assert node is not None
        node.load += 1
        found.append(node.name)
    for node in nodes:
        node.load = 0
    return found


def prepared(name: str) -> tuple[Nodes, Policy, Node]:
    """Two nodes that serve all targets, and a third of weight 2 that joins."""
    nodes, tried, newcomer = Nodes([Node("a"), Node("b")]), policy(name), Node("c", 2.0, standing=Standing.WARMING)
    asked(tried, nodes, TARGETS)
    nodes.add(newcomer)
    return nodes, tried, newcomer


@pytest.mark.parametrize("name", LARDS)
def test_a_newcomer_gets_its_share(name: str) -> None:
    """A part of all targets, by weight, the most wanted first; it takes them over when it has loaded them."""
    nodes, tried, newcomer = prepared(name)
    share = list(tried.share(nodes, newcomer, ALL, 1.0))
    assert 900 < len(share) < 1_100
    assert {of for target in share for of in tried.mapped(target)} == {"a", "b"}
    hot = share[-1]
    asked(tried, nodes, [hot] * 5, 2.0)
    assert list(tried.share(nodes, newcomer, 1, 2.0)) == [hot]
    assert "c" not in asked(tried, nodes, TARGETS, 2.0)
    tried.take_over("c", share, 3.0)
    newcomer.standing = Standing.UP
    assert {target for target in TARGETS if asked(tried, nodes, [target], 4.0) == ["c"]} == set(share)
    assert all(tried.mapped(target) == ["c"] for target in share)
    assert set(tried.share(nodes, newcomer, ALL, 5.0)) == set(share), "the same again, by its name"


@pytest.mark.parametrize("name", LARDS)
def test_what_nobody_serves_is_loaded_first(name: str) -> None:
    """As after a crash: who comes back takes what it had from nobody."""
    nodes, tried, newcomer = prepared(name)
    lost = {target for target in TARGETS if tried.mapped(target) == ["b"]}
    tried.forget("b")
    nodes.remove("b")
    share = set(tried.share(nodes, newcomer, ALL, 1.0))
    assert share > lost and 1_200 < len(share) < 1_450  # two thirds
    newcomer = Node("b", 0.5, standing=Standing.WARMING)
    nodes.remove("c")
    nodes.add(newcomer)
    share = set(tried.share(nodes, newcomer, ALL, 1.0))
    assert share < lost and 570 < len(share) < 770  # one third


def test_what_several_serve_gets_one_more() -> None:
    """For it is asked for too much for one."""
    nodes, tried = Nodes([Node("a"), Node("b", load=200)]), policy("lard-r")
    for load in (0, 200):
        nodes["a"].load = load
        tried.choose(nodes, Asked(b"/hot"), 0.0)
        nodes["b"].load = 0
    assert tried.mapped(b"/hot") == ["a", "b"]
    for _ in range(2):
        tried.take_over("c", [b"/hot", b"/new"], 1.0)
        assert (tried.mapped(b"/hot"), tried.mapped(b"/new")) == (["a", "b", "c"], ["c"])


@pytest.mark.parametrize("name", [name for name in POLICIES if name not in LARDS])
def test_who_keeps_no_mapping_has_nothing_to_share(name: str) -> None:
    """And nothing to take over."""
    nodes, tried, newcomer = prepared(name)
    before = [tried.mapped(target) for target in TARGETS]
    assert list(tried.share(nodes, newcomer, ALL, 1.0)) == []
    tried.take_over("c", TARGETS, 1.0)
    assert [tried.mapped(target) for target in TARGETS] == before


@pytest.mark.parametrize("name", LARDS)
@given(
    owners=st.lists(st.sampled_from("abc"), max_size=40),
    gone=st.sets(st.sampled_from("abc")),
    weight=st.floats(0.01, 100),
    most=st.integers(0, 50),
)
def test_a_share_is_of_what_is_mapped(name: str, owners: list[str], gone: set[str], weight: float, most: int) -> None:
    """No target twice, no more than may be, and all of them if nobody else is up."""
    tried, targets = policy(name, Parameters()), [b"/%d" % number for number in range(len(owners))]
    for target, owner in zip(targets, owners, strict=True):
        tried.take_over(owner, [target], 0.0)
    for owner in gone:
        tried.forget(owner)
    nodes, newcomer = Nodes([Node(owner) for owner in "abc" if owner not in gone]), Node("d", weight)
    share = tried.share(nodes, newcomer, most, 1.0)
    assert len(share) == len(set(share)) <= most
    assert set(share) <= set(targets)
    if gone == set("abc"):
        assert len(share) == min(most, len(targets))
