"""httptools at work: it judges field lines, and where a body ends."""

import re

import httptools

FieldLine = tuple[bytes, bytes]
"""A field line that has been judged: its name in lower case, its value without the white space around it."""

_UPGRADE = re.compile(rb"\r\nupgrade:", re.IGNORECASE)


class Fault(Exception):
    """A head or body that must be answered with ``status`` and the connection's end."""

    def __init__(self, status: int) -> None:
        self.status = status


class Judge:
    """Judges field lines one after the other, and takes them apart. By ``on_header`` httptools could do that too, but a
    call into Python for each field costs more than ``partition`` does."""

    __slots__ = ("_feed",)

    def __init__(self) -> None:
        self._feed = httptools.HttpRequestParser(None).feed_data

    def judge(self, line: bytes) -> FieldLine:
        """A line without a CRLF in it, taken apart. What it says of the message's framing is not judged: it is shown
        to httptools under another name.

        Raises:
            Fault: it is malformed.
        """
        name, _, value = line.partition(b":")
        if not name:
            raise Fault(400)
        try:
            self._feed(b"GET / HTTP/1.1\r\nx-" + line + b"\r\n\r\n")
        except httptools.HttpParserError as error:
            self._feed = httptools.HttpRequestParser(None).feed_data
            raise Fault(400) from error
        return name.lower(), value.strip(b" \t")


class _Sink:
    """What httptools calls back. Apart from the framer, so that the two are no reference cycle."""

    __slots__ = ("complete",)

    def __init__(self) -> None:
        self.complete = False

    def on_message_complete(self) -> None:
        """Called at the end of the body."""
        self.complete = True


class Framer:
    """Frames the body of one message; trailers are judged and dropped (RFC 9110, 6.5.1)."""

    __slots__ = ("_feed", "_sink")

    def __init__(self, block: bytes) -> None:
        """Begin after a block of fields, which has been judged, from the CRLF before it to the empty line.

        Raises:
            Fault: the fields that frame the body contradict each other.
        """
        self._sink = _Sink()
        self._feed = httptools.HttpRequestParser(self._sink).feed_data
        # Upgrade is ignored (RFC 9110, 7.8); httptools would read no body after it.
        self.feed(b"GET / HTTP/1.1" + _UPGRADE.sub(b"\r\nx-upgrade:", block))

    @property
    def complete(self) -> bool:
        """The message has ended."""
        return self._sink.complete

    def feed(self, data: bytes) -> None:
        """Judge bytes of the body.

        Raises:
            Fault: they are malformed.
        """
        try:
            self._feed(data)
        except httptools.HttpParserError as error:
            raise Fault(400) from error
