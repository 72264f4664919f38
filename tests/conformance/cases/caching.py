"""What an origin server owes to caches (RFC 9111; RFC 9110, 15.4.5)."""

from tests.conformance.cases.case import Case, Need, ask, must, should
from tests.conformance.cases.checks import absent, answered_with, every, if_there, in_step, same, status, whole
from tests.conformance.cases.exchange import PROBE_BODY, Check, Exchange

served = whole(PROBE_BODY)
CONTROL = [Need.CACHE_CONTROL]
TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
DIRECTIVE = TOKEN + rb"(?:=(?:" + TOKEN + rb'|"[^"]*"))?'
DIRECTIVES = DIRECTIVE + rb"(?:[ \t]*,[ \t]*" + DIRECTIVE + rb")*"
DATE = rb"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT"


def fresh(exchange: Exchange) -> str:
    """Both answers have Expires, or neither has."""
    if exchange.fault:
        return exchange.fault
    first, last = (answer.field(b"expires") is None for answer in (exchange.answers[0], exchange.answers[-1]))
    return "" if first is last else "expires is in one answer and not in the other"


kept_for: Check = every(same(b"cache-control"), fresh)

CASES: tuple[Case, ...] = (
    must("no-age", "9111 5.1", "an origin's answer has no Age", ask(), served, absent(b"age")),
    must(
        "no-age-304",
        "9111 5.1",
        "nor has its 304",
        (ask(), ask(b"/probe.txt", b"If-None-Match: <etag>")),
        status(304),
        absent(b"age"),
        needs=[Need.ETAG],
    ),
    must(
        "cache-control",
        "9111 5.2",
        "Cache-Control is a list of directives",
        ask(),
        served,
        if_there(b"cache-control", DIRECTIVES),
    ),
    must("expires", "9111 5.3", "Expires is a date", ask(), served, if_there(b"expires", DATE)),
    should("no-warning", "9111 5.5", "Warning is obsolete", ask(), served, absent(b"warning")),
    must(
        "control-304",
        "9110 15.4.5",
        "304 has the Cache-Control and the Expires of the 200",
        (ask(), ask(b"/probe.txt", b"If-None-Match: <etag>")),
        status(304),
        kept_for,
        needs=[*CONTROL, Need.ETAG],
    ),
    must(
        "control-304-since",
        "9110 15.4.5",
        "so has one that is due to a date",
        (ask(), ask(b"/probe.txt", b"If-Modified-Since: <last-modified>")),
        status(304),
        kept_for,
        needs=[*CONTROL, Need.LAST_MODIFIED],
    ),
    must(
        "control-206",
        "9110 15.3.7",
        "206 has them too",
        (ask(b"/digits.bin"), ask(b"/digits.bin", b"Range: bytes=0-9")),
        status(206),
        kept_for,
        needs=[*CONTROL, Need.RANGES],
    ),
    should(
        "control-head", "9110 9.3.2", "so has HEAD", (ask(), ask(method=b"HEAD")), status(200), kept_for, needs=CONTROL
    ),
    must(
        "request-no-cache",
        "9111 5.2.1.4",
        "no-cache is for caches",
        ask(b"/probe.txt", b"Cache-Control: no-cache"),
        served,
    ),
    must(
        "request-max-age",
        "9111 5.2.1.1",
        "max-age=0 is for caches",
        ask(b"/probe.txt", b"Cache-Control: max-age=0"),
        served,
    ),
    must(
        "request-no-store",
        "9111 5.2.1.5",
        "no-store is for caches",
        ask(b"/probe.txt", b"Cache-Control: no-store"),
        served,
    ),
    must(
        "request-only-if-cached",
        "9111 5.2.1.7",
        "only-if-cached is for caches",
        ask(b"/probe.txt", b"Cache-Control: only-if-cached"),
        served,
    ),
    must("request-pragma", "9111 5.4", "Pragma is for caches", ask(b"/probe.txt", b"Pragma: no-cache"), served),
    must(
        "validate-tag",
        "9111 4.3.1",
        "a cache that asks with a tag and no-cache is told that it may go on",
        (ask(), ask(b"/probe.txt", b"Cache-Control: no-cache", b"If-None-Match: <etag>")),
        status(304),
        in_step,
        needs=[Need.ETAG],
    ),
    should(
        "validate-date",
        "9111 4.3.1",
        "so is one that asks with a date",
        (ask(), ask(b"/probe.txt", b"Cache-Control: max-age=0", b"If-Modified-Since: <last-modified>")),
        status(304),
        in_step,
        needs=[Need.LAST_MODIFIED],
    ),
    must(
        "validate-both",
        "9111 4.3.1",
        "or with both",
        (ask(), ask(b"/probe.txt", b"If-None-Match: <etag>", b"If-Modified-Since: <last-modified>")),
        status(304),
        in_step,
        needs=[Need.ETAG, Need.LAST_MODIFIED],
    ),
    should(
        "vary-asterisk",
        "9110 12.5.5",
        "an answer that follows from the request does not say Vary: *",
        ask(),
        answered_with(2),
        if_there(b"vary", rb"[^*]*"),
    ),
)
