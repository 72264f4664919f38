"""Servers that are wrong, each in its own way: to see that a case of the table can fail."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from socketserver import BaseServer, StreamRequestHandler, ThreadingTCPServer
from threading import Thread

from tests.conformance.cases.exchange import SENTINEL, Address
from tests.conformance.cases.tree import SECRET

NUMBERS = count()
OBLIGING = b"\r\n".join(
    (
        b"HTTP/1.1 200 OK",
        b"Date: Thu, 01 Jan 1970 00:00:00 UTC",
        b"Server: [a server]",
        b"Content-Type: multipart",
        b"Content-Length: %d" % len(SECRET),
        b"Content-Encoding: gzip",
        b"Content-Range: all",
        b"Content-Location: <here>",
        b"Location: <there>",
        b"Last-Modified: now",
        b"ETag: <number>",
        b"Vary: *",
        b"Accept-Ranges: [bytes]",
        b"Cache-Control: for ever",
        b"Expires: never",
        b"Age: 1",
        b"Warning: 199 - none",
        b"",
        SECRET,
    )
)
REFUSING = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
FAILING = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"
FORBIDDING = b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n"
UNRULY = b"HTTP/2.0 404 \x01\r\nno field\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n"
UNCHANGING = b"HTTP/1.1 304 Not Modified\r\nETag: <number>\r\n\r\n"
"""To everything; so it never gives what it speaks of."""
EAGER = b"HTTP/1.1 100 Continue\r\n\r\n" + OBLIGING
ANSWERS = (OBLIGING, REFUSING, FAILING, FORBIDDING, UNRULY, UNCHANGING, EAGER)
SILENT = b""


class Canned(StreamRequestHandler):
    """Gives one answer to whatever ends in an empty line; each has another number in it.

    It closes where its answer says so, and after the sentinel, lest the client wait for nothing.
    """

    def __init__(self, answer: bytes, *arguments: object) -> None:
        self._answer = answer
        super().__init__(*arguments)  # type: ignore[arg-type]

    def handle(self) -> None:
        """Serve one connection."""
        data = b""
        closes = b"Connection: close" in self._answer
        while more := self.request.recv(65_536):
            data += more
            while b"\r\n\r\n" in data:
                request, _, data = data.partition(b"\r\n\r\n")
                self.wfile.write(self._answer.replace(b"<number>", b"%d" % next(NUMBERS)))
                if closes or (request + b"\r\n\r\n").endswith(SENTINEL):
                    return


class Simple(SimpleHTTPRequestHandler):
    """The standard library's, which is of HTTP/1.0, and says nothing of what it does."""

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


class Persistent(Simple):
    """The same with connections that persist."""

    protocol_version = "HTTP/1.1"


class _Threading(ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 128
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that have gone are no news."""


class _ThreadingHTTP(ThreadingHTTPServer):
    request_queue_size = 128
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that have gone are no news."""


@contextmanager
def canned(answer: bytes) -> Iterator[Address]:
    """Run a server that gives one answer to everything."""
    with _Threading(("127.0.0.1", 0), partial(Canned, answer)) as server, _running(server):
        yield "127.0.0.1", int(server.server_address[1])


@contextmanager
def simple(root: Path, handler: type[Simple]) -> Iterator[Address]:
    """Run the standard library's server of files."""
    with _ThreadingHTTP(("127.0.0.1", 0), partial(handler, directory=str(root))) as server, _running(server):
        yield "127.0.0.1", server.server_port


@contextmanager
def _running(server: BaseServer) -> Iterator[None]:
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
