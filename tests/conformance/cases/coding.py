"""Content codings and their negotiation (RFC 9110, 8.4, 8.8.3.3, 12.4, 12.5.3 and 12.5.5)."""

import re

from tests.conformance.cases.case import Case, Need, ask, must, should
from tests.conformance.cases.checks import (
    absent,
    decoded,
    differ,
    either,
    every,
    field,
    in_step,
    length_of_first,
    lists,
    part,
    part_of_first,
    same,
    status,
    whole,
)
from tests.conformance.cases.exchange import Step
from tests.conformance.cases.metadata import typed
from tests.conformance.cases.tree import SCRIPT, SCRIPT_BR

ENCODED = b"content-encoding"
identity = every(whole(SCRIPT), absent(ENCODED))
gzipped = every(status(200), field(ENCODED, b"gzip"), decoded(SCRIPT))
"""Whether from a sibling or made on the fly."""
brotlied = every(whole(SCRIPT_BR), field(ENCODED, b"br"))
GZIP, BROTLI = [Need.GZIP], [Need.BROTLI]
WEAK = re.compile(rb'W/".*"')
TYPE = typed(rb"(?:text|application)/javascript")


def script(accept: bytes | None, *lines: bytes, method: bytes = b"GET") -> Step:
    """A request for the script with this Accept-Encoding."""
    wanted = () if accept is None else (b"Accept-Encoding: " + accept,)
    return ask(b"/script.js", *wanted, *lines, method=method)


def plain(id: str, section: str, demand: str, accept: bytes) -> Case:
    """A coding that is not acceptable is not sent."""
    return should(f"refused-{id}", section, demand, script(accept), identity, needs=GZIP)


CHOICE = (
    must("gzip", "9110 8.4", "gzip is what it says", script(b"gzip"), gzipped, needs=GZIP),
    must("brotli", "9110 8.4", "br is what it says", script(b"br"), brotlied, needs=BROTLI),
    should(
        "gzip-type",
        "9110 8.3",
        "the media type is that of what was coded",
        script(b"gzip"),
        gzipped,
        field(b"content-type", TYPE),
        needs=GZIP,
    ),
    must(
        "coding-list", "9110 12.5.3", "one of a list", script(b"deflate, gzip"), either(gzipped, identity), needs=GZIP
    ),
    must(
        "coding-lines",
        "9110 5.2",
        "a list on several lines",
        script(None, b"Accept-Encoding: x-none", b"Accept-Encoding: gzip"),
        either(gzipped, identity),
        needs=GZIP,
    ),
    plain("empty", "9110 12.5.3", "an empty list accepts none", b""),
    plain("identity", "9110 12.5.3", "identity alone accepts no other", b"identity"),
    plain("others", "9110 12.5.3", "others do not stand for gzip", b"x-none, compress"),
    plain("nearly", "9110 12.5.3", "a name that begins alike is another", b"gzipped, brx"),
    plain("q0", "9110 12.4.2", "q=0 does not accept", b"gzip;q=0, br;q=0"),
    plain("q0.0", "9110 12.4.2", "q=0.000 does not accept", b"gzip;q=0.000, br;q=0.000"),
    plain("q0-blanks", "9110 12.4.2", "blanks around the semicolon", b"gzip ; q=0 , br ; q=0"),
    plain("q0-case", "9110 12.4.2", "Q does not mind case", b"gzip;Q=0, br;Q=0"),
    plain("q0-any", "9110 12.5.3", "what is named does not follow *", b"gzip;q=0, br;q=0, *;q=0.5"),
    plain("q0-identity", "9110 12.5.3", "nor does a star of 0 accept it", b"identity, *;q=0"),
    should(
        "coding-gzip-only",
        "9110 12.5.3",
        "br is not sent to who takes gzip alone",
        script(b"gzip;q=0.5, br;q=0"),
        either(gzipped, identity),
        needs=[*GZIP, *BROTLI],
    ),
    should(
        "coding-brotli-only",
        "9110 12.5.3",
        "gzip is not sent to who takes br alone",
        script(b"br;q=0.5, gzip;q=0"),
        either(brotlied, identity),
        needs=[*GZIP, *BROTLI],
    ),
    must(
        "coding-elsewhere",
        "9110 8.4",
        "a file without codings is sent as it is",
        ask(b"/old.txt", b"Accept-Encoding: gzip, br"),
        whole(b"made in 2001\n"),
        absent(ENCODED),
    ),
)

