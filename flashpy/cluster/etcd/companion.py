"""The process beside a front-end or a node that speaks with etcd: gRPC, its threads and its memory are in here only.

It is told what to do in the first message on its socket (flashpy.cluster.etcd.starting), and ends when nobody is left
at the other end: its entries in etcd go then, so whoever stands by takes over when all has been answered.
"""

import asyncio
import logging
import os
import signal
import socket
import sys

import msgspec
import uvloop

from flashpy import logs
from flashpy.cluster.etcd.client import Etcd
from flashpy.cluster.etcd.joining import Joining
from flashpy.cluster.etcd.leadership import Leadership, Role
from flashpy.cluster.etcd.members import EtcdMembership, Registration
from flashpy.cluster.etcd.starting import ACTIVE, LONGEST, Order
from flashpy.cluster.membership import Member
from flashpy.process import set_title
from flashpy.settings import LogSection

_log = logging.getLogger("flashpy.cluster")


class Companion:
    """Does what an order says until it is cancelled."""

    def __init__(self, order: Order, link: socket.socket) -> None:
        self._order = order
        self._link = link
        self._etcd = Etcd(order.etcd.endpoints)
        self._active = asyncio.Event()

    async def run(self) -> None:
        """For a node, be registered. For a front-end, take part in the election, and then tell it the members."""
        etcd = self._order.etcd
        if self._order.control:
            async with asyncio.TaskGroup() as group:
                leadership = Leadership(self._etcd, etcd.name, etcd.prefix, etcd.lease)
                group.create_task(leadership.run(self._elected))
                group.create_task(self._members())
        else:
            member = Member(etcd.name, etcd.address, etcd.weight)
            await Registration(self._etcd, member, etcd.prefix, etcd.lease).run()

    def _elected(self, role: Role) -> None:
        if role is Role.ACTIVE:
            _log.info("This front-end is the active one.")
            self._active.set()
            self._link.send(ACTIVE)
        elif os.getppid() == self._order.parent:
            _log.warning("Another front-end is active now; this one ends.")
            os.kill(self._order.parent, signal.SIGTERM)

    async def _members(self) -> None:
        await self._active.wait()
        joining = Joining(self._order.control, self._order.fixed)
        async with asyncio.TaskGroup() as group:
            group.create_task(EtcdMembership(self._etcd, self._order.etcd.prefix).run(joining.changed))
            group.create_task(joining.run())


async def main(link: socket.socket) -> None:
    """Do what the order says, until the other end is gone."""
    order = msgspec.json.decode(link.recv(LONGEST), type=Order)
    task = asyncio.ensure_future(Companion(order, link).run())
    loop = asyncio.get_running_loop()
    loop.add_reader(link, task.cancel)  # nothing more is said there but that it has ended
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, lambda: None)  # what is meant for all: we are the last
    try:
        await task
    except asyncio.CancelledError:
        pass
    finally:
        loop.remove_reader(link)


if __name__ == "__main__":
    logs.set_up(LogSection())
    set_title("flashpy: etcd")
    with socket.socket(fileno=int(sys.argv[1])) as link_:
        uvloop.run(main(link_))
