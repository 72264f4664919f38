"""What holds for all policies, and what only some promise. The laws are told any history of loads and standings."""

import math
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flashpy.cluster.nodes import MAY_GET, Node, Nodes, Standing
from flashpy.cluster.policy import POLICIES, Asked, Parameters, Policy, Report, policy

NAMES = tuple("abcde")
LOADS = st.integers(0, 200)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(NAMES),
        LOADS,
        st.sampled_from([*Standing, Standing.UP, Standing.UP]),
        st.integers(0, 12),
        st.sampled_from([None, *NAMES]),
        st.floats(0, 30),
    ),
    min_size=1,
    max_size=60,
)
MAPPING = [name for name in POLICIES if name.startswith(("lard", "lb-gc"))]


def cluster(**loads: float) -> Nodes:
    """Nodes of these names and loads, all up."""
    return Nodes([Node(name, load=load) for name, load in loads.items()])


def chosen(tried: Policy, nodes: Nodes, target: bytes = b"/t", now: float = 0.0, at: str | None = None) -> str:
    """The name of the node that is chosen."""
    node = tried.choose(nodes, Asked(target, 1000, at), now)
    assert node is not None
    return node.name


@pytest.mark.parametrize("name", POLICIES)
@given(steps=STEPS)
def test_every_request_gets_a_node_that_may_have_it(
    name: str, steps: list[tuple[str, int, Standing, int, str | None, float]]
) -> None:
    """When there is one; what was mapped to it is kept in mind within bounds, and only for nodes that are there."""
    nodes = Nodes([Node(of, weight=1 + number % 2) for number, of in enumerate(NAMES)])
    tried = policy(name, Parameters(mapping_bytes=2_000, node_bytes=3_000))
    now = 0.0
    for of, load, standing, number, at, seconds in steps:
        nodes[of].load, nodes[of].standing = load, standing
        if standing is Standing.DOWN:
            tried.forget(of)
        tried.report(of, Report(1.0, queued=load // 20))
        now += seconds
        target = b"/%d" % number
        node = tried.choose(nodes, Asked(target, 500 * number, at, 2), now)
        if node is None:
            assert not nodes.up()
        else:
            assert MAY_GET[node.standing].chosen or (MAY_GET[node.standing].kept and node.name == at)
        assert set(tried.mapped(target)) <= set(NAMES)


@pytest.mark.parametrize("name", POLICIES)
@given(steps=STEPS)
def test_to_explain_is_to_say_what_would_be_chosen_and_changes_nothing(
    name: str, steps: list[tuple[str, int, Standing, int, str | None, float]]
) -> None:
    """Beside a policy of the same history that nobody has asked to explain anything."""
    nodes = Nodes([Node(of, weight=1 + number % 2) for number, of in enumerate(NAMES)])
    parameters = Parameters(mapping_bytes=2_000, node_bytes=3_000)
    tried, unasked = policy(name, parameters), policy(name, parameters)
    now = 0.0
    for of, load, standing, number, at, seconds in steps:
        nodes[of].load, nodes[of].standing = load, standing
        now += seconds
        for other in range(12):
            tried.explain(nodes, Asked(b"/%d" % other, 500, at), now)
        asked = Asked(b"/%d" % number, 500 * number, at, 2)
        explained = tried.explain(nodes, asked, now)
        assert explained is tried.choose(nodes, asked, now) is unasked.choose(nodes, asked, now)
        assert all(tried.mapped(b"/%d" % other) == unasked.mapped(b"/%d" % other) for other in range(12))


@pytest.mark.parametrize("name", POLICIES)
def test_a_dead_node_s_targets_go_elsewhere(name: str) -> None:
    """Whether its death is told by its standing, by its removal, or by forgetting it."""
    nodes, tried = cluster(a=0, b=0, c=0), policy(name)
    targets = [b"/%d" % number for number in range(200)]
    for target in targets:
        nodes[chosen(tried, nodes, target)].load += 1
    nodes["a"].standing = Standing.DOWN
    assert {chosen(tried, nodes, target) for target in targets} <= {"b", "c"}
    nodes.remove("a")
    tried.forget("a")
    tried.forget("unheard of")
    assert {chosen(tried, nodes, target) for target in targets} <= {"b", "c"}
    assert all("a" not in tried.mapped(target) for target in targets)
    nodes.remove("b")
    nodes.remove("c")
    assert tried.choose(nodes, Asked(b"/t"), 0.0) is None


@pytest.mark.parametrize("name", MAPPING)
def test_what_comes_back_has_an_empty_memory(name: str) -> None:
    """A node that was forgotten gets its old targets only by being chosen anew."""
    nodes, tried = cluster(a=0, b=5), policy(name)
    assert chosen(tried, nodes) == "a"
    assert list(tried.mapped(b"/t")) == ["a"]
    tried.forget("a")
    assert list(tried.mapped(b"/t")) == []
    nodes["a"].load = 10
    if name != "lb-gc":  # which looks at no load
        assert chosen(tried, nodes) == "b"


def test_there_is_no_other() -> None:
    """The error says which there are."""
    with pytest.raises(ValueError, match=r"no policy 'random'; there are rr, wrr,"):
        policy("random")


def test_round_robin_takes_turns_by_weight() -> None:
    """Whatever the loads are; and a newcomer takes part."""
    nodes = Nodes([Node("a", 2), Node("b", 1, load=99)])
    tried = policy("rr")
    assert [chosen(tried, nodes) for _ in range(6)] == ["a", "b", "a", "a", "b", "a"]
    nodes.add(Node("c", 1))
    assert Counter(chosen(tried, nodes) for _ in range(400)) == {"a": 200, "b": 100, "c": 100}


@pytest.mark.parametrize("name", ["rr", "wrr", "p2c"])
def test_a_connection_stays_where_it_is(name: str) -> None:
    """Where nobody cares who has what; a node that is draining goes on with it, one that is down does not."""
    nodes, tried = cluster(a=0, b=9), policy(name)
    nodes["b"].standing = Standing.DRAINING
    assert chosen(tried, nodes, at="b") == "b"
    nodes["b"].standing = Standing.DOWN
    assert chosen(tried, nodes, at="b") == "a"


def test_the_least_loaded_gets_it() -> None:
    """By weight."""
    nodes = Nodes([Node("a", 1, load=3), Node("b", 2, load=5)])
    assert chosen(policy("wrr"), nodes) == "b"


@given(st.lists(LOADS, min_size=2, max_size=5, unique=True))
def test_of_two_choices_the_most_loaded_is_never_taken(loads: list[int]) -> None:
    """For it is compared with another, always."""
    nodes = Nodes([Node(name, load=load) for name, load in zip(NAMES, loads, strict=False)])
    tried = policy("p2c")
    most = max(nodes, key=lambda node: node.load)
    assert most.name not in {chosen(tried, nodes) for _ in range(20)}


def test_a_hash_divides_the_targets_by_weight() -> None:
    """And when a node leaves, only its targets move."""
    nodes = Nodes([Node("a"), Node("b"), Node("c", 2)])
    tried = policy("hash")
    targets = [b"/%d" % number for number in range(4_000)]
    before = {target: chosen(tried, nodes, target) for target in targets}
    counts = Counter(before.values())
    assert 800 < counts["a"] < 1_200 and 800 < counts["b"] < 1_200 and 1_700 < counts["c"] < 2_300
    assert list(tried.mapped(targets[0])) == [before[targets[0]]]
    nodes["b"].standing = Standing.DRAINING
    assert all(chosen(tried, nodes, target) == before[target] for target in targets if before[target] != "b")


@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(1, 3)), min_size=1, max_size=5), st.floats(1.01, 3), st.binary()
)
def test_bounded_loads_are_bounded(loads: list[tuple[int, int]], bound: float, target: bytes) -> None:
    """Nobody gets more than the bound times its part of all that there is, rounded up."""
    nodes = Nodes([Node(name, weight, load=load) for name, (load, weight) in zip(NAMES, loads, strict=False)])
    node = policy("chbl", Parameters(bound=bound)).choose(nodes, Asked(target), 0.0)
    assert node is not None
    weight = sum(node.weight for node in nodes)
    assert node.load + 1 <= math.ceil(bound * (nodes.total + 1) * node.weight / weight)


