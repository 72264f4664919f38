"""What an architecture is, and the table of the four."""

import importlib
import socket
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from flashpy.event.logsource import LogSource
from flashpy.event.programs import Starter
from flashpy.event.service import Secured, Successor
from flashpy.event.sockets import Sockets
from flashpy.metrics import Metrics
from flashpy.settings import Config


class Architecture(Protocol):
    """Serves the connections that arrive at listening sockets, until it is told to drain."""

    async def start(self) -> None:
        """Be ready, and accept.

        Raises:
            StartError: with one plain sentence; ``close`` must be called all the same.
        """
        ...

    async def drain(self, timeout: float | None, successor: Successor | None = None) -> None:
        """Accept no more, answer what is under way for at most ``timeout`` seconds (None: however long it takes), cut
        off the rest.

        Where there is a successor, another process listens at the same sockets: it gets what waits there, and (of the
        architectures with an event loop) the connections between two requests.
        """
        ...

    def adopt(self, sock: socket.SocketType, client: str) -> None:
        """Go on with a connection that another process has begun; without an event loop it is closed."""
        ...

    async def close(self) -> None:
        """Let go of everything but the listening sockets, which are the caller's."""
        ...

    def snapshot(self) -> dict[str, Any]:
        """What there is to be said of it: plain values, a copy."""
        ...


@runtime_checkable
class Heritable(Protocol):
    """What an architecture may be besides: one that knows what its successor would have to learn anew."""

    async def bequeath(self) -> int | None:
        """What a successor is to know, before ``drain``: the descriptor of a file in memory, for the caller to close;
        None: nothing. It is not done at once, and may be cancelled."""
        ...

    def inherit(self, fd: int) -> None:
        """Learn from what another process has left; the descriptor is closed here."""
        ...


_HOMES = {
    "amped": "flashpy.arch.amped:Amped",
    "sped": "flashpy.arch.sped:Sped",
    "mp": "flashpy.arch.mp:MultiProcess",
    "mt": "flashpy.arch.mt:MultiThreaded",
    "front": "flashpy.cluster.front.server:Front",
    "node": "flashpy.cluster.node.server:NodeServer",
}
"""Where each architecture is, and the parts of a cluster; only the one that is chosen gets imported."""


def architecture(
    config: Config,
    sockets: Sockets,
    metrics: Metrics,
    starter: Starter,
    log_source: LogSource | None = None,
    secured: Secured | None = None,
) -> Architecture:
    """The architecture that the configuration names, for these listening sockets, with helper programs from this
    starter. The access log's lines go to ``log_source``; without one, to the configured file. TLS, where it is spoken,
    takes an architecture with an event loop."""
    more = () if secured is None else (secured,)
    made: Architecture = load(config)(config, sockets, metrics, starter, log_source, *more)
    return made


def load(config: Config) -> Callable[..., Architecture]:
    """Import the architecture that the configuration names, and all that it needs."""
    module, _, name = _HOMES[config.architecture].partition(":")
    kind: Callable[..., Architecture] = getattr(importlib.import_module(module), name)
    return kind
