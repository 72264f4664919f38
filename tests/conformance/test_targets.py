"""Request targets: their forms, their decoding, and that none leads out of the root (RFC 9112, 3.2; RFC 3986)."""

import re
from urllib.parse import quote

import pytest

from tests.conformance.client import CLOSED, PROBE_BODY, Case, Client, assert_case, cases, method_of, request
from tests.conformance.tree import AWKWARD, SECRET

INDEX = b"<!DOCTYPE html><title>root</title>\n"
SUB = b"<!DOCTYPE html><title>sub</title>\n"


def get(target: bytes, host: bytes = b"test.example") -> bytes:
    """A GET of this target."""
    return b"GET %s HTTP/1.1\r\nHost: %s\r\n\r\n" % (target, host)


@cases(
    [
        Case("9112 3.2.1", "origin-form", get(b"/small.txt"), 200, body=PROBE_BODY),
        Case("9112 3.2.1", "the root", get(b"/"), 200, body=INDEX),
        Case("9112 3.2.1", "a query", get(b"/small.txt?a=b&c=/../d"), 200, body=PROBE_BODY),
        Case("9112 3.2.1", "an empty query", get(b"/small.txt?"), 200, body=PROBE_BODY),
        Case("9112 3.2.1", "a query of the root", get(b"/?"), 200, body=INDEX),
        Case("9112 3.2.2", "absolute-form", get(b"http://test.example/small.txt"), 200, body=PROBE_BODY),
        Case("9112 3.2.2", "absolute-form without a path", get(b"http://test.example"), 200, body=INDEX),
        Case("9112 3.2.2", "absolute-form with a query alone", get(b"http://test.example?q"), 200, body=INDEX),
        Case(
            "9112 3.2.2", "absolute-form with a port", get(b"http://test.example:8080/small.txt"), 200, body=PROBE_BODY
        ),
        Case(
            "9112 3.2.2", "absolute-form of an IPv6 address", get(b"http://[::1]:8080/small.txt"), 200, body=PROBE_BODY
        ),
        Case(
            "9110 4.2.3",
            "the scheme and the host do not mind case",
            get(b"HTTP://TEST.example/small.txt"),
            200,
            body=PROBE_BODY,
        ),
        Case(
            "9112 3.2.2",
            "the target's authority counts, not Host",
            get(b"http://test.example/small.txt", b"other.example"),
            200,
        ),
        Case(
            "9112 3.2.2",
            "absolute-form in HTTP/1.0",
            request(b"http://test.example/small.txt", version=b"1.0", host=False),
            200,
            fate=CLOSED,
        ),
        Case("9110 4.2.4", "no userinfo", get(b"http://user:password@test.example/small.txt"), 400, fate=CLOSED),
        Case("9110 4.2.4", "no empty userinfo", get(b"http://@test.example/small.txt"), 400, fate=CLOSED),
        Case("9110 4.2.1", "no empty host", get(b"http:///small.txt"), 400, fate=CLOSED),
        Case("9110 4.2.1", "no empty host with a port", get(b"http://:80/small.txt"), 400, fate=CLOSED),
        Case("9112 3.2.2", "no other scheme", get(b"ftp://test.example/small.txt"), 400, fate=CLOSED),
        Case("9112 3.2.2", "no file scheme", get(b"file:///small.txt"), 400, fate=CLOSED),
        Case("9112 3.2", "no relative path", get(b"small.txt"), 400, fate=CLOSED),
        Case("9112 3.2", "no relative path with dots", get(b"../secret.txt"), 400, fate=CLOSED),
        Case("9112 3.2.3", "authority-form is for CONNECT", get(b"test.example:80"), 400, fate=CLOSED),
        Case("9112 3.2.1", "no fragment", get(b"/small.txt#part"), 400, fate=CLOSED),
        Case("9112 3.2.1", "no fragment behind a query", get(b"/small.txt?q#part"), 400, fate=CLOSED),
        Case("3986 2.1", "percent-encoded", get(b"/%73mall%2Etxt"), 200, body=PROBE_BODY),
        Case("3986 2.1", "hexadecimal digits of either case", get(b"/%73mall%2e%74%78%74"), 200, body=PROBE_BODY),
        Case("3986 2.1", "no bad percent-encoding: %zz", get(b"/%zz"), 400, fate=CLOSED),
        Case("3986 2.1", "no bad percent-encoding: a lone %", get(b"/small.txt%"), 400, fate=CLOSED),
        Case("3986 2.1", "no bad percent-encoding: one digit", get(b"/small.txt%4"), 400, fate=CLOSED),
        Case("3986 2.1", "no bad percent-encoding: %u", get(b"/%u002e%u002e/secret.txt"), 400, fate=CLOSED),
        Case("3986 2.2", "a plus is a plus", get(b"/a+b.txt"), 200, body=b"a+b.txt"),
        Case("3986 3.3", "parameters are part of the name", get(b"/small.txt;version=1"), 404),
        Case("3986 3.3", "paths mind case", get(b"/SMALL.TXT"), 404),
        Case("3986 5.2.4", "a dot segment", get(b"/./small.txt"), 200, body=PROBE_BODY),
        Case("3986 5.2.4", "dots within the root", get(b"/sub/../small.txt"), 200, body=PROBE_BODY),
        Case("3986 5.2.4", "encoded dots within the root", get(b"/sub/%2e%2E/small.txt"), 200, body=PROBE_BODY),
        Case("3986 5.2.4", "dots at the end name a directory", get(b"/sub/."), 200, body=SUB),
        Case("3986 5.2.4", "two dots at the end name a directory", get(b"/sub/.."), 200, body=INDEX),
        Case("3986 5.2.4", "dots behind what does not exist", get(b"/none/../small.txt"), 200, body=PROBE_BODY),
        Case("3986 3.3", "empty segments are merged", get(b"//sub///index.html"), 200, body=SUB),
        Case("3986 3.3", "many empty segments", get(b"/" * 4000 + b"small.txt"), 200, body=PROBE_BODY),
        Case("9110 9.3.1", "a file is no directory", get(b"/small.txt/"), 404),
        Case("9110 9.3.1", "a file has nothing beneath it", get(b"/small.txt/small.txt"), 404),
        Case("9110 9.3.1", "a directory without an index", get(b"/no-index/"), 404),
        Case("9110 15.5.5", "a name longer than names can be", get(b"/" + b"n" * 300), 404),
        Case("9110 15.5.5", "a path longer than paths can be", get(b"/" + b"p/" * 2500), 404),
        Case("9110 15.5.5", "a name that is not UTF-8", get(b"/%ff%fe%fd.txt"), 404),
    ]
)
def test_target(client: Client, case: Case) -> None:
    assert_case(client, case)


