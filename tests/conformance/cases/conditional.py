"""Conditional requests (RFC 9110, 13, 15.4.5 and 15.5.13).

``old.txt`` was changed last at 2001-01-01 00:00:00.
"""

from tests.conformance.cases.case import Case, Need, Steps, ask, must, should
from tests.conformance.cases.checks import (
    absent,
    dated_now,
    either,
    every,
    holds_no,
    if_there,
    in_step,
    not_status,
    part,
    same,
    status,
    whole,
)
from tests.conformance.cases.exchange import Check, Step
from tests.conformance.cases.tree import DIGITS, OLD_DATE

CONTENT = b"made in 2001\n"
BEFORE = b"Sun, 31 Dec 2000 23:59:59 GMT"
LATER = b"Mon, 01 Jan 2001 00:00:01 GMT"
TAG, STRONG, MODIFIED = [Need.ETAG], [Need.STRONG_ETAG], [Need.LAST_MODIFIED]

served = whole(CONTENT)
not_modified = every(status(304), in_step)
failed = every(status(412), holds_no(CONTENT), in_step)


def old(*lines: bytes, method: bytes = b"GET") -> Step:
    """A request for ``old.txt``."""
    return ask(b"/old.txt", *lines, method=method)


def tagged(*lines: bytes, method: bytes = b"GET") -> tuple[Step, Step]:
    """A request with the tag that an earlier answer had."""
    return old(), old(*lines, method=method)


def since(id: str, demand: str, value: bytes, section: str = "9110 13.1.3") -> Case:
    """If-Modified-Since makes no sense: it is ignored."""
    return must(f"since-{id}", section, demand, old(b"If-Modified-Since: " + value), served)


NONE_MATCH = (
    must("none-match", "9110 13.1.2", "the same tag", tagged(b"If-None-Match: <etag>"), not_modified, needs=TAG),
    must(
        "none-match-head",
        "9110 13.1.2",
        "with HEAD",
        tagged(b"If-None-Match: <etag>", method=b"HEAD"),
        not_modified,
        needs=TAG,
    ),
    must("none-match-other", "9110 13.1.2", "another tag", old(b'If-None-Match: "x-none"'), served),
    must(
        "none-match-weak",
        "9110 13.1.2",
        "weak comparison",
        tagged(b'If-None-Match: W/"<opaque>"'),
        not_modified,
        needs=TAG,
    ),
    must("none-match-any", "9110 13.1.2", "any", old(b"If-None-Match: *"), not_modified),
    must(
        "none-match-any-head", "9110 13.1.2", "any, with HEAD", old(b"If-None-Match: *", method=b"HEAD"), not_modified
    ),
    must(
        "none-match-list",
        "9110 13.1.2",
        "in a list",
        tagged(b'If-None-Match: "a", W/"b", <etag>'),
        not_modified,
        needs=TAG,
    ),
    must(
        "none-match-list-first",
        "9110 13.1.2",
        "the first of a list",
        tagged(b'If-None-Match: <etag>, "b"'),
        not_modified,
        needs=TAG,
    ),
    must(
        "none-match-list-tight",
        "9110 5.6.1",
        "in a list without blanks",
        tagged(b'If-None-Match: "a",<etag>,"b"'),
        not_modified,
        needs=TAG,
    ),
    must("none-match-list-other", "9110 13.1.2", "not in a list", old(b'If-None-Match: "a", "b", W/"c"'), served),
    must(
        "none-match-lines",
        "9110 5.2",
        "a list on several lines",
        tagged(b'If-None-Match: "a"', b"If-None-Match: <etag>"),
        not_modified,
        needs=TAG,
    ),
    must(
        "none-match-empty",
        "9110 5.6.1.2",
        "empty members",
        tagged(b"If-None-Match: ,, <etag> ,"),
        not_modified,
        needs=TAG,
    ),
    must(
        "none-match-comma",
        "9110 8.8.3",
        "a comma within a tag",
        tagged(b'If-None-Match: "a,b", <etag>'),
        not_modified,
        needs=TAG,
    ),
    must(
        "none-match-comma-other",
        "9110 8.8.3",
        "a tag that has this one in it",
        tagged(b'If-None-Match: "a,<opaque>,b"'),
        served,
        needs=TAG,
    ),
    must(
        "none-match-part",
        "9110 8.8.3.2",
        "a part of the tag is another tag",
        tagged(b'If-None-Match: "<opaque>x"'),
        served,
        needs=TAG,
    ),
    must(
        "none-match-missing",
        "9110 13.2.1",
        "conditions do not count where nothing is",
        ask(b"/none.txt", b"If-None-Match: *"),
        status(404),
    ),
)

