"""Range requests (RFC 9110, section 14, 13.1.5, 15.3.7 and 15.5.17).

/pattern.bin has 1000 bytes, each range of which is known by what is in it. ``<etag>`` stands for its entity tag and
``<date>`` for its Last-Modified.
"""

import os
import re
from pathlib import Path

import pytest

from tests.conformance.client import Answer, Client, request
from tests.conformance.tree import BIG, OLD_DATE, PATTERN

Part = tuple[int, int]
"""The first and the last position of a part."""


def ranges(value: bytes, *lines: bytes, target: bytes = b"/pattern.bin", method: bytes = b"GET") -> bytes:
    """A request with this Range."""
    return request(target, b"Range: " + value, *lines, method=method)


def parse_parts(answer: Answer, kind: bytes, content: bytes) -> list[Part]:
    """The parts of a multipart/byteranges answer, taken apart strictly, each compared with the whole content."""
    match = re.fullmatch(
        rb'multipart/byteranges; boundary=("?)([0-9A-Za-z\'()+_,./:=?-]{1,70})\1', answer.fields[b"content-type"]
    )
    assert match, answer.fields[b"content-type"]
    assert b"content-range" not in answer.fields  # 15.3.7.2
    delimiter = b"\r\n--" + match[2]
    assert delimiter not in content
    preamble, *pieces, end = (b"\r\n" + answer.body).split(delimiter)
    assert (preamble, end) == (b"", b"--\r\n")
    parts: list[Part] = []
    for piece in pieces:
        assert piece.startswith(b"\r\n")
        head, blank, data = piece[2:].partition(b"\r\n\r\n")
        assert blank
        fields = {
            name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in head.split(b"\r\n"))
        }
        assert fields[b"content-type"] == kind  # 15.3.7.2
        found = re.fullmatch(rb"bytes (\d+)-(\d+)/(\d+)", fields[b"content-range"])
        assert found
        first, last, size = map(int, found.groups())
        assert size == len(content)
        assert data == content[first : last + 1]
        parts.append((first, last))
    assert len(parts) > 1
    return parts


def parts_of(answer: Answer, kind: bytes = b"application/octet-stream", content: bytes = PATTERN) -> list[Part]:
    """The parts that a 206 brings, one or several, each compared with the whole content."""
    assert answer.status == 206
    assert answer.fields[b"accept-ranges"] == b"bytes"
    if answer.fields[b"content-type"].startswith(b"multipart/"):
        return parse_parts(answer, kind, content)
    assert answer.fields[b"content-type"] == kind
    found = re.fullmatch(rb"bytes (\d+)-(\d+)/(\d+)", answer.fields[b"content-range"])  # 14.4, 15.3.7.1
    assert found
    first, last, size = map(int, found.groups())
    assert size == len(content)
    assert answer.body == content[first : last + 1]
    return [(first, last)]


@pytest.mark.parametrize(
    ("section", "value", "parts"),
    [
        ("14.1.2", b"bytes=0-0", [(0, 0)]),
        ("14.1.2", b"bytes=0-499", [(0, 499)]),
        ("14.1.2", b"bytes=500-999", [(500, 999)]),
        ("14.1.2", b"bytes=999-999", [(999, 999)]),
        ("14.1.2", b"bytes=990-", [(990, 999)]),
        ("14.1.2", b"bytes=0-", [(0, 999)]),
        ("14.1.2", b"bytes=999-", [(999, 999)]),
        ("14.1.2", b"bytes=0-999", [(0, 999)]),
        ("14.1.2", b"bytes=900-1000", [(900, 999)]),
        ("14.1.2", b"bytes=900-99999999999999999999999999999", [(900, 999)]),
        ("14.1.2", b"bytes=000000000000000000000000000000010-0019", [(10, 19)]),
        ("14.1.2", b"bytes=-1", [(999, 999)]),
        ("14.1.2", b"bytes=-500", [(500, 999)]),
        ("14.1.2", b"bytes=-1000", [(0, 999)]),
        ("14.1.2", b"bytes=-1001", [(0, 999)]),
        ("14.1.2", b"bytes=-99999999999999999999999999999", [(0, 999)]),
        ("14.1.2", b"bytes=0-0,-1", [(0, 0), (999, 999)]),
        ("14.1.2", b"bytes=0-9,200-209,400-409", [(0, 9), (200, 209), (400, 409)]),
        ("14.2", b"bytes=400-409,0-9", [(400, 409), (0, 9)]),
        ("14.2", b"bytes=-10,0-9,500-509", [(990, 999), (0, 9), (500, 509)]),
        ("14.1.1", b"bytes= 0-9 , \t200-209", [(0, 9), (200, 209)]),
        ("5.6.1.2", b"bytes=,,0-9,,200-209,", [(0, 9), (200, 209)]),
        ("14.1", b"BYTES=0-9", [(0, 9)]),
        ("14.2", b"bytes=0-9,2000-2009", [(0, 9)]),
        ("14.2", b"bytes=5000-,0-9,-0", [(0, 9)]),
        ("15.3.7.2", b"bytes=0-99,50-149", [(0, 149)]),
        ("15.3.7.2", b"bytes=50-149,0-99", [(0, 149)]),
        ("15.3.7.2", b"bytes=0-9,10-19", [(0, 19)]),
        ("15.3.7.2", b"bytes=0-9,12-19", [(0, 19)]),
        ("15.3.7.2", b"bytes=0-99,10-19", [(0, 99)]),
        ("15.3.7.2", b"bytes=0-9,0-9,0-9", [(0, 9)]),
        ("15.3.7.2", b"bytes=0-9,500-599,5-14,550-649", [(0, 14), (500, 649)]),
        ("17.15", b"bytes=" + b",".join([b"0-"] * 100), [(0, 999)]),
        ("17.15", b"bytes=0-,1-,2-", [(0, 999)]),
    ],
)
def test_ranges_that_are_sent(client: Client, section: str, value: bytes, parts: list[Part]) -> None:
    """RFC 9110, in these sections."""
    answer = client.ask(ranges(value))
    assert parts_of(answer) == parts, section
    client.assert_kept()


