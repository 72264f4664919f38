"""The parts that policies are made of: the mapping, Greedy-Dual-Size, summaries, and how well predictions hold."""

from hypothesis import given
from hypothesis import strategies as st

from flashpy.cluster.affinity import Affinity
from flashpy.cluster.greedydual import GreedyDual
from flashpy.cluster.mapping import ENTRY_COST, Mapping
from flashpy.cluster.nodes import Node, Nodes
from flashpy.cluster.summary import Probe, Summary

TARGETS = st.binary(max_size=40)


@given(st.lists(st.tuples(TARGETS, st.lists(st.sampled_from("abc"), unique=True))), st.integers(1, 3_000))
def test_a_mapping_keeps_its_bytes(puts: list[tuple[bytes, list[str]]], most: int) -> None:
    """And its counts of who serves how many targets are right, whatever goes."""
    mapping = Mapping(most)
    for now, (target, names) in enumerate(puts):
        mapping.put(target, names, now)
        assert mapping.cost <= most
        assert mapping.cost == sum(entry.cost for entry in mapping)
        assert len(mapping) == len(list(mapping))
    for name in "abc":
        assert mapping.targets_of(name) == sum(name in mapping.names(entry.target) for entry in mapping)
    assert mapping.replicated == sum(len(mapping.names(entry.target)) > 1 for entry in mapping)


def test_what_is_asked_for_stays() -> None:
    """When others have to go. Looking it up for another purpose is not asking for it."""
    mapping = Mapping(3 * (ENTRY_COST + 30))
    for target in (b"/1", b"/2", b"/3"):
        mapping.put(target, ["a"], 0.0)
    assert mapping.get(b"/1") is not None
    assert list(mapping.names(b"/2")) == ["a"]
    mapping.put(b"/4", ["a"], 0.0)
    assert mapping.get(b"/1") is not None and mapping.get(b"/2") is None
    assert list(mapping.names(b"/2")) == []


def test_who_is_forgotten_is_in_no_set() -> None:
    """Not even when a node of its name comes back; who is only not there now is."""
    mapping, nodes = Mapping(10_000), Nodes([Node("a"), Node("b")])
    mapping.put(b"/1", ["a", "b", "c"], 0.0)
    mapping.forget("a")
    found = mapping.get(b"/1")
    assert found is not None and found.within(nodes) == [nodes["b"]]
    assert list(mapping.names(b"/1")) == ["b", "c"]
    assert mapping.targets_of("a") == 0 and mapping.targets_of("c") == 1


SIZES = st.integers(0, 60)


@given(st.lists(st.tuples(st.integers(0, 20), SIZES, st.booleans())))
def test_greedy_dual_is_what_its_definition_says(steps: list[tuple[int, int, bool]]) -> None:
    """Beside a model that keeps all values up to date and scans them."""
    cache: GreedyDual[int] = GreedyDual(100)
    model: dict[int, tuple[float, int]] = {}
    inflation = 0.0
    for key, size, dropped in steps:
        if dropped:
            cache.drop(key)
            model.pop(key, None)
        elif cache.hit(key):
            model[key] = (inflation + 1 / model[key][1], model[key][1])
        else:
            size = max(1, size)
            gone = []
            while sum(kept for _, kept in model.values()) + size > 100:
                inflation = min(value for value, _ in model.values())
                worst = [of for of, (value, _) in model.items() if value == inflation]
                gone.append(worst)
                found = cache.next_value()
                assert gone[0] and found <= inflation
                break
            if gone:
                inflation, model = _evict(model, size, cache.put(key, size))
            else:
                assert cache.put(key, size) == []
            model[key] = (inflation + 1 / size, size)
        assert set(cache) == set(model)
        assert cache.size == sum(kept for _, kept in model.values()) <= 100
        assert len(cache) == len(model)


def _evict(
    model: dict[int, tuple[float, int]], size: int, gone: list[int]
) -> tuple[float, dict[int, tuple[float, int]]]:
    """What went was of the least value each time; what is left, and the inflation."""
    inflation = 0.0
    for key in gone:
        inflation = min(value for value, _ in model.values())
        assert model[key][0] == inflation
        assert sum(kept for _, kept in model.values()) + size > 100
        model = {of: value for of, value in model.items() if of != key}
    return inflation, model


def test_greedy_dual_keeps_nothing_that_is_larger_than_all() -> None:
    """And drives nothing out for it; an empty cache has no value to tell."""
    cache: GreedyDual[str] = GreedyDual(100)
    assert cache.next_value() == 0
    assert cache.put("a", 100) == []
    assert cache.put("b", 101) == [] and "b" not in cache and "a" in cache
    assert not cache.hit("b")
    assert cache.put("c", 1) == ["a"]


@given(st.lists(TARGETS, unique=True, max_size=200))
def test_a_summary_forgets_none(targets: list[bytes]) -> None:
    """Of those that it was made of."""
    summary = Summary.of(targets, 1_000)
    assert all(summary.has(Probe.of(target)) for target in targets)


def test_a_summary_is_small_and_seldom_wrong() -> None:
    """Ten bits a target; one in a hundred others is taken for one of them."""
    summary = Summary.of((b"/in/%d" % number for number in range(10_000)), 5_000)
    assert len(summary.bits) == 6_250
    wrong = sum(summary.has(Probe.of(b"/out/%d" % number)) for number in range(10_000))
    assert wrong < 200
    assert not Summary.of([], 10).has(Probe.of(b"/"))


def test_predictions_are_counted() -> None:
    """Right and wrong ones of both kinds."""
    assert Affinity().accuracy is None
    affinity = Affinity()
    for predicted, hit in ((True, True), (True, True), (True, False), (False, False), (False, True)):
        affinity.note(predicted, hit)
    assert (affinity.true_hits, affinity.false_hits, affinity.true_misses, affinity.false_misses) == (2, 1, 1, 1)
    assert affinity.accuracy == 0.6 and affinity.predicted == 3