VARY = (
    should(
        "vary-gzip",
        "9110 12.5.5",
        "Vary says that the coding was chosen",
        script(b"gzip"),
        gzipped,
        lists(b"vary", b"accept-encoding"),
        needs=GZIP,
    ),
    should(
        "vary-identity",
        "9110 12.5.5",
        "also where none was",
        script(b""),
        identity,
        lists(b"vary", b"accept-encoding"),
        needs=GZIP,
    ),
    should(
        "vary-absent",
        "9110 12.5.5",
        "also where nothing was said",
        script(None),
        status(200),
        lists(b"vary", b"accept-encoding"),
        needs=GZIP,
    ),
    should(
        "vary-head",
        "9110 12.5.5",
        "also for HEAD",
        script(b"gzip", method=b"HEAD"),
        status(200),
        lists(b"vary", b"accept-encoding"),
        needs=GZIP,
    ),
    must(
        "vary-304",
        "9110 15.4.5",
        "304 has the Vary of the 200",
        (script(b"gzip"), script(b"gzip", b"If-None-Match: <etag>")),
        status(304),
        same(b"vary"),
        needs=[*GZIP, Need.ETAG],
    ),
    must(
        "vary-206",
        "9110 15.3.7",
        "206 has the Vary of the 200",
        (script(b""), script(b"", b"Range: bytes=0-9")),
        status(206),
        same(b"vary"),
        needs=[*GZIP, Need.RANGES],
    ),
)

TAGS = (
    must(
        "tags-differ",
        "9110 8.8.3.3",
        "a coding has a strong tag of its own",
        (script(b""), script(b"gzip")),
        whole(SCRIPT, at=0),
        gzipped,
        either(field(b"etag", WEAK), differ(b"etag")),
        needs=[*GZIP, Need.ETAG],
    ),
    must(
        "tags-differ-br",
        "9110 8.8.3.3",
        "gzip and br have different strong tags",
        (script(b"gzip"), script(b"br")),
        brotlied,
        either(field(b"etag", WEAK), differ(b"etag")),
        needs=[*GZIP, *BROTLI, Need.ETAG],
    ),
    must(
        "tags-gzip-304",
        "9110 13.1.2",
        "a coding's own tag is found unchanged",
        (script(b"gzip"), script(b"gzip", b"If-None-Match: <etag>")),
        status(304),
        same(b"etag"),
        needs=[*GZIP, Need.ETAG],
    ),
    must(
        "tags-gzip-other",
        "9110 13.1.2",
        "the strong tag of identity is not that of gzip",
        (script(b""), script(b"gzip", b"If-None-Match: <etag>")),
        either(gzipped, every(status(304), field(b"etag", WEAK, at=0))),
        needs=[*GZIP, Need.ETAG],
    ),
    must(
        "tags-gzip-match",
        "9110 13.1.1",
        "a coding's own strong tag matches",
        (script(b"gzip"), script(b"gzip", b"If-Match: <etag>")),
        either(gzipped, every(status(412), field(b"etag", WEAK, at=0))),
        needs=[*GZIP, Need.ETAG],
    ),
    must(
        "head-gzip",
        "9110 9.3.2",
        "HEAD of a coding has no content",
        (script(b"gzip"), script(b"gzip", method=b"HEAD")),
        status(200),
        length_of_first,
        in_step,
        needs=GZIP,
    ),
    should(
        "head-gzip-fields",
        "9110 9.3.2",
        "and the fields of GET",
        (script(b"gzip"), script(b"gzip", method=b"HEAD")),
        same(ENCODED, b"etag", b"vary", b"content-type"),
        field(ENCODED, b"gzip"),
        needs=GZIP,
    ),
)

RANGES = (
    must(
        "range-gzip",
        "9110 14.2",
        "a range of what is coded is of the coded octets",
        (script(b"gzip"), script(b"gzip", b"Range: bytes=2-9")),
        either(
            gzipped,
            identity,
            every(part_of_first(2, 9), field(ENCODED, b"gzip")),
            every(part(SCRIPT, 2, 9), absent(ENCODED)),
        ),
        needs=[*GZIP, Need.RANGES],
    ),
    must(
        "range-identity",
        "9110 14.2",
        "a range of what is not coded is of its own octets",
        script(b"", b"Range: bytes=2-9"),
        either(identity, every(part(SCRIPT, 2, 9), absent(ENCODED))),
        needs=[*GZIP, Need.RANGES],
    ),
    must(
        "range-gzip-if",
        "9110 13.1.5",
        "a range if the tag is that of the coding",
        (script(b"gzip"), script(b"gzip", b"Range: bytes=2-9", b"If-Range: <etag>")),
        either(gzipped, part_of_first(2, 9)),
        needs=[*GZIP, Need.RANGES, Need.ETAG],
    ),
    must(
        "range-gzip-if-other",
        "9110 13.1.5",
        "the tag of identity is not that of the coding",
        (script(b""), script(b"gzip", b"Range: bytes=2-9", b"If-Range: <etag>")),
        either(gzipped, identity),
        needs=[*GZIP, Need.RANGES, Need.ETAG],
    ),
)

CASES: tuple[Case, ...] = (*CHOICE, *VARY, *TAGS, *RANGES)
