"""What an answer says of itself and of what is in it (RFC 9110, 5.6.7, 6.6.1, 8, 10.2 and 15)."""

import re

from tests.conformance.cases.case import Case, Need, ask, must, should
from tests.conformance.cases.checks import (
    absent,
    answered_with,
    dated,
    dated_now,
    either,
    explained,
    field,
    if_there,
    leads_to,
    not_later_than_date,
    present,
    same,
    same_status,
    status,
    whole,
)
from tests.conformance.cases.exchange import PROBE_BODY
from tests.conformance.cases.tree import LARGE, OLD_DATE, SCRIPT_GZ

URI_REFERENCE = rb"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?#\[\]]|%[0-9A-Fa-f]{2})+"
TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
PRODUCTS = TOKEN + rb"(?:/" + TOKEN + rb")?(?:[ \t]+(?:\([^()]*\)|" + TOKEN + rb"(?:/" + TOKEN + rb")?))*"
ENTITY_TAG = re.compile(rb'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
MEDIA_TYPE = TOKEN + rb"/" + TOKEN + rb"(?:[ \t]*;.*)?"


def typed(kind: bytes) -> re.Pattern[bytes]:
    """A media type with or without parameters."""
    return re.compile(kind + rb"(?:[ \t]*;.*)?", re.IGNORECASE)


DATES = (
    *(
        must(f"date-{id}", "9110 6.6.1", f"Date tells the time: {what}", step, either(answered_with(5), dated_now()))
        for id, what, step in (
            ("200", "a file", ask()),
            ("head", "HEAD", ask(method=b"HEAD")),
            ("404", "what is not there", ask(b"/none.txt")),
            ("post", "POST", ask(method=b"POST")),
            ("400", "a request that is malformed", ask(host=None)),
            ("length", "one whose length is none", ask(b"/probe.txt", b"Content-Length: x")),
        )
    ),
    must(
        "date-304",
        "9110 6.6.1",
        "Date tells the time: 304",
        (ask(), ask(b"/probe.txt", b"If-None-Match: <etag>")),
        status(304),
        dated_now(),
        needs=[Need.ETAG],
    ),
)

TYPES = tuple(
    should(
        f"type-{id}",
        "9110 8.3",
        f"the media type of {what}",
        ask(target),
        answered_with(2),
        field(b"content-type", typed(kind)),
    )
    for id, what, target, kind in (
        ("html", "a page", b"/page.html", b"text/html"),
        ("css", "a style sheet", b"/style.css", b"text/css"),
        ("js", "a script", b"/script.js", rb"(?:text|application)/javascript"),
        ("png", "a picture", b"/picture.png", b"image/png"),
        ("txt", "a text", b"/old.txt", b"text/plain"),
        ("index", "a directory's index", b"/sub/", b"text/html"),
    )
)

FIELDS = (
    must(
        "type-grammar",
        "9110 8.3.1",
        "a media type that is one, where none is known",
        ask(b"/README"),
        answered_with(2),
        if_there(b"content-type", MEDIA_TYPE),
    ),
    should(
        "type-error",
        "9110 8.3",
        "an error page says what it is",
        ask(b"/none.txt"),
        status(404),
        present(b"content-type"),
    ),
    should("error-explained", "9110 15.5", "an error is explained", ask(b"/none.txt"), status(404), explained()),
    should(
        "length",
        "9110 8.6",
        "Content-Length is known beforehand",
        ask(),
        whole(PROBE_BODY),
        field(b"content-length", b"100"),
    ),
    should(
        "length-large",
        "9110 8.6",
        "of a large file too",
        ask(b"/large.bin"),
        whole(LARGE),
        field(b"content-length", b"%d" % len(LARGE)),
    ),
    should(
        "length-empty",
        "9110 8.6",
        "of an empty file too",
        ask(b"/empty.txt"),
        whole(b""),
        field(b"content-length", b"0"),
    ),
    must("server", "9110 10.2.4", "Server names products", ask(), answered_with(2), if_there(b"server", PRODUCTS)),
    should("etag", "9110 8.8.3", "a file has an entity tag", ask(), answered_with(2), present(b"etag")),
    must(
        "etag-grammar",
        "9110 8.8.3",
        "an entity tag is in quotes",
        ask(),
        answered_with(2),
        field(b"etag", ENTITY_TAG),
        needs=[Need.ETAG],
    ),
    must(
        "etag-again",
        "9110 8.8.1",
        "what has not changed has the same tag",
        (ask(), ask()),
        same(b"etag", b"last-modified"),
    ),
    must(
        "etag-head",
        "9110 8.8.3",
        "HEAD has the tag of GET",
        (ask(), ask(method=b"HEAD")),
        present(b"etag"),
        same(b"etag"),
        needs=[Need.ETAG],
    ),
    should(
        "modified",
        "9110 8.8.2",
        "a file has a modification date",
        ask(b"/old.txt"),
        answered_with(2),
        field(b"last-modified", OLD_DATE),
    ),
    must(
        "modified-grammar",
        "9110 5.6.7",
        "it is an IMF-fixdate",
        ask(b"/old.txt"),
        answered_with(2),
        dated(b"last-modified"),
        needs=[Need.LAST_MODIFIED],
    ),
    must(
        "modified-future",
        "9110 8.8.2.1",
        "it is never later than Date",
        ask(b"/future.txt"),
        answered_with(2),
        not_later_than_date(b"last-modified"),
    ),
    must(
        "modified-future-head",
        "9110 8.8.2.1",
        "nor with HEAD",
        ask(b"/future.txt", method=b"HEAD"),
        answered_with(2),
        not_later_than_date(b"last-modified"),
    ),
    must(
        "ranges-grammar",
        "9110 14.3",
        "Accept-Ranges is a list of units",
        ask(),
        answered_with(2),
        if_there(b"accept-ranges", rb"[A-Za-z]+(?:[ \t]*,[ \t]*[A-Za-z]+)*"),
    ),
    must(
        "coded-file",
        "9110 8.4",
        "a coded file asked for by its name is not both coded and of the coding's type",
        ask(b"/archive.gz"),
        whole(SCRIPT_GZ),
        either(absent(b"content-encoding"), field(b"content-type", re.compile(rb"(?!application/(?:x-)?gzip).*"))),
    ),
    should(
        "coded-file-type",
        "9110 8.3",
        "and not of the type of what is in it",
        ask(b"/script.js.gz"),
        either(status(404), whole(SCRIPT_GZ)),
        either(
            status(404),
            field(b"content-encoding", b"gzip"),
            field(b"content-type", typed(rb"application/(?:(?:x-)?gzip|octet-stream)")),
        ),
    ),
    must(
        "content-location",
        "9110 8.7",
        "Content-Location is a reference",
        ask(b"/sub/"),
        answered_with(2),
        if_there(b"content-location", URI_REFERENCE),
    ),
    must(
        "other-accept",
        "9110 12.5.1",
        "an Accept that nothing fits is answered 200 or 406",
        ask(b"/probe.txt", b"Accept: image/png"),
        status(200, 406),
    ),
    must(
        "other-language",
        "9110 12.5.4",
        "an Accept-Language that nothing fits is answered 200 or 406",
        ask(b"/probe.txt", b"Accept-Language: tlh"),
        status(200, 406),
    ),
    must("not-found", "9110 15.5.5", "what is not there is 404 or 410", ask(b"/none.txt"), status(404, 410)),
)

REDIRECTS = (
    should(
        "location",
        "9110 15.4",
        "a redirect says where to",
        ask(b"/sub"),
        answered_with(3),
        present(b"location"),
        needs=[Need.REDIRECT],
    ),
    must(
        "location-reference",
        "9110 10.2.2",
        "Location is a reference",
        ask(b"/sub"),
        answered_with(3),
        field(b"location", re.compile(URI_REFERENCE)),
        needs=[Need.REDIRECT],
    ),
    must(
        "location-slash",
        "9110 15.4",
        "and leads to the slash",
        ask(b"/sub"),
        answered_with(3),
        leads_to(b"/sub", b"/sub/"),
        needs=[Need.REDIRECT],
    ),
    must(
        "location-query",
        "9110 10.2.2",
        "what is no URI is encoded, or refused",
        ask(b'/sub?<>"'),
        either(status(400), field(b"location", re.compile(URI_REFERENCE))),
        needs=[Need.REDIRECT],
    ),
    must(
        "location-conditions",
        "9110 13.2.1",
        "conditions do not count for it",
        (ask(b"/sub"), ask(b"/sub", b"If-None-Match: *")),
        same_status(),
        answered_with(3),
        needs=[Need.REDIRECT],
    ),
    must(
        "location-date",
        "9110 6.6.1",
        "Date tells the time: a redirect",
        ask(b"/sub"),
        answered_with(3),
        dated_now(),
        needs=[Need.REDIRECT],
    ),
)

CASES: tuple[Case, ...] = (*DATES, *TYPES, *FIELDS, *REDIRECTS)
