"""Lines in a form of the operator's own, written with gunicorn's atoms (flashpy.atoms)."""

import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from flashpy.atoms import Atom, parse
from flashpy.http.request import Request
from flashpy.http.response import Head
from flashpy.log.combined import request_line
from flashpy.log.record import Record, asks_caches, escape, escape_with, log_time

_Render = Callable[[Record], bytes]

# A record's items: client, wall, request, head, sent, seconds, cache.
_RENDERED: Mapping[str, _Render] = {
    "h": lambda record: record[0].encode(),
    "l": lambda record: b"-",
    "u": lambda record: b"-",
    "t": lambda record: b"[%s]" % log_time(int(record[1])),
    "s": lambda record: b"%d" % record[3].status,
    "H": lambda record: b"HTTP/%d.%d" % (record[2].line.major, record[2].minor),
    "b": lambda record: b"%d" % record[4] if record[4] else b"-",
    "B": lambda record: b"%d" % record[4],
    "T": lambda record: b"%d" % record[5],
    "D": lambda record: b"%d" % round(record[5] * 1e6),
    "M": lambda record: b"%d" % (record[5] * 1e3),
    "L": lambda record: b"%.6f" % record[5],
    "C": lambda record: record[6].value if asks_caches(record[2]) else b"-",
}
"""What the server knows itself, rendered."""

_RAW: Mapping[str, _Render] = {
    "m": lambda record: record[2].method or b"-",
    "U": lambda record: record[2].path or b"-",
    "q": lambda record: record[2].query,
    "f": lambda record: _request_field(record[2], b"referer"),
    "a": lambda record: _request_field(record[2], b"user-agent"),
}
"""What a client has a say in, to be escaped."""


def _request_field(request: Request, name: bytes) -> bytes:
    return request.fields.get(name) or b"-"


def _answer_field(head: Head, name: bytes) -> bytes:
    return b", ".join(value for known, value in head.fields if known.lower() == name) or b"-"


def atom_lines(form: str, environment: Mapping[str, str]) -> Callable[[Iterable[Record]], bytes]:
    """What renders the lines of some records in this form.

    A client's value can end neither a line nor its own field: it is escaped (record.escape), and so is in it whatever
    sign the form has behind it.

    Raises:
        ValueError: see flashpy.atoms.parse.
    """
    pieces = parse(form)
    template = b""
    renders: list[_Render] = []
    for piece, following in zip(pieces, [*pieces[1:], ""], strict=True):
        if isinstance(piece, str):
            template += piece.encode().replace(b"%", b"%%")
        else:
            template += b"%b"
            renders.append(_render_of(piece, _delimiter(following), environment))
    template += b"\n"

    def render(records: Iterable[Record]) -> bytes:
        return b"".join([template % tuple([one(record) for one in renders]) for record in records])

    return render


def _render_of(atom: Atom, delimiter: bytes, environment: Mapping[str, str]) -> _Render:
    name, argument = atom
    if name in _RENDERED:
        return _RENDERED[name]
    if name in ("p", "e"):
        constant = b"<%d>" % os.getpid() if name == "p" else escape(os.fsencode(environment.get(argument, "-")))
        return lambda record: constant
    escaped = partial(escape_with, delimiter) if delimiter else escape
    if name == "r":
        return lambda record: request_line(record[2].line, escaped)
    field = argument.lower().encode()
    if name == "i":
        return lambda record: escaped(_request_field(record[2], field))
    if name == "o":
        return lambda record: escaped(_answer_field(record[3], field))
    raw = _RAW[name]
    return lambda record: escaped(raw(record))


def _delimiter(following: str | Atom) -> bytes:
    """The sign that ends a value, if the text behind it begins with one. Letters and digits separate nothing, and what
    is no printable ASCII, or a backslash, is in no value as it is."""
    first = following[:1] if isinstance(following, str) else ""
    return first.encode() if first.isascii() and not first.isalnum() and first != "\\" else b""
