"""Host, field names, values and lists (RFC 9112, 3.2 and 5; RFC 9110, 5 and 7.2)."""

from tests.conformance.cases.case import Case, Need, ask, must, should
from tests.conformance.cases.checks import answered_with, closed, either, kept, status, whole
from tests.conformance.cases.exchange import PROBE_BODY, Step

served = whole(PROBE_BODY)
KEPT = [Need.PERSISTENCE]


def lines(*fields: bytes) -> Step:
    """A GET with exactly these field lines."""
    return ask(b"/probe.txt", *fields, host=None)


HOST = b"Host: test.example"

HOSTS = (
    must("host-missing", "9112 3.2", "400 to a request of HTTP/1.1 without Host", lines(), status(400)),
    must(
        "host-missing-others",
        "9112 3.2",
        "400 to a request with other fields, without Host",
        lines(b"Accept: */*"),
        status(400),
    ),
    must("host-missing-head", "9112 3.2", "400 to a HEAD without Host", ask(host=None, method=b"HEAD"), status(400)),
    must("host-twice", "9112 3.2", "400 to two Hosts", lines(HOST, b"Host: other.example"), status(400)),
    must("host-twice-equal", "9112 3.2", "400 to two equal Hosts", lines(HOST, HOST), status(400)),
    must("host-twice-empty", "9112 3.2", "400 to two Hosts, one of them empty", lines(HOST, b"Host:"), status(400)),
    must("host-list", "9112 3.2", "400 to a list of hosts", lines(b"Host: test.example, other.example"), status(400)),
    must("host-blank", "9112 3.2", "400 to a Host with a blank", lines(b"Host: test example"), status(400)),
    must("host-path", "9112 3.2", "400 to a Host with a path", lines(b"Host: test.example/path"), status(400)),
    must("host-userinfo", "9112 3.2", "400 to a Host with userinfo", lines(b"Host: user@test.example"), status(400)),
    must("host-scheme", "9112 3.2", "400 to a Host with a scheme", lines(b"Host: http://test.example"), status(400)),
    must(
        "host-port-word",
        "9112 3.2",
        "400 to a Host whose port is no number",
        lines(b"Host: test.example:http"),
        status(400),
    ),
    must("host-bracket", "9112 3.2", "400 to a Host with half a bracket", lines(b"Host: [::1"), status(400)),
    must("host-query", "9112 3.2", "400 to a Host with a query", lines(b"Host: test.example?q"), status(400)),
    must("host-backslash", "9112 3.2", "400 to a Host with a backslash", lines(b"Host: test\\example"), status(400)),
    must("host-angles", "9112 3.2", "400 to a Host with angles", lines(b"Host: <test.example>"), status(400)),
    must(
        "host-nul",
        "9110 5.5",
        "400 to a Host with NUL, or with a blank in its place",
        lines(b"Host: test\0example"),
        status(400),
    ),
    must("host-port", "9110 7.2", "a Host with a port is valid", lines(b"Host: test.example:8080"), served),
    must("host-empty-port", "9110 7.2", "a Host with an empty port is valid", lines(b"Host: test.example:"), served),
    must("host-ipv6", "9110 7.2", "an IPv6 address is valid", lines(b"Host: [2001:db8::1]:8080"), served),
    must("host-late", "9110 5.3", "the order of different fields does not count", lines(b"Accept: */*", HOST), served),
)

NAMES = (
    must("name-case", "9110 5.1", "names of fields do not mind case: Host", lines(b"hOsT: test.example"), served),
    must(
        "name-case-connection",
        "9110 5.1",
        "names do not mind case: Connection",
        ask(b"/probe.txt", b"CONNECTION: close"),
        served,
        closed,
    ),
    should(
        "name-unknown",
        "9110 5.1",
        "unknown fields are passed over",
        ask(b"/probe.txt", b"X-Whatever: 1", b"!#$%&'*+-.^_`|~0A: 2"),
        served,
    ),
    must(
        "blank-before-colon",
        "9112 5.1",
        "400 to a blank before the colon",
        ask(b"/probe.txt", b"X-Name : value"),
        status(400),
    ),
    must(
        "tab-before-colon",
        "9112 5.1",
        "400 to a tab before the colon",
        ask(b"/probe.txt", b"X-Name\t: value"),
        status(400),
    ),
    must(
        "blank-before-colon-host",
        "9112 5.1",
        "400 to a blank before the colon of Host",
        lines(b"Host : test.example"),
        status(400),
    ),
    must(
        "blank-before-colon-length",
        "9112 5.1",
        "400 to a blank before the colon of Content-Length",
        ask(b"/probe.txt", b"Content-Length : 5", body=b"hello"),
        status(400),
    ),
    must(
        "blank-before-colon-coding",
        "9112 5.1",
        "400 to a blank before the colon of Transfer-Encoding",
        ask(b"/probe.txt", b"Transfer-Encoding : chunked", body=b"0\r\n\r\n"),
        status(400),
    ),
    should("name-empty", "9112 2.2", "a field has a name", ask(b"/probe.txt", b": value"), status(400), closed),
    should("name-none", "9112 2.2", "a field line has a colon", ask(b"/probe.txt", b"nonsense"), status(400), closed),
    should(
        "name-blank", "9112 2.2", "a name has no blank in it", ask(b"/probe.txt", b"X Name: value"), status(400), closed
    ),
    should(
        "name-parentheses", "9112 2.2", "a name is a token", ask(b"/probe.txt", b"X(Name): value"), status(400), closed
    ),
    should(
        "name-control",
        "9112 2.2",
        "a name has no controls in it",
        ask(b"/probe.txt", b"X\x01: value"),
        status(400),
        closed,
    ),
    should(
        "name-latin", "9112 2.2", "a name is of ASCII", ask(b"/probe.txt", b"X-N\xc3\xa4me: value"), status(400), closed
    ),
)