def test_bounded_loads_keep_targets_at_home() -> None:
    """As long as there is room."""
    nodes = cluster(a=10, b=10, c=10)
    for number in range(100):
        target = b"/%d" % number
        assert chosen(policy("chbl"), nodes, target) == chosen(policy("hash"), nodes, target)


def test_the_global_cache_fills_all_memories() -> None:
    """First the room that there is, the emptiest node first; then what is worth the least goes."""
    nodes, tried = cluster(a=90, b=0), policy("lb-gc", Parameters(node_bytes=2_000))
    assert [chosen(tried, nodes, b"/%d" % number) for number in range(4)] == ["a", "b", "a", "b"]
    assert chosen(tried, nodes, b"/0") == "a"
    assert [chosen(tried, nodes, b"/%d" % number) for number in range(4, 8)] == ["a", "a", "b", "b"]
    assert list(tried.mapped(b"/1")) == [] and list(tried.mapped(b"/4")) == ["a"]


def test_the_global_cache_has_no_room_for_what_is_larger() -> None:
    """It is in nobody's memory; and what has no size counts as of a usual one."""
    nodes, tried = cluster(a=0), policy("lb-gc", Parameters(node_bytes=2_000))
    assert chosen(tried, nodes, b"/unknown") == "a"
    assert tried.choose(nodes, Asked(b"/huge", 3_000), 0.0) is nodes["a"]
    assert not tried.mapped(b"/huge")
    tried = policy("lb-gc")
    assert tried.choose(nodes, Asked(b"/unknown"), 0.0) is nodes["a"]
    assert list(tried.mapped(b"/unknown")) == ["a"]


