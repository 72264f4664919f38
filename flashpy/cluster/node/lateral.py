"""Fetching answers from other nodes (back-end forwarding: Aron et al., USENIX ATC 1999, section 6).

Only for requests that have come together, pipelined: to hand the connection over for each would have each wait for the
one before. A request that comes alone is handed over: nobody knows yet how long its answer is, and to fetch a long one
takes twice as much of a processor; a short one would take four fifths (benchmarks/lateral.py).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from flashpy.cluster.backend.exchange import CAME, Exchange
from flashpy.cluster.messages import Advice
from flashpy.cluster.upstream import request_head
from flashpy.http.request import Request
from flashpy.http.response import Head, Response
from flashpy.job.kinds import Await, Result
from flashpy.resource.answer import Answer, Pending
from flashpy.site.sites import Answering

if TYPE_CHECKING:
    from flashpy.cluster.node.frontlink import FrontLink

LEAST = 2
"""Requests that must have come together for any to be fetched."""
_METHODS = frozenset({b"GET", b"HEAD"})


def can_be_fetched(request: Request) -> bool:
    """Whether a request can be put to another node as it is, and again to this one if that fails."""
    return not request.fault and request.method in _METHODS and not request.block.has_body and bool(request.host)


class Batch:
    """The requests of a connection that came together, as far as they are fetched. What comes while these are under way
    belongs to none: it waits for their end, so that a batch of N loads each other node by N times 1/N at most."""

    __slots__ = ("_asked", "_under_way", "size")

    def __init__(self) -> None:
        self.size = 0
        self._asked = 0
        self._under_way = 0

    def takes(self, together: int) -> bool:
        """Whether the next request is one of the batch, or the first of a new one. So many are there from it on."""
        if not self._under_way:
            self.size, self._asked = together, 0
        if self.size < LEAST or self._asked == self.size:
            return False
        self._asked += 1
        self._under_way += 1
        return True

    def over(self) -> None:
        """One of them has been answered, as far as other nodes are concerned."""
        self._under_way -= 1


class Fetch:
    """One request of a batch. Whatever fails before the head of the answer is there is answered here."""

    def __init__(self, link: "FrontLink", site: Answering, request: Request, client: str, batch: Batch) -> None:
        self._link = link
        self._site = site
        self._request = request
        self._client = client
        self._batch = batch
        self._advice = Advice(0)
        self._exchange: Exchange | None = None

    def answer(self) -> Pending:
        """The job of asking who has the target."""
        return Pending(Await(self._ask), self._after_asking)

    def _ask(self, done: Callable[[Result], None], wanted: Callable[[], bool]) -> None:
        def answered(advice: Advice) -> None:
            self._advice = advice
            if wanted():
                done(CAME)
            else:
                self._over()

        self._link.neighbours.ask(self._request.path, self._batch.size, answered)

    def _after_asking(self, result: Result) -> Answer:
        advice, request = self._advice, self._request
        if not advice.name:
            self._over()
            return self._own() if advice.own else self._here()
        backend = self._link.neighbours.backend(advice.name)
        head = request_head(request, self._client, request.host)
        self._exchange = Exchange(backend, request.method, head, self._over)
        return Pending(Await(self._exchange.begin), self._after_fetching)

    def _after_fetching(self, result: Result) -> Answer:
        exchange = self._exchange
        assert exchange is not None
        if exchange.head is None or exchange.failure is not None:
            return self._here()
        self._link.neighbours.fetched += 1
        return Response(Head(exchange.head.status, exchange.head.fields), exchange.body())

    def _own(self) -> Answer:
        target = self._request.path
        self._link.targets.handed(target)
        answer = self._here()
        self._link.answered(target, self._advice.expected, isinstance(answer, Response))
        return answer

    def _here(self) -> Answer:
        return self._site.answer(self._request, self._client)

    def _over(self) -> None:
        self._batch.over()
        self._link.neighbours.over(self._advice)