@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_names(client: Client, name: str) -> None:
    """RFC 3986, 2.1: decoded once, every name can be asked for."""
    answer = client.ask(get(b"/" + quote(name).encode()))
    assert (answer.status, answer.body.decode()) == (200, name)
    answer = client.ask(get(b"".join(b"%%%02x" % octet for octet in b"/" + name.encode()).replace(b"%2f", b"/", 1)))
    assert (answer.status, answer.body.decode()) == (200, name)


OUTSIDE = (
    b"/../secret.txt",
    b"/../../../../../../../../etc/passwd",
    b"/..",
    b"/../",
    b"/sub/../../secret.txt",
    b"/sub/../../site-private/secret.txt",
    b"/./../secret.txt",
    b"/.//../secret.txt",
    b"//../secret.txt",
    b"/sub//..//..//secret.txt",
    b"/%2e%2e/secret.txt",
    b"/%2E%2E/secret.txt",
    b"/.%2e/secret.txt",
    b"/%2e./secret.txt",
    b"/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    b"/sub/%2e%2e/%2e%2e/secret.txt",
    b"/..%2fsecret.txt",
    b"/..%2Fsecret.txt",
    b"/%2e%2e%2fsecret.txt",
    b"/sub%2f..%2f..%2fsecret.txt",
    b"/sub/..%2f..%2fsecret.txt",
    b"/%2fetc%2fpasswd",
    b"/%2f%2fetc/passwd",
    b"//etc/passwd",
    b"///etc/passwd",
    b"/..\\secret.txt",
    b"/..%5csecret.txt",
    b"/..%5Csecret.txt",
    b"/%2e%2e%5csecret.txt",
    b"\\..\\secret.txt",
    b"/%5c..%5csecret.txt",
    b"/%252e%252e/secret.txt",
    b"/%252e%252e%252fsecret.txt",
    b"/..%252fsecret.txt",
    b"/..%255csecret.txt",
    b"/%25252e%25252e/secret.txt",
    b"/%c0%ae%c0%ae/secret.txt",
    b"/%c0%ae%c0%ae%c0%afsecret.txt",
    b"/..%c0%afsecret.txt",
    b"/..%c1%9csecret.txt",
    b"/%e0%80%ae%e0%80%ae/secret.txt",
    b"/%f0%80%80%ae%f0%80%80%ae/secret.txt",
    b"/%ef%bc%8e%ef%bc%8e/secret.txt",
    b"/\xc0\xae\xc0\xae/secret.txt",
    b"/..;/secret.txt",
    b"/..%00/secret.txt",
    b"/../secret.txt%00.html",
    b"/.../secret.txt",
    b"/..../secret.txt",
    b"/. ./secret.txt".replace(b" ", b"%20"),
    b"/..%20/secret.txt",
    b"/~root/secret.txt",
    b"http://test.example/../secret.txt",
    b"http://test.example/%2e%2e/secret.txt",
    b"http://test.example/..%2fsecret.txt",
    b"http://../secret.txt",
    b"http://%2e%2e/secret.txt",
    b"/link-outside.txt",
    b"/link-neighbour/secret.txt",
    b"/link-etc/passwd",
    b"/link-etc/",
    b"/link-etc",
    b"/sub/../link-outside.txt",
    b"/proc/self/environ",
    b"/dev/null",
)
"""Ways that have led out of the roots of one server or another."""


