"""Ranges (RFC 9110, 13.1.5, 14, 15.3.7 and 15.5.17). A server MAY ignore a Range: then it sends the whole.

``digits.bin`` has 1000 octets, ``large.bin`` 1 MiB.
"""

import re

from tests.conformance.cases.case import Case, Need, ask, must, should
from tests.conformance.cases.checks import (
    absent,
    answered_with,
    dated_now,
    either,
    every,
    field,
    holds_no,
    if_there,
    in_order,
    in_step,
    part,
    part_types,
    parts,
    same,
    status,
    whole,
)
from tests.conformance.cases.conditional import BEFORE, LATER
from tests.conformance.cases.exchange import Check, Step
from tests.conformance.cases.tree import DIGITS, FILES, LARGE

RANGES, MANY = [Need.RANGES], [Need.RANGES, Need.MULTIPART]
everything = whole(DIGITS)
unsatisfied = every(status(416), holds_no(DIGITS), in_step)


def digits(value: bytes, *lines: bytes, method: bytes = b"GET") -> Step:
    """A request for a range of ``digits.bin``."""
    return ask(b"/digits.bin", b"Range: " + value, *lines, method=method)


def single(id: str, demand: str, value: bytes, first: int, last: int, section: str = "9110 14.1.2") -> Case:
    """One range: these octets, or all of them."""
    return must(
        f"range-{id}",
        section,
        demand,
        digits(value),
        either(part(DIGITS, first, last), everything),
        in_step,
        needs=RANGES,
    )


SINGLE = (
    single("first", "the first octet", b"bytes=0-0", 0, 0),
    single("some", "the first ten", b"bytes=0-9", 0, 9),
    single("middle", "some in the middle", b"bytes=500-599", 500, 599),
    single("from", "all from one on", b"bytes=900-", 900, 999),
    single("last", "the last octet", b"bytes=999-999", 999, 999),
    single("suffix", "the last ten", b"bytes=-10", 990, 999),
    single("suffix-one", "the last one", b"bytes=-1", 999, 999),
    single("suffix-all", "as many as there are", b"bytes=-1000", 0, 999),
    single("suffix-more", "a suffix longer than the file is all of it", b"bytes=-5000", 0, 999),
    single("all", "all from the first on", b"bytes=0-", 0, 999),
    single("beyond", "an end beyond the file is its end", b"bytes=990-5000", 990, 999),
    single("beyond-numbers", "an end beyond all numbers too", b"bytes=990-99999999999999999999999", 990, 999),
    single("zeros", "leading zeros", b"bytes=0000-0009", 0, 9, "9110 14.1.1"),
    single("unit-case", "the unit does not mind case", b"Bytes=0-9", 0, 9, "9110 14.1"),
    single("empty-members", "empty members are passed over", b"bytes=,0-9,", 0, 9, "9110 5.6.1.2"),
    must(
        "range-large",
        "9110 14.1.2",
        "a range of a large file",
        ask(b"/large.bin", b"Range: bytes=500000-999999"),
        either(part(LARGE, 500_000, 999_999), whole(LARGE)),
        in_step,
        needs=RANGES,
    ),
    must(
        "range-not-multipart",
        "9110 15.3.7.2",
        "one range is not sent as multipart",
        digits(b"bytes=0-9"),
        status(200, 206),
        if_there(b"content-type", rb"(?!multipart/).*"),
        needs=RANGES,
    ),
    must(
        "range-206-fields",
        "9110 15.3.7",
        "206 has the fields of the 200",
        (ask(b"/digits.bin"), digits(b"bytes=0-9")),
        status(206),
        same(b"etag", b"last-modified", b"content-type", b"cache-control", b"content-location"),
        needs=RANGES,
    ),
    must(
        "range-206-date",
        "9110 15.3.7",
        "206 tells the time",
        digits(b"bytes=0-9"),
        status(206),
        dated_now(),
        needs=RANGES,
    ),
    should(
        "range-206-length",
        "9110 15.3.7",
        "Content-Length of a 206 is that of the part",
        digits(b"bytes=0-9"),
        status(206),
        field(b"content-length", b"10"),
        needs=RANGES,
    ),
)

