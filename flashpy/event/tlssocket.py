"""A socket that speaks TLS, with the face of a plain non-blocking one.

OpenSSL reads and writes the socket by itself, since only of a socket of its own can it ever leave the encryption to the
kernel.
"""

import socket
import ssl
from typing import Any

RECORD = 16 * 1024
"""Bytes in a record of TLS, at most (RFC 8446, 5.1)."""


class TlsSocket(ssl.SSLSocket):
    """Made by a context whose ``sslsocket_class`` it is. The handshake is done by who has made it."""

    def recv(self, buflen: int = RECORD, flags: int = 0) -> bytes:
        """The next record, whole, however much was asked for: what stayed in OpenSSL, no loop would be told of. Empty
        at the end.

        Raises:
            BlockingIOError: there is none yet.
            ConnectionError: what has come is no TLS.
        """
        try:
            return self.read(RECORD)
        except ssl.SSLWantReadError:
            raise BlockingIOError from None
        except ssl.SSLError as error:
            raise ConnectionAbortedError(error.reason) from None
        except ValueError:  # both sides have said that no more will come
            return b""

    def send(self, data: Any, flags: int = 0) -> int:
        """Send up to a record. After a BlockingIOError, the next call must bring the same bytes: OpenSSL may have sent
        a part of them.

        Raises:
            BlockingIOError: the socket takes no more.
            ConnectionError: the client has broken a message of the handshake off. Until the rest of it is there
                OpenSSL would send nothing, and no client that means well does that: without renegotiation there are
                only messages of a few bytes.
        """
        try:
            return self.write(data if len(data) <= RECORD else memoryview(data)[:RECORD])
        except ssl.SSLWantWriteError:
            raise BlockingIOError from None
        except ssl.SSLError as error:
            raise ConnectionAbortedError(error.reason) from None

    def shutdown(self, how: int) -> None:
        """Say that no more will come (close_notify: RFC 8446, 6.1), and close that direction. Reading goes on."""
        self._say_end()
        socket.socket.shutdown(self, how)

    def close(self) -> None:
        """Say that no more will come, if there is room for saying it, and close."""
        if self.fileno() >= 0:
            self._say_end()
        super().close()

    def send_clear(self, data: bytes) -> None:
        """Send bytes as they are, to a client that does not speak TLS.

        Raises:
            OSError: they cannot be sent.
        """
        socket.socket.send(self, data)

    def _say_end(self) -> None:
        try:
            self.unwrap()  # it would wait for the client's own end too, which is of no more use
        except (OSError, ValueError):
            pass
