"""Checks of an exchange. Each says in a few words what is wrong, or nothing; ``at`` chooses the answer."""

import gzip
import re
import zlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import urljoin, urlsplit

from tests.conformance.cases.exchange import Answer, Check, End, Exchange

_IMF_FIXDATE = re.compile(
    rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
    rb" \d{4} \d\d:\d\d:\d\d GMT"
)
_CONTENT_RANGE = re.compile(rb"bytes (\d+)-(\d+)/(\d+|\*)")
_BOUNDARY = re.compile(rb'multipart/byteranges;.*?boundary="?([0-9A-Za-z\'()+_,./:=? -]{1,70})"?', re.IGNORECASE)
CLOCKS = timedelta(minutes=1)
"""How far a server's clock may be from ours; both are on one machine."""

Part = tuple[int, int]
"""The first and the last octet of a range."""


def _of(at: int, judge: Callable[[Answer], str]) -> Check:
    """A check of one answer; that it is missing is wrong already."""

    def check(exchange: Exchange) -> str:
        if exchange.fault and (at < 0 or at >= len(exchange.answers)):
            return exchange.fault
        return judge(exchange.answers[at])

    return check


def _of_both(judge: Callable[[Answer, Answer], str]) -> Check:
    """A check of the first and the last answer."""
    return lambda exchange: exchange.fault or judge(exchange.answers[0], exchange.answers[-1])


# Of the status and the fields


def status(*codes: int, at: int = -1) -> Check:
    """The status is one of these."""
    wanted = " or ".join(map(str, codes))
    return _of(at, lambda answer: "" if answer.status in codes else f"status {answer.status}, not {wanted}")


def not_status(code: int, at: int = -1) -> Check:
    """The status is another."""
    return _of(at, lambda answer: f"status {code}" if answer.status == code else "")


def refused(at: int = -1) -> Check:
    """The status is an error of the client or of the server."""
    return _of(at, lambda answer: "" if answer.status >= 400 else f"status {answer.status}, no error")