@pytest.mark.parametrize("target", OUTSIDE)
@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
def test_nothing_outside_is_served(client: Client, target: bytes, method: bytes) -> None:
    """RFC 9110, 17.3: names must not lead out of what is meant to be served."""
    answer = client.ask(request(target, method=method))
    assert answer.status in (400, 404)
    assert SECRET not in answer.body and b"root:" not in answer.body
    if answer.status == 400:
        client.assert_closed()
    else:
        client.assert_kept()


@cases(
    [
        Case("3986 7.3", "an encoded slash separates nothing", get(b"/sub%2findex.html"), 404),
        Case("3986 7.3", "an encoded slash at the end", get(b"/sub%2f"), 404),
        Case("3986 7.3", "an encoded backslash is a character", get(b"/sub%5cindex.html"), 404),
        Case("3986 7.3", "a backslash that is in a name", get(b"/back%5Cslash.txt"), 200, body=b"back\\slash.txt"),
        Case("3986 7.3", "decoded once: a percent sign", get(b"/100%25.txt"), 200, body=b"100%.txt"),
        Case("3986 7.3", "decoded once: what looks encoded", get(b"/%2541.txt"), 200, body=b"%41.txt"),
        Case("3986 7.3", "decoded once: a double encoding", get(b"/%2573mall.txt"), 404),
        Case("3986 7.3", "an encoded NUL", get(b"/small.txt%00"), 400, fate=CLOSED),
        Case("3986 7.3", "an encoded NUL that cuts a suffix off", get(b"/small.txt%00.html"), 400, fate=CLOSED),
        Case("3986 7.3", "an encoded line end", get(b"/small.txt%0d%0aX-Injected:%20yes"), 404, {b"x-injected": None}),
        Case("9110 9.3.1", "a link that stays in the root", get(b"/link-inside.txt"), 200, body=PROBE_BODY),
        Case("9110 9.3.1", "an absolute link that stays in the root", get(b"/link-absolute.txt"), 200, body=PROBE_BODY),
        Case("9110 9.3.1", "a link to itself", get(b"/link-loop"), 404),
        Case("9110 9.3.1", "a link to nowhere", get(b"/link-broken"), 404),
        Case("9110 9.3.1", "a FIFO is not opened", get(b"/fifo"), 404),
        Case("9110 17.3", "a dotfile", get(b"/.hidden"), 404),
        Case("9110 17.3", "a dotfile, encoded", get(b"/%2ehidden"), 404),
        Case("9110 17.3", "a dotfile behind a dot segment", get(b"/./.htaccess"), 404),
        Case("9110 17.3", "a file in a dot directory", get(b"/sub/.git/config"), 404),
        Case("9110 17.3", "a dot directory", get(b"/sub/.git"), 404),
        Case("9110 17.3", "a dot directory, with its slash", get(b"/sub/.git/"), 404),
        Case("9110 17.3", "dots that begin no segment", get(b"/...dots...txt"), 404),
        Case(
            "8615 3",
            "well-known files",
            get(b"/.well-known/security.txt"),
            200,
            body=b"Contact: mailto:security@test.example\n",
        ),
        Case("8615 3", "well-known, encoded", get(b"/%2Ewell-known/security.txt"), 200),
        Case("8615 3", "well-known is at the root", get(b"/sub/.well-known/security.txt"), 404),
        Case("8615 3", "a dotfile in well-known", get(b"/.well-known/.hidden"), 404),
        Case("8615 3", "out of well-known to a dotfile", get(b"/.well-known/../.hidden"), 404),
        Case("8615 3", "a name that begins like well-known", get(b"/.well-known-not/security.txt"), 404),
    ]
)
def test_decoding_and_hiding(client: Client, case: Case) -> None:
    assert assert_case(client, case).body != SECRET


