"""Requests from other parts of the cluster, on connections that the front-end has introduced: its own, to relay, and a
neighbour's, which fetches answers."""

import socket

from flashpy.access.forwarding import Forwarding
from flashpy.access.networks import UNIX
from flashpy.cluster.node.targets import Targets
from flashpy.event.connection import Connection
from flashpy.event.deadlines import State
from flashpy.event.service import Service
from flashpy.http.request import Request
from flashpy.http.response import Response
from flashpy.resource.answer import Answer

NOBODY = ""
"""In place of a client's address: it is nobody's among those that have so many connections each."""


class IntroducedSite:
    """Answers as the sites do, for whom the other part names as its client (a site.sites.Answering)."""

    def __init__(self, service: Service, targets: Targets) -> None:
        self._service = service
        self._targets = targets
        self._forwarding = Forwarding((UNIX,), "X-Forwarded-For")

    def client_of(self, request: Request) -> str:
        """The client of the other part."""
        return self._forwarding.client_of(request, UNIX)

    def answer(self, request: Request, client: str) -> Answer:
        """See Answering. The front-end has chosen this node, so the target is its own."""
        answer = self._service.site.answer(request, self.client_of(request))
        if not request.fault:
            self._targets.handed(request.path)
            self._targets.answered(request.path, isinstance(answer, Response))
        return answer

    def failure(self, request: Request, status: int = 500) -> Response:
        """See Answering."""
        return self._service.site.failure(request, status)

    def snapshot(self) -> dict[str, object]:
        """See Answering."""
        return {}


class IntroducedConnection(Connection):
    """Begun by another part of the cluster. It goes to no successor, who is introduced anew."""

    __slots__ = ("_introduced",)

    def __init__(self, service: Service, sock: socket.SocketType, site: IntroducedSite, logged: bool) -> None:
        super().__init__(service, sock, NOBODY, site=site, stays=True)
        self._introduced = site
        if not logged:
            self._began = None
        if service.draining:
            self.be_the_last()

    def due(self, now: float) -> float:
        """See Connection. What the other part does not take its client does not take, and that it judges itself."""
        return now + self._service.limits.timeout_send if self.state is State.SENDING else super().due(now)

    # As seen from Connection

    def _hand_over(self) -> bool:
        return False

    def _client_of(self, request: Request) -> str:
        client = self._introduced.client_of(request)
        forwarding = self._service.forwarding
        return client if forwarding is None else forwarding.client_of(request, client)
