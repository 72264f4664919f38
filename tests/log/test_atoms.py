"""Forms of the operator's own, with gunicorn's atoms."""

import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashpy.atoms import NAMES, NAMES_WITH_ARGUMENT, Atom, parse
from flashpy.http.response import Head
from flashpy.log.atoms import atom_lines
from flashpy.log.combined import combined
from flashpy.log.forms import renderer
from flashpy.log.jsonlines import json_lines
from flashpy.log.record import Cache
from tests.log.making import record

ONE = record(
    b"GET",
    b"/a%20b?c=d",
    b"/a b",
    b"c=d",
    fields={b"referer": b"http://here/", b"user-agent": b"curl/8", b"x-one": b"1"},
    client="::1",
    head=Head(206, ((b"ETag", b'"e"'), (b"Vary", b"Accept"), (b"Vary", b"Origin"))),
    sent=1234,
    seconds=2.5015,
    cache=Cache.REVALIDATED,
)
VALUES = {
    "%(h)s": "::1",
    "%(l)s": "-",
    "%(u)s": "-",
    "%(t)s": "[22/Nov/2026:16:00:00 +0000]",
    "%(r)s": "GET /a%20b?c=d HTTP/1.1",
    "%(m)s": "GET",
    "%(U)s": "/a b",
    "%(q)s": "c=d",
    "%(H)s": "HTTP/1.1",
    "%(s)s": "206",
    "%(b)s": "1234",
    "%(B)s": "1234",
    "%(f)s": "http://here/",
    "%(a)s": "curl/8",
    "%(T)s": "2",
    "%(D)s": "2501500",
    "%(M)s": "2501",
    "%(L)s": "2.501500",
    "%(p)s": f"<{os.getpid()}>",
    "%(C)s": "revalidated",
    "%({X-One}i)s": "1",
    "%({X-Two}i)s": "-",
    "%({etag}o)s": r"\x22e\x22",
    "%({Vary}o)s": "Accept, Origin",
    "%({Date}o)s": "-",
    "%({NAME}e)s": r"v\x0Aw",
    "%({NONE}e)s": "-",
    "%%%(s)s%%": "%206%",
    "ä %(s)s": "ä 206",
}


@pytest.mark.parametrize(("form", "value"), VALUES.items(), ids=VALUES)
def test_each_atom(form: str, value: str) -> None:
    assert atom_lines(form, {"NAME": "v\nw"})([ONE]).decode() == value + "\n"


def test_no_atom_is_left_out_here() -> None:
    tested = {piece.name for form in VALUES for piece in parse(form) if isinstance(piece, Atom)}
    assert tested == {*NAMES, *NAMES_WITH_ARGUMENT}


@pytest.mark.parametrize(
    ("form", "value"),
    [
        *(("%(b)s", "-"), ("%(B)s", "0"), ("%(m)s", "-"), ("%(U)s", "-"), ("%(q)s", ""), ("%(r)s", "- - HTTP/1.1")),
        *(("%(f)s", "-"), ("%(a)s", "-"), ("%(C)s", "-"), ("%(T)s", "0"), ("%(D)s", "0")),
    ],
)
def test_what_is_absent(form: str, value: str) -> None:
    nothing = record(b"", b"", b"", fault=400, sent=0, seconds=0.0)
    assert atom_lines(form, {})([nothing]).decode() == value + "\n"


def test_the_combined_format_can_be_written_so() -> None:
    form = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(B)s "%(f)s" "%(a)s" %(L)s'
    assert atom_lines(form, {})([ONE, ONE]) == combined([ONE, ONE])


@pytest.mark.parametrize(
    ("form", "why"),
    [
        ("%(x)s %(h)s", r"there is no atom %\(x\)s; there are %\(h\)s, .*, %\(\{name\}e\)s$"),
        ("%({Host}x)s", r"there is no atom %\(\{Host\}x\)s; there are "),
        ("%()s", r"there is no atom %\(\)s"),
        ("%(h)s 100%", "'%' is no atom, .*; write %% for a percent sign$"),
        ("%(h)d", r"'%\(h\)d' is no atom"),
        ("%h", "'%h' is no atom"),
        ("jsn", "'jsn' is neither combined nor json, and has no atom"),
        ("", "'' is neither combined nor json"),
        ("%(h)s\n", "control character"),
    ],
)
def test_a_form_that_cannot_be(form: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse(form)


def test_which_form() -> None:
    assert renderer("combined", {}) is combined
    assert renderer("json", {}) is json_lines
    assert renderer("%(s)s", {})([ONE]) == b"206\n"


@given(st.binary(max_size=30), st.binary(max_size=30), st.binary(max_size=30), st.sampled_from(' "|;,\t[]'))
def test_no_client_forges_a_line_or_a_field(path: bytes, query: bytes, agent: bytes, sign: str) -> None:
    """With whatever sign a form separates its fields: each line has as many as the form."""
    sign = sign.replace("\t", "~")
    form = sign.join(["%(s)s", "%(U)s", "%(q)s", "%({User-Agent}i)s", "%(m)s", "%(B)s"])
    fields = {b"user-agent": agent}
    lines = atom_lines(form, {})([record(b"GET", b"/", path, query, fields=fields)] * 2).split(b"\n")
    assert len(lines) == 3 and lines[0] == lines[1]
    status, *values, method, sent = lines[0].split(sign.encode())
    assert (status, method, sent) == (b"200", b"GET", b"12")
    for value, found in zip((path or b"-", query, agent or b"-"), values, strict=True):
        assert re.sub(rb"\\x([0-9A-F]{2})", lambda match: bytes.fromhex(match[1].decode()), found) == value