@pytest.mark.parametrize(
    ("section", "value"),
    [
        ("14.2", b"lines=0-9"),
        ("14.2", b"seconds=1-2"),
        ("14.2", b"bytesx=0-9"),
        ("14.2", b"x-bytes=0-9"),
        ("14.2", b"none=0-9"),
        ("14.2", b"bytes"),
        ("14.2", b"bytes="),
        ("14.2", b"bytes=,"),
        ("14.2", b"bytes=-"),
        ("14.2", b"bytes=abc"),
        ("14.2", b"bytes=0"),
        ("14.2", b"bytes=0-9,abc"),
        ("14.2", b"bytes=0-9,5"),
        ("14.2", b"bytes=0-9;200-209"),
        ("14.2", b"bytes=0-9 200-209"),
        ("14.2", b"bytes=--9"),
        ("14.2", b"bytes=-+9"),
        ("14.2", b"bytes=+0-9"),
        ("14.2", b"bytes=0-9-"),
        ("14.2", b"bytes=0 - 9"),
        ("14.2", b"bytes=0x0-0x9"),
        ("14.2", b"bytes=0.5-9"),
        ("14.2", b"bytes=1e1-20"),
        ("14.2", b"bytes=\xb2-\xb3"),
        ("14.2", b"bytes =0-9"),
        ("14.2", b"bytes 0-9"),
        ("14.2", b"0-9"),
        ("14.2", b""),
        ("14.1.1", b"bytes=9-0"),
        ("14.1.1", b"bytes=0-9,500-400"),
        ("14.1.1", b"bytes=2000-1000"),
        ("17.15", b"bytes=" + b",".join(b"%d-%d" % (index * 9, index * 9) for index in range(101))),
        ("17.15", b"bytes=0-400,490-999"),
        ("17.15", b"bytes=" + b",".join(b"%d-%d" % (index * 83, index * 83) for index in range(13))),
    ],
)
def test_ranges_that_are_ignored(client: Client, section: str, value: bytes) -> None:
    """RFC 9110, in these sections: other units, bad syntax, and what is more work than the whole."""
    answer = client.ask(ranges(value))
    assert (answer.status, answer.body) == (200, PATTERN), section
    assert b"content-range" not in answer.fields
    client.assert_kept()


def test_two_range_fields_are_no_range(client: Client) -> None:
    """RFC 9110, 5.3 and 14.2: joined they have no meaning."""
    assert client.ask(ranges(b"bytes=0-1", b"Range: bytes=3-4")).status == 200


@pytest.mark.parametrize(
    "value",
    [
        b"bytes=1000-",
        b"bytes=1000-1000",
        b"bytes=5000-6000",
        b"bytes=99999999999999999999999999999-",
        b"bytes=-0",
        b"bytes=-000",
        b"bytes=1000-,2000-3000,-0",
    ],
)
def test_unsatisfiable(client: Client, value: bytes) -> None:
    """RFC 9110, 15.5.17 and 14.4: 416 says how long the representation is."""
    answer = client.ask(ranges(value))
    assert answer.status == 416
    assert answer.fields[b"content-range"] == b"bytes */1000"
    assert answer.body and answer.body not in PATTERN
    assert b"etag" not in answer.fields
    client.assert_kept()


@pytest.mark.parametrize("value", [b"bytes=0-", b"bytes=0-0", b"bytes=1-"])
def test_no_position_of_an_empty_file_is_satisfiable(client: Client, value: bytes) -> None:
    """RFC 9110, 14.1.2 and 15.5.17."""
    answer = client.ask(ranges(value, target=b"/empty.txt"))
    assert (answer.status, answer.fields[b"content-range"]) == (416, b"bytes */0")


