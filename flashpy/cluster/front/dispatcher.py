"""Chooses a node for each request, and lets those wait for whom the nodes have no room (admission control: Pai et al.,
ASPLOS 1998, section 2.4)."""

import logging
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from flashpy.cluster.admission import limit
from flashpy.cluster.front.member import Member
from flashpy.cluster.front.placement import Placement
from flashpy.cluster.front.warming import MOST
from flashpy.cluster.health import outliers
from flashpy.cluster.mapping import Mapping
from flashpy.cluster.messages import Reported
from flashpy.cluster.nodes import Nodes, Standing
from flashpy.cluster.persistent import share
from flashpy.cluster.policy import Asked, Parameters, policy
from flashpy.now import Now
from flashpy.settings import ClusterSection, PolicySection

_log = logging.getLogger("flashpy.cluster")

Placed = Callable[[Placement | None], None]
"""Is told the placement; None: no node may serve, or too many wait."""
Wanted = Callable[[], bool]


class _Waiting(NamedTuple):
    asked: Asked
    placed: Placed
    wanted: Wanted
    until: float
    tried: Collection[str]


class Dispatcher:
    """The nodes, the policy, and who waits."""

    def __init__(self, settings: ClusterSection, now: Now) -> None:
        self._settings = settings
        self.now = now
        self.policy_name = settings.policy.name
        self.policy = policy(settings.policy.name, parameters_of(settings.policy))
        self.members: dict[str, Member] = {}
        self.nodes = Nodes()
        self._waiting: deque[_Waiting] = deque()
        self.active = 0  # connections and requests that nodes have
        self.most = 0
        self.refused = 0  # ever, because no node was up or too many waited
        self._expected_until = 0.0  # there may be nobody yet
        self._review()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @property
    def mapping(self) -> Mapping | None:
        """Who holds which target, if the policy keeps that in mind."""
        mapping: Mapping | None = getattr(self.policy, "mapping", None)
        return mapping

    def is_up(self, name: str) -> bool:
        """Whether a node may get more."""
        node = self.nodes.get(name)
        return node is not None and node.standing is Standing.UP

    def join(self, member: Member) -> None:
        """There is another node. It gets nothing before it has shown that it lives."""
        self.nodes.add(member.node)
        self.members[member.name] = member

    def leave(self, name: str) -> Member:
        """A node is no more: it gets nothing new.

        Raises:
            KeyError: there is none of this name.
        """
        member = self.members.pop(name)
        if member.warming is not None:
            member.warming.stop()
        self.nodes.remove(name)
        self.policy.forget(name)
        self._review()
        return member

    def place(self, asked: Asked, placed: Placed, wanted: Wanted, tried: Collection[str] = ()) -> bool:
        """Choose a node: at once, or when there is room. Whether ``placed`` has been called already.

        ``tried`` are the names of nodes that have been asked in vain, and are not to be asked again.
        """
        if not self._waiting and (self.active < self.most if self.nodes.up() else not self._is_expecting):
            placed(self._choose(asked, tried))
            return True
        if len(self._waiting) >= self._settings.queue:
            self.refused += 1
            placed(None)
            return True
        until = self.now.monotonic + self._settings.queue_timeout
        self._waiting.append(_Waiting(asked, placed, wanted, until, tried))
        return False

    def lend(self, asked: Asked) -> Placement | None:
        """Choose a node for a request of a batch, on a connection that a node has (``Asked.at``) and that is let in.
        Another node is loaded by a share of it. None: no node may serve."""

        def release(member: Member) -> None:
            member.helped(share(asked, member.name))

        placement = self._ask_policy(asked, release)
        if placement is not None:
            placement.member.help(share(asked, placement.member.name))
        return placement

    def expect(self, seconds: float) -> None:
        """Nodes are about to join: for so long, who asks waits for the first of them."""
        self._expected_until = self.now.monotonic + seconds

    @property
    def _is_expecting(self) -> bool:
        return self.now.monotonic < self._expected_until

    def release(self, member: Member, count: int = 1) -> None:
        """A node is done with so many of what it was given."""
        count = min(count, member.held)
        member.hold(-count)
        self.active -= count
        self._admit()

    def lose(self, member: Member) -> None:
        """A node is gone, and its memory with it."""
        if member.health.alive:
            _log.warning("The node %s is gone.", member.name)
        member.health.lost()
        self.policy.forget(member.name)
        self.review(member)

    def report(self, member: Member, reported: Reported) -> None:
        """A node on this host has said how it is."""
        member.reported = reported
        member.health.met()
        report = reported.report
        if report.done:
            member.health.took(report.spent / report.done)
        self.policy.report(member.name, report)
        self.review(member)

    def review(self, member: Member) -> None:
        """Something has become known of a node: let it be what it now is."""
        standing = member.health.standing(self.now.monotonic)
        before = member.node.standing
        if self.members.get(member.name) is not member:
            return
        if standing is Standing.WARMING and before is not Standing.WARMING and not self._warm(member):
            member.health.warmed()
            standing = Standing.UP
        if standing is before:
            return
        _log.info("The node %s is %s.", member.name, standing.value)
        member.node.standing = standing
        if before is Standing.WARMING and member.warming is not None:
            member.warming.stop()
        if standing is Standing.DOWN and not member.health.alive:
            self.policy.forget(member.name)
            if member.backend is not None and self.nodes.up():
                member.backend.give_up()
        self._review()

    def warmed(self, member: Member, targets: Sequence[bytes]) -> None:
        """A newcomer has loaded these: they are its own, and it is up."""
        former = [(target, self.policy.mapped(target)) for target in targets]
        self.policy.take_over(member.name, targets, self.now.monotonic)
        moved = defaultdict(list)  # by the node that serves them no more
        for target, names in former:
            for name in set(names) - set(self.policy.mapped(target)):
                moved[name].append(target)
        for name, theirs in moved.items():
            self._disown(name, theirs)
        member.health.warmed()
        self.review(member)

    def inherited(self, names: Collection[str]) -> None:
        """What these nodes have is known now. The others are new: each is to load its share before it goes on."""
        for member in self.members.values():
            if member.name not in names and member.health.warm:
                self.policy.forget(member.name)
                member.health.cool()
                self.review(member)

    def tick(self) -> None:
        """Once a second: slow nodes, and who has waited for too long."""
        now = self.now.monotonic
        for member in self.members.values():
            self.review(member)
        up = [self.members[node.name] for node in self.nodes.up()]
        for name in outliers([(member.name, member.health.delay) for member in up], self._settings.health):
            member = self.members[name]
            delay = member.health.delay or 0.0
            pause = member.health.eject(now)
            _log.warning("The node %s is slow (%.0f ms) and gets nothing for %.0f s.", name, 1000 * delay, pause)
            self.review(member)
        hopeless = not self.nodes.up() and not self._is_expecting
        while self._waiting and (self._waiting[0].until <= now or hopeless):
            self.refused += 1
            self._tell(self._waiting.popleft(), None)
        self._review()

    def _review(self) -> None:
        """It may be others now that are up."""
        thresholds = self.policy.thresholds
        if not self.nodes.up():
            self._warm_no_more()
        self.most = self._settings.connections or limit(len(self.nodes.up()), thresholds.low, thresholds.high)
        self._admit()

    def _warm(self, member: Member) -> bool:
        """Have a newcomer load its share, if it has one and others serve meanwhile; whether it does. Who has targets
        is no newcomer: they were its own when the worker before was relieved."""
        others = any(node is not member.node for node in self.nodes.up())
        if member.warming is None or not self._settings.warm_timeout or not others:
            return False
        if self.mapping is not None and self.mapping.targets_of(member.name):
            return False
        targets = self.policy.share(self.nodes, member.node, MOST, self.now.monotonic)
        if targets:
            member.warming.begin(targets)
        return bool(targets)

    def _warm_no_more(self) -> None:
        """Nobody serves meanwhile."""
        for member in self.members.values():
            if member.node.standing is Standing.WARMING and member.warming is not None:
                member.warming.finish()

    def _admit(self) -> None:
        """Let in who waits, as far as there is room."""
        while self._waiting and self.active < self.most and self.nodes.up():
            waiting = self._waiting.popleft()
            if waiting.wanted():
                waiting.placed(self._choose(waiting.asked, waiting.tried))

    def _tell(self, waiting: _Waiting, placement: Placement | None) -> None:
        if waiting.wanted():
            waiting.placed(placement)

    def _choose(self, asked: Asked, tried: Collection[str]) -> Placement | None:
        placement = self._ask_policy(asked, self.release, tried)
        if placement is None:
            self.refused += 1
            return None
        placement.member.hold(1)
        self.active += 1
        return placement

    def _ask_policy(
        self, asked: Asked, release: Callable[[Member], None], tried: Collection[str] = ()
    ) -> Placement | None:
        before = self.policy.mapped(asked.target)
        node = self.policy.choose(self.nodes, asked, self.now.monotonic)
        if node is not None and node.name in tried:
            node = self.nodes.least_loaded([other for other in self.nodes.up() if other.name not in tried])
        if node is None:
            return None
        after = self.policy.mapped(asked.target)
        for name in before:
            if name not in after:
                self._disown(name, [asked.target])
        return Placement(self.members[node.name], node.name in before, not after, release)

    def _disown(self, name: str, targets: Sequence[bytes]) -> None:
        """Targets are another node's now."""
        former = self.members.get(name)
        if former is not None and former.passing is not None:
            former.passing.disown(targets)


def parameters_of(section: PolicySection) -> Parameters:
    """A policy's parameters, as the settings have them."""
    given = {name: getattr(section, name) for name in section.__struct_fields__ if name != "name"}
    return Parameters(**given)
