"""Asking a running server: where it is by its configuration, and a connection to it."""

import socket
import ssl
from http.client import HTTPConnection
from typing import NamedTuple
from urllib.parse import urlsplit

import click

from flashpy.addresses import Inherited, Unix, parse
from flashpy.config import Config

SECONDS = 30.0
"""How long a server may take to answer."""


class Place(NamedTuple):
    """A host and a port, or the path of a Unix socket, and whether TLS is spoken there; ``known`` is it by the
    configuration: then whose certificate it has does not matter."""

    at: tuple[str, int] | str
    secure: bool = False
    known: bool = True


def place_of(config: Config, url: str | None) -> Place:
    """Where to ask: by a URL, or else the first address of the configuration where files are served.

    Raises:
        click.UsageError: it cannot be told.
    """
    if url is not None:
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError:
            host, port = None, 0
        if not host or parts.scheme not in ("http", "https"):
            raise click.UsageError(f"{url!r} is no address of a server; write http://HOST:PORT or https://HOST:PORT.")
        return Place((host, port), parts.scheme == "https", known=False)
    secure = config.tls.https_redirect or not config.server.bind
    text = (config.tls if secure else config.server).bind[0]
    address = parse(text)
    if isinstance(address, Inherited) or (not isinstance(address, Unix) and not address.port):
        raise click.UsageError(f"{text} does not say where the server is; give --url.")
    if isinstance(address, Unix):
        return Place(address.path, secure)
    host = "localhost" if address.host in ("", "0.0.0.0", "::") else address.host
    return Place((host, address.port), secure)


class Asking(HTTPConnection):
    """A connection to a server, wherever it is; it is made at the first request, and again when it has been closed."""

    def __init__(self, place: Place) -> None:
        self._place = place
        super().__init__("localhost", timeout=SECONDS)

    def connect(self) -> None:
        """See HTTPConnection."""
        at, secure, known = self._place
        if isinstance(at, str):
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(SECONDS)
            self.sock.connect(at)
        else:
            self.sock = socket.create_connection(at, SECONDS)
        if secure:
            context = ssl.create_default_context()
            if known:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            self.sock = context.wrap_socket(self.sock, server_hostname="localhost" if isinstance(at, str) else at[0])


def in_words(place: Place) -> str:
    """The place, for people."""
    if isinstance(place.at, str):
        return f"unix:{place.at}".replace("\0", "@", 1)
    host, port = place.at
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