@pytest.mark.parametrize("value", [b"bytes=-1", b"bytes=-500", b"bytes=0-,-5"])
def test_the_end_of_an_empty_file_is_the_whole(client: Client, value: bytes) -> None:
    """RFC 9110, 14.1.2: a suffix longer than the representation means all of it, which no Content-Range can say."""
    answer = client.ask(ranges(value, target=b"/empty.txt"))
    assert (answer.status, answer.body) == (200, b"")
    assert b"content-range" not in answer.fields


@pytest.mark.parametrize("value", [b"bytes=0-9", b"bytes=0-9,500-509", b"bytes=1000-", b"bytes=nonsense", b"lines=1-2"])
def test_range_counts_for_get_alone(client: Client, value: bytes) -> None:
    """RFC 9110, 14.2 and 9.3.2: HEAD with Range is HEAD."""
    answer = client.ask(ranges(value, method=b"HEAD"))
    assert (answer.status, answer.fields[b"content-length"]) == (200, b"1000")
    assert b"content-range" not in answer.fields
    client.assert_kept()


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        (b"bytes=0-0", [(0, 0)]),
        (b"bytes=1000000-2999999", [(1_000_000, 2_999_999)]),
        (b"bytes=-70000", [(len(BIG) - 70_000, len(BIG) - 1)]),
        (b"bytes=%d-" % (len(BIG) - 1), [(len(BIG) - 1, len(BIG) - 1)]),
        (b"bytes=0-", [(0, len(BIG) - 1)]),
        (b"bytes=0-99,1000000-1999999,-100", [(0, 99), (1_000_000, 1_999_999), (len(BIG) - 100, len(BIG) - 1)]),
        (b"bytes=2000000-2000009,1000000-1000009", [(2_000_000, 2_000_009), (1_000_000, 1_000_009)]),
        (
            b"bytes=" + b",".join(b"%d-%d" % (index * 1000, index * 1000) for index in range(100)),
            [(index * 1000, index * 1000) for index in range(100)],
        ),
    ],
)
def test_ranges_of_a_large_file(client: Client, value: bytes, parts: list[Part]) -> None:
    """RFC 9110, 14.1.2: what leaves by another way than memory has the same octets; up to a hundred ranges."""
    assert parts_of(client.ask(ranges(value, target=b"/big.bin")), content=BIG) == parts
    client.assert_kept()


def test_a_whole_from_its_ranges(client: Client) -> None:
    """RFC 9110, 15.3.7.3: parts with one strong tag are put together to the whole."""
    pieces, tags = [], set()
    for first in range(0, len(BIG), 400_000):
        answer = client.ask(ranges(b"bytes=%d-%d" % (first, first + 399_999), target=b"/big.bin"))
        assert answer.status == 206
        pieces.append(answer.body)
        tags.add(answer.fields[b"etag"])
    assert b"".join(pieces) == BIG
    assert len(tags) == 1 and not tags.pop().startswith(b"W/")


def test_the_parts_say_the_type_of_the_whole(client: Client) -> None:
    """RFC 9110, 15.3.7.2."""
    whole = client.ask(request(b"/coded.txt"))
    answer = client.ask(ranges(b"bytes=0-9,300-309", target=b"/coded.txt"))
    assert len(parse_parts(answer, b"text/plain; charset=utf-8", whole.body)) == 2
    assert answer.fields[b"vary"] == whole.fields[b"vary"]


def test_boundaries_differ(client: Client) -> None:
    """RFC 9110, 14.6: nobody can write a file that has the boundary in it."""
    kinds = {client.ask(ranges(b"bytes=0-1,500-501")).fields[b"content-type"] for _ in range(5)}
    assert len(kinds) == 5


@pytest.mark.parametrize(
    ("section", "value", "status"),
    [
        ("13.1.5", b"<etag>", 206),
        ("13.1.5", b"W/<etag>", 200),
        ("13.1.5", b'"other"', 200),
        ("13.1.5", b'<etag>, "other"', 200),
        ("13.1.5", b"*", 200),
        ("13.1.5", b"", 200),
        ("13.1.5", b"nonsense", 200),
        ("13.1.5", OLD_DATE, 206),
        ("13.1.5", b"Mon, 01 Jan 2001 00:00:01 GMT", 200),
        ("13.1.5", b"Sun, 31 Dec 2000 23:59:59 GMT", 200),
        ("13.1.5", b"Fri, 01 Jan 2100 00:00:00 GMT", 200),
        ("5.6.7", b"Monday, 01-Jan-01 00:00:00 GMT", 206),
        ("5.6.7", b"Mon Jan  1 00:00:00 2001", 206),
        ("5.6.7", b"Mon, 01 Jan 2001 00:00:00", 200),
    ],
)
def test_if_range(client: Client, section: str, value: bytes, status: int) -> None:
    """RFC 9110, 13.1.5: strong comparison, or exactly our date; else the whole."""
    whole = client.ask(request(b"/old.txt"))
    line = b"If-Range: " + value.replace(b"<etag>", whole.fields[b"etag"])
    answer = client.ask(ranges(b"bytes=0-3", line, target=b"/old.txt"))
    assert (answer.status, answer.body) == (status, b"made" if status == 206 else whole.body), section
    unsatisfiable = client.ask(ranges(b"bytes=100-", line, target=b"/old.txt"))
    assert unsatisfiable.status == (416 if status == 206 else 200)
    several = client.ask(ranges(b"bytes=nonsense", line, target=b"/old.txt"))
    assert several.status == 200


