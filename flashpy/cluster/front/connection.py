"""A client's connection in clear, as long as the front-end has it: each of its requests is placed with a node."""

import socket
from functools import partial
from typing import TYPE_CHECKING

from flashpy.cluster.choosing import Asked
from flashpy.cluster.front.placement import Placement
from flashpy.cluster.steering import SteeredConnection
from flashpy.event.deadlines import State
from flashpy.event.service import Service
from flashpy.http.request import Request
from flashpy.site.sites import Answering

if TYPE_CHECKING:
    from flashpy.cluster.front.relay import FrontSite


class FrontConnection(SteeredConnection):
    """``at`` is the node from which it has just come back."""

    __slots__ = ("_at", "_front", "_placement", "_tries")

    def __init__(
        self, service: Service, sock: socket.SocketType, client: str, front: "FrontSite", at: str | None = None
    ) -> None:
        super().__init__(service, sock, client)
        self._front = front
        self._at = at
        self._placement: Placement | None = None  # of a request that has not come whole
        self._tries = 0

    def keeps(self, request: Request) -> bool:
        """No request is the front-end's own."""
        return False

    def turn(self, request: Request, data: bytes) -> None:
        """See SteeredConnection: find a node for the request."""
        self._tries = 0
        self.place(request, data)

    def place(self, request: Request, data: bytes) -> None:
        """Find a node, or another one after what was chosen could not be reached."""
        self._tries += 1
        if self._tries > max(1, len(self._front.dispatcher.members)):
            self.answer_by(self._front.unreachable)
            return
        at = self._at if self._at is not None and self._front.dispatcher.is_up(self._at) else None
        asked = Asked(request.path, at=at)
        placed = partial(self._placed, request, data)
        if not self._front.dispatcher.place(asked, placed, self._is_open):
            self._enter(State.WORKING)

    def answer_by(self, site: Answering) -> None:
        """Have the request answered that it has turned at."""
        self._site = site
        self.keep_next()

    def relay(self, placement: Placement) -> None:
        """Have it answered by the node of this placement, without giving the connection away."""
        self._placement = placement
        self.answer_by(self._front.placed(placement))

    def _placed(self, request: Request, data: bytes, placement: Placement | None) -> None:
        self._at = None
        if placement is None:
            self.answer_by(self._front.busy)
        else:
            self._guarded(partial(self._hand_to, placement, request, data))

    def _hand_to(self, placement: Placement, request: Request, data: bytes) -> None:
        member = placement.member
        handoff = self._front.handoff(member)
        if handoff is None or not handoff.hand_over(self, request, data, placement):
            placement.release()
            self._front.dispatcher.lose(member)
            self.place(request, data)

    def _leave(self) -> None:
        super()._leave()
        if self._placement is not None and not self._placement.begun:
            self._placement.release()
        self._placement = None