def test_the_global_cache_moves_what_is_out_of_reach() -> None:
    """A target of a node that is draining, even if nobody has room for it: then it is in nobody's memory."""
    nodes, tried = cluster(a=0, b=0), policy("lb-gc", Parameters(node_bytes=2_000))
    assert chosen(tried, nodes) == "a"
    nodes["a"].standing = Standing.DRAINING
    assert chosen(tried, nodes) == "b"
    assert list(tried.mapped(b"/t")) == ["b"]
    nodes["b"].standing, nodes["a"].standing = Standing.DRAINING, Standing.UP
    assert tried.choose(nodes, Asked(b"/t", 3_000), 0.0) is nodes["a"]
    assert list(tried.mapped(b"/t")) == []


@settings(max_examples=300)
@given(st.sampled_from(["lard", "lard-r"]), LOADS, st.lists(LOADS, min_size=1, max_size=4), st.sampled_from([1.0, 2.0]))
def test_lard_moves_only_by_its_rule(name: str, load: int, others: list[int], weight: float) -> None:
    """(load > T_high and some node < T_low) or load >= 2 T_high, all by weight; and then to the least loaded."""
    nodes, tried = Nodes([Node("a", weight)]), policy(name)
    assert chosen(tried, nodes) == "a"
    for other, its_load in zip("bcde", others, strict=False):
        nodes.add(Node(other, load=its_load))
    nodes["a"].load = load
    pressure, least = load / weight, min(load / weight, *others)
    may_move = (pressure > 65 and least < 25) or pressure >= 130
    moved = chosen(tried, nodes)
    if may_move:
        assert nodes[moved].pressure == least
    else:
        assert moved == "a"
    assert moved in tried.mapped(b"/t")


def test_a_server_set_grows_and_shrinks() -> None:
    """By the least loaded; and when it has not changed for K, the most loaded of those that are not chosen goes."""
    nodes, tried = cluster(a=0, b=1, c=2), policy("lard-r")
    assert chosen(tried, nodes) == "a"
    nodes["a"].load = 66
    assert chosen(tried, nodes, now=1) == "b"
    nodes["b"].load = 70
    assert chosen(tried, nodes, now=2) == "c"
    assert list(tried.mapped(b"/t")) == ["a", "b", "c"]
    assert chosen(tried, nodes, now=22) == "c"
    assert list(tried.mapped(b"/t")) == ["a", "b", "c"]
    assert chosen(tried, nodes, now=22.1) == "c"
    assert list(tried.mapped(b"/t")) == ["a", "c"]
    assert chosen(tried, nodes, now=42) == "c"
    assert list(tried.mapped(b"/t")) == ["a", "c"]
    assert chosen(tried, nodes, now=43) == "c"
    assert list(tried.mapped(b"/t")) == ["c"]
    assert chosen(tried, nodes, now=99) == "c"


@given(st.lists(LOADS, min_size=5, max_size=5))
def test_a_set_that_is_asked_for_in_peace_has_one_member_in_the_end(loads: list[int]) -> None:
    """However it came to have more."""
    nodes, tried = cluster(a=0, b=0, c=0, d=0, e=0), policy("lard-r")
    for now, (node, load) in enumerate(zip(nodes, loads, strict=True)):
        node.load = load
        tried.choose(nodes, Asked(b"/t"), now)
    for node in nodes:
        node.load = 30
    for number in range(5):
        tried.choose(nodes, Asked(b"/t"), 100 + number * 21)
    assert len(tried.mapped(b"/t")) == 1