IGNORED = (
    must("unit-unknown", "9110 14.2", "a unit that is not known is ignored", digits(b"lines=0-9"), everything),
    must("unit-nearly", "9110 14.2", "a unit that begins alike is another", digits(b"bytesx=0-9"), everything),
    must(
        "range-missing",
        "9110 14.2",
        "Range does not count where nothing is",
        ask(b"/none.txt", b"Range: bytes=0-9"),
        status(404),
    ),
    must(
        "range-redirect",
        "9110 14.2",
        "nor for a redirect",
        ask(b"/sub", b"Range: bytes=0-9"),
        answered_with(3),
        needs=[Need.REDIRECT],
    ),
    *(
        must(
            f"range-invalid-{id}",
            "9110 14.2",
            f"what is invalid is ignored, rejected or guessed: {what}",
            digits(value),
            either(everything, status(400, 416), parts(DIGITS, [])),
            in_step,
        )
        for id, what, value in (
            ("backwards", "an end before the beginning", b"bytes=9-5"),
            ("word", "no numbers", b"bytes=abc"),
            ("empty", "no ranges", b"bytes="),
            ("sign", "a sign", b"bytes=+5-9"),
            ("dash", "a dash alone", b"bytes=-"),
            ("hexadecimal", "hexadecimal", b"bytes=0x1-0x9"),
            ("one-of-two", "one of two", b"bytes=0-9,abc"),
        )
    ),
)

UNSATISFIABLE = (
    should("unsatisfiable", "9110 15.5.17", "beyond the end", digits(b"bytes=1000-"), unsatisfied, needs=RANGES),
    should(
        "unsatisfiable-far", "9110 15.5.17", "far beyond the end", digits(b"bytes=5000-6000"), unsatisfied, needs=RANGES
    ),
    should(
        "unsatisfiable-numbers",
        "9110 15.5.17",
        "beyond all numbers",
        digits(b"bytes=99999999999999999999999-"),
        unsatisfied,
        needs=RANGES,
    ),
    should("unsatisfiable-suffix", "9110 14.1.2", "the last none", digits(b"bytes=-0"), unsatisfied, needs=RANGES),
    should(
        "unsatisfiable-all",
        "9110 15.5.17",
        "several, of which none",
        digits(b"bytes=1000-1001,-0"),
        unsatisfied,
        needs=MANY,
    ),
    must(
        "unsatisfiable-never-206",
        "9110 14.4",
        "nothing is sent as if it were there",
        digits(b"bytes=1000-"),
        status(200, 416),
        needs=RANGES,
    ),
    should(
        "416-content-range",
        "9110 15.5.17",
        "416 says how much there is",
        digits(b"bytes=5000-"),
        status(416),
        field(b"content-range", b"bytes */1000"),
        needs=RANGES,
    ),
    must(
        "416-date", "9110 6.6.1", "416 tells the time", digits(b"bytes=5000-"), status(416), dated_now(), needs=RANGES
    ),
    must(
        "empty-range",
        "9110 14.4",
        "nothing is no part of what is empty",
        ask(b"/empty.txt", b"Range: bytes=0-"),
        either(whole(b""), status(416)),
        in_step,
        needs=RANGES,
    ),
)


def several(id: str, demand: str, value: bytes, *wanted: tuple[int, int], section: str = "9110 15.3.7.2") -> Case:
    """Several ranges of ``large.bin``: in parts, or all of it."""
    step = ask(b"/large.bin", b"Range: bytes=" + value)
    return must(f"ranges-{id}", section, demand, step, either(parts(LARGE, wanted), whole(LARGE)), in_step, needs=MANY)


PAGE = FILES["page.html"]
MULTIPART = re.compile(rb"multipart/byteranges;.*boundary=.*", re.IGNORECASE)
HTML = re.compile(rb"text/html.*")
TWO = ask(b"/large.bin", b"Range: bytes=0-9,500000-500009")