VALUES = (
    must("no-blank", "9112 5", "no blank behind the colon", lines(b"Host:test.example"), served),
    must(
        "blanks-around",
        "9112 5.1",
        "blanks and tabs around a value are no part of it",
        lines(b"Host: \t test.example \t "),
        served,
    ),
    must(
        "blanks-around-close",
        "9112 5.1",
        "blanks around a value do not change it",
        ask(b"/probe.txt", b"Connection: \t close \t"),
        served,
        closed,
    ),
    must("empty-value", "9110 5.5", "a value may be empty", ask(b"/probe.txt", b"X-Empty:", b"X-Blank:   "), served),
    should(
        "octets-above",
        "9110 5.5",
        "octets above ASCII are opaque",
        ask(b"/probe.txt", b"X-Name: J\xf6rg \xe2\x82\xac"),
        served,
    ),
    must("tab-in-value", "9110 5.5", "a value may have tabs in it", ask(b"/probe.txt", b"X-Tab: a\tb  c"), served),
    must(
        "bare-cr",
        "9112 2.2",
        "a bare CR ends no line",
        ask(b"/probe.txt", b"X-A: a\rConnection: close"),
        either(status(400), kept),
        needs=KEPT,
    ),
    must(
        "bare-cr-host",
        "9112 2.2",
        "400 to a Host with a bare CR, or with a blank in its place",
        lines(b"Host: test\rexample"),
        status(400),
    ),
    must(
        "folded",
        "9112 5.2",
        "a folded line is refused, or is no field of its own",
        ask(b"/probe.txt", b"X-A: a", b" Connection: close"),
        either(status(400), kept),
        needs=KEPT,
    ),
    must(
        "folded-tab",
        "9112 5.2",
        "a line folded by a tab likewise",
        ask(b"/probe.txt", b"X-A: a", b"\tConnection: close"),
        either(status(400), kept),
        needs=KEPT,
    ),
    must(
        "folded-close",
        "9112 5.2",
        "a folded value is refused, or is one with a blank in it",
        ask(b"/probe.txt", b"Connection:", b" close"),
        either(status(400), closed),
    ),
    must(
        "fields-too-large",
        "9110 5.4",
        "fields that are too large are answered 4xx",
        ask(b"/probe.txt", b"X-A: " + b"a" * 150_000),
        either(answered_with(4), served),
    ),
    must(
        "fields-too-many",
        "9110 5.4",
        "fields that are too many are answered 4xx",
        ask(b"/probe.txt", *[b"X-%d: a" % number for number in range(5000)]),
        either(answered_with(4), served),
    ),
)

LISTS = (
    must(
        "list-lines",
        "9110 5.2",
        "a list on several lines is one list",
        ask(b"/probe.txt", b"Connection: x-none", b"Connection: close"),
        served,
        closed,
    ),
    must(
        "list-lines-first",
        "9110 5.2",
        "whichever line it stands on",
        ask(b"/probe.txt", b"Connection: close", b"Connection: x-none"),
        served,
        closed,
    ),
    must(
        "list-empty-members",
        "9110 5.6.1.2",
        "empty members are passed over",
        ask(b"/probe.txt", b"Connection: ,, close ,"),
        served,
        closed,
    ),
    must(
        "list-no-blank",
        "9110 5.6.1",
        "a list needs no blanks",
        ask(b"/probe.txt", b"Connection: x-none,close"),
        served,
        closed,
    ),
    must(
        "list-tab",
        "9110 5.6.3",
        "a tab is as good as a blank",
        ask(b"/probe.txt", b"Connection: x-none,\tclose"),
        served,
        closed,
    ),
)

CASES: tuple[Case, ...] = (*HOSTS, *NAMES, *VALUES, *LISTS)
