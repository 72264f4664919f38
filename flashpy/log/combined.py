"""The combined format (Apache's, nginx's), with the time taken behind it."""

from collections.abc import Callable, Iterable

from flashpy.http.request import Block, RequestLine
from flashpy.log.record import Record, escape, log_time


def combined(records: Iterable[Record]) -> bytes:
    """The lines of some records."""
    lines = []
    before: tuple[str, float] | None = None
    for client, wall, request, head, sent, seconds, _ in records:
        if (client, wall) != before:
            before = client, wall
            beginning = b"%s - - [%s] " % (client.encode(), log_time(int(wall)))
        line = request.line.logged or _quoted_line(request.line)
        fields = request.block.logged or _quoted_fields(request.block)
        lines.append(b"%s%s %d %d %s %.6f\n" % (beginning, line, head.status, sent, fields, seconds))
    return b"".join(lines)


def _quoted_line(line: RequestLine) -> bytes:
    line.logged = b'"%s"' % request_line(line)
    return line.logged


def _quoted_fields(block: Block) -> bytes:
    referer, user_agent = (escape(block.fields.get(name, b"")) or b"-" for name in (b"referer", b"user-agent"))
    block.logged = b'"%s" "%s"' % (referer, user_agent)
    return block.logged


def request_line(line: RequestLine, escaped: Callable[[bytes], bytes] = escape) -> bytes:
    """A request line as it came, but for its escaping; what is absent is a hyphen."""
    version = line.major, line.minor
    return b"%s %s HTTP/%d.%d" % (escaped(line.method) or b"-", escaped(line.target) or b"-", *version)
