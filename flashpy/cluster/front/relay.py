"""Relaying requests to nodes: what the front-end answers itself, and what it answers by what a node says.

A relayed request is one whose answer takes a job: first to be placed, then to be answered by the node (kinds.Await). So
all that is true of answers is true of it, by TLS and by HTTP/2 too: limits, time-outs, the access log.
"""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from flashpy.cluster.backend.exchange import CAME, Exchange, Failure
from flashpy.cluster.choosing import Asked
from flashpy.cluster.front.dispatcher import Dispatcher
from flashpy.cluster.front.handoff import Handoff
from flashpy.cluster.front.member import Member
from flashpy.cluster.front.placement import Placement
from flashpy.cluster.upstream import request_head
from flashpy.http.request import Request
from flashpy.http.response import Head, Response
from flashpy.job.kinds import Await, Result
from flashpy.resource.answer import Answer, Pending
from flashpy.resource.errors import ErrorPages
from flashpy.site.plan import SERVER
from flashpy.site.sites import Answering

if TYPE_CHECKING:
    from flashpy.cluster.front.connection import FrontConnection

_log = logging.getLogger("flashpy.cluster")
_STATUSES = {Failure.UNREACHABLE: 502, Failure.BROKEN: 502, Failure.LATE: 504}
"""What the client is told when a node does not answer (RFC 9110, 15.6.3 and 15.6.5)."""
BUSY = 503


class Relay:
    """Answers on the client's connection what a node says on one of its own (a handoff.Handoff)."""

    def hand_over(self, connection: "FrontConnection", request: Request, data: bytes, placement: Placement) -> bool:
        """See Handoff."""
        if placement.member.backend is None:
            return False
        connection.relay(placement)
        return True


class FrontSite:
    """What answers at the front-end (a site.sites.Answering)."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self.dispatcher = dispatcher
        self._errors = ErrorPages(SERVER)
        self._relay = Relay()
        self.busy: Answering = _Refusing(self, BUSY)
        self.unreachable: Answering = _Refusing(self, _STATUSES[Failure.UNREACHABLE])

    def handoff(self, member: Member) -> Handoff:
        """The means by which a node gets what comes in clear."""
        return member.passing or self._relay

    def placed(self, placement: Placement) -> Answering:
        """What answers a request by the node that it has been placed with."""
        return _Placed(self, placement)

    def answer(self, request: Request, client: str) -> Answer:
        """See Answering."""
        return self.failure(request, request.fault) if request.fault else _Asking(self, request, client).answer()

    def failure(self, request: Request, status: int = 500) -> Response:
        """See Answering."""
        return self._errors.answer(request, status)

    def snapshot(self) -> dict[str, object]:
        """See Answering. It has no caches."""
        return {}


class _Refusing:
    """Answers one status (an Answering)."""

    def __init__(self, site: FrontSite, status: int) -> None:
        self._site = site
        self._status = status

    def answer(self, request: Request, client: str) -> Answer:
        """See Answering."""
        return self._site.failure(request, request.fault or self._status)

    def failure(self, request: Request, status: int = 500) -> Response:
        """See Answering."""
        return self._site.failure(request, status)

    def snapshot(self) -> dict[str, object]:
        """See Answering."""
        return {}


class _Placed(_Refusing):
    """Answers one request by a placement (an Answering)."""

    def __init__(self, site: FrontSite, placement: Placement) -> None:
        super().__init__(site, BUSY)
        self._placement = placement

    def answer(self, request: Request, client: str) -> Answer:
        """See Answering."""
        if request.fault:  # in its body: the node was not asked
            self._placement.release()
            return self._site.failure(request, request.fault)
        return _Asking(self._site, request, client, self._placement).answer()


class _Asking:
    """One request that is relayed."""

    def __init__(self, site: FrontSite, request: Request, client: str, placement: Placement | None = None) -> None:
        self._site = site
        self._request = request
        self._client = client
        self._placement = placement
        self._exchange: Exchange | None = None
        self._tried: set[str] = set()  # names of nodes

    def answer(self) -> Answer:
        """The job of finding a node, if there is none yet, and that of asking it."""
        placement = self._placement
        if placement is None:
            return Pending(Await(self._place), lambda result: self._after_placing())
        backend = placement.member.backend
        placement.begun = True
        if backend is None:
            placement.release()
            return self._elsewhere(placement.member, Failure.UNREACHABLE)
        placement.member.relayed += 1
        request = self._request
        head = request_head(request, self._client, placement.member.section.host.encode())
        self._exchange = Exchange(backend, request.method, head, placement.release)
        return Pending(Await(self._exchange.begin), lambda result: self._after_asking())

    def _place(self, done: Callable[[Result], None], wanted: Callable[[], bool]) -> None:
        def placed(placement: Placement | None) -> None:
            self._placement = placement
            done(CAME)

        self._site.dispatcher.place(Asked(self._request.path), placed, wanted, self._tried)

    def _after_placing(self) -> Answer:
        return self._site.failure(self._request, BUSY) if self._placement is None else self.answer()

    def _after_asking(self) -> Answer:
        exchange, placement = self._exchange, self._placement
        assert exchange is not None and placement is not None
        member, dispatcher = placement.member, self._site.dispatcher
        if exchange.head is not None and exchange.failure is None:
            member.health.took(exchange.took)
            return Response(Head(exchange.head.status, exchange.head.fields), exchange.body())
        failure = exchange.failure or Failure.BROKEN
        if failure is Failure.UNREACHABLE:
            dispatcher.lose(member)
        else:
            _log.warning("The node %s does not answer as it should: %s.", member.name, exchange.why)
            member.health.checked(False)
            dispatcher.review(member)
        if exchange.repeatable:
            return self._elsewhere(member, failure)
        return self._site.failure(self._request, _STATUSES[failure])

    def _elsewhere(self, member: Member, failure: Failure) -> Answer:
        """This node does not answer: ask one that has not been asked yet, if there is one."""
        self._tried.add(member.name)
        if all(node.name in self._tried for node in self._site.dispatcher.nodes.up()):
            return self._site.failure(self._request, _STATUSES[failure])
        self._placement = None
        return self.answer()
