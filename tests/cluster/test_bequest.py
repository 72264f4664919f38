"""What a front-end leaves to its successor: the pure part."""

from io import BytesIO

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashpy.cluster.bequest import LENGTH, Entry, Joined, Part, packed, parts_in, restore
from flashpy.cluster.mapping import ENTRY_COST, MEMBER_COST, Mapping

PLACES = {"a": "/run/a.sock", "b": "10.0.0.2:80", "c": ""}
TARGETS = st.sampled_from([b"/%d" % number for number in range(12)])
Step = tuple[str, bytes | str, list[str]]
STEPS: st.SearchStrategy[list[Step]] = st.lists(
    st.one_of(
        st.tuples(st.just("put"), TARGETS, st.lists(st.sampled_from("abc"), unique=True)),
        st.tuples(st.just("get"), TARGETS, st.just([])),
        st.tuples(st.just("forget"), st.sampled_from("abc"), st.just([])),
    ),
    max_size=60,
)
ROOM = 4_000
"""Bytes, which is less than all targets take."""


def told(steps: list[Step]) -> Mapping:
    """A mapping of this history, a step a second."""
    mapping = Mapping(ROOM)
    for now, (what, of, names) in enumerate(steps):
        if isinstance(of, str):
            mapping.forget(of)
        elif what == "put":
            mapping.put(of, names, now)
        else:
            mapping.get(of)
    return mapping


def left(mapping: Mapping, places: dict[str, str], now: float, at_a_time: int = 3) -> bytes:
    """All that it leaves."""
    return b"".join(packed(some, places, now) for some in mapping.by_use(at_a_time))


def took(data: bytes, mapping: Mapping, places: dict[str, str], now: float) -> set[str]:
    """Have all of it taken; the nodes that are in it."""
    return set().union(*(restore(mapping, part, places, now) for part in parts_in(BytesIO(data), len(data))))


def order(mapping: Mapping) -> list[bytes]:
    """The targets, the most wanted first."""
    return [entry.target for some in mapping.by_use(5) for entry in some]


@given(STEPS)
def test_the_successor_knows_all_of_it(steps: list[Step]) -> None:
    """Who has what, for how long and how wanted; and forgets in the same order. Its clock may be another."""
    before, after = told(steps), Mapping(ROOM)
    names = took(left(before, PLACES, 100.0), after, PLACES, 1_100.0)
    assert order(after) == order(before)
    for entry in before:
        found = after.look(entry.target)
        assert found is not None
        assert after.names(entry.target) == before.names(entry.target)
        assert (found.changed, found.asked) == (entry.changed + 1_000, entry.asked)
    assert names == {name for entry in before for name in before.names(entry.target)}
    assert all(after.targets_of(name) == before.targets_of(name) for name in names)


@given(STEPS, st.integers(0, ROOM))
def test_what_is_over_the_bytes_is_what_is_wanted_least(steps: list[Step], room: int) -> None:
    """As far as there is room for it; and what is forgotten later, too."""
    before, after = told(steps), Mapping(room)
    took(left(before, PLACES, 100.0), after, PLACES, 100.0)
    kept = order(after)
    assert kept == [target for target in order(before) if target in kept]
    taken = 0
    for target in order(before):
        cost = ENTRY_COST + len(target) + MEMBER_COST * len(before.names(target))
        if target in kept:
            taken += cost
        else:
            assert taken + cost > room
    assert after.cost == taken <= room
    if len(kept) > 1:
        after.put(b"/new", ["a"], 101.0)
        assert set(kept) - {entry.target for entry in after} <= set(kept[-2:])


def test_the_order_of_forgetting_is_the_mapping_s_own() -> None:
    """What comes first in it goes last."""
    mapping = Mapping(ROOM)
    for number in range(6):
        mapping.put(b"/%d" % number, ["a"], 0.0)
    mapping.get(b"/1")
    mapping.get(b"/3")
    expected = order(mapping)
    assert expected == [b"/3", b"/1", b"/5", b"/4", b"/2", b"/0"]
    gone = []
    for number in range(100):
        mapping.put(b"/new%d" % number, ["b"], 1.0)
        gone += [target for target in expected if target not in gone and mapping.look(target) is None]
    assert gone == expected[::-1]


