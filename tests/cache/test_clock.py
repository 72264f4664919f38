"""The CLOCK cache against a model that is a plain list."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from flashpy.cache.clock import Clock


class Item:
    """Something to keep."""

    def __init__(self, cost: int) -> None:
        self.cost = cost
        self.used = False


class ClockMachine(RuleBasedStateMachine):
    """Any sequence of puts, hits and drops."""

    @initialize(entries=st.integers(0, 5), cost=st.integers(0, 30))
    def begin(self, entries: int, cost: int) -> None:
        """An empty cache with some budgets, and a list in the order of the clock's hand."""
        self.forgotten: Counter[Item] = Counter()
        self.clock: Clock[int, Item] = Clock(entries, cost, lambda item: self.forgotten.update([item]))
        self.ring: list[tuple[int, Item]] = []
        self.marks: dict[Item, bool] = {}

    @rule(key=st.integers(0, 8), cost=st.integers(0, 12))
    def put(self, key: int, cost: int) -> None:
        """Put a new item."""
        item = Item(cost)
        self.marks[item] = False
        self.clock.put(key, item)
        self.ring = [pair for pair in self.ring if pair[0] != key]
        if self.clock.max_entries == 0 or cost > self.clock.max_cost:
            return
        while len(self.ring) == self.clock.max_entries or self.total() + cost > self.clock.max_cost:
            first = self.ring.pop(0)
            if self.marks[first[1]]:
                self.marks[first[1]] = False
                self.ring.append(first)
        self.ring.append((key, item))

    @rule(key=st.integers(0, 8))
    def hit(self, key: int) -> None:
        """Look an item up, and mark it as its user must."""
        item = self.clock.get(key)
        assert item is dict(self.ring).get(key)
        assert (key in self.clock) is (item is not None)
        if item is not None:
            item.used = self.marks[item] = True

    @rule(key=st.integers(0, 8))
    def drop(self, key: int) -> None:
        """Drop an item, which may not be there."""
        self.clock.drop(key)
        self.ring = [pair for pair in self.ring if pair[0] != key]

    @rule(key=st.integers(0, 8))
    def demote(self, key: int) -> None:
        """Let an item, which may not be there, be the next to go."""
        self.clock.demote(key)
        for pair in [pair for pair in self.ring if pair[0] == key]:
            self.marks[pair[1]] = False
            self.ring.remove(pair)
            self.ring.insert(0, pair)

    def total(self) -> int:
        """The cost of what the model keeps."""
        return sum(item.cost for _, item in self.ring)

    @invariant()
    def the_same_is_kept_within_the_budgets(self) -> None:
        """What is kept is what the model keeps, in the same order, and fits."""
        if not hasattr(self, "clock"):
            return
        assert list(self.clock) == [item for _, item in self.ring]
        assert len(self.clock) == len(self.ring) <= self.clock.max_entries
        assert self.clock.cost == self.total() <= self.clock.max_cost

    @invariant()
    def each_leaver_is_forgotten_once(self) -> None:
        """``forget`` was called once with each item that is not there any more, and with no other."""
        if hasattr(self, "clock"):
            kept = {item for _, item in self.ring}
            assert self.forgotten == {item: 1 for item in self.marks if item not in kept}


TestClock = ClockMachine.TestCase


def test_what_was_used_gets_a_second_chance() -> None:
    """Flash, section 5.4: the cache approximates the kernel's clock."""
    clock: Clock[str, Item] = Clock(2, 100)
    for key in "ab":
        clock.put(key, Item(1))
    old = clock.get("a")
    assert old is not None
    old.used = True
    clock.put("c", Item(1))
    assert "a" in clock and "b" not in clock
    clock.put("d", Item(1))  # its chance is used up, and "c" is younger
    assert "a" in clock or "c" in clock
    assert len(clock) == 2


def test_all_used_is_no_endless_round() -> None:
    """When every item is marked, the round takes the marks away and then the first goes."""
    clock: Clock[int, Item] = Clock(3, 100)
    for key in range(3):
        item = Item(1)
        item.used = True
        clock.put(key, item)
    clock.put(3, Item(1))
    assert [key for key in range(4) if key in clock] == [1, 2, 3]


@given(st.integers(0, 3), st.integers(0, 3))
def test_a_budget_of_zero_keeps_nothing(entries: int, cost: int) -> None:
    """Neither of entries, nor of bytes for what costs any; it is forgotten at once."""
    forgotten: list[Item] = []
    clock: Clock[int, Item] = Clock(entries, cost, forgotten.append)
    item = Item(1)
    clock.put(1, item)
    assert (item in forgotten) is (1 not in clock) is (entries == 0 or cost == 0)
