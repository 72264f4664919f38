"""Nodes: what each may get, and which is the least loaded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashpy.cluster.admission import limit
from flashpy.cluster.nodes import MAY_GET, Node, Nodes, Standing


def test_only_who_is_up_is_chosen() -> None:
    """The others get nothing new; who is draining goes on with the connections that it holds."""
    nodes = Nodes([Node(standing.value, standing=standing) for standing in Standing])
    assert [node.name for node in nodes.up()] == ["up"]
    assert {standing for standing in Standing if MAY_GET[standing].kept} == {Standing.UP, Standing.DRAINING}


def test_a_change_of_standing_is_known_at_once() -> None:
    """In both directions."""
    nodes = Nodes([Node("a"), Node("b", load=1)])
    nodes["a"].standing = Standing.DOWN
    assert nodes.least_loaded() is nodes["b"]
    assert nodes.total == 1
    nodes["a"].load = 7  # what is down has no part in anything
    assert nodes.total == 1
    nodes["a"].standing = Standing.UP
    assert nodes.least_loaded() is nodes["b"]
    assert nodes.total == 8


def test_the_least_loaded() -> None:
    """By weight, of equals the first; and there may be none."""
    nodes = Nodes([Node("a", 1, load=2), Node("b", 4, load=8), Node("c", 1, load=3)])
    assert nodes.least_loaded() is nodes["a"]
    nodes["b"].load -= 1
    assert nodes.least_loaded() is nodes["b"]
    assert nodes.least_loaded([nodes["c"], nodes["a"]]) is nodes["a"]
    assert nodes.least_loaded([]) is None
    assert Nodes().least_loaded() is None


def test_equals_take_turns() -> None:
    """Who was given something last is the last of them, also when it has nothing to do any more."""
    nodes = Nodes([Node("a"), Node("b"), Node("c")])
    chosen = []
    for _ in range(7):
        node = nodes.least_loaded()
        assert node is not None and node is nodes.least_loaded(tuple(nodes))
        node.load += 1
        chosen.append(node.name)
        node.load -= 1
    assert "".join(chosen) == "abcabca"


def test_who_is_removed_is_down() -> None:
    """For who still has it; its name is free again."""
    nodes = Nodes([Node("a"), Node("b")])
    a = nodes["a"]
    nodes.remove("a")
    assert a.standing is Standing.DOWN and len(nodes) == 1 and nodes.get("a") is None
    nodes.add(Node("a"))
    assert [node.name for node in nodes] == ["b", "a"]
    with pytest.raises(KeyError):
        nodes.remove("c")


def test_what_cannot_be_added() -> None:
    """Two of a name, one of two collections, and what weighs nothing."""
    nodes = Nodes([Node("a")])
    with pytest.raises(ValueError, match="a node 'a' already"):
        nodes.add(Node("a"))
    with pytest.raises(ValueError, match="already"):
        Nodes().add(nodes["a"])
    with pytest.raises(ValueError, match="above 0"):
        Node("a", 0)


def test_a_node_shows_its_state() -> None:
    """Its name, its standing and its load."""
    node = Node("a", load=3)
    assert repr(node) == "<Node a up load=3>"
    node.load, node.standing = 4, Standing.DOWN  # in no collection
    assert repr(node) == "<Node a down load=4>"


CHANGES = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 9) | st.sampled_from(list(Standing))), min_size=1, max_size=400
)


@given(CHANGES)
def test_the_index_finds_what_a_scan_finds(changes: list[tuple[int, int | Standing]]) -> None:
    """After any changes of loads and standings."""
    nodes = Nodes([Node(str(number), weight=1 + number % 2) for number in range(5)])
    for number, change in changes:
        node = nodes[str(number)]
        if isinstance(change, Standing):
            node.standing = change
        else:
            node.load = change
        assert nodes.least_loaded() is nodes.least_loaded(nodes.up())
        least = min((node.pressure for node in nodes.up()), default=None)
        assert least == (nodes.least_loaded().pressure if nodes.up() else None)  # type: ignore[union-attr]
        assert nodes.total == sum(node.load for node in nodes.up())


def test_the_limit_of_connections() -> None:
    """As in the paper; and never less than one for a node that is there."""
    assert limit(1) == 24
    assert limit(16) == 15 * 65 + 24
    assert limit(1_000) == 64_959
    assert limit(1, t_low=1) == 1
    assert limit(0) == 0
