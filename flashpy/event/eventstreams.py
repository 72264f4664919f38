"""Server-sent events (the HTML Standard, 9.2): the connections of those who listen, and what all of them are told."""

import asyncio
import socket

MOST = 64
"""Listeners at a time; a browser has one for each page that it shows."""
HEARTBEAT = 15
"""Seconds between two comments, by which a listener that has gone is found out (the HTML Standard, 9.2.7)."""
_BEGINNING = b"retry: 500\n\n"  # milliseconds: soon, for a server that is started again is there at once


class EventStreams:
    """Sends events on sockets that connections have handed over.

    What is sent is so little that it fits into a socket's buffer: who has no room for it has not read for long, and is
    closed. A browser comes again by itself.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, most: int = MOST) -> None:
        self._loop = loop
        self._most = most
        self._listeners: dict[int, socket.SocketType] = {}  # by descriptor
        self._seconds = 0  # since the last heartbeat

    def __len__(self) -> int:
        return len(self._listeners)

    def is_full(self) -> bool:
        """Whether nobody else may listen."""
        return len(self) >= self._most

    def take(self, sock: socket.SocketType, client: str) -> None:
        """Send events to this client from now on: the head of the answer has left."""
        if self.is_full():  # it was not when the head was made
            sock.close()
            return
        self._listeners[sock.fileno()] = sock
        self._loop.add_reader(sock.fileno(), self._readable, sock)
        self._send(sock, _BEGINNING)

    def tell(self, data: bytes) -> None:
        """Tell all listeners something, in one line."""
        self._send_all(b"data: %b\n\n" % data)

    def tick(self) -> None:
        """Once a second."""
        self._seconds += 1
        if self._seconds >= HEARTBEAT:
            self._seconds = 0
            self._send_all(b":\n\n")

    def close(self) -> None:
        """End all streams."""
        for sock in list(self._listeners.values()):
            self._close(sock)

    def _send_all(self, data: bytes) -> None:
        for sock in list(self._listeners.values()):
            self._send(sock, data)

    def _send(self, sock: socket.SocketType, data: bytes) -> None:
        try:
            whole = sock.send(data) == len(data)
        except OSError:
            whole = False
        if not whole:
            self._close(sock)

    def _readable(self, sock: socket.SocketType) -> None:
        """Nothing more is wanted of it: what it sends is thrown away, and its end is that of the stream."""
        try:
            if sock.recv(4096):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self._close(sock)

    def _close(self, sock: socket.SocketType) -> None:
        self._loop.remove_reader(sock.fileno())
        del self._listeners[sock.fileno()]
        sock.close()
