"""The life of a connection (RFC 9112, 9; RFC 9110, 7.6, 7.8 and 10.1.1)."""

from tests.conformance.cases.case import Case, Need, after, ask, must, raw, should, together
from tests.conformance.cases.checks import (
    answered_with,
    closed,
    either,
    every,
    in_step,
    kept,
    lists,
    part,
    refused,
    status,
    whole,
)
from tests.conformance.cases.exchange import ANYTHING, PROBE_BODY, SENTINEL, Step
from tests.conformance.cases.tree import DIGITS, INDEX, LARGE

served = whole(PROBE_BODY)
CLOSE = b"Connection: close"
PERSISTS = [Need.PERSISTENCE]
OLD = b"HTTP/1.0"

CLOSING = (
    should("persists", "9112 9.3", "HTTP/1.1 persists", ask(), served, kept),
    should("persists-error", "9112 9.3", "an error does not end a connection", ask(b"/none.txt"), status(404), kept),
    should("persists-large", "9112 9.3", "nor does a large file", ask(b"/large.bin"), whole(LARGE), kept),
    must(
        "says-close",
        "9112 9.3",
        "who does not persist says close",
        ask(),
        served,
        either(kept, lists(b"connection", b"close")),
    ),
    must(
        "says-close-error",
        "9112 9.3",
        "with an error too",
        ask(b"/none.txt"),
        status(404),
        either(kept, lists(b"connection", b"close")),
    ),
    *(
        case
        for id, what, step, check in (
            ("", "a file", ask(b"/probe.txt", CLOSE), served),
            ("-large", "a large file", ask(b"/large.bin", CLOSE), whole(LARGE)),
            ("-error", "an error", ask(b"/none.txt", CLOSE), status(404)),
            ("-head", "HEAD", ask(b"/probe.txt", CLOSE, method=b"HEAD"), status(200)),
            (
                "-post",
                "POST",
                ask(b"/probe.txt", CLOSE, b"Content-Length: 5", method=b"POST", body=b"hello"),
                either(answered_with(2), refused()),
            ),
        )
        for case in (
            must(f"close{id}", "9112 9.6", f"close closes: {what}", step, check, closed),
            should(
                f"close{id}-said",
                "9112 9.6",
                f"and the answer says so: {what}",
                step,
                check,
                lists(b"connection", b"close"),
            ),
        )
    ),
    must(
        "close-304",
        "9112 9.6",
        "close closes: 304",
        (ask(), ask(b"/probe.txt", CLOSE, b"If-None-Match: <etag>")),
        status(304),
        closed,
        needs=[Need.ETAG],
    ),
    must(
        "close-case", "9110 7.6.1", "options do not mind case", ask(b"/probe.txt", b"Connection: Close"), served, closed
    ),
    must(
        "close-beside-keep-alive",
        "9112 9.3",
        "close comes before keep-alive",
        ask(b"/probe.txt", b"Connection: keep-alive, close"),
        served,
        closed,
    ),
    must(
        "close-ends-pipeline",
        "9112 9.6",
        "what follows close is not answered",
        raw(ask(b"/probe.txt", CLOSE).data + SENTINEL),
        served,
        closed,
    ),
    should(
        "keep-alive",
        "9112 9.3",
        "keep-alive in HTTP/1.1 changes nothing",
        ask(b"/probe.txt", b"Connection: keep-alive"),
        served,
        kept,
    ),
    should(
        "option-unknown",
        "9110 7.6.1",
        "an option that is not known changes nothing",
        ask(b"/probe.txt", b"Connection: x-none"),
        served,
        kept,
    ),
    must("old", "9112 9.3", "HTTP/1.0 ends after the answer", ask(version=OLD), served, closed),
    must("old-error", "9112 9.3", "after an error too", ask(b"/none.txt", version=OLD), status(404), closed),
    must(
        "old-both",
        "9112 9.3",
        "close comes before keep-alive there too",
        ask(b"/probe.txt", b"Connection: keep-alive, close", version=OLD),
        served,
        closed,
    ),
    must(
        "old-keep-alive",
        "9112 9.3",
        "keep-alive in HTTP/1.0: the answer says what becomes of the connection",
        ask(b"/probe.txt", b"Connection: keep-alive", version=OLD),
        served,
        either(closed, every(kept, lists(b"connection", b"keep-alive"))),
    ),
)

PIECES = [ask().data[start : start + 7] for start in range(0, len(ask().data), 7)]
DEALT_OUT = (
    Step(PIECES[0], ()),
    *(after(Step(piece, ())) for piece in PIECES[1:-1]),
    after(Step(PIECES[-1])),
)
"""One request, seven octets at a time."""

