"""Methods (RFC 9110, 9 and 15.5.6)."""

from tests.conformance.cases.case import Case, Need, ask, must, should
from tests.conformance.cases.checks import (
    allowed_in_405,
    answered_with,
    body,
    either,
    every,
    field,
    in_step,
    lists,
    present,
    refused,
    same,
    same_status,
    status,
    true_length,
    whole,
)
from tests.conformance.cases.exchange import PROBE_BODY, Step
from tests.conformance.cases.tree import DIGITS, LARGE, SCRIPT

no_success = either(answered_with(3), refused())
CONTENT = (b"Content-Type: text/plain", b"Content-Length: 5")


def changing(method: bytes) -> Step:
    """A request that would change the file."""
    return ask(b"/probe.txt", *CONTENT, method=method, body=b"hello")


def pair(target: bytes, *lines: bytes) -> tuple[Step, Step]:
    """GET and HEAD of the same."""
    return ask(target, *lines), ask(target, *lines, method=b"HEAD")


FIELDS = (b"content-type", b"etag", b"last-modified", b"vary", b"content-encoding", b"content-range", b"location")
NO_CONTENT = every(same_status(), in_step)

METHODS = (
    must("get", "9110 9.1", "GET is supported", ask(b"/digits.bin"), whole(DIGITS)),
    must("head", "9110 9.1", "HEAD is supported", ask(b"/digits.bin", method=b"HEAD"), status(200), in_step),
    must("method-case-get", "9110 9.1", "methods mind case: get", ask(method=b"get"), refused()),
    must("method-case-head", "9110 9.1", "methods mind case: Head", ask(method=b"Head"), refused()),
    should(
        "method-unknown",
        "9110 9.1",
        "a method that is not known is answered 501",
        ask(method=b"FROBNICATE"),
        status(501),
    ),
    should("method-token", "9110 9.1", "a method is any token", ask(method=b"!#$%&'*+-.^_`|~0A"), status(501)),
    should("post", "9110 9.1", "POST is not allowed", changing(b"POST"), status(405)),
    should("patch", "9110 9.1", "PATCH is not allowed, or not known", changing(b"PATCH"), status(405, 501)),
    must("put", "9110 9.3.4", "PUT does not say that it has stored what it has not", changing(b"PUT"), refused()),
    must(
        "delete",
        "9110 9.3.5",
        "DELETE does not say that it has removed what it has not",
        ask(method=b"DELETE"),
        refused(),
    ),
    *(
        must(
            f"{method.decode().lower()}-allow",
            "9110 15.5.6",
            f"405 says what is allowed: {method.decode()}",
            changing(method),
            allowed_in_405(),
        )
        for method in (b"POST", b"PUT", b"DELETE", b"FROBNICATE")
    ),
    must(
        "put-changes-nothing",
        "9110 9.2.1",
        "a refused PUT changes nothing",
        (changing(b"PUT"), ask()),
        refused(at=0),
        whole(PROBE_BODY),
    ),
    should(
        "trace",
        "9110 9.3.8",
        "TRACE is refused, or gives the request back",
        ask(method=b"TRACE"),
        either(refused(), field(b"content-type", b"message/http")),
    ),
    must(
        "connect-port",
        "9110 9.3.6",
        "CONNECT to an invalid port is rejected",
        ask(b"test.example:99999", method=b"CONNECT"),
        no_success,
    ),
    must(
        "connect-no-port",
        "9110 9.3.6",
        "CONNECT to an empty port is rejected",
        ask(b"test.example:", method=b"CONNECT"),
        no_success,
    ),
    must(
        "connect-path",
        "9112 3.2.3",
        "CONNECT of a path opens no tunnel",
        ask(b"/probe.txt", method=b"CONNECT"),
        no_success,
    ),
    should(
        "options-allow",
        "9110 9.3.7",
        "OPTIONS says what is allowed",
        ask(method=b"OPTIONS"),
        answered_with(2),
        lists(b"allow", b"GET", b"HEAD"),
        needs=[Need.OPTIONS],
    ),
    must(
        "options-conditions",
        "9110 13.2.1",
        "conditions do not count for OPTIONS",
        ask(b"/probe.txt", b'If-Match: "x-none"', method=b"OPTIONS"),
        answered_with(2),
        needs=[Need.OPTIONS],
    ),
    must(
        "options-none-match",
        "9110 13.2.1",
        "If-None-Match neither",
        ask(b"/probe.txt", b"If-None-Match: *", method=b"OPTIONS"),
        answered_with(2),
        needs=[Need.OPTIONS],
    ),
    must(
        "options-range",
        "9110 14.2",
        "Range does not count for OPTIONS",
        ask(b"/digits.bin", b"Range: bytes=0-1", method=b"OPTIONS"),
        status(200, 204),
        needs=[Need.OPTIONS],
    ),
    must(
        "post-conditions",
        "9110 13.2.1",
        "conditions do not count where the method is refused",
        (ask(method=b"POST"), ask(b"/probe.txt", b"If-None-Match: *", method=b"POST")),
        same_status(),
        refused(),
    ),
    must(
        "post-range",
        "9110 14.2",
        "Range does not count for POST",
        (ask(method=b"POST"), ask(b"/probe.txt", b"Range: bytes=999-", method=b"POST")),
        same_status(),
        refused(),
    ),
)

HEADS = tuple(
    case
    for id, what, steps, data in (
        ("file", "a file", pair(b"/digits.bin"), DIGITS),
        ("large", "a large file", pair(b"/large.bin"), LARGE),
        ("empty", "an empty file", pair(b"/empty.txt"), b""),
        ("script", "a file that is there in codings too", pair(b"/script.js"), SCRIPT),
        ("missing", "what is missing", pair(b"/none.txt"), None),
        ("directory", "a directory without its slash", pair(b"/sub"), None),
        ("304", "304", pair(b"/probe.txt", b"If-None-Match: *"), None),
        ("412", "412", pair(b"/probe.txt", b'If-Match: "x-none"'), None),
    )
    for case in (
        must(
            f"head-{id}",
            "9110 9.3.2",
            f"HEAD has no content, and GET's status: {what}",
            steps,
            NO_CONTENT,
            *([body(data, at=0), true_length(data)] if data is not None else []),
        ),
        should(
            f"head-{id}-fields",
            "9110 9.3.2",
            f"HEAD has the fields of GET: {what}",
            steps,
            present(b"date", at=0),
            same(*FIELDS),
            in_step,
        ),
    )
)

RANGE = (
    must(
        "head-range",
        "9110 14.2",
        "Range counts for GET alone",
        ask(b"/digits.bin", b"Range: bytes=0-1", method=b"HEAD"),
        status(200),
        true_length(DIGITS),
        in_step,
    ),
    must(
        "head-range-unsatisfiable",
        "9110 14.2",
        "one that cannot be satisfied neither",
        ask(b"/digits.bin", b"Range: bytes=5000-", method=b"HEAD"),
        status(200),
        in_step,
    ),
)

CASES: tuple[Case, ...] = (*METHODS, *HEADS, *RANGE)