def test_if_range_without_range_is_ignored(client: Client) -> None:
    """RFC 9110, 13.1.5."""
    for value in (b'"other"', b"nonsense", OLD_DATE):
        assert client.ask(request(b"/old.txt", b"If-Range: " + value)).status == 200


def test_a_date_of_this_second_is_a_weak_validator(client: Client, root: Path) -> None:
    """RFC 9110, 8.8.2.2 and 13.1.5: the file may change once more within the second, so its date does not count."""
    for attempt in range(10):
        name = f"young-{attempt}.txt"
        (root / name).write_text("young file")
        target = b"/" + name.encode()
        date = client.ask(request(target)).fields[b"last-modified"]
        answer = client.ask(ranges(b"bytes=0-4", b"If-Range: " + date, target=target))
        if answer.fields[b"date"] == date:  # else the second has passed meanwhile
            assert (answer.status, answer.body) == (200, b"young file")
            return
    raise AssertionError("the second passed ten times in between")


@pytest.mark.parametrize(
    ("section", "lines", "status"),
    [
        ("13.2.2", (b"If-None-Match: <etag>",), 304),
        ("13.2.2", (b'If-None-Match: "other"',), 206),
        ("13.2.2", (b"If-Modified-Since: <date>",), 304),
        ("13.2.2", (b'If-Match: "other"',), 412),
        ("13.2.2", (b"If-Match: <etag>",), 206),
        ("13.2.2", (b"If-Unmodified-Since: Sun, 31 Dec 2000 23:59:59 GMT",), 412),
        ("13.2.2", (b"If-None-Match: <etag>", b"If-Range: <etag>"), 304),
        ("13.2.2", (b'If-Match: "other"', b"If-Range: <etag>"), 412),
        ("13.2.2", (b"If-Match: <etag>", b"If-Range: <etag>"), 206),
        ("13.2.2", (b"If-Match: <etag>", b'If-Range: "other"'), 200),
    ],
)
@pytest.mark.parametrize(("value", "satisfiable"), [(b"bytes=0-9", True), (b"bytes=1000-", False)])
def test_conditions_come_before_ranges(
    client: Client, section: str, lines: tuple[bytes, ...], status: int, value: bytes, satisfiable: bool
) -> None:
    """RFC 9110, 13.2.2 and 14.2: Range is looked at last."""
    fields = client.ask(request(b"/pattern.bin")).fields
    filled = [line.replace(b"<etag>", fields[b"etag"]).replace(b"<date>", fields[b"last-modified"]) for line in lines]
    answer = client.ask(ranges(value, *filled))
    assert answer.status == (416 if status == 206 and not satisfiable else status), section
    client.assert_kept()


@pytest.mark.parametrize(("target", "status"), [(b"/none.txt", 404), (b"/sub", 301), (b"/.hidden", 404)])
def test_range_of_what_is_no_representation(client: Client, target: bytes, status: int) -> None:
    """RFC 9110, 14.2: Range counts only where the answer would be 200."""
    assert client.ask(ranges(b"bytes=0-1", target=target)).status == status


def test_range_of_a_file_that_grows(client: Client, root: Path) -> None:
    """RFC 9110, 14.4: the complete length in Content-Range is that of the version whose tag is beside it."""
    path = root / "growing.log"
    path.write_bytes(b"x" * 100)
    os.utime(path, (1_000_000_000, 1_000_000_000))
    first = client.ask(ranges(b"bytes=-10", target=b"/growing.log"))
    with path.open("ab") as file:
        file.write(b"y" * 100)
    for _ in range(20):
        answer = client.ask(ranges(b"bytes=-10", target=b"/growing.log"))
        old = answer.fields[b"etag"] == first.fields[b"etag"]
        wanted = (b"bytes 90-99/100", b"x" * 10) if old else (b"bytes 190-199/200", b"y" * 10)
        assert (answer.fields[b"content-range"], answer.body) == wanted
