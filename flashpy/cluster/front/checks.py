"""Asking nodes that are reached by relaying whether they are well: one plain request every now and then."""

import asyncio

from flashpy.cluster.backend.exchange import Exchange
from flashpy.cluster.front.dispatcher import Dispatcher
from flashpy.cluster.front.member import Member
from flashpy.job.kinds import Result
from flashpy.settings import HealthSection


class Check:
    """The checks of one node, one at a time."""

    def __init__(self, member: Member, dispatcher: Dispatcher, settings: HealthSection) -> None:
        self._member = member
        self._dispatcher = dispatcher
        self._settings = settings
        self._exchange: Exchange | None = None
        self._until = 0.0

    def look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Ask, unless the answer to what was asked before is still awaited; that may take so long only."""
        if self._exchange is not None:
            if loop.time() > self._until:
                self._exchange.abandon()
                self._judge(False)
            return
        backend = self._member.backend
        assert backend is not None
        path, host = self._settings.path.encode(), self._member.section.host.encode()
        head = b"GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % (path, host)
        self._until = loop.time() + self._settings.timeout
        self._exchange = exchange = Exchange(backend, b"GET", head, lambda: None, fresh=True)
        exchange.begin(lambda result: self._answered(exchange, result), lambda: True)

    def _answered(self, exchange: Exchange, result: Result) -> None:
        head = exchange.head
        well = head is not None and head.status < 500
        exchange.abandon()  # its body is not wanted
        if well and self._member.health.alive:
            self._member.health.took(exchange.took)
        self._judge(well)

    def _judge(self, passed: bool) -> None:
        self._exchange = None
        self._member.health.checked(passed)
        self._dispatcher.review(self._member)
