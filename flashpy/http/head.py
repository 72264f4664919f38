"""A request's head, read: its request line and its block of fields (RFC 9112, sections 3 and 5).

The rules of this module:

1. The request line is judged here, because httptools is laxer there than RFC 9112. The field lines are judged by
   httptools. A field line is good or bad by itself (folded lines are bad), so one that has been judged is not judged
   again, in whichever block it stands.
2. What clients repeat is remembered at each level: whole heads, if short (a program asks for one thing again and
   again), request lines, blocks of fields (a browser sends the same for each asset of a page), blocks but for their
   last line (where conditions stand, and what proxies add), field lines. Never with credentials in it.
3. Framing is not judged here: where a body follows, the wire lets httptools judge the whole block (http.framer).
"""

import re

from flashpy.http.conditional import CONDITIONS
from flashpy.http.fields import tokens
from flashpy.http.framer import Fault, FieldLine, Judge
from flashpy.http.memo import Memo
from flashpy.http.request import Block, Fields, Request, RequestLine
from flashpy.http.target import Target, parse_target, valid_authority
from flashpy.settings import LimitsSection

REQUEST_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([\x21-\x7e\x80-\xff]+) HTTP/([0-9])\.([0-9])\r\n")
SHORT = 256
"""Heads up to this many bytes, as programs send them, are remembered whole. A browser's is longer, and repeats only
where one file is asked for again by the same one: its parts are known at nearly the same cost, and much more often."""
LINE_SLACK = 64
"""Bytes of a request line beside its target, at most: room for the longest method that is known, and the version."""
_END = b"\r\n\r\n"
_CONNECT = Target(b"/", b"")  # its target is an authority (RFC 9112, 3.2.3); no file is meant, 405 is the answer
_BODY = frozenset({b"content-length", b"transfer-encoding"})
_PRIVATE = frozenset({b"authorization", b"proxy-authorization"})
_ALTERING = CONDITIONS | {b"expect"}
_SPECIAL = CONDITIONS | _BODY | _PRIVATE | {b"expect"}
"""Fields of which there is something to be said when a block is read; most blocks have none of them."""
_NOTABLE = _SPECIAL | {b"host", b"connection"}


Stem = tuple[Fields, int, Block | None]
"""A block but for its last line: its fields, the number of its lines; and what it says by itself in HTTP/1.1, if there
is a Host and nothing special."""


