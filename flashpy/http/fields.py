"""Field values: dates, lists, entity tags, Accept (RFC 9110, sections 5.6, 8.8 and 12)."""

import re
from calendar import timegm
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

_DAYS = (b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun")
_MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
_MONTH_NUMBERS = {name: number for number, name in enumerate(_MONTHS, 1)}

_DAY = rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_MONTH = rb"(?P<month>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_TIME = rb"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
_DATE_FORMS = (
    re.compile(_DAY + rb", (?P<day>\d\d) " + _MONTH + rb" (?P<year>\d{4}) " + _TIME + rb" GMT"),
    re.compile(
        rb"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, (?P<day>\d\d)-"
        + _MONTH
        + rb"-(?P<year>\d\d) "
        + _TIME
        + rb" GMT"
    ),
    re.compile(_DAY + rb" " + _MONTH + rb" (?P<day>[ \d]\d) " + _TIME + rb" (?P<year>\d{4})"),
)
"""IMF-fixdate, the obsolete RFC 850 form and asctime's, all of which a recipient must accept (RFC 9110, 5.6.7)."""


def http_date(seconds: float) -> bytes:
    """A time (seconds since the epoch) as an IMF-fixdate (RFC 9110, 5.6.7)."""
    moment = datetime.fromtimestamp(int(seconds // 1), UTC)
    return b"%s, %02d %s %04d %02d:%02d:%02d GMT" % (
        _DAYS[moment.weekday()],
        moment.day,
        _MONTHS[moment.month - 1],
        moment.year,
        moment.hour,
        moment.minute,
        moment.second,
    )


def parse_http_date(value: bytes, now: float) -> int | None:
    """Seconds since the epoch, or None for what is no HTTP-date.

    A two-digit year that would lie over 50 years after ``now`` means the past century (RFC 9110, 5.6.7).
    """
    return _imf_fixdate(value) if len(value) == len(b"Sun, 06 Nov 1994 08:49:37 GMT") else _parse_date(value, now)


@lru_cache(1_024)
def _imf_fixdate(value: bytes) -> int | None:
    """What is of the length of the preferred form, in which no year depends on the present; clients repeat what they
    were given."""
    return _parse_date(value, 0.0)


def _parse_date(value: bytes, now: float) -> int | None:
    for form in _DATE_FORMS:
        match = form.fullmatch(value)
        if match:
            break
    else:
        return None
    year = int(match["year"])
    if len(match["year"]) == 2:
        this_year = datetime.fromtimestamp(now, UTC).year
        year += this_year // 100 * 100
        if year > this_year + 50:
            year -= 100
    month, day = _MONTH_NUMBERS[match["month"]], int(match["day"])
    hour, minute, second = int(match["hour"]), int(match["minute"]), int(match["second"])
    if second == 60:  # a leap second, which the grammar allows and datetime does not
        second = 59
    try:
        return timegm(datetime(year, month, day, hour, minute, second).timetuple())
    except ValueError:
        return None


class EntityTag(NamedTuple):
    """An entity tag (RFC 9110, 8.8.3): its opaque part with the quotes, and whether it is weak."""

    opaque: bytes
    weak: bool = False

    def __bytes__(self) -> bytes:
        return (b"W/" if self.weak else b"") + self.opaque

    def matches_strongly(self, other: "EntityTag") -> bool:
        """Strong comparison: equal and neither weak (RFC 9110, 8.8.3.2)."""
        return not self.weak and not other.weak and self.opaque == other.opaque

    def matches_weakly(self, other: "EntityTag") -> bool:
        """Weak comparison: equal opaque parts (RFC 9110, 8.8.3.2)."""
        return self.opaque == other.opaque


_ENTITY_TAG = re.compile(rb'(W/)?("[\x21\x23-\x7e\x80-\xff]*")')
_LIST_GAP = re.compile(rb"[ \t]*(?:,[ \t]*)*")


def parse_entity_tag(value: bytes) -> EntityTag | None:
    """A single entity tag, or None for what is none."""
    match = _ENTITY_TAG.fullmatch(value)
    return EntityTag(match[2], match[1] is not None) if match else None


def parse_entity_tags(value: bytes) -> list[EntityTag]:
    """The entity tags of a list; reading stops at the first thing that is none (empty elements are passed over)."""
    tags: list[EntityTag] = []
    gap = _LIST_GAP.match(value)
    position = gap.end() if gap else 0
    while position < len(value):
        match = _ENTITY_TAG.match(value, position)
        if not match:
            break
        tags.append(EntityTag(match[2], match[1] is not None))
        gap = _LIST_GAP.match(value, match.end())
        position = gap.end() if gap else match.end()
        if position < len(value) and b"," not in value[match.end() : position]:
            break
    return tags


def tokens(value: bytes) -> list[bytes]:
    """The members of a comma-separated list, in lower case, without parameters or empty ones (RFC 9110, 5.6.1)."""
    members = (member.partition(b";")[0].strip(b" \t").lower() for member in value.split(b","))
    return [member for member in members if member]


MANAGED = frozenset(
    {"accept-ranges", "connection", "content-encoding", "content-length", "content-range", "content-type"}
    | {"date", "etag", "keep-alive", "last-modified", "transfer-encoding", "upgrade", "vary"}
)
"""Response fields that the server sets itself, in lower case."""


def check_field(name: str, value: str) -> None:
    """Let a configuration set a response field.

    Raises:
        ValueError: the name is none, the server sets the field itself, or the value cannot be sent; in one sentence.
    """
    if not re.fullmatch(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", name):
        raise ValueError(f"{name!r} is not a field name (RFC 9110, 5.1)")
    if name.lower() in MANAGED:
        raise ValueError(f"{name} is set by the server itself; leave it out")
    if not re.fullmatch(r"[\x20-\x7e\t\x80-\xff]*", value):
        raise ValueError(f"the value of {name} has a character that a field cannot have (RFC 9110, 5.5)")


_QUALITY = re.compile(rb"[ \t]*;[ \t]*[qQ]=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)[ \t]*")


def qualities(value: bytes) -> dict[bytes, float]:
    """Each member of an Accept-like list in lower case, with its weight (RFC 9110, 12.4.2); the first of equals counts.

    A weight that is not well-formed counts as 0: what cannot be understood is not preferred. Parameters before the
    weight are left out: no representation here differs in them.
    """
    found: dict[bytes, float] = {}
    for member in value.split(b","):
        name, semicolon, parameters = member.partition(b";")
        name = name.strip(b" \t").lower()
        if not name or name in found:
            continue
        weight = 1.0
        for parameter in parameters.split(b";") if semicolon else ():
            if parameter.strip(b" \t").lower().startswith(b"q="):
                match = _QUALITY.fullmatch(b";" + parameter)
                weight = float(match[1]) if match else 0.0
        found[name] = weight
    return found


def prefers_html(accept: bytes | None) -> bool:
    """Whether an error page should be HTML rather than plain text, by Accept (RFC 9110, 12.5.1).

    Plain text wins a draw, so ``*/*`` and no Accept at all, as curl and programs send, give plain text; unless it is
    HTML alone that is named.
    """
    if not accept:
        return False
    weights = qualities(accept)
    html, plain = _weight(weights, b"text/html"), _weight(weights, b"text/plain")
    named = b"text/html" in weights and b"text/plain" not in weights
    return html > plain or (html == plain > 0 and named)


def preferred(accept: bytes | None, offered: Sequence[bytes]) -> bytes:
    """The media type of those offered that Accept prefers, the first of equals (RFC 9110, 12.5.1).

    The first, too, where none is acceptable, which the RFC leaves to the server: content helps more than a 406.
    """
    weights = qualities(accept or b"*/*")
    return max(offered, key=lambda kind: _weight(weights, kind))


def _weight(weights: dict[bytes, float], kind: bytes) -> float:
    """Of a media type: what is named most closely counts."""
    family = kind.partition(b"/")[0] + b"/*"
    return weights.get(kind, weights.get(family, weights.get(b"*/*", 0.0)))
