"""The heads of HTTP/2: from a list of fields to a Request, and from the head of a Response to its field block (RFC
9113, section 8).

The rules of this module:

1. A malformed request (8.1.1) is no request: its stream is reset. What HTTP/1 answers by a status (a target that makes
   no sense, too many fields) is answered so here too.
2. What clients repeat is remembered, as in http.head: the pseudo-header fields, and the other fields. Never with
   credentials in them.
3. Responses are encoded without HPACK's dynamic table, as nginx does: so a block is the same for all connections, and
   is made once for as long as it is remembered.
"""

import re
from collections.abc import Sequence

from hpack import Encoder

from flashpy.http.conditional import CONDITIONS
from flashpy.http.framer import Fault
from flashpy.http.memo import Memo
from flashpy.http.request import Block, Request, RequestLine
from flashpy.http.response import Head
from flashpy.http.target import Target, parse_target, valid_authority
from flashpy.settings import LimitsSection

FieldLines = Sequence[tuple[bytes, bytes]]

OVERHEAD = 32
"""What the size of a field counts beside its bytes (RFC 9113, 6.5.2)."""

_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")
_VALUE = re.compile(rb"(?:[\x21-\x7e\x80-\xff](?:[\x20-\x7e\t\x80-\xff]*[\x21-\x7e\x80-\xff])?)?")
_METHOD = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_REQUEST = frozenset({b":method", b":scheme", b":path", b":authority"})
_SPECIFIC = frozenset({b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade"})
"""Fields of one connection, which no request has here (RFC 9113, 8.2.2)."""
_PRIVATE = frozenset({b"authorization", b"proxy-authorization"})
_ALTERING = CONDITIONS | {b"expect"}
_UNSENT = _SPECIFIC | {b"date"}
_CONNECT = Target(b"/", b"")  # no file is meant, 405 is the answer, as in HTTP/1


class Malformed(Exception):
    """A request that is none (RFC 9113, 8.1.1)."""


def list_size(fields: FieldLines) -> int:
    """How large a list of fields is, as SETTINGS_MAX_HEADER_LIST_SIZE counts it (RFC 9113, 6.5.2)."""
    return sum(len(name) + len(value) for name, value in fields) + OVERHEAD * len(fields)


def faulty2(status: int, line: RequestLine | None = None) -> Request:
    """What stands in the place of a request that must be answered with this status."""
    nothing = Block({}, keep_alive=True, plain=False, has_body=False)
    return Request(line or RequestLine(b"", b"", b"", b"", 0, major=2), nothing, fault=status)


class Http2Heads:
    """Reads the fields of the requests of all connections, and renders those of answers; remembers both."""

    __slots__ = ("_blocks", "_date", "_encoded_date", "_encoder", "_limits", "_lines", "_rendered")

    def __init__(self, limits: LimitsSection) -> None:
        self._limits = limits
        self._lines: Memo[FieldLines, RequestLine] = Memo(limits.memo // 8, self._read_line)
        self._blocks: Memo[FieldLines, Block] = Memo(limits.memo // 8, self._read_block)
        self._rendered: Memo[bytes, bytes] = Memo(limits.memo // 8, self._render)
        self._encoder = Encoder()
        self._encoder.header_table_size = 0
        self._encoder.encode(())  # the change of the table's size, which is said on each connection by itself
        self._date = b""
        self._encoded_date = b""

    def read(self, fields: FieldLines) -> Request:
        """The request that a list of fields makes.

        Raises:
            Malformed: it is none.
            Fault: it is over a limit, or asks for what cannot be understood.
        """
        count = 0
        for name, _ in fields:
            if name[:1] != b":":
                break
            count += 1
        line = self._lines.recall(tuple(fields[:count]))
        try:
            if len(fields) - count > self._limits.fields or list_size(fields) > self._limits.head:
                raise Fault(431)
            block = self._blocks.recall(tuple(fields[count:]))
        except Fault as fault:
            return faulty2(fault.status, line)
        if block.host:
            if line.authority is None:
                return Request(line, block)
            if line.authority != block.host:
                raise Malformed  # RFC 9113, 8.3.1
        elif not line.authority:
            raise Malformed  # RFC 9113, 8.3.1: both schemes need an authority
        return Request(line, block)

    def _read_line(self, fields: FieldLines) -> RequestLine:
        """What the pseudo-header fields say (RFC 9113, 8.3.1)."""
        found = dict(fields)
        if len(found) != len(fields) or not found.keys() <= _REQUEST:
            raise Malformed
        method, target, authority = found.get(b":method", b""), found.get(b":path"), found.get(b":authority")
        if not _METHOD.fullmatch(method) or not all(_VALUE.fullmatch(value) for value in found.values()):
            raise Malformed
        taken = None
        if method == b"CONNECT":  # RFC 9113, 8.5
            if target is not None or b":scheme" in found or not authority:
                raise Malformed
            target, taken = authority, _CONNECT
        elif not target or b":scheme" not in found or (target[:1] != b"/" and target != b"*"):
            raise Malformed
        elif len(target) > self._limits.target:
            raise Fault(414)
        else:
            taken = parse_target(target)
        line = RequestLine(method, target, taken.path if taken else b"", taken.query if taken else b"", 0, authority, 2)
        bad_target = taken is None or (taken.path == b"*" and method != b"OPTIONS")
        if bad_target or not valid_authority(authority or b""):
            raise Fault(400)
        self._lines.learn(fields, line, 3 * list_size(fields) + 500)
        return line

    def _read_block(self, fields: FieldLines) -> Block:
        """What the other fields say."""
        found: dict[bytes, bytes] = {}
        for name, value in fields:
            if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value) or name in _SPECIFIC:
                raise Malformed  # RFC 9113, 8.2.1 and 8.2.2; a pseudo-header field behind others too (8.3)
            if name not in found:
                found[name] = value
            elif name in (b"host", b"content-length"):
                raise Malformed
            else:
                found[name] += (b"; " if name == b"cookie" else b", ") + value  # RFC 9113, 8.2.3; RFC 9110, 5.3
        if found.get(b"te", b"trailers").lower() != b"trailers":
            raise Malformed  # RFC 9113, 8.2.2
        if not valid_authority(found.get(b"host", b"")):
            raise Fault(400)
        if found.get(b"expect", b"100-continue").lower() != b"100-continue":
            raise Fault(417)  # RFC 9110, 10.1.1
        block = Block(found, True, _ALTERING.isdisjoint(found), b"content-length" in found)
        if _PRIVATE.isdisjoint(found):
            self._blocks.learn(fields, block, 4 * list_size(fields) + 1_000)
        return block

    def rendered(self, head: Head, date: bytes) -> bytes:
        """The field block of an answer, to stand behind nothing else (RFC 7541)."""
        if date is not self._date:
            self._date, self._encoded_date = date, self._encode([(b"date", date)])
        return self._rendered.recall(head.http1) + self._encoded_date

    def _render(self, http1: bytes) -> bytes:
        status, *lines = http1.split(b"\r\n")[:-1]
        parts = (line.partition(b": ") for line in lines)
        fields = ((name.lower(), value) for name, _, value in parts)
        block = self._encode([(b":status", status[9:12]), *(field for field in fields if field[0] not in _UNSENT)])
        self._rendered.learn(http1, block, len(http1) + len(block) + 200)
        return block

    def _encode(self, fields: FieldLines) -> bytes:
        """Fields as literals, and indices of the static table only: with a dynamic table of no size nothing is put
        into one."""
        return self._encoder.encode(fields)
