"""The link to one front-end: connections come and go back, and it is told how this node is."""

import logging
import os
import socket
import time
from collections.abc import Sequence

from msgspec import Struct

from flashpy.cluster.affinity import Affinity
from flashpy.cluster.choosing import Report
from flashpy.cluster.messages import (
    ROOM,
    Back,
    Disowned,
    Finished,
    Handed,
    Introduced,
    Leaving,
    Recalled,
    Reported,
    Told,
    ToNode,
)
from flashpy.cluster.node.connection import HandedConnection
from flashpy.cluster.node.introduced import IntroducedConnection, IntroducedSite
from flashpy.cluster.node.neighbours import Neighbours
from flashpy.cluster.node.targets import Targets
from flashpy.event.deadlines import State
from flashpy.event.link import BadMessage, Link
from flashpy.event.service import Service
from flashpy.settings import ClusterSection

_log = logging.getLogger("flashpy.cluster")

AT_A_TIME = 16
"""Connections that are taken before others have their turn."""


class FrontLink:
    """What it has handed over is answered here to its end, even when it has gone."""

    def __init__(
        self, service: Service, sock: socket.socket, targets: Targets, settings: ClusterSection, memory: int
    ) -> None:
        self._service = service
        self._link: Link[ToNode] = Link(sock, ToNode, ROOM, binary=True)
        self._finished = 0  # connections, of which the front-end has not been told yet
        self._introduced = IntroducedSite(service, targets)
        self._memory = memory  # bytes that this node may use
        self.targets = targets
        self.affinity = Affinity()
        self.neighbours = Neighbours(service.loop, settings, self._tell)
        self.held = 0
        self.is_open = True
        self.is_recalled = False  # all connections are to go back
        service.loop.add_reader(self._link.fileno(), self._readable)

    # What connections say

    def give_back(self, connection: HandedConnection, data: bytes) -> None:
        """A connection goes back, with what it has read and not answered."""
        sock = connection.leave()
        self.held -= 1
        self._tell(Back(connection.client, data), [sock.detach()])

    def finished(self) -> None:
        """A connection has ended. Those of one turn of the loop are told together."""
        self.held -= 1
        if not self.is_open:
            return
        if not self._finished:
            self._service.loop.call_soon(self._tell_finished)
        self._finished += 1

    def answered(self, target: bytes, expected: bool, at_hand: bool) -> None:
        """What a connection was handed over for has been answered."""
        self.affinity.note(expected, at_hand)
        self.targets.answered(target, at_hand)

    # What the front-end is told

    def report(self, report: Report, connections: int) -> None:
        """How this node is, which has so many connections in all."""
        affinity = self.affinity
        counts = affinity.true_hits, affinity.false_hits, affinity.true_misses, affinity.false_misses
        others = max(0, connections - self.held)
        self._tell(Reported(self.held, others, report, counts, self.neighbours.fetched, self._memory))

    def leave(self) -> None:
        """This process is about to end, and another listens in its place."""
        self._tell(Leaving())

    @property
    def is_flushed(self) -> bool:
        """Whether all has been said."""
        return not self._link.waiting and not self._finished

    def close(self) -> None:
        """End it."""
        if self.is_open:
            self.is_open = False
            self._service.loop.remove_reader(self._link.fileno())
            self._service.loop.remove_writer(self._link.fileno())
            self._link.close()

    def _tell_finished(self) -> None:
        count, self._finished = self._finished, 0
        self._tell(Finished(count))

    def _tell(self, message: Struct, fds: Sequence[int] = ()) -> None:
        if not self.is_open:
            for fd in fds:
                os.close(fd)
            return
        try:
            self._link.send(message, fds)
        except OSError:
            self._part()
            return
        if self._link.waiting:
            self._service.loop.add_writer(self._link.fileno(), self._writable)

    def _writable(self) -> None:
        try:
            if self._link.flush():
                self._service.loop.remove_writer(self._link.fileno())
        except OSError:
            self._part()

    # What it says

    def _readable(self) -> None:
        service = self._service
        try:
            for _ in range(AT_A_TIME):
                if not self.is_open:
                    return
                received = self._link.receive()
                if received is None:
                    self._part()
                    return
                self._hear(*received)
        except BlockingIOError:
            return
        except (OSError, BadMessage) as error:
            _log.error("The front-end cannot be understood: %s.", error)
            self._part()
        except Exception:
            service.metrics.faults += 1
            _log.exception("A connection could not be taken over.")

    def _hear(self, message: ToNode, fds: list[int]) -> None:
        match message:
            case Handed() if fds:
                self._take(message, fds.pop(0))
            case Handed():
                service = self._service
                service.metrics.descriptors_exhausted += 1
                _log.warning("A connection is lost: out of descriptors.")
                self.held += 1
                self.finished()
            case Introduced(logged) if fds:
                self._introduce(fds.pop(0), logged)
            case Introduced():
                self._service.metrics.descriptors_exhausted += 1  # who waits there finds that it is closed
            case Told():
                self.neighbours.told(message)
            case Disowned(targets):
                self.targets.disown(targets)
            case Recalled(wanted):
                self.is_recalled = wanted
                if wanted:
                    self._send_back()
        for fd in fds:  # none belongs to these
            os.close(fd)

    def _send_back(self) -> None:
        """What is between two requests goes back now."""
        for timed in self._service.deadlines.all((State.IDLE,)):
            if isinstance(timed, HandedConnection) and timed.is_from(self):
                timed.go_back()

    def _take(self, handed: Handed, fd: int) -> None:
        service = self._service
        sock = socket.SocketType(fileno=fd)
        sock.setblocking(False)
        self.held += 1
        if not service.admits(handed.client):
            sock.close()
            self.finished()
            return
        service.connections += 1
        service.metrics.connections_accepted += 1
        service.now.monotonic = time.monotonic()
        connection = HandedConnection(service, sock, handed, self)
        connection.begin_with(handed.data)
        if service.draining and not connection.is_gone:
            connection.drain()

    def _introduce(self, fd: int, logged: bool) -> None:
        service = self._service
        sock = socket.SocketType(fileno=fd)
        sock.setblocking(False)
        service.connections += 1
        service.now.monotonic = time.monotonic()
        IntroducedConnection(service, sock, self._introduced, logged).start(State.IDLE)

    def _part(self) -> None:
        self.close()
        self.neighbours.part()