class HeadReader:
    """Reads the heads of all connections of a server, and remembers what it has read."""

    __slots__ = ("_blocks", "_fields", "_heads", "_judge", "_limits", "_lines", "_stems")

    def __init__(self, limits: LimitsSection) -> None:
        self._limits = limits
        self._heads: Memo[bytes, Request | None] = Memo(limits.memo // 4, self._alone)
        self._blocks: Memo[bytes, Block] = Memo(limits.memo // 4, self._read_block)
        self._stems: Memo[bytes, Stem] = Memo(limits.memo // 4, self._read_stem)
        self._lines: Memo[bytes, RequestLine] = Memo(limits.memo // 8, self._read_line)
        self._fields: Memo[bytes, FieldLine] = Memo(limits.memo // 8, self._read_field)
        self._judge = Judge().judge

    def snapshot(self) -> dict[str, int]:
        """How much is remembered."""
        return {
            "heads": len(self._heads),
            "blocks": len(self._blocks),
            "stems": len(self._stems),
            "request_lines": len(self._lines),
            "field_lines": len(self._fields),
        }

    def read(self, head: bytes) -> Request:
        """The request of a complete head, from its first byte to the empty line.

        Raises:
            Fault: it is malformed, or over a limit.
        """
        known = self._heads.get(head) if len(head) <= SHORT else None
        return known if known is not None else self._read(head)

    def recall(self, data: bytes) -> Request | None:
        """The request that is all of these bytes, without a body. None for anything else, faults among it."""
        return self._heads.recall(data) if len(data) <= SHORT else self._alone(data)

    def _alone(self, data: bytes) -> Request | None:
        if data.find(_END) + len(_END) != len(data):
            return None
        try:
            request = self._read(data)
        except Fault:  # whoever reads it again will say so
            return None
        return None if request.block.has_body else request

    def _read(self, head: bytes) -> Request:
        first, _, block = head.partition(b"\r\n")
        line = self._lines.recall(first)
        if len(head) > self._limits.head:
            raise Fault(431)
        if not line.minor:
            return Request(line, self._read_block(block, 0))
        if len(head) > SHORT:
            return Request(line, self._blocks.recall(block))
        known = block in self._blocks
        request = Request(line, self._blocks.recall(block))
        if known:
            self._heads.learn(head, request, 2 * len(head) + 500)
        return request

    def _read_line(self, first: bytes) -> RequestLine:
        limits = self._limits
        match = REQUEST_LINE.fullmatch(first + b"\r\n")
        if not match:
            raise Fault(414 if len(first) > limits.target + LINE_SLACK else 400)
        method, target, major, minor = match.groups()
        if len(target) > limits.target:
            raise Fault(414)
        if major != b"1":
            raise Fault(505)
        taken = _CONNECT if method == b"CONNECT" and valid_authority(target) else parse_target(target)
        if taken is None or (taken.path == b"*" and method != b"OPTIONS"):
            raise Fault(400)
        line = RequestLine(method, target, taken.path, taken.query, int(minor), taken.authority)
        self._lines.learn(first, line, 3 * len(first) + 300)
        return line

    def _read_block(self, block: bytes, minor: int = 1) -> Block:
        """What a block says, from the first field line to the empty line."""
        end = len(block) - len(_END)
        cut = block.rfind(b"\r\n", 0, max(end, 0))
        known, count, usual = self._stems.recall(block[: max(cut, 0)])
        last = block[cut + 2 : end] if cut >= 0 else block[:end]
        name = None
        if last:
            if count == self._limits.fields:
                raise Fault(431)
            more = name, value = self._fields.recall(last)
            if usual is not None and minor and name not in _NOTABLE and name not in known:
                said = Block(known, usual.keep_alive, True, False, more)
                if last in self._fields:
                    self._blocks.learn(block, said, 2 * len(block) + 1_000)
                return said
        fields = dict(known)
        if name is not None:
            _put(fields, name, value)
        if minor and b"host" not in fields:
            raise Fault(400)  # RFC 9112, 3.2
        connection = fields.get(b"connection")
        keep_alive = connection == b"keep-alive" or _persists(connection, minor)
        if _SPECIAL.isdisjoint(fields):
            said = Block(fields, keep_alive, plain=True, has_body=False)
        else:
            said = _read_special(fields, keep_alive, minor)
            if said.has_body or not _PRIVATE.isdisjoint(fields):
                return said
        if minor:
            self._blocks.learn(block, said, 2 * len(block) + 1_000)
        return said

    def _read_stem(self, stem: bytes) -> Stem:
        lines = stem.split(b"\r\n") if stem else []
        if len(lines) > self._limits.fields:
            raise Fault(431)
        fields = dict(map(self._fields.recall, lines))
        if len(fields) != len(lines):
            fields.clear()
            for line in lines:
                _put(fields, *self._fields.recall(line))
        usual = None
        if b"host" in fields and _SPECIAL.isdisjoint(fields):
            usual = Block(fields, _persists(fields.get(b"connection"), 1), plain=True, has_body=False)
        found = fields, len(lines), usual
        if _PRIVATE.isdisjoint(fields):
            self._stems.learn(stem, found, 2 * len(stem) + 1_000)
        return found

    def _read_field(self, line: bytes) -> FieldLine:
        """A field line that is not known."""
        found = name, value = self._judge(line)
        if name == b"host" and not valid_authority(value):
            raise Fault(400)  # RFC 9112, 3.2
        if name not in _PRIVATE:
            self._fields.learn(line, found, 2 * len(line) + 300)
        return found


def _read_special(fields: Fields, keep_alive: bool, minor: int) -> Block:
    """What a block says in which there are fields that frame a body, or may alter the answer."""
    if minor and b"expect" in fields and fields[b"expect"].lower() != b"100-continue":
        raise Fault(417)  # RFC 9110, 10.1.1: in HTTP/1.0 it is ignored
    return Block(fields, keep_alive, _ALTERING.isdisjoint(fields), not _BODY.isdisjoint(fields))


def _put(fields: dict[bytes, bytes], name: bytes, value: bytes) -> None:
    """Add a field; values of one name are joined by ", " (RFC 9110, 5.3), but there is one Host only."""
    if name not in fields:
        fields[name] = value
    elif name == b"host":
        raise Fault(400)  # RFC 9112, 3.2
    else:
        fields[name] += b", " + value


def _persists(connection: bytes | None, minor: int) -> bool:
    """Whether the connection goes on after this request (RFC 9112, 9.3)."""
    if connection is None:
        return minor > 0
    options = (connection.lower(),) if b"," not in connection else tokens(connection)
    return b"close" not in options and (minor > 0 or b"keep-alive" in options)
