"""Where messages begin and end (RFC 9112, 6 to 8; RFC 9110, 6.5, 8.6 and 9.3)."""

from tests.conformance.cases.case import Case, Need, after, ask, must, raw, should, together
from tests.conformance.cases.checks import (
    absent,
    answered_with,
    closed,
    either,
    every,
    in_step,
    no_interim,
    not_taken_up,
    once,
    refused,
    status,
    well_formed,
    whole,
)
from tests.conformance.cases.exchange import PROBE_BODY, Step
from tests.conformance.cases.tree import LARGE

CHUNKED = b"Transfer-Encoding: chunked"
served = whole(PROBE_BODY)
passed_over = every(either(served, refused()), in_step)
"""Content of a GET has no meaning: it is read past, or the connection ends; it is never taken for a request."""
SMUGGLED = b"GET /none.txt HTTP/1.1\r\nHost: test.example\r\n\r\n"


def sized(length: bytes, body: bytes = b"hello", *lines: bytes, method: bytes = b"GET") -> Step:
    """A request with this Content-Length."""
    return ask(b"/probe.txt", b"Content-Length: " + length, *lines, method=method, body=body)


def coded(body: bytes, *lines: bytes, method: bytes = b"GET") -> Step:
    """A request with this chunked content, as it is."""
    return ask(b"/probe.txt", CHUNKED, *lines, method=method, body=body)


def refused_length(id: str, demand: str, length: bytes, body: bytes = b"hello") -> Case:
    """A Content-Length that is none: 400, and the connection ends."""
    return must(f"length-{id}", "9112 6.3", f"400 and the end: {demand}", sized(length, body), status(400), closed)


LENGTHS = (
    must("length-get", "9110 9.3.1", "content of a GET is no request", sized(b"5"), passed_over),
    must("length-head", "9110 9.3.2", "content of a HEAD is no request", sized(b"5", method=b"HEAD"), in_step),
    must("length-post", "9112 6.2", "content of a POST is no request", sized(b"5", method=b"POST"), in_step),
    must(
        "length-unknown", "9112 6.2", "content of an unknown method is no request", sized(b"5", method=b"FOO"), in_step
    ),
    must("length-zero", "9112 6.2", "Content-Length 0", sized(b"0", b""), served, in_step),
    must("length-zeros", "9110 8.6", "leading zeros", sized(b"0005"), passed_over),
    must("length-empty-lines", "9112 6.2", "content of empty lines", sized(b"8", b"\r\n\r\n\r\n\r\n"), passed_over),
    must(
        "length-request",
        "9112 11.2",
        "content that looks like a request",
        sized(b"%d" % len(SMUGGLED), SMUGGLED),
        passed_over,
    ),
    must(
        "length-request-post",
        "9112 11.2",
        "of a POST likewise",
        sized(b"%d" % len(SMUGGLED), SMUGGLED, method=b"POST"),
        in_step,
    ),
    refused_length("negative", "a negative length", b"-5"),
    refused_length("plus", "a length with a sign", b"+5"),
    refused_length("missing", "an empty length", b"", b""),
    refused_length("hexadecimal", "a length in hexadecimal", b"0x5"),
    refused_length("letters", "a length with letters", b"5a"),
    refused_length("point", "a length with a point", b"5.0"),
    refused_length("blank", "a length with a blank", b"5 5"),
    refused_length("underscore", "a length with an underscore", b"1_0", b"hellohello"),
    refused_length("quotes", "a length in quotes", b'"5"'),
    refused_length("list-different", "a list of different lengths", b"5, 6", b"hello!"),
    must(
        "length-two-different",
        "9112 6.3",
        "two different lengths",
        sized(b"5", b"hello!", b"Content-Length: 6"),
        status(400),
        closed,
    ),
    must(
        "length-two-equal",
        "9112 6.3",
        "two equal lengths are refused, or are one",
        sized(b"5", b"hello", b"Content-Length: 5"),
        either(every(status(400), closed), passed_over),
    ),
    must(
        "length-list-equal",
        "9112 6.3",
        "a list of equal lengths is refused, or is one",
        sized(b"5, 5"),
        either(every(status(400), closed), passed_over),
    ),
    must(
        "length-beyond",
        "9110 8.6",
        "a length beyond all numbers does not wrap around",
        sized(b"18446744073709551621"),
        not_taken_up,
    ),
    must("length-40-digits", "9110 8.6", "a length of 40 digits is no small number", sized(b"9" * 40), not_taken_up),
)