def test_what_the_successor_has_learnt_itself_stays() -> None:
    """It is newer; and is not driven out."""
    before, after = Mapping(ROOM), Mapping(ROOM)
    before.put(b"/known", ["a"], 0.0)
    for number in range(8):
        before.put(b"/%d" % number, ["a"], 0.0)
    after.put(b"/known", ["b"], 50.0)
    after.put(b"/own", ["b"], 50.0)
    took(left(before, PLACES, 60.0), after, PLACES, 60.0)
    assert (after.names(b"/known"), after.names(b"/own"), after.names(b"/7")) == (["b"], ["b"], ["a"])
    assert after.look(b"/0") is None and after.targets_of("a") == len(after) - 2


def test_nodes_that_are_not_the_same_any_more_are_left_out() -> None:
    """Those that are not configured any more, or at another place; but who has joined later may do so again."""
    before, after = Mapping(ROOM), Mapping(ROOM)
    before.put(b"/all", ["a", "b", "c"], 0.0)
    before.put(b"/b", ["b"], 0.0)
    names = took(left(before, PLACES, 1.0), after, {"a": PLACES["a"], "b": "10.0.0.3:80"}, 1.0)
    assert (after.names(b"/all"), after.names(b"/b")) == (["a", "c"], [])
    assert names == {"a", "c"}
    elsewhere = Mapping(ROOM)
    assert took(left(before, PLACES, 1.0), elsewhere, {"c": "/run/c.sock"}, 1.0) == set()
    assert len(elsewhere) == 2 and elsewhere.names(b"/all") == []


@given(st.one_of(st.binary(min_size=1), st.binary().map(lambda data: len(data).to_bytes(LENGTH, "big") + data)))
def test_what_is_something_else_is_refused(data: bytes) -> None:
    """Whatever it is: it would have to be a part by chance."""
    mapping = Mapping(ROOM)
    with pytest.raises(ValueError):
        took(data, mapping, PLACES, 0.0)
    assert len(mapping) == 0


@pytest.mark.parametrize(
    "part",
    [
        Part([("a", "")], [Entry(b"/1", [1], 0.0, 1)]),
        Part([], [Entry(b"/1", [0], 0.0, 1)]),
        Part([("a", "")], [Entry(b"/1", [-1], 0.0, 1)]),
        Part([("a", "")], [Entry(b"/1", [0], -1.0, 1)]),
        Part([("a", "")], [Entry(b"/1", [0], 0.0, -1)]),
    ],
)
def test_so_is_what_cannot_be(part: Part) -> None:
    """Members without a name, and numbers below nothing."""
    data = msgspec.msgpack.encode(part)
    with pytest.raises(ValueError):
        took(len(data).to_bytes(LENGTH, "big") + data, Mapping(ROOM), PLACES, 0.0)


def test_who_has_joined_is_told_first() -> None:
    """In a part of its own, with who is warm."""
    joined = [Joined("x", "10.0.0.1:80", 2.0), Joined("y", "unix:/y")]
    data = packed([], PLACES, 9.0, ["a", "x"], joined)
    (part,) = parts_in(BytesIO(data), len(data))
    assert part.joined == joined
    assert restore(Mapping(ROOM), part, PLACES, 9.0) == {"a", "x"}


def test_what_ends_too_early_is_refused() -> None:
    """Wherever a part is cut off."""
    mapping = told([("put", b"/1", ["a"]), ("put", b"/2", ["b"])])
    (some,) = filter(None, mapping.by_use(2))
    data = packed(some, PLACES, 9.0)
    for size in range(1, len(data)):
        with pytest.raises(ValueError):
            took(data[:size], Mapping(ROOM), PLACES, 9.0)
