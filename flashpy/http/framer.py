"""One httptools parser at work: the judge of a message's field lines and of where its body ends."""

import httptools


class Fault(Exception):
    """A head or body that must be answered with ``status`` and the connection's end."""

    def __init__(self, status: int) -> None:
        self.status = status


class _Sink:
    """What httptools calls back. Apart from the framer, so that the two are no reference cycle; and without
    ``on_header``, since a call into Python for each field costs more than splitting the block (http.fields) does."""

    __slots__ = ("complete",)

    def __init__(self) -> None:
        self.complete = False

    def on_message_complete(self) -> None:
        """Called at the end of the body."""
        self.complete = True


class Framer:
    """Judges one message after the other; trailers are judged and dropped (RFC 9110, 6.5.1)."""

    __slots__ = ("_feed", "_sink")

    def __init__(self) -> None:
        self._sink = _Sink()
        self._feed = httptools.HttpRequestParser(self._sink).feed_data

    @property
    def complete(self) -> bool:
        """The message has ended."""
        return self._sink.complete

    def begin(self, block: bytes) -> bool:
        """Judge a field block, from the CRLF before it to the empty line. False if it asks for an upgrade, after which
        httptools reads no body.

        Raises:
            Fault: the block is malformed.
        """
        self._sink.complete = False
        try:
            self._feed(b"GET / HTTP/1.1" + block)
        except httptools.HttpParserUpgrade:
            return False
        except httptools.HttpParserError as error:
            raise Fault(400) from error
        return True

    def feed(self, data: bytes) -> None:
        """Judge bytes of the body.

        Raises:
            Fault: they are malformed.
        """
        try:
            self._feed(data)
        except httptools.HttpParserError as error:
            raise Fault(400) from error
