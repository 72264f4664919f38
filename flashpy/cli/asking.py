"""Asking a running server: where it is by its configuration, and a connection to it."""

import socket
from http.client import HTTPConnection
from urllib.parse import urlsplit

import click

from flashpy.addresses import Inherited, Unix, parse
from flashpy.config import Config

SECONDS = 30.0
"""How long a server may take to answer."""

Place = tuple[str, int] | str
"""A host and a port, or the path of a Unix socket."""


def place_of(config: Config, url: str | None) -> Place:
    """Where to ask: by a URL, or else the first address of the configuration.

    Raises:
        click.UsageError: it cannot be told.
    """
    if url is not None:
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port or 80
        except ValueError:
            host, port = None, 0
        if not host or parts.scheme != "http":
            raise click.UsageError(f"{url!r} is no address of a server; write http://HOST:PORT.")
        return host, port
    address = parse(config.server.bind[0])
    if isinstance(address, Inherited) or (not isinstance(address, Unix) and not address.port):
        raise click.UsageError(f"{config.server.bind[0]} does not say where the server is; give --url.")
    if isinstance(address, Unix):
        return address.path
    return ("localhost" if address.host in ("", "0.0.0.0", "::") else address.host), address.port


class Asking(HTTPConnection):
    """A connection to a server, wherever it is; it is made at the first request, and again when it has been closed."""

    def __init__(self, place: Place) -> None:
        self._place = place
        super().__init__("localhost", timeout=SECONDS)

    def connect(self) -> None:
        """See HTTPConnection."""
        if isinstance(self._place, str):
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(SECONDS)
            self.sock.connect(self._place)
        else:
            self.sock = socket.create_connection(self._place, SECONDS)


def in_words(place: Place) -> str:
    """The place, for people."""
    if isinstance(place, str):
        return f"unix:{place}".replace("\0", "@", 1)
    return f"[{place[0]}]:{place[1]}" if ":" in place[0] else f"{place[0]}:{place[1]}"
