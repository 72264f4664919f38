"""How a node gets what it is to answer: the seam between choosing a node and reaching it.

Two means are there: passing the client's socket to a process of the same host (front.passing), and relaying the request
to another host (front.relay). A third fits in: handing over the TCP connection itself between hosts.
"""

from typing import TYPE_CHECKING, Protocol

from flashpy.http.request import Request

if TYPE_CHECKING:
    from flashpy.cluster.front.connection import FrontConnection
    from flashpy.cluster.front.placement import Placement


class Handoff(Protocol):
    """A means to have a node answer what comes on a connection."""

    def hand_over(self, connection: "FrontConnection", request: Request, data: bytes, placement: "Placement") -> bool:
        """Have the node of the placement answer a request, which is the first in ``data``: all that was read from the
        connection and not answered yet. Nothing else is under way on it.

        Who takes it releases the placement when the node is done with it. False: the node cannot be reached; the
        connection is as it was, and so is the placement.
        """
        ...
