"""Lateral fetches as the front-end sees them: it says which node a request of a batch is to be fetched from, and counts
that as a part of this node's load (messages, rule 5)."""

from collections.abc import Iterable

from flashpy.cluster.choosing import Asked
from flashpy.cluster.front.dispatcher import Dispatcher
from flashpy.cluster.front.placement import Placement
from flashpy.cluster.messages import Advice, Question


class Fetches:
    """What one process of a node (``at``) fetches from others."""

    def __init__(self, dispatcher: Dispatcher, at: str) -> None:
        self._dispatcher = dispatcher
        self._at = at
        self._placements: dict[int, Placement] = {}  # by the numbers of the requests

    def advise(self, question: Question) -> Advice:
        """Who is to answer a request. What only a node on another host should answer cannot be fetched."""
        number = question.number
        placement = self._dispatcher.lend(Asked(question.target, at=self._at, batch=question.batch))
        if placement is None:
            return Advice(number)
        if placement.member.name != self._at and placement.member.passing is not None:
            self._placements[number] = placement
            return Advice(number, placement.member.name)
        placement.release()
        return Advice(number, own=placement.member.name == self._at, expected=placement.expected)

    def over(self, numbers: Iterable[int]) -> None:
        """These have been fetched, or given up."""
        for number in numbers:
            if number in self._placements:
                self._placements.pop(number).release()

    def close(self) -> None:
        """The process is gone."""
        self.over(list(self._placements))