@cases(
    [
        Case("9110 15.4.2", "a directory", get(b"/sub"), 301, {b"location": b"/sub/"}),
        Case("9110 15.4.2", "HEAD", request(b"/sub", method=b"HEAD"), 301, {b"location": b"/sub/"}),
        Case("9110 15.4.2", "the query is kept", get(b"/sub?a=b&c=%20d"), 301, {b"location": b"/sub/?a=b&c=%20d"}),
        Case("9110 15.4.2", "a directory without an index", get(b"/no-index"), 301, {b"location": b"/no-index/"}),
        Case("9110 10.2.2", "a name with a blank", get(b"/dir%20name"), 301, {b"location": b"/dir%20name/"}),
        Case("9110 10.2.2", "Host is not reflected", get(b"/sub", b"evil.example"), 301, {b"location": b"/sub/"}),
        Case(
            "9110 10.2.2",
            "absolute-form is not reflected",
            get(b"http://evil.example/sub"),
            301,
            {b"location": b"/sub/"},
        ),
        Case(
            "9110 10.2.2",
            "X-Forwarded-Host is not reflected",
            request(b"/sub", b"X-Forwarded-Host: evil.example"),
            301,
            {b"location": b"/sub/"},
        ),
        Case("3986 4.2", "never to another host", get(b"//evil.example"), 301, {b"location": b"/evil.example/"}),
        Case(
            "3986 4.2",
            "never to another host, with many slashes",
            get(b"////evil.example"),
            301,
            {b"location": b"/evil.example/"},
        ),
        Case(
            "3986 4.2",
            "never to another host, by dots",
            get(b"/.//evil.example"),
            301,
            {b"location": b"/evil.example/"},
        ),
        Case(
            "3986 4.2",
            "never to another host, by encoded dots",
            get(b"/sub/%2e%2e//evil.example"),
            301,
            {b"location": b"/evil.example/"},
        ),
        Case(
            "3986 4.2",
            "never to another host, by a backslash",
            get(b"/%5Cevil.example"),
            301,
            {b"location": b"/%5Cevil.example/"},
        ),
        Case(
            "3986 4.2",
            "never to another host, by a bare backslash",
            get(b"/\\evil.example"),
            301,
            {b"location": b"/%5Cevil.example/"},
        ),
        Case("3986 4.2", "never to another host, by an encoded slash", get(b"/%2fevil.example"), 404),
        Case(
            "9110 10.2.2",
            "what is no URI is encoded",
            get(b'/sub?"<>\\^`{|}\xff[]'),
            301,
            {b"location": b"/sub/?%22%3C%3E%5C%5E%60%7B%7C%7D%FF%5B%5D"},
        ),
        Case(
            "9110 10.2.2",
            "a bad percent-encoding is mended",
            get(b"/sub?%zz%4"),
            301,
            {b"location": b"/sub/?%25zz%254"},
        ),
        Case("9110 15.4.2", "conditions do not count", request(b"/sub", b"If-None-Match: *", b"Range: bytes=0-1"), 301),
    ]
)
def test_redirect_to_the_slash(client: Client, case: Case) -> None:
    answer = assert_case(client, case)
    if answer.status == 301:
        location = answer.fields[b"location"]
        assert re.fullmatch(rb"/[^/\\](?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?]|%[0-9A-F]{2})*", location)
        if method_of(case.data) == b"GET":
            client.ask(get(location))
            client.assert_kept()


def test_a_redirect_leads_to_what_was_meant(client: Client) -> None:
    """RFC 9110, 15.4.2: the new target is there."""
    for target in (b"/sub", b"//evil.example", b"/%5cevil.example", b"/dir%20name?x=y"):
        location = client.ask(get(target)).fields[b"location"]
        assert client.ask(get(location)).status == 200
