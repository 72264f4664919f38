"""Request lines and request targets (RFC 9112, 2.2, 2.3 and 3; RFC 9110, 2.5, 4 and 7.1; RFC 3986)."""

import re

from tests.conformance.cases.case import Case, Need, ask, must, raw, should
from tests.conformance.cases.checks import (
    absent,
    answered_with,
    closed,
    either,
    every,
    field,
    holds_no,
    in_step,
    kept,
    no_interim,
    refused,
    status,
    version,
    whole,
)
from tests.conformance.cases.exchange import PROBE_BODY
from tests.conformance.cases.tree import AWKWARD, INDEX, LARGE, SECRET


def line(request_line: bytes) -> bytes:
    """A request with this request line."""
    return request_line + b"\r\nHost: test.example\r\n\r\n"


PROBE = line(b"GET /probe.txt HTTP/1.1")
OLD = b"HTTP/1.0"
served, index = whole(PROBE_BODY), whole(INDEX)

LINES = (
    should("empty-line", "9112 2.2", "an empty line before a request is passed over", raw(b"\r\n" + PROBE), served),
    must(
        "blank-first-field",
        "9112 2.2",
        "a field line behind a blank does not count",
        raw(b"GET /probe.txt HTTP/1.1\r\n Host: test.example\r\n\r\n"),
        status(400),
    ),
    must(
        "blank-line-ignored",
        "9112 2.2",
        "a line behind a blank is refused or passed over",
        raw(b"GET /probe.txt HTTP/1.1\r\n Connection: close\r\nHost: test.example\r\n\r\n"),
        either(status(400), kept),
        needs=[Need.PERSISTENCE],
    ),
    should(
        "no-http",
        "9112 2.2",
        "what is not HTTP is answered 400 and the end",
        raw(b"EHLO test.example\r\n\r\n"),
        status(400),
        closed,
    ),
    should(
        "binary",
        "9112 2.2",
        "a TLS greeting is answered 400 and the end",
        raw(b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\xfc\r\n\r\n"),
        status(400),
        closed,
    ),
    should(
        "protocol-case",
        "9112 2.3",
        "the protocol's name minds case",
        raw(line(b"GET /probe.txt http/1.1")),
        status(400),
    ),
    should(
        "protocol-other", "9112 2.3", "another protocol is not HTTP", raw(line(b"GET /probe.txt ICAP/1.1")), status(400)
    ),
    should(
        "version-no-digits",
        "9112 2.3",
        "a version has two digits",
        raw(line(b"GET /probe.txt HTTP/x.y")),
        status(400, 505),
    ),
    should(
        "version-two-digits",
        "9112 2.3",
        "a minor version has one digit",
        raw(line(b"GET /probe.txt HTTP/1.10")),
        status(400, 505),
    ),
    should(
        "version-missing-minor",
        "9112 2.3",
        "a version has a minor version",
        raw(line(b"GET /probe.txt HTTP/1")),
        status(400, 505),
    ),
    should(
        "version-1.2",
        "9110 2.5",
        "a higher minor version is read as the highest that is known",
        ask(version=b"HTTP/1.2"),
        served,
    ),
    should(
        "version-of-answer",
        "9110 6.2",
        "HTTP/1.0 is answered in the server's own version",
        ask(version=OLD),
        version(b"HTTP/1.1"),
    ),
    should("old-without-host", "9112 3.2", "HTTP/1.0 needs no Host", ask(version=OLD, host=None), served),
    must(
        "old-large",
        "9112 6.1",
        "HTTP/1.0 gets no transfer coding",
        ask(b"/large.bin", version=OLD),
        whole(LARGE),
        absent(b"transfer-encoding"),
    ),
    must(
        "old-missing",
        "9112 6.1",
        "HTTP/1.0 gets no transfer coding with an error",
        ask(b"/none.txt", version=OLD),
        status(404),
        absent(b"transfer-encoding"),
    ),
    must(
        "old-continue",
        "9110 15.2",
        "HTTP/1.0 gets no interim answer",
        ask(b"/probe.txt", b"Expect: 100-continue", b"Content-Length: 5", version=OLD, body=b"hello"),
        either(answered_with(2), refused()),
        no_interim(),
    ),
    should("no-target", "9112 3", "a request line has a target", raw(line(b"GET HTTP/1.1")), status(400)),
    should(
        "blank-in-target",
        "9112 3.2",
        "a target with a blank is refused or redirected",
        raw(line(b"GET /with space.txt HTTP/1.1")),
        status(301, 308, 400),
    ),
    should(
        "long-method",
        "9112 3",
        "a method longer than all that are known is answered 501",
        ask(method=b"M" * 200),
        status(501),
    ),
    should("line-8000", "9112 3", "request lines of 8000 octets are read", ask(b"/probe.txt?" + b"q" * 7976), served),
    must(
        "target-too-long",
        "9112 3",
        "a target that is too long is answered 414",
        ask(b"/probe.txt?" + b"q" * 70_000),
        either(status(414), served),
    ),
)

FORMS = (
    must(
        "origin-form",
        "9112 3.2.1",
        "a path with a query",
        ask(b"/probe.txt?a=b&c=/../d"),
        served,
        kept,
        needs=[Need.PERSISTENCE],
    ),
    must("empty-query", "9110 4.2.3", "an empty query", ask(b"/probe.txt?"), served),
    must("root", "9112 3.2.1", "the path / is there", ask(b"/"), index),
    must("absolute-form", "9112 3.2.2", "absolute-form is accepted", ask(b"http://test.example/probe.txt"), served),
    must(
        "absolute-port",
        "9112 3.2.2",
        "absolute-form with a port is accepted",
        ask(b"http://test.example:8080/probe.txt", host=b"test.example:8080"),
        served,
    ),
    must(
        "absolute-query",
        "9112 3.2.2",
        "absolute-form with a query is accepted",
        ask(b"http://test.example/probe.txt?q"),
        served,
    ),
    must(
        "absolute-empty-path",
        "9110 4.2.3",
        "absolute-form without a path means /",
        ask(b"http://test.example"),
        either(index, every(answered_with(3), field(b"location", re.compile(rb"(?:http://test\.example)?/")))),
    ),
    must(
        "absolute-case", "9110 4.2.3", "scheme and host do not mind case", ask(b"HTTP://TEST.Example/probe.txt"), served
    ),
    must(
        "absolute-other-host",
        "9112 3.2.2",
        "Host does not count beside absolute-form",
        ask(b"http://test.example/probe.txt", host=b"other.example"),
        served,
    ),
    must(
        "absolute-head",
        "9112 3.2.2",
        "HEAD takes absolute-form",
        ask(b"http://test.example/probe.txt", method=b"HEAD"),
        status(200),
        kept,
        needs=[Need.PERSISTENCE],
    ),
    must(
        "absolute-no-host",
        "9112 3.2",
        "absolute-form does not stand for Host",
        ask(b"http://test.example/probe.txt", host=None),
        status(400),
    ),
    should(
        "absolute-userinfo",
        "9110 4.2.4",
        "userinfo is treated as an error",
        ask(b"http://user@test.example/probe.txt"),
        refused(),
    ),
    must("absolute-empty-host", "9110 4.2.1", "an empty host is rejected", ask(b"http:///probe.txt"), refused()),
    should("relative", "9112 3.2", "a relative path is no target", ask(b"probe.txt"), status(301, 308, 400)),
    should(
        "authority-get", "9112 3.2.3", "authority-form is for CONNECT", ask(b"test.example:80"), status(301, 308, 400)
    ),
    should("asterisk-get", "9112 3.2.4", "the asterisk is for OPTIONS", ask(b"*"), status(301, 308, 400, 404)),
    must(
        "asterisk-options",
        "9112 3.2.4",
        "OPTIONS * is about the server",
        ask(b"*", method=b"OPTIONS"),
        answered_with(2),
        in_step,
        needs=[Need.OPTIONS],
    ),
    must(
        "asterisk-absolute",
        "9112 3.2.4",
        "OPTIONS of an absolute-form without a path is OPTIONS *",
        ask(b"http://test.example", method=b"OPTIONS"),
        answered_with(2),
        in_step,
        needs=[Need.OPTIONS],
    ),
    should("fragment", "9112 3.2.1", "a target has no fragment", ask(b"/probe.txt#part"), status(301, 308, 400)),
)

PATHS = (
    must("encoded", "9110 4.2.3", "what needs no encoding may be encoded", ask(b"/%70robe%2Etxt"), served),
    must("encoded-case", "9110 4.2.3", "hexadecimal digits of either case", ask(b"/%70robe%2e%74xt"), served),
    should("encoded-badly", "9112 3", "an encoding that is none is refused", ask(b"/%zz"), status(301, 308, 400)),
    should(
        "encoded-cut", "9112 3", "an encoding that is cut off is refused", ask(b"/probe.txt%4"), status(301, 308, 400)
    ),
    must("encoded-nul", "9110 17.3", "an encoded NUL ends no name", ask(b"/probe.txt%00.html"), refused()),
    must("encoded-twice", "9110 4.2.3", "decoded once, not twice", ask(b"/%2570robe.txt"), status(404)),
    must("case", "9110 4.2.3", "paths mind case", ask(b"/PROBE.TXT"), status(404)),
    must(
        "parent", "9110 17.3", "dots do not lead out of the root", ask(b"/../secret.txt"), refused(), holds_no(SECRET)
    ),
    must(
        "parent-encoded",
        "9110 17.3",
        "encoded dots do not lead out of the root",
        ask(b"/%2e%2e/secret.txt"),
        refused(),
        holds_no(SECRET),
    ),
    must(
        "parent-slash",
        "9110 17.3",
        "an encoded slash does not lead out of the root",
        ask(b"/..%2fsecret.txt"),
        refused(),
        holds_no(SECRET),
    ),
    must("parent-deep", "9110 17.3", "nor from beneath it", ask(b"/sub/../../secret.txt"), refused(), holds_no(SECRET)),
    must(
        "parent-absolute",
        "9110 17.3",
        "nor in absolute-form",
        ask(b"http://test.example/../secret.txt"),
        refused(),
        holds_no(SECRET),
    ),
    *(
        must(f"name-{number}", "9110 4.2.3", f"the file named {name} is there", ask(target), whole(name.encode()))
        for number, (name, target) in enumerate(AWKWARD.items(), 1)
    ),
)

CASES: tuple[Case, ...] = (*LINES, *FORMS, *PATHS)
