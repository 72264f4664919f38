"""The other nodes, as one front-end knows them: which of them is to answer a request, and connections to them."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from typing import NamedTuple

from msgspec import Struct

from flashpy.cluster.backend.pool import Backend, introduced
from flashpy.cluster.messages import ROOM, Advice, Asks, Fetched, Introduces, Question, Told
from flashpy.settings import ClusterSection

MOST = 256
"""Requests under way at a time: each takes some descriptors. What comes beyond is handed over."""
_OF_A_QUESTION = 64
"""Bytes that a question takes in a message besides its target, at most."""

Tell = Callable[[Struct, Sequence[int]], None]
"""Tells the front-end something, with descriptors beside it, which are closed then."""
Answered = Callable[[Advice], None]


class _Asked(NamedTuple):
    answered: Answered
    until: float


class Neighbours:
    """What is to be told in one turn of the loop is told together."""

    def __init__(self, loop: asyncio.AbstractEventLoop, settings: ClusterSection, tell: Tell) -> None:
        self._loop = loop
        self._settings = settings
        self._tell = tell
        self._numbers = count()
        self._asked: dict[int, _Asked] = {}  # who is to be told; who has asked first is first
        self._questions: list[Question] = []  # to be asked
        self._size = 0  # of these, in bytes
        self._over: list[int] = []  # fetches, of which the front-end is to be told
        self._backends: dict[str, Backend] = {}
        self.under_way = 0  # requests that have been asked about and are not over
        self.fetched = 0  # answers, ever

    @property
    def is_full(self) -> bool:
        """Whether no more may be fetched now."""
        return self.under_way >= MOST

    def ask(self, target: bytes, batch: int, answered: Answered) -> None:
        """Ask who is to answer a request, one of a batch of so many. Whoever asks says when it is over."""
        self.under_way += 1
        question = Question(next(self._numbers), target, batch)
        self._asked[question.number] = _Asked(answered, self._loop.time() + self._settings.relay_timeout)
        size = len(target) + _OF_A_QUESTION
        if self._size + size > ROOM:
            self._tell_all()
        self._soon()
        self._questions.append(question)
        self._size += size

    def told(self, message: Told) -> None:
        """The front-end has answered; too late for those that have not waited for it."""
        for advice in message.advice:
            asked = self._asked.pop(advice.number, None)
            if asked is not None:
                asked.answered(advice)
            else:
                self._let_go(advice)

    def over(self, advice: Advice) -> None:
        """A request has been answered, or is not wanted any more."""
        self.under_way -= 1
        self._let_go(advice)

    def backend(self, name: str) -> Backend:
        """Connections to a node."""
        if name not in self._backends:
            settings = self._settings
            connect = introduced(partial(self._introduce, name))
            self._backends[name] = Backend(self._loop, connect, settings.relay_timeout, settings.pool, settings.splice)
        return self._backends[name]

    def part(self) -> None:
        """The front-end has gone: nobody answers what has been asked. What is being fetched comes all the same."""
        self._give_up(float("inf"))

    def sweep(self) -> None:
        """Once a second: end what nobody wants any more, or takes too long."""
        now = self._loop.time()
        self._give_up(now)
        for backend in self._backends.values():
            backend.sweep(now)

    def close(self) -> None:
        """At the end."""
        for backend in self._backends.values():
            backend.close()

    def _give_up(self, now: float) -> None:
        """Those that were to be answered by now are answered here."""
        for number in [number for number, asked in self._asked.items() if asked.until <= now]:
            if number in self._asked:  # an answer may have shown that the front-end has gone
                self._asked.pop(number).answered(Advice(number))

    def _let_go(self, advice: Advice) -> None:
        if advice.name:
            self._soon()
            self._over.append(advice.number)

    def _introduce(self, name: str, fd: int) -> None:
        self._tell(Introduces(name), [fd])

    def _soon(self) -> None:
        if not self._questions and not self._over:
            self._loop.call_soon(self._tell_all)

    def _tell_all(self) -> None:
        questions, self._questions, self._size = self._questions, [], 0
        over, self._over = self._over, []
        if over:
            self._tell(Fetched(over), ())
        if questions:
            self._tell(Asks(questions), ())