SEVERAL = (
    several("two", "two ranges", b"0-9,500000-500009", (0, 9), (500_000, 500_009)),
    several("blanks", "blanks between them", b"0-9 ,\t500000-500009", (0, 9), (500_000, 500_009)),
    several("suffix", "one is a suffix", b"0-9,-10", (0, 9), (1_048_566, 1_048_575)),
    several("backwards", "in another order than the file's", b"500000-500009,0-9", (0, 9), (500_000, 500_009)),
    several("overlapping", "two that overlap", b"0-99,50-149", (0, 99), (50, 149)),
    several("adjacent", "two that touch", b"0-99,100-199", (0, 99), (100, 199)),
    several("equal", "the same twice", b"0-9,0-9", (0, 9)),
    several("one-beyond", "one lies beyond the end", b"0-9,9999999-", (0, 9), section="9110 14.1.2"),
    several(
        "ten",
        "ten ranges",
        b",".join(b"%d-%d" % (n * 100_000, n * 100_000 + 9) for n in range(10)),
        *((n * 100_000, n * 100_000 + 9) for n in range(10)),
    ),
    must(
        "ranges-type",
        "9110 15.3.7.2",
        "several parts are multipart/byteranges",
        TWO,
        either(status(200), field(b"content-type", MULTIPART)),
        needs=MANY,
    ),
    must(
        "ranges-no-content-range",
        "9110 15.3.7.2",
        "and have no Content-Range of their own",
        TWO,
        status(200, 206),
        absent(b"content-range"),
        needs=MANY,
    ),
    should(
        "ranges-part-type",
        "9110 15.3.7.2",
        "each part has the media type",
        ask(b"/page.html", b"Range: bytes=0-1,30-31"),
        either(
            whole(PAGE),
            every(parts(PAGE, [(0, 1), (30, 31)]), either(field(b"content-type", HTML), part_types(b"text/html"))),
        ),
        needs=MANY,
    ),
    should(
        "ranges-order",
        "9110 15.3.7.2",
        "in the order that was asked for",
        ask(b"/large.bin", b"Range: bytes=500000-500009,0-9"),
        either(whole(LARGE), in_order(LARGE, [(500_000, 500_009), (0, 9)])),
        needs=MANY,
    ),
    must(
        "ranges-many",
        "9110 17.15",
        "a thousand small ranges are no failure of the server",
        ask(b"/digits.bin", b"Range: bytes=" + b",".join(b"%d-%d" % (n, n) for n in range(1000))),
        either(everything, status(206), answered_with(4)),
        in_step,
        needs=RANGES,
    ),
    must(
        "ranges-fields",
        "9110 15.3.7",
        "206 has the validators of the 200",
        (ask(b"/large.bin"), TWO),
        status(200, 206),
        same(b"etag", b"last-modified", b"cache-control"),
        needs=MANY,
    ),
)

TEN = b"bytes=0-9"
ten = either(part(DIGITS, 0, 9), everything)


def conditional(id: str, demand: str, value: bytes, check: Check, *needs: Need) -> Case:
    """If-Range with a value, and the first ten octets."""
    steps = (ask(b"/digits.bin"), digits(TEN, b"If-Range: " + value))
    return must(f"if-range-{id}", "9110 13.1.5", demand, steps, check, needs=[*RANGES, *needs])


IF_RANGE = (
    conditional("tag", "the same tag", b"<etag>", ten, Need.STRONG_ETAG),
    conditional("other", "another tag", b'"x-none"', everything),
    conditional("weak", "strong comparison", b'W/"<opaque>"', everything, Need.ETAG),
    conditional("date", "the same time", b"<last-modified>", ten, Need.LAST_MODIFIED),
    conditional("earlier", "an earlier time", BEFORE, everything),
    conditional("later", "a later time is not the same", LATER, everything),
    conditional("word", "what is neither tag nor date", b"yesterday", everything),
    must(
        "if-range-alone",
        "9110 13.1.5",
        "without Range it is ignored",
        ask(b"/digits.bin", b'If-Range: "x-none"'),
        everything,
    ),
    must(
        "if-range-unsatisfiable",
        "9110 13.1.5",
        "where it does not hold, a Range that cannot be satisfied is ignored too",
        digits(b"bytes=5000-", b'If-Range: "x-none"'),
        everything,
        needs=RANGES,
    ),
    should(
        "if-range-416",
        "9110 15.5.17",
        "where it holds, that is 416",
        (ask(b"/digits.bin"), digits(b"bytes=5000-", b"If-Range: <etag>")),
        unsatisfied,
        needs=[*RANGES, Need.STRONG_ETAG],
    ),
    must(
        "if-range-several",
        "9110 13.1.5",
        "where it does not hold, several ranges are ignored too",
        digits(b"bytes=0-9,500-509", b'If-Range: "x-none"'),
        everything,
        needs=RANGES,
    ),
)

CASES: tuple[Case, ...] = (*SINGLE, *IGNORED, *UNSATISFIABLE, *SEVERAL, *IF_RANGE)
