"""A JSON object a line, its members named after the OpenTelemetry semantic conventions (HTTP server spans, 1.23 and
later).

A client's bytes are read as UTF-8; those that are not become ``\\xHH``. All else than printable ASCII is escaped, so
that a line can be shown on a terminal.
"""

import json
from collections.abc import Iterable

from flashpy.http.request import KNOWN_METHODS, Block, RequestLine
from flashpy.log.record import Record, asks_caches, timestamp


def json_lines(records: Iterable[Record]) -> bytes:
    """The lines of some records."""
    lines = []
    before: tuple[str, float] | None = None
    for client, wall, request, head, sent, seconds, cache in records:
        if (client, wall) != before:
            before = client, wall
            beginning = b'{"timestamp":"%s","client.address":%s' % (timestamp(int(wall)), _text(client.encode()))
        line = request.line.logged or _line(request.line)
        fields = request.block.logged or _fields(request.block)
        state = b',"flashpy.cache":"%s"' % cache.value if asks_caches(request) else b""
        lines.append(
            b'%s,%s%s:%d,"http.response.body.size":%d,"http.server.request.duration":%.6f%s}\n'
            % (beginning, line, fields, head.status, sent, seconds, state)
        )
    return b"".join(lines)


def _text(value: bytes) -> bytes:
    return json.dumps(value.decode(errors="backslashreplace")).encode()


def _line(line: RequestLine) -> bytes:
    path, mark, query = line.target.partition(b"?")
    members = [
        b'"http.request.method":' + (_text(line.method) if line.method in KNOWN_METHODS else b'"_OTHER"'),
        b'"url.path":' + _text(path),
        b'"network.protocol.version":"%s"' % (b"1.%d" % line.minor if line.major == 1 else b"%d" % line.major),
    ]
    if line.method and line.method not in KNOWN_METHODS:
        members.append(b'"http.request.method_original":' + _text(line.method))
    if mark:
        members.append(b'"url.query":' + _text(query))
    line.logged = b",".join(members)
    return line.logged


def _fields(block: Block) -> bytes:
    """The members of a block, and the name of that which is behind them, so that they are never nothing."""
    members = b""
    if user_agent := block.fields.get(b"user-agent"):
        members += b',"user_agent.original":' + _text(user_agent)
    if referer := block.fields.get(b"referer"):
        members += b',"http.request.header.referer":[' + _text(referer) + b"]"
    block.logged = members + b',"http.response.status_code"'
    return block.logged
