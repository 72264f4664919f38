"""A connection that a front-end has handed over: answered here as long as its requests are this node's."""

import socket
from typing import TYPE_CHECKING

from flashpy.cluster.messages import Handed
from flashpy.cluster.node.lateral import Batch, Fetch, can_be_fetched
from flashpy.cluster.steering import SteeredConnection
from flashpy.event.connection import recall_nothing
from flashpy.event.deadlines import State
from flashpy.event.output import Progress
from flashpy.event.service import Service
from flashpy.http.request import Request
from flashpy.job.kinds import Await
from flashpy.resource.answer import Pending

if TYPE_CHECKING:
    from flashpy.cluster.node.frontlink import FrontLink


class HandedConnection(SteeredConnection):
    """Goes back where it came from when a request is another's, and when the node is about to end."""

    __slots__ = ("_batch", "_expected", "_fetching", "_first", "_link", "_stays_here", "_waited")

    def __init__(self, service: Service, sock: socket.SocketType, handed: Handed, link: "FrontLink") -> None:
        super().__init__(service, sock, handed.client)
        self._link = link
        self._expected = handed.expected
        self._stays_here = handed.stays
        self._first: bytes | None = None  # the target that it was handed over for, until that has been answered
        self._waited = False  # for a helper
        self._batch: Batch | None = None
        self._fetching: list[bytes] = []  # targets of requests that the wire is about to give out, to be fetched

    def let_in(self, request: Request) -> None:
        """See SteeredConnection: what is handed over is ours."""
        self._first = request.path
        self._link.targets.handed(request.path)

    def keeps(self, request: Request) -> bool:
        """See SteeredConnection. A connection whose front-end has gone stays."""
        link = self._link
        if not link.is_open:
            return True
        return not link.is_recalled and (self._stays_here or request.path in link.targets)

    def fetches(self, request: Request, together: int) -> bool:
        """See SteeredConnection: what came together is answered together. Who is about to lose its connections does not
        begin with more."""
        link = self._link
        if self._service.draining or link.is_recalled or link.neighbours.is_full or not can_be_fetched(request):
            return False
        if self._batch is None:
            self._batch = Batch()
        if not self._batch.takes(min(together, self._service.limits.pipeline)):
            return False
        self._fetching.append(request.path)
        return True

    def turn(self, request: Request, data: bytes) -> None:
        """See SteeredConnection."""
        if self._link.is_open:
            self._link.give_back(self, data)
        else:  # the front-end has gone meanwhile
            self.keep_next()

    def is_from(self, link: "FrontLink") -> bool:
        """Whether it was handed over by this front-end."""
        return self._link is link

    def is_idle_since(self, moment: float) -> bool:
        """Whether nothing has come or left since then (monotonic), and nothing is under way."""
        return self.state is State.IDLE and self._touched < moment

    def go_back(self) -> None:
        """Leave for the front-end, between two requests."""
        if self._link.is_open:
            self._link.give_back(self, b"")

    def close(self) -> None:
        """See Connection."""
        if self.state is not State.CLOSED:
            super().close()
            self._link.finished()

    def be_the_last(self) -> None:
        """See Connection. It is the last here only."""
        if self._link.is_open:
            self._recall = self._recall_any = recall_nothing
        else:
            super().be_the_last()

    # As seen from Connection

    def _hand_over(self) -> bool:
        if not self._link.is_open:
            return super()._hand_over()
        wire = self._wire_made
        between = not self._output.queue and (wire is None or wire.quiet)
        if between and not self._ended and self.state not in (State.LINGERING, State.CLOSED):
            self.go_back()
        return True

    def _answer(self, request: Request) -> None:
        if self._fetching and self._fetching[0] == request.path:
            assert self._batch is not None
            self._fetching.pop(0)
            fetch = Fetch(self._link, self._service.site, request, self.client, self._batch)
            self._wait(request, fetch.answer(), self._service.now.monotonic)
        else:
            super()._answer(request)

    def _wait(self, request: Request, pending: Pending, since: float) -> None:
        self._waited = self._waited or not isinstance(pending.job, Await)
        super()._wait(request, pending, since)

    def _stopped(self, progress: Progress, moved: bool) -> None:
        if progress is Progress.ABSENT:
            self._waited = True
        super()._stopped(progress, moved)

    def _all_sent(self) -> None:
        if self._first is not None and not self._wire.unanswered:
            self._link.answered(self._first, self._expected, not self._waited)
            self._first = None
        super()._all_sent()
        if self.state is State.IDLE and self._link.is_recalled:
            self.go_back()