PIPELINES = (
    must(
        "sequence",
        "9112 9.3",
        "one request after another",
        (ask(), after(ask(b"/")), after(ask(b"/none.txt"))),
        whole(PROBE_BODY, at=0),
        whole(INDEX, at=1),
        status(404),
        in_step,
        needs=PERSISTS,
    ),
    must(
        "pipeline",
        "9112 9.3.2",
        "answers come in the order of the requests",
        together(ask(), ask(b"/"), ask()),
        whole(PROBE_BODY, at=0),
        whole(INDEX, at=1),
        served,
        in_step,
        needs=PERSISTS,
    ),
    must(
        "pipeline-large",
        "9112 9.3.2",
        "a large file keeps its place",
        together(ask(), ask(b"/large.bin"), ask(b"/")),
        whole(PROBE_BODY, at=0),
        whole(LARGE, at=1),
        whole(INDEX),
        in_step,
        needs=PERSISTS,
    ),
    must(
        "pipeline-error",
        "9112 9.3.2",
        "an error keeps its place",
        together(ask(), ask(b"/none.txt"), ask()),
        whole(PROBE_BODY, at=0),
        status(404, at=1),
        served,
        in_step,
        needs=PERSISTS,
    ),
    must(
        "pipeline-mixed",
        "9112 9.3.2",
        "so do HEAD and a range",
        together(ask(method=b"HEAD"), ask(b"/digits.bin", b"Range: bytes=4-6"), ask()),
        status(200, at=0),
        part(DIGITS, 4, 6, at=1),
        served,
        in_step,
        needs=[*PERSISTS, Need.RANGES],
    ),
    must(
        "pipeline-16",
        "9112 9.3.2",
        "sixteen at once",
        together(*[ask(), ask(b"/")] * 8),
        *[whole(PROBE_BODY if n % 2 == 0 else INDEX, at=n) for n in range(16)],
        in_step,
        needs=PERSISTS,
    ),
    must(
        "pipeline-before-fault",
        "9112 9.3.2",
        "what came before a fault is answered",
        raw(ask().data + ask(b"/probe.txt", b"X-Name : value").data, b"GET", b"GET"),
        whole(PROBE_BODY, at=0),
        status(400),
        needs=PERSISTS,
    ),
    must("octets", "9112 2.2", "however a request is dealt out", DEALT_OUT, served, in_step),
    must(
        "two-as-one",
        "9112 2.2",
        "the end of one request and the beginning of the next",
        (raw(ask().data + ask(b"/").data[:20]), after(raw(ask(b"/").data[20:]))),
        whole(PROBE_BODY, at=0),
        whole(INDEX),
        in_step,
        needs=PERSISTS,
    ),
)

OTHERS = (
    should(
        "upgrade-unknown",
        "9110 7.8",
        "an upgrade to what is not known is passed over",
        ask(b"/probe.txt", b"Connection: upgrade", b"Upgrade: example/1"),
        served,
    ),
    must(
        "upgrade-1.0",
        "9110 7.8",
        "an upgrade in HTTP/1.0 is passed over",
        ask(
            b"/probe.txt",
            b"Connection: upgrade",
            b"Upgrade: websocket",
            b"Sec-WebSocket-Version: 13",
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            version=OLD,
        ),
        status(200),
    ),
    must(
        "te",
        "9110 10.1.4",
        "TE asks for nothing that has to be done",
        ask(b"/probe.txt", b"TE: trailers, deflate;q=0.5", b"Connection: TE"),
        served,
        in_step,
    ),
    must(
        "expect-get",
        "9110 10.1.1",
        "an expectation without content",
        ask(b"/probe.txt", b"Expect: 100-continue"),
        either(answered_with(2), status(417)),
        in_step,
    ),
    must(
        "expect-awaits",
        "9110 10.1.1",
        "the server says something before the content comes",
        raw(ask(b"/probe.txt", b"Expect: 100-continue", b"Content-Length: 5", method=b"POST").data, ANYTHING),
        either(status(100), *map(answered_with, (2, 3, 4, 5))),
    ),
    must(
        "expect-awaits-get",
        "9110 10.1.1",
        "before that of a GET too",
        raw(ask(b"/probe.txt", b"Expect: 100-continue", b"Content-Length: 5").data, ANYTHING),
        either(status(100), served, refused()),
    ),
    must(
        "expect-content",
        "9110 10.1.1",
        "content that has come already",
        ask(b"/probe.txt", b"Expect: 100-continue", b"Content-Length: 5", body=b"hello"),
        either(served, status(417)),
        in_step,
    ),
    must(
        "expect-case",
        "9110 10.1.1",
        "the expectation does not mind case",
        ask(b"/probe.txt", b"Expect: 100-Continue", b"Content-Length: 5", body=b"hello"),
        served,
        in_step,
    ),
)

CASES: tuple[Case, ...] = (*CLOSING, *PIPELINES, *OTHERS)