TRANSFER = (
    must(
        "both",
        "9112 6.1",
        "Transfer-Encoding beside Content-Length: the connection ends",
        coded(b"0\r\n\r\n", b"Content-Length: 5"),
        closed,
    ),
    must("both-reversed", "9112 6.1", "the two the other way round", sized(b"5", b"0\r\n\r\n", CHUNKED), closed),
    must(
        "both-post", "9112 6.1", "the two on a POST", coded(b"0\r\n\r\n", b"Content-Length: 5", method=b"POST"), closed
    ),
    must(
        "coding-1.0",
        "9112 6.1",
        "Transfer-Encoding in HTTP/1.0: the connection ends",
        ask(b"/probe.txt", CHUNKED, b"Connection: keep-alive", version=b"HTTP/1.0", body=b"0\r\n\r\n"),
        closed,
    ),
    must(
        "coding-not-chunked",
        "9112 6.3",
        "an error and the end: a coding that is not chunked",
        ask(b"/probe.txt", b"Transfer-Encoding: gzip"),
        status(400, 501),
        closed,
    ),
    must(
        "coding-identity",
        "9112 6.3",
        "an error and the end: identity, which is no coding any more",
        ask(b"/probe.txt", b"Transfer-Encoding: identity"),
        status(400, 501),
        closed,
    ),
    must(
        "coding-not-last",
        "9112 6.3",
        "an error and the end: chunked is not the last",
        ask(b"/probe.txt", b"Transfer-Encoding: chunked, gzip", body=b"0\r\n\r\n"),
        status(400, 501),
        closed,
    ),
    must(
        "coding-not-last-lines",
        "9112 6.3",
        "an error and the end: chunked is not the last, on two lines",
        coded(b"0\r\n\r\n", b"Transfer-Encoding: gzip"),
        status(400, 501),
        closed,
    ),
    must(
        "coding-nearly",
        "9112 6.3",
        "an error and the end: xchunked is not chunked",
        ask(b"/probe.txt", b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n"),
        status(400, 501),
        closed,
    ),
    must(
        "coding-quoted",
        "9112 6.3",
        "an error and the end: a coding in quotes is none",
        ask(b"/probe.txt", b'Transfer-Encoding: "chunked"', body=b"0\r\n\r\n"),
        status(400, 501),
        closed,
    ),
    should(
        "coding-unknown",
        "9112 6.1",
        "a coding that is not known is answered 501",
        ask(b"/probe.txt", b"Transfer-Encoding: x-none, chunked", body=b"0\r\n\r\n"),
        status(501),
    ),
    must(
        "coding-case",
        "9112 7",
        "names of codings do not mind case",
        ask(b"/probe.txt", b"Transfer-Encoding: ChunKed", body=b"5\r\nhello\r\n0\r\n\r\n"),
        served,
        in_step,
    ),
)

CHUNKS = (
    must("chunks-none", "9112 7.1", "no chunks", coded(b"0\r\n\r\n"), served, in_step),
    must("chunks-one", "9112 7.1", "one chunk", coded(b"5\r\nhello\r\n0\r\n\r\n"), served, in_step),
    must("chunks-many", "9112 7.1", "many chunks", coded(b"1\r\nx\r\n" * 300 + b"0\r\n\r\n"), served, in_step),
    must(
        "chunks-case",
        "9112 7.1",
        "sizes in hexadecimal of either case",
        coded(b"a\r\n0123456789\r\nB\r\n0123456789a\r\n0\r\n\r\n"),
        served,
        in_step,
    ),
    must(
        "chunks-zeros", "9112 7.1", "sizes with leading zeros", coded(b"0005\r\nhello\r\n000\r\n\r\n"), served, in_step
    ),
    must(
        "chunks-end-in-data",
        "9112 7.1",
        "data that looks like the end",
        coded(b"5\r\n0\r\n\r\n\r\n0\r\n\r\n"),
        served,
        in_step,
    ),
    must("chunks-post", "9112 7.1", "of a POST", coded(b"5\r\nhello\r\n0\r\n\r\n", method=b"POST"), in_step),
    must(
        "chunks-request",
        "9112 11.2",
        "content that looks like a request",
        coded(b"%x\r\n%s\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)),
        served,
        in_step,
    ),
    must(
        "chunk-extension",
        "9112 7.1.1",
        "extensions are passed over",
        coded(b'5;a;b=c;d="e;f"\r\nhello\r\n0;last\r\n\r\n'),
        served,
        in_step,
    ),
    must(
        "chunk-pieces",
        "9112 7.1",
        "however its octets are dealt out",
        (coded(b"5\r\nhel")._replace(methods=()), after(raw(b"lo\r\n0\r\n\r\n"))),
        served,
        in_step,
    ),
    must(
        "chunk-beyond",
        "9112 7.1",
        "a size that would wrap around to 5",
        coded(b"10000000000000005\r\nhello\r\n0\r\n\r\n"),
        not_taken_up,
    ),
    should(
        "chunk-word", "9112 2.2", "a size that is no number ends it", coded(b"zz\r\nhello\r\n0\r\n\r\n"), not_taken_up
    ),
    should("chunk-negative", "9112 2.2", "a negative size ends it", coded(b"-5\r\nhello\r\n0\r\n\r\n"), not_taken_up),
    should("chunk-0x", "9112 2.2", "a size with 0x ends it", coded(b"0x5\r\nhello\r\n0\r\n\r\n"), not_taken_up),
    should(
        "chunk-missing", "9112 2.2", "a size that is missing ends it", coded(b"\r\nhello\r\n0\r\n\r\n"), not_taken_up
    ),
    should(
        "chunk-longer",
        "9112 2.2",
        "a chunk longer than its size ends it",
        coded(b"5\r\nhello!\r\n0\r\n\r\n"),
        not_taken_up,
    ),
    should(
        "chunk-bare-lf",
        "9112 2.2",
        "a size that ends in a bare LF ends it",
        coded(b"5\nhello\r\n0\r\n\r\n"),
        not_taken_up,
    ),
    must(
        "trailer",
        "9112 7.1.2",
        "trailers are read past",
        coded(b"0\r\nX-Sum: 1\r\nX-Other: 2\r\n\r\n"),
        served,
        in_step,
    ),
    must(
        "trailer-range",
        "9110 6.5.1",
        "a trailer is no field: Range",
        coded(b"0\r\nRange: bytes=0-1\r\n\r\n"),
        served,
        in_step,
    ),
    must(
        "trailer-condition",
        "9110 6.5.1",
        "a trailer is no field: If-None-Match",
        coded(b"0\r\nIf-None-Match: *\r\n\r\n"),
        served,
        in_step,
    ),
    must(
        "trailer-host",
        "9110 6.5.1",
        "a trailer is no field: a second Host",
        coded(b"0\r\nHost: other.example\r\n\r\n"),
        served,
        in_step,
    ),
    must(
        "trailer-expect",
        "9110 6.5.1",
        "a trailer is no field: Expect",
        coded(b"0\r\nExpect: 100-continue\r\n\r\n"),
        served,
        in_step,
        no_interim(),
    ),
)

BOTH = absent(b"transfer-encoding", b"content-length")
ONE_LENGTH = either(absent(b"transfer-encoding"), absent(b"content-length"))
SINGLE = once(
    b"content-length", b"content-type", b"content-range", b"date", b"etag", b"last-modified", b"location", b"server"
)

ANSWERS = (
    *(
        must(
            f"answer-{id}",
            "9112 4",
            f"the answer is well-formed: {what}",
            step,
            status(*statuses),
            well_formed(),
            SINGLE,
            ONE_LENGTH,
        )
        for id, what, step, statuses in (
            ("200", "a file", ask(), (200,)),
            ("large", "a large file", ask(b"/large.bin"), (200,)),
            ("404", "an error", ask(b"/none.txt"), (404,)),
        )
    ),
    must(
        "answer-304",
        "9112 4",
        "the answer is well-formed: 304",
        (ask(), ask(b"/probe.txt", b"If-None-Match: <etag>")),
        status(304),
        well_formed(),
        SINGLE,
        ONE_LENGTH,
        needs=[Need.ETAG],
    ),
    must(
        "head-sound",
        "9112 6.3",
        "an answer to HEAD has no content",
        together(ask(method=b"HEAD"), ask()),
        whole(PROBE_BODY),
        in_step,
        needs=[Need.PERSISTENCE],
    ),
    must(
        "head-large-sound",
        "9112 6.3",
        "not of a large file either",
        together(ask(b"/large.bin", method=b"HEAD"), ask()),
        whole(PROBE_BODY),
        in_step,
        needs=[Need.PERSISTENCE],
    ),
    must(
        "head-error-sound",
        "9112 6.3",
        "nor of an error",
        together(ask(b"/none.txt", method=b"HEAD"), ask()),
        whole(PROBE_BODY),
        in_step,
        needs=[Need.PERSISTENCE],
    ),
    must(
        "not-modified-sound",
        "9112 6.3",
        "a 304 has no content",
        (ask(b"/large.bin"), ask(b"/large.bin", b"If-None-Match: <etag>"), after(ask())),
        status(304, at=1),
        whole(PROBE_BODY),
        in_step,
        needs=[Need.PERSISTENCE, Need.ETAG],
    ),
    must(
        "large-sound",
        "9112 6.3",
        "a large file ends where it says",
        together(ask(b"/large.bin"), ask()),
        whole(LARGE, at=0),
        whole(PROBE_BODY),
        in_step,
        needs=[Need.PERSISTENCE],
    ),
    must(
        "empty-sound",
        "9112 6.3",
        "an empty file is 200 without content",
        together(ask(b"/empty.txt"), ask()),
        whole(b"", at=0),
        whole(PROBE_BODY),
        in_step,
        needs=[Need.PERSISTENCE],
    ),
    must(
        "no-content-length",
        "9110 8.6",
        "a 204 has no Content-Length, and no transfer coding (9112, 6.1)",
        ask(method=b"OPTIONS"),
        answered_with(2),
        either(status(200), BOTH),
        needs=[Need.OPTIONS],
    ),
)

CASES: tuple[Case, ...] = (*LENGTHS, *TRANSFER, *CHUNKS, *ANSWERS)
