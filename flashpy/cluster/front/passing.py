"""Passing clients' sockets to a node on the same host, over a Unix socket of packets (cluster.messages).

A connection is ours until the message with its socket has left: if the node ends before, another is chosen for it.
"""

import asyncio
import contextlib
import errno
import logging
import os
from collections import deque
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from flashpy.cluster.front.lateral import Fetches
from flashpy.cluster.front.member import Member
from flashpy.cluster.front.nodelink import NodeLink
from flashpy.cluster.front.placement import Placement
from flashpy.cluster.messages import Disowned, Handed, Introduced, Question, Recalled, Reported, Told, parts_of
from flashpy.http.request import Request

if TYPE_CHECKING:
    from flashpy.cluster.front.connection import FrontConnection
    from flashpy.cluster.front.dispatcher import Dispatcher

_log = logging.getLogger("flashpy.cluster")
_FULL = frozenset({errno.EAGAIN, errno.ENOBUFS, errno.ETOOMANYREFS})
"""The node has not taken what was sent before."""
SILENCE = 5.0
"""A node that has said nothing for so many seconds, though it says how it is once a second, is stuck."""


class Keeper(Protocol):
    """Who keeps the connections that no node has."""

    def returned(self, member: Member, fd: int, client: str, data: bytes) -> None:
        """A connection has come back, with what was read from it and not answered."""

    def away(self, count: int) -> None:
        """So many more, or less, are with the nodes."""


class _Leaving(NamedTuple):
    connection: "FrontConnection"
    request: Request
    data: bytes
    placement: Placement


class Passing:
    """The way to one node (a handoff.Handoff, and a nodelink.Hearer)."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, member: Member, dispatcher: "Dispatcher", keeper: Keeper
    ) -> None:
        self._loop = loop
        self._member = member
        self._dispatcher = dispatcher
        self._keeper = keeper
        self._recalled = False
        self._link: NodeLink | None = None
        self._old: list[NodeLink] = []  # processes of the node that are about to end
        self._queue: deque[_Leaving] = deque()  # connections that leave as soon as there is room

    def look(self) -> None:
        """Every now and then: connect if there is no link, and give up one on which nothing is heard."""
        if self._link is None:
            self._connect()
        elif self._loop.time() - self._link.heard > SILENCE:
            _log.warning("The node %s is stuck.", self._member.name)
            self.broken(self._link)

    def close(self) -> None:
        """At the end."""
        for link in (self._link, *self._old):
            if link is not None:
                link.close()
        self._link, self._old = None, []

    def _connect(self) -> None:
        name = self._member.name
        try:
            self._link = NodeLink(self._loop, self._member.section.handoff, name, self, Fetches(self._dispatcher, name))
        except OSError:
            self._link = None
        else:
            if self._recalled:
                self.recall(True)
            if self._queue:
                self._link.await_room()

    # To the node

    def hand_over(self, connection: "FrontConnection", request: Request, data: bytes, placement: Placement) -> bool:
        """See Handoff."""
        if self._link is None:
            return False
        leaving = _Leaving(connection, request, data, placement)
        try:
            at_once = not self._queue and self._send(self._link, leaving)
        except OSError:
            self.broken(self._link)
            return False
        if not at_once:
            self._queue.append(leaving)
            self._link.await_room()
        return True

    def introduce(self, fd: int, logged: bool = True) -> None:
        """Give the node a socket on which another part of the cluster will ask it; it is closed here.

        Raises:
            OSError: the node cannot be reached.
        """
        link = self._link
        if link is None:
            os.close(fd)
            raise ConnectionRefusedError(errno.ECONNREFUSED, "there is no link to it")
        try:
            link.tell(Introduced(logged), [fd])
        except OSError:
            self.broken(link)
            raise

    def disown(self, targets: Sequence[bytes]) -> None:
        """Targets are others' now. If there is no room to tell the node at once, it goes on to answer for them: that
        costs some of its memory, and is no fault."""
        if self._link is not None:
            try:
                for some in parts_of(targets):
                    self._link.send(Disowned(some), [])
            except OSError:
                pass

    def recall(self, wanted: bool) -> None:
        """Have all connections back that the node has, as soon as they are between two requests; or no more."""
        self._recalled = wanted
        if self._link is not None:
            try:
                self._link.send(Recalled(wanted), [])
            except OSError:
                _log.warning("The node %s cannot be asked for its connections now.", self._member.name)

    def _send(self, link: NodeLink, leaving: _Leaving) -> bool:
        """Send a connection, if there is room.

        Raises:
            OSError: the node is gone.
        """
        connection, _, data, placement = leaving
        message = Handed(connection.client, data, placement.expected, placement.stays)
        try:
            link.send(message, [connection.fileno()])
        except OSError as error:
            if error.errno in _FULL:
                return False
            raise
        placement.begun = True
        link.held += 1
        self._member.handed += 1
        self._keeper.away(1)
        connection.leave().close()
        return True

    def roomy(self, link: NodeLink) -> None:
        """See Hearer."""
        if link is not self._link:
            return
        try:
            while self._queue:
                if self._queue[0].connection.is_gone:
                    self._queue.popleft().placement.release()
                elif self._send(link, self._queue[0]):
                    self._queue.popleft()
                else:
                    link.await_room()
                    return
        except OSError:
            self.broken(link)

    # From the node

    def back(self, fd: int, client: str, data: bytes) -> None:
        """See Hearer."""
        self._member.returned += 1
        self._keeper.returned(self._member, fd, client, data)

    def let_go(self, count: int) -> None:
        """See Hearer."""
        self._keeper.away(-count)
        self._dispatcher.release(self._member, count)

    def reported(self, message: Reported) -> None:
        """See Hearer."""
        self._dispatcher.report(self._member, message)

    def asked(self, link: NodeLink, questions: Iterable[Question]) -> None:
        """See Hearer."""
        try:
            link.tell(Told([link.fetches.advise(question) for question in questions]), [])
        except OSError:
            self.broken(link)

    def introduces(self, fd: int, name: str) -> None:
        """See Hearer. If the other node is not there, who waits for it finds the socket closed."""
        other = self._dispatcher.members.get(name)
        if other is None or other.passing is None:
            os.close(fd)
            return
        with contextlib.suppress(OSError):
            other.passing.introduce(fd, logged=False)

    def leaving(self, link: NodeLink) -> None:
        """See Hearer. Who takes its place listens already."""
        if link is self._link:
            self._old.append(link)
            self._connect()
            self._settle()

    def broken(self, link: NodeLink) -> None:
        """See Hearer: what it had is lost, what was to be sent to it goes elsewhere."""
        link.close()
        if link is self._link:
            self._link = None
        elif link in self._old:
            self._old.remove(link)
        link.fetches.close()
        self.let_go(link.held)
        self._settle()

    def _settle(self) -> None:
        """If nobody takes connections any more, they go elsewhere."""
        if self._link is not None:
            return
        self._dispatcher.lose(self._member)
        queue, self._queue = self._queue, deque()
        for connection, request, data, placement in queue:
            placement.release()
            if not connection.is_gone:
                connection.place(request, data)