MATCH = (
    must("match", "9110 13.1.1", "the same tag", tagged(b"If-Match: <etag>"), served, needs=STRONG),
    must("match-other", "9110 13.1.1", "another tag", old(b'If-Match: "x-none"'), failed),
    must(
        "match-other-head", "9110 13.1.1", "another tag, with HEAD", old(b'If-Match: "x-none"', method=b"HEAD"), failed
    ),
    must("match-weak", "9110 13.1.1", "strong comparison", tagged(b'If-Match: W/"<opaque>"'), failed, needs=TAG),
    must("match-any", "9110 13.1.1", "any", old(b"If-Match: *"), served),
    must("match-list", "9110 13.1.1", "in a list", tagged(b'If-Match: "a", <etag>, "b"'), served, needs=STRONG),
    must("match-list-other", "9110 13.1.1", "not in a list", old(b'If-Match: "a", W/"b"'), failed),
    must(
        "match-lines",
        "9110 5.2",
        "a list on several lines",
        tagged(b'If-Match: "a"', b"If-Match: <etag>"),
        served,
        needs=STRONG,
    ),
    must(
        "match-missing",
        "9110 13.2.1",
        "conditions do not count where nothing is",
        ask(b"/none.txt", b"If-Match: *"),
        status(404),
    ),
)

SINCE = (
    should(
        "since-same",
        "9110 13.1.3",
        "the same time",
        old(b"If-Modified-Since: " + OLD_DATE),
        not_modified,
        needs=MODIFIED,
    ),
    should(
        "since-head",
        "9110 13.1.3",
        "with HEAD",
        old(b"If-Modified-Since: " + OLD_DATE, method=b"HEAD"),
        not_modified,
        needs=MODIFIED,
    ),
    should(
        "since-later", "9110 13.1.3", "a later time", old(b"If-Modified-Since: " + LATER), not_modified, needs=MODIFIED
    ),
    must("since-earlier", "9110 13.1.3", "an earlier time", old(b"If-Modified-Since: " + BEFORE), served),
    must(
        "since-rfc850",
        "9110 5.6.7",
        "the form of RFC 850",
        old(b"If-Modified-Since: Monday, 01-Jan-01 00:00:00 GMT"),
        not_modified,
        needs=MODIFIED,
    ),
    must(
        "since-asctime",
        "9110 5.6.7",
        "the form of asctime",
        old(b"If-Modified-Since: Mon Jan  1 00:00:00 2001"),
        not_modified,
        needs=MODIFIED,
    ),
    since("asctime-earlier", "an earlier time in the form of asctime", b"Sun Dec 31 23:59:59 2000", "9110 5.6.7"),
    since("word", "what is no date is ignored", b"yesterday"),
    since("empty", "an empty value is ignored", b""),
    since("number", "a number is ignored", b"4102444800"),
    since("iso", "ISO 8601 is ignored", b"2100-01-01T00:00:00Z"),
    must(
        "since-post",
        "9110 13.1.3",
        "it is ignored but for GET and HEAD",
        old(b"If-Modified-Since: " + LATER, method=b"POST"),
        not_status(304),
    ),
)

UNMODIFIED = (
    must("unmodified-same", "9110 13.1.4", "the same time", old(b"If-Unmodified-Since: " + OLD_DATE), served),
    must("unmodified-later", "9110 13.1.4", "a later time", old(b"If-Unmodified-Since: " + LATER), served),
    must(
        "unmodified-earlier",
        "9110 13.1.4",
        "an earlier time",
        old(b"If-Unmodified-Since: " + BEFORE),
        failed,
        needs=MODIFIED,
    ),
    must(
        "unmodified-earlier-head",
        "9110 13.1.4",
        "an earlier time, with HEAD",
        old(b"If-Unmodified-Since: " + BEFORE, method=b"HEAD"),
        failed,
        needs=MODIFIED,
    ),
    must(
        "unmodified-rfc850",
        "9110 5.6.7",
        "the form of RFC 850",
        old(b"If-Unmodified-Since: Sunday, 31-Dec-00 23:59:59 GMT"),
        failed,
        needs=MODIFIED,
    ),
    must(
        "unmodified-asctime",
        "9110 5.6.7",
        "the form of asctime",
        old(b"If-Unmodified-Since: Sun Dec 31 23:59:59 2000"),
        failed,
        needs=MODIFIED,
    ),
    must("unmodified-word", "9110 13.1.4", "what is no date is ignored", old(b"If-Unmodified-Since: never"), served),
)

YES, NO = b"If-Match: <etag>", b'If-Match: "x-none"'
NONE, SOME = b'If-None-Match: "x-none"', b"If-None-Match: <etag>"
CHANGED, UNCHANGED = b"If-Modified-Since: " + BEFORE, b"If-Modified-Since: " + OLD_DATE
GOOD, BAD = b"If-Unmodified-Since: " + OLD_DATE, b"If-Unmodified-Since: " + BEFORE


def order(id: str, demand: str, steps: Steps, check: Check, *needs: Need) -> Case:
    """Which condition comes first."""
    return must(f"order-{id}", "9110 13.2.2", demand, steps, check, needs=needs)


