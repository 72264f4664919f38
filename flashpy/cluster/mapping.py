"""Who holds which target, as a policy believes, in a bounded memory. What is forgotten of a target that few ask for
costs one miss (Pai et al., ASPLOS 1998, section 2.6).

It drops what has not been asked for lately by CLOCK, which stands for LRU everywhere in flashpy (flashpy.cache.clock).
"""

import sys
from collections.abc import Iterator, Sequence

from flashpy.cache.clock import Clock
from flashpy.cluster.nodes import MAY_GET, Node, Nodes

ENTRY_COST = 400
"""Bytes that an entry takes beside its target and its members: its objects, and its share of the dictionary."""
MEMBER_COST = 8


class Member:
    """A node as entries refer to it; ``gone`` once it has been forgotten, so nobody has to look for its entries."""

    __slots__ = ("gone", "name", "targets")

    def __init__(self, name: str) -> None:
        self.name = name
        self.gone = False
        self.targets = 0  # in whose server sets it is


class ServerSet:
    """The nodes that serve one target, when that last changed, and how often it has been asked for since."""

    __slots__ = ("asked", "changed", "cost", "members", "target", "used")

    def __init__(self, target: bytes, members: list[Member], changed: float, asked: int = 1) -> None:
        self.target = target
        self.members = members
        self.changed = changed
        self.asked = asked
        self.cost = ENTRY_COST + len(target) + MEMBER_COST * len(members)
        self.used = False

    @property
    def is_served(self) -> bool:
        """Whether any of its members has not been forgotten."""
        for member in self.members:  # noqa: SIM110 - many are asked at a time, and any() takes twice as long
            if not member.gone:
                return True
        return False

    def within(self, nodes: Nodes) -> list[Node]:
        """Those of its members that may be chosen."""
        found = []
        for member in self.members:
            if not member.gone and (node := nodes.get(member.name)) is not None and MAY_GET[node.standing].chosen:
                found.append(node)
        return found


class Mapping:
    """Targets and their server sets. ``replicated`` counts the sets of more than one node, as they were put."""

    __slots__ = ("_members", "_sets", "replicated")

    def __init__(self, most_bytes: int) -> None:
        self._sets: Clock[bytes, ServerSet] = Clock(sys.maxsize, most_bytes, self._left)
        self._members: dict[str, Member] = {}
        self.replicated = 0

    def __len__(self) -> int:
        return len(self._sets)

    def __iter__(self) -> Iterator[ServerSet]:
        return iter(self._sets)

    @property
    def cost(self) -> int:
        """Bytes in use."""
        return self._sets.cost

    def by_use(self, at_a_time: int) -> Iterator[list[ServerSet]]:
        """All server sets, some at a time, in the order opposite to that in which they would be forgotten: what has
        been used gets a second chance. The mapping may change meanwhile."""
        entries = list(self._sets)
        unused: list[ServerSet] = []
        for end in range(len(entries), 0, -at_a_time):
            some = entries[max(0, end - at_a_time) : end]
            some.reverse()
            yield [entry for entry in some if entry.used]
            unused += [entry for entry in some if not entry.used]
        for begin in range(0, len(unused), at_a_time):
            yield unused[begin : begin + at_a_time]

    def get(self, target: bytes) -> ServerSet | None:
        """The server set of a target, if it has one. It counts as asked for."""
        found = self._sets.get(target)
        if found is not None:
            found.used = True
            found.asked += 1
        return found

    def look(self, target: bytes) -> ServerSet | None:
        """The server set of a target, if it has one. It does not count as asked for."""
        return self._sets.get(target)

    def names(self, target: bytes) -> Sequence[str]:
        """The names of those that serve a target. It does not count as asked for."""
        found = self._sets.get(target)
        return [member.name for member in found.members if not member.gone] if found is not None else ()

    def put(self, target: bytes, names: Sequence[str], now: float) -> None:
        """These serve a target from now on; nobody else does."""
        entry = ServerSet(target, [self._member(name) for name in names], now)
        self._came(entry)
        self._sets.put(target, entry)

    def restore(self, target: bytes, names: Sequence[str], changed: float, asked: int) -> None:
        """These have served a target since then, as is learned only now. What is known of it already is newer, and
        stays. It is the next to be forgotten, and drives out nothing: where there is no room, it is left out."""
        if target in self._sets:
            return
        entry = ServerSet(target, [self._member(name) for name in names], changed, asked)
        if self._sets.has_room_for(entry):
            self._came(entry)
            self._sets.put(target, entry)
            self._sets.demote(target)

    def forget(self, name: str) -> None:
        """A node serves nothing any more."""
        member = self._members.pop(name, None)
        if member is not None:
            member.gone = True

    def targets_of(self, name: str) -> int:
        """How many targets a node serves."""
        member = self._members.get(name)
        return member.targets if member is not None else 0

    def _member(self, name: str) -> Member:
        member = self._members.get(name)
        if member is None:
            member = self._members[name] = Member(name)
        return member

    def _came(self, entry: ServerSet) -> None:
        """An entry will be there."""
        self.replicated += len(entry.members) > 1
        for member in entry.members:
            member.targets += 1

    def _left(self, entry: ServerSet) -> None:
        """An entry is no longer there."""
        self.replicated -= len(entry.members) > 1
        for member in entry.members:
            member.targets -= 1