def answered_with(first: int, at: int = -1) -> Check:
    """The status is of the class that begins with a digit."""
    return _of(at, lambda answer: "" if answer.status // 100 == first else f"status {answer.status}, not {first}xx")


def version(wanted: bytes, at: int = -1) -> Check:
    """The answer is of this version."""
    return _of(at, lambda answer: "" if answer.version == wanted else f"answer of {answer.version.decode()}")


def no_interim() -> Check:
    """No 1xx came before the answer."""
    return _of(-1, lambda answer: f"interim answers {answer.interim}" if answer.interim else "")


def field(name: bytes, *wanted: bytes | re.Pattern[bytes], at: int = -1) -> Check:
    """The field has one of these values, or matches one of these patterns as a whole."""

    def judge(answer: Answer) -> str:
        value = answer.field(name)
        for want in wanted:
            if value == want or (value is not None and isinstance(want, re.Pattern) and want.fullmatch(value)):
                return ""
        return f"{name.decode()} is {shown(value)}"

    return _of(at, judge)


def if_there(name: bytes, pattern: bytes, at: int = -1) -> Check:
    """The field is absent, or matches the pattern as a whole."""

    def judge(answer: Answer) -> str:
        value = answer.field(name)
        return "" if value is None or re.fullmatch(pattern, value) else f"{name.decode()} is {shown(value)}"

    return _of(at, judge)


def present(*names: bytes, at: int = -1) -> Check:
    """The answer has these fields."""
    return _of(at, lambda answer: _list("without", [name for name in names if answer.field(name) is None]))


def absent(*names: bytes, at: int = -1) -> Check:
    """The answer has none of these fields."""
    return _of(at, lambda answer: _list("with", [name for name in names if answer.field(name) is not None]))


def once(*names: bytes, at: int = -1) -> Check:
    """None of these fields comes on more than one line."""
    return _of(at, lambda answer: _list("more than one", [name for name in names if len(answer.values(name)) > 1]))


def lists(name: bytes, *members: bytes, at: int = -1) -> Check:
    """The field is a list with these members, of either case."""

    def judge(answer: Answer) -> str:
        missing = [member for member in members if member.lower() not in answer.members(name)]
        return f"{name.decode()} is {shown(answer.field(name))}" if missing else ""

    return _of(at, judge)


def leads_to(base: bytes, target: bytes, at: int = -1) -> Check:
    """Location, resolved against the target that was asked for, has this path (RFC 9110, 10.2.2)."""

    def judge(answer: Answer) -> str:
        value = answer.field(b"location") or b""
        return "" if urlsplit(urljoin(base, value)).path == target else f"location is {shown(value)}"

    return _of(at, judge)


def allowed_in_405(at: int = -1) -> Check:
    """The answer is no 405, or it has an Allow with GET in it."""

    def judge(answer: Answer) -> str:
        wrong = answer.status == 405 and b"get" not in answer.members(b"allow")
        return f"405, and allow is {shown(answer.field(b'allow'))}" if wrong else ""

    return _of(at, judge)


def same(*names: bytes) -> Check:
    """The first and the last answer have the same values in these fields, or both have them not."""

    def judge(first: Answer, last: Answer) -> str:
        for name in names:
            if first.field(name) != last.field(name):
                return f"{name.decode()} is {shown(last.field(name))}, and was {shown(first.field(name))}"
        return ""

    return _of_both(judge)


def differ(name: bytes) -> Check:
    """The first and the last answer have different values in a field."""

    def judge(first: Answer, last: Answer) -> str:
        value = first.field(name)
        return f"{name.decode()} is {shown(value)} in both" if value == last.field(name) else ""

    return _of_both(judge)


def same_status() -> Check:
    """The first and the last answer have the same status."""
    return _of_both(
        lambda first, last: "" if first.status == last.status else f"status {last.status}, not {first.status} as before"
    )


def well_formed(at: int = -1) -> Check:
    """Status line and field lines are as the grammar has them (RFC 9112, 4 and 5)."""

    def judge(answer: Answer) -> str:
        if not re.fullmatch(rb"HTTP/1\.[01] [1-5]\d\d [\t \x21-\x7e\x80-\xff]*", answer.line):
            return f"status line {shown(answer.line)}"
        for line in answer.lines:
            if not re.fullmatch(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t \x21-\x7e\x80-\xff]*", line):
                return f"field line {shown(line)}"
        return ""

    return _of(at, judge)


# Of dates


def moment(value: bytes | None) -> datetime | None:
    """The time that an IMF-fixdate says; None if it is none, or names the wrong day of the week."""
    if value is None or not _IMF_FIXDATE.fullmatch(value):
        return None
    try:
        time = datetime.strptime(value.decode(), "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)
    except ValueError:
        return None
    return time if time.strftime("%a").encode() == value[:3] else None


def dated(name: bytes, at: int = -1) -> Check:
    """The field is there and an IMF-fixdate."""
    return _of(
        at, lambda answer: "" if moment(answer.field(name)) else f"{name.decode()} is {shown(answer.field(name))}"
    )


def dated_now(at: int = -1) -> Check:
    """Date tells the time."""

    def judge(answer: Answer) -> str:
        date = moment(answer.field(b"date"))
        right = date is not None and abs(date - datetime.now(UTC)) < CLOCKS
        return "" if right else f"date is {shown(answer.field(b'date'))}"

    return _of(at, judge)


def not_later_than_date(name: bytes, at: int = -1) -> Check:
    """The date in a field is not later than the answer's own Date. An absent field is not."""

    def judge(answer: Answer) -> str:
        value, date = answer.field(name), moment(answer.field(b"date"))
        time = moment(value)
        wrong = value is not None and (time is None or date is None or time > date)
        return f"{name.decode()} is {shown(value)}" if wrong else ""

    return _of(at, judge)


# Of the content


def body(*wanted: bytes, at: int = -1) -> Check:
    """The content is one of these."""

    def judge(answer: Answer) -> str:
        return "" if answer.body in wanted else f"{len(answer.body)} octets of other content"

    return _of(at, judge)


def whole(data: bytes, at: int = -1) -> Check:
    """200 with this content."""
    return every(status(200, at=at), body(data, at=at))


def holds_no(secret: bytes, at: int = -1) -> Check:
    """The content has nothing of this in it."""
    return _of(at, lambda answer: "content that is not to be given away" if secret in answer.body else "")


def explained(at: int = -1) -> Check:
    """There is some content."""
    return _of(at, lambda answer: "" if answer.body else "no content")


def decoded(wanted: bytes, at: int = -1) -> Check:
    """The content is this in gzip."""

    def judge(answer: Answer) -> str:
        try:
            right = gzip.decompress(answer.body) == wanted
        except (OSError, EOFError, zlib.error):
            right = False
        return "" if right else f"{len(answer.body)} octets that are not its gzip"

    return _of(at, judge)


def true_length(data: bytes, at: int = -1) -> Check:
    """Content-Length, if it is there, is this content's."""
    return if_there(b"content-length", rb"%d" % len(data), at)


def part(data: bytes, first: int, last: int, at: int = -1) -> Check:
    """206 with these octets of the data (numbered from 0) and the fields of a single part (RFC 9110, 15.3.7.1)."""
    return every(
        status(206, at=at),
        field(b"content-range", b"bytes %d-%d/%d" % (first, last, len(data)), at=at),
        body(data[first : last + 1], at=at),
        if_there(b"content-length", b"%d" % (last + 1 - first), at),
    )


def length_of_first(exchange: Exchange) -> str:
    """Content-Length of the last answer, if it is there, is that of the first one's content."""
    return exchange.fault or true_length(exchange.answers[0].body)(exchange)


def part_of_first(first: int, last: int) -> Check:
    """206 with these octets of the first answer's content."""
    return lambda exchange: exchange.fault or part(exchange.answers[0].body, first, last)(exchange)


def parts(data: bytes, wanted: Sequence[Part], at: int = -1) -> Check:
    """206 that covers these ranges, in parts that may be joined; each part is what it says it is (15.3.7.2)."""

    def judge(answer: Answer) -> str:
        if answer.status != 206:
            return f"status {answer.status}, not 206"
        found = _parts_of(answer, data)
        if isinstance(found, str):
            return found
        missing = [(a, b) for a, b in wanted if not any(first <= a and b <= last for first, last in found)]
        return f"no part has {missing[0][0]}-{missing[0][1]}" if missing else ""

    return _of(at, judge)


def in_order(data: bytes, wanted: Sequence[Part], at: int = -1) -> Check:
    """206 with just these ranges, in this order."""

    def judge(answer: Answer) -> str:
        found = _parts_of(answer, data) if answer.status == 206 else f"status {answer.status}, not 206"
        return "" if found == list(wanted) else f"parts {found}"

    return _of(at, judge)


def part_types(kind: bytes, at: int = -1) -> Check:
    """Each part of a multipart answer has a Content-Type that begins so."""

    def judge(answer: Answer) -> str:
        heads = [head.lower() for head, _ in _multipart(answer)]
        return "" if all(b"content-type: " + kind in head for head in heads) else "a part without its Content-Type"

    return _of(at, judge)


def _parts_of(answer: Answer, data: bytes) -> list[Part] | str:
    """The ranges in a 206, or what is wrong with it."""
    multiple = (answer.field(b"content-type") or b"").lower().startswith(b"multipart/byteranges")
    if multiple and answer.field(b"content-range") is not None:
        return "Content-Range beside several parts"
    pairs = (
        _multipart(answer)
        if multiple
        else [(b"content-range: " + (answer.field(b"content-range") or b""), answer.body)]
    )
    found = []
    for head, content in pairs:
        line = next((line for line in head.lower().split(b"\r\n") if line.startswith(b"content-range:")), b"")
        match = _CONTENT_RANGE.fullmatch(line.partition(b":")[2].strip())
        if not match:
            return "a part without its Content-Range"
        first, last = int(match[1]), int(match[2])
        if match[3] not in (b"*", b"%d" % len(data)) or content != data[first : last + 1]:
            return f"the part {first}-{last} is not what it says"
        found.append((first, last))
    return found or "no parts"


def _multipart(answer: Answer) -> list[tuple[bytes, bytes]]:
    """Head and content of each part of a multipart body (RFC 2046, 5.1.1); none where it is malformed."""
    match = _BOUNDARY.fullmatch(answer.field(b"content-type") or b"")
    if not match:
        return []
    pieces = (b"\r\n" + answer.body).split(b"\r\n--" + match[1])
    if not pieces[-1].startswith(b"--"):
        return []
    split = (piece.removeprefix(b"\r\n").partition(b"\r\n\r\n") for piece in pieces[1:-1])
    return [(head, content) for head, _, content in split]


# Of the connection


def kept(exchange: Exchange) -> str:
    """The connection goes on, in step."""
    return "" if exchange.end is End.KEPT else exchange.fault or exchange.end.value


def closed(exchange: Exchange) -> str:
    """The server has closed, and has answered nothing more."""
    return "" if exchange.end is End.CLOSED else exchange.fault or exchange.end.value


def in_step(exchange: Exchange) -> str:
    """The connection goes on in step, or was closed."""
    return "" if exchange.end in (End.KEPT, End.CLOSED) else exchange.fault or exchange.end.value


def not_taken_up(exchange: Exchange) -> str:
    """Nothing that followed was taken for a request; at the most it was refused."""
    return "what followed was answered" if any(answer.status < 400 for answer in exchange.after) else ""


# Of several checks


def every(*checks: Check) -> Check:
    """All of them hold."""
    return lambda exchange: next((wrong for check in checks if (wrong := check(exchange))), "")


def either(*checks: Check) -> Check:
    """One of them holds."""

    def check(exchange: Exchange) -> str:
        wrong = [check(exchange) for check in checks]
        return "" if "" in wrong else "; ".join(dict.fromkeys(wrong))

    return check


def shown(value: bytes | None) -> str:
    """A value in a complaint."""
    return "absent" if value is None else repr(value[:60].decode("latin-1"))


def _list(word: str, names: list[bytes]) -> str:
    return f"{word} {', '.join(name.decode() for name in names)}" if names else ""