PRECEDENCE = (
    order(
        "1-over-2",
        "If-Match is true: If-Unmodified-Since is passed over",
        tagged(YES, BAD),
        served,
        *STRONG,
        Need.MATCH,
        Need.UNMODIFIED,
    ),
    order("1-over-2-any", "with * likewise", old(b"If-Match: *", BAD), served, Need.UNMODIFIED),
    order("1-false-2-true", "If-Match is false, If-Unmodified-Since true", old(NO, GOOD), failed, Need.MATCH),
    order("1-before-3", "If-Match is false before If-None-Match", tagged(NO, SOME), failed, *TAG, Need.MATCH),
    order("1-before-4", "If-Match is false before If-Modified-Since", old(NO, UNCHANGED), failed, Need.MATCH),
    order("1-then-3", "If-Match is true, If-None-Match false", tagged(YES, SOME), not_modified, *STRONG),
    order("1-then-3-true", "both are true", tagged(YES, NONE), served, *STRONG),
    order(
        "2-before-3",
        "If-Unmodified-Since is false before If-None-Match",
        tagged(BAD, SOME),
        failed,
        *TAG,
        *MODIFIED,
        Need.UNMODIFIED,
    ),
    order(
        "2-before-4",
        "If-Unmodified-Since is false before If-Modified-Since",
        old(BAD, UNCHANGED),
        failed,
        *MODIFIED,
        Need.UNMODIFIED,
    ),
    order("2-then-3", "If-Unmodified-Since is true, If-None-Match false", tagged(GOOD, SOME), not_modified, *TAG),
    order("3-over-4", "If-None-Match is true: If-Modified-Since is passed over", old(NONE, UNCHANGED), served),
    order(
        "3-over-4-false", "If-None-Match is false, If-Modified-Since true", tagged(SOME, CHANGED), not_modified, *TAG
    ),
    order(
        "3-over-4-both",
        "an answer's own validators",
        (old(), old(SOME, b"If-Modified-Since: <last-modified>")),
        not_modified,
        *TAG,
        *MODIFIED,
    ),
    order("lines", "the order of the lines does not count", tagged(UNCHANGED, SOME, BAD, NO), failed, *TAG, Need.MATCH),
    order(
        "1-before-5", "If-Match is false before Range", ask(b"/digits.bin", NO, b"Range: bytes=0-9"), failed, Need.MATCH
    ),
    order(
        "2-before-5",
        "If-Unmodified-Since is false before Range",
        ask(b"/digits.bin", BAD, b"Range: bytes=0-9"),
        failed,
        *MODIFIED,
        Need.UNMODIFIED,
    ),
    order(
        "3-before-5",
        "If-None-Match is false before Range",
        (ask(b"/digits.bin"), ask(b"/digits.bin", SOME, b"Range: bytes=0-9")),
        not_modified,
        *TAG,
    ),
    order(
        "3-before-5-bad",
        "before a Range that cannot be satisfied too",
        (ask(b"/digits.bin"), ask(b"/digits.bin", SOME, b"Range: bytes=5000-")),
        not_modified,
        *TAG,
    ),
    order(
        "4-before-5",
        "If-Modified-Since is false before Range",
        ask(b"/digits.bin", UNCHANGED, b"Range: bytes=0-9"),
        not_modified,
        *MODIFIED,
    ),
    order(
        "3-then-5",
        "If-None-Match is true, and Range counts",
        ask(b"/digits.bin", NONE, b"Range: bytes=0-9"),
        either(part(DIGITS, 0, 9), whole(DIGITS)),
        Need.RANGES,
    ),
    order(
        "1-then-5",
        "If-Match is true, and Range counts",
        (ask(b"/digits.bin"), ask(b"/digits.bin", YES, b"Range: bytes=0-9")),
        either(part(DIGITS, 0, 9), whole(DIGITS)),
        *STRONG,
        Need.RANGES,
    ),
)

NOT_MODIFIED = (
    must("304-etag", "9110 15.4.5", "304 has the ETag of the 200", tagged(SOME), status(304), same(b"etag"), needs=TAG),
    must(
        "304-etag-since",
        "9110 15.4.5",
        "also where a date was sent",
        tagged(UNCHANGED),
        status(304),
        same(b"etag"),
        needs=MODIFIED,
    ),
    must(
        "304-fields",
        "9110 15.4.5",
        "304 has Content-Location and Vary of the 200",
        tagged(SOME),
        status(304),
        same(b"content-location", b"vary"),
        needs=TAG,
    ),
    must(
        "304-length",
        "9110 8.6",
        "Content-Length in a 304 is that of the 200",
        tagged(SOME),
        status(304),
        if_there(b"content-length", b"%d" % len(CONTENT)),
        needs=TAG,
    ),
    should(
        "304-metadata",
        "9110 15.4.5",
        "304 has no more metadata than guides a cache",
        tagged(SOME),
        status(304),
        absent(b"content-type", b"content-encoding", b"content-range", b"content-language"),
        needs=TAG,
    ),
    must("412-date", "9110 6.6.1", "412 tells the time", old(NO), status(412), dated_now(), needs=[Need.MATCH]),
)

CASES: tuple[Case, ...] = (*NONE_MATCH, *MATCH, *SINCE, *UNMODIFIED, *PRECEDENCE, *NOT_MODIFIED)
