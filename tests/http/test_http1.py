"""HTTP/1 on a wire: what is accepted, what is refused and how, what leaves, and in which order."""

import os
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashpy.buffers import Descriptor, Slice
from flashpy.http.http1 import Http1
from flashpy.http.request import Request
from flashpy.http.response import JOIN_LIMIT, Head, Response, fixed
from tests.http.making import DATE, facts, request, shared, wire

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def head(fields: bytes = b"", line: bytes = b"GET / HTTP/1.1", host: bytes = b"Host: a\r\n") -> bytes:
    """A request head of these parts."""
    return line + b"\r\n" + host + fields + b"\r\n"


def sent_by(wire: Http1) -> bytes:
    """All that a wire has to send, none of it from files."""
    sent = b""
    while sendable := wire.pull():
        sent += b"".join(piece for piece in sendable[0] if isinstance(piece, bytes))
    return sent


BAD = {
    # the request line: RFC 9112, 3
    "3-two-spaces": (head(line=b"GET  / HTTP/1.1"), 400),
    "3-two-spaces-behind": (head(line=b"GET /  HTTP/1.1"), 400),
    "3-trailing-space": (head(line=b"GET / HTTP/1.1 "), 400),
    "3-leading-space": (head(line=b" GET / HTTP/1.1"), 400),
    "3-tab": (head(line=b"GET\t/ HTTP/1.1"), 400),
    "3-no-version": (head(line=b"GET /"), 400),
    "3-bare-0.9": (b"GET /\r\n", 400),
    "3-only-a-method": (head(line=b"GET"), 400),
    "3-space-in-target": (head(line=b"GET /a b HTTP/1.1"), 400),
    "3-NUL-in-target": (head(line=b"GET /\0 HTTP/1.1"), 400),
    "3-DEL-in-target": (head(line=b"GET /\x7f HTTP/1.1"), 400),
    "3.1-no-token": (head(line=b"G@T / HTTP/1.1"), 400),
    "3.1-TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "3-target-too-long": (head(line=b"GET /" + b"a" * 8192 + b" HTTP/1.1"), 414),
    "3-line-without-end": (b"GET /" + b"a" * 8300, 414),
    "3-method-without-end": (b"A" * 8300, 414),
    # the version: RFC 9112, 2.3; RFC 9110, 2.5 and 15.6.6
    "2.3-HTTP/2.0": (head(line=b"GET / HTTP/2.0"), 505),
    "2.3-HTTP/0.9": (head(line=b"GET / HTTP/0.9"), 505),
    "2.3-HTTP/3.0": (head(line=b"GET / HTTP/3.0"), 505),
    "2.3-HTTP/2-preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "2.3-RTSP": (head(line=b"GET / RTSP/1.0"), 400),
    "2.3-ICE": (head(line=b"SOURCE / ICE/1.0"), 400),
    "2.3-lower-case": (head(line=b"GET / http/1.1"), 400),
    "2.3-two-digits": (head(line=b"GET / HTTP/1.10"), 400),
    "2.3-no-minor": (head(line=b"GET / HTTP/1"), 400),
    # the target: RFC 9112, 3.2
    "3.2.4-asterisk-not-OPTIONS": (head(line=b"GET * HTTP/1.1"), 400),
    "3.2-relative": (head(line=b"GET a HTTP/1.1"), 400),
    "3.2.3-authority-not-CONNECT": (head(line=b"GET a:80 HTTP/1.1"), 400),
    "3.2.3-CONNECT-with-userinfo": (head(line=b"CONNECT a@b:80 HTTP/1.1"), 400),
    "3.2-fragment": (head(line=b"GET /a#b HTTP/1.1"), 400),
    "3.2-fragment-in-query": (head(line=b"GET /?a#b HTTP/1.1"), 400),
    "3.2-bad-percent": (head(line=b"GET /%zz HTTP/1.1"), 400),
    "3.2-encoded-NUL": (head(line=b"GET /%00 HTTP/1.1"), 400),
    "3.2-above-the-root": (head(line=b"GET /../a HTTP/1.1"), 400),
    "3.2-encoded-above-the-root": (head(line=b"GET /%2e%2E/a HTTP/1.1"), 400),
    "3.2.2-userinfo": (head(line=b"GET http://u@a/ HTTP/1.1"), 400),
    "3.2.2-empty-host": (head(line=b"GET http:///a HTTP/1.1"), 400),
    # Host: RFC 9112, 3.2
    "3.2-no-Host": (head(host=b""), 400),
    "3.2-no-Host-absolute-form": (head(line=b"GET http://a/ HTTP/1.1", host=b""), 400),
    "3.2-two-Hosts": (head(host=b"Host: a\r\nHost: b\r\n"), 400),
    "3.2-two-equal-Hosts": (head(host=b"Host: a\r\nhOST: a\r\n"), 400),
    "3.2-two-Hosts-in-1.0": (head(line=b"GET / HTTP/1.0", host=b"Host: a\r\nHost: b\r\n"), 400),
    "3.2-Host-with-path": (head(host=b"Host: a/b\r\n"), 400),
    "3.2-Host-with-userinfo": (head(host=b"Host: a@b\r\n"), 400),
    "3.2-Host-with-space": (head(host=b"Host: a b\r\n"), 400),
    "3.2-Host-with-bad-port": (head(host=b"Host: a:b\r\n"), 400),
    "3.2-bad-Host-in-1.0": (head(line=b"GET / HTTP/1.0", host=b"Host: a/b\r\n"), 400),
    # line ends: RFC 9112, 2.2
    "2.2-bare-LF": (b"GET / HTTP/1.1\nHost: a\n\n", 400),
    "2.2-bare-LF-after-the-line": (b"GET / HTTP/1.1\nHost: a\r\n\r\n", 400),
    "2.2-bare-LF-between-fields": (head(b"A: b\nC: d\r\n"), 400),
    "2.2-bare-LF-at-the-end": (b"GET / HTTP/1.1\r\nHost: a\r\n\n", 400),
    "2.2-two-bare-LF-at-the-end": (b"GET / HTTP/1.1\r\nHost: a\n\n", 400),
    "2.2-leading-LF": (b"\n" + GET, 400),
    "2.2-leading-CR": (b"\r" + GET, 400),
    "2.2-bare-CR": (head(b"A: b\rc\r\n"), 400),
    "2.2-bare-CR-in-a-name": (head(b"A\rB: c\r\n"), 400),
    "2.2-space-before-the-first-field": (head(host=b" A: b\r\nHost: a\r\n"), 400),
    # fields: RFC 9112, 5; RFC 9110, 5.1 and 5.5
    "5.1-space-before-colon": (head(b"A : b\r\n"), 400),
    "5.1-tab-before-colon": (head(b"A\t: b\r\n"), 400),
    "5.2-obs-fold": (head(b"A: b\r\n c\r\n"), 400),
    "5.2-obs-fold-tab": (head(b"A: b\r\n\tc\r\n"), 400),
    "5-no-colon": (head(b"A\r\n"), 400),
    "5-no-name": (head(b": b\r\n"), 400),
    "5-space-in-name": (head(b"A b: c\r\n"), 400),
    "5-no-token": (head(b"A(: b\r\n"), 400),
    "5-name-not-ASCII": (head(b"\xe9: b\r\n"), 400),
    "5.5-NUL": (head(b"A: b\0c\r\n"), 400),
    "5.5-control": (head(b"A: \x01\r\n"), 400),
    "5.5-DEL": (head(b"A: \x7f\r\n"), 400),
    "5.4-too-large": (head(b"A: " + b"x" * 33_000 + b"\r\n"), 431),
    "5.4-too-large-without-end": (b"GET / HTTP/1.1\r\nA: " + b"x" * 33_000, 431),
    "5.4-too-many": (head(b"A: b\r\n" * 100), 431),
    # Content-Length: RFC 9110, 8.6; RFC 9112, 6.3
    "6.3-conflicting-lengths": (head(b"Content-Length: 5\r\nContent-Length: 6\r\n") + b"abcdef", 400),
    "6.3-duplicate-length": (head(b"Content-Length: 5\r\nContent-Length: 5\r\n") + b"abcde", 400),
    "6.3-list-of-lengths": (head(b"Content-Length: 5, 5\r\n") + b"abcde", 400),
    "8.6-signed-length": (head(b"Content-Length: +5\r\n") + b"abcde", 400),
    "8.6-negative-length": (head(b"Content-Length: -5\r\n") + b"abcde", 400),
    "8.6-hexadecimal-length": (head(b"Content-Length: 0x5\r\n") + b"abcde", 400),
    "8.6-length-and-garbage": (head(b"Content-Length: 5a\r\n") + b"abcde", 400),
    "8.6-two-numbers": (head(b"Content-Length: 5 5\r\n") + b"abcde", 400),
    "8.6-empty-length": (head(b"Content-Length:\r\n"), 400),
    "8.6-decimal-point": (head(b"Content-Length: 5.0\r\n") + b"abcde", 400),
    "8.6-huge-length": (head(b"Content-Length: " + b"9" * 40 + b"\r\n"), 400),
    "15.5.14-large-length": (head(b"Content-Length: 65537\r\n"), 413),
    "15.5.14-large-chunks": (CHUNKED + b"8000\r\n" + b"x" * 0x8000 + b"\r\n" + b"8000\r\n" + b"x" * 0x8000, 413),
    # Transfer-Encoding: RFC 9112, 6.1 and 6.3
    "6.3-length-then-coding": (head(b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n") + b"0\r\n\r\n", 400),
    "6.3-coding-then-length": (head(b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n") + b"0\r\n\r\n", 400),
    "6.1-coding-in-1.0": (head(b"Transfer-Encoding: chunked\r\n", b"POST / HTTP/1.0") + b"0\r\n\r\n", 400),
    "6.1-unknown-coding": (head(b"Transfer-Encoding: gzip, chunked\r\n"), 501),
    "6.1-unknown-coding-apart": (head(b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"), 501),
    "6.3-chunked-is-not-last": (head(b"Transfer-Encoding: chunked, gzip\r\n"), 400),
    "6.3-no-chunked": (head(b"Transfer-Encoding: gzip\r\n"), 400),
    "6.3-identity": (head(b"Transfer-Encoding: identity\r\n"), 400),
    "6.1-chunked-twice": (head(b"Transfer-Encoding: chunked, chunked\r\n"), 400),
    "6.1-almost-chunked": (head(b"Transfer-Encoding: xchunked\r\n"), 400),
    "6.1-chunked-and-control": (head(b"Transfer-Encoding: \x0bchunked\r\n"), 400),
    "7-chunked-with-parameter": (head(b"Transfer-Encoding: chunked;a=b\r\n"), 400),
    # chunks: RFC 9112, 7.1
    "7.1-no-size": (CHUNKED + b"\r\n\r\n", 400),
    "7.1-bad-size": (CHUNKED + b"zz\r\n\r\n", 400),
    "7.1-signed-size": (CHUNKED + b"+5\r\nabcde\r\n0\r\n\r\n", 400),
    "7.1-negative-size": (CHUNKED + b"-1\r\n\r\n", 400),
    "7.1-prefixed-size": (CHUNKED + b"0x5\r\nabcde\r\n0\r\n\r\n", 400),
    "7.1-huge-size": (CHUNKED + b"f" * 17 + b"\r\nabcde\r\n\r\n", 400),
    "7.1-space-after-size": (CHUNKED + b"5 \r\nabcde\r\n0\r\n\r\n", 400),
    "7.1-LF-after-size": (CHUNKED + b"5\nabcde\r\n0\r\n\r\n", 400),
    "7.1-too-much-data": (CHUNKED + b"5\r\nabcdeXX\r\n0\r\n\r\n", 400),
    "7.1-LF-after-data": (CHUNKED + b"5\r\nabcde\n0\r\n\r\n", 400),
    "7.1.1-LF-in-extension": (CHUNKED + b"5;a\nb\r\nabcde\r\n0\r\n\r\n", 400),
    "7.1.2-bad-trailer": (CHUNKED + b"0\r\nA : b\r\n\r\n", 400),
    "7.1.2-framing-in-trailer": (CHUNKED + b"0\r\nContent-Length: 5\r\n\r\n", 400),
    # Expect: RFC 9110, 10.1.1
    "10.1.1-other-expectation": (head(b"Expect: a-pony\r\n"), 417),
}
"""By the section of RFC 9112 or, for 5.1, 5.5, 8.6, 10.1.1 and 15, of RFC 9110."""


def faults_of(requests: Sequence[Request]) -> list[int]:
    """The fault of each."""
    return [each.fault for each in requests]


@pytest.mark.parametrize(("data", "status"), BAD.values(), ids=BAD)
def test_malformed_input(data: bytes, status: int) -> None:
    """RFC 9112, 11.2: one fault, its status, and nothing is read behind it."""
    one = wire()
    requests = one.receive(data + GET if data.endswith(b"\r\n\r\n") else data)
    assert faults_of(requests) == [status]
    assert one.unread
    assert one.receive(GET) == []
    one.respond(requests[0], fixed(status))
    assert b"\r\nConnection: close\r\n" in sent_by(one)
    assert one.closing


@pytest.mark.parametrize(("data", "status"), BAD.values(), ids=BAD)
def test_malformed_input_after_a_good_request(data: bytes, status: int) -> None:
    """RFC 9112, 9.3.2: what came before the fault is answered first."""
    assert faults_of(wire().receive(GET + data)) == [0, status]


@pytest.mark.parametrize(("data", "status"), BAD.values(), ids=BAD)
def test_malformed_input_in_small_pieces(data: bytes, status: int) -> None:
    """A fault is the same fault, however its bytes arrive, and is known before a time-out has to tell."""
    one, found = wire(), list[Request]()
    step = 1 if len(data) < 2000 else 700
    for start in range(0, len(data), step):
        found += one.receive(data[start : start + step])
    assert faults_of(found) == [status]


GOOD = {
    "2.2-empty-lines-before": (b"\r\n\r\n" + GET, b"/"),
    "2.3-1.0-without-Host": (head(line=b"GET / HTTP/1.0", host=b""), b"/"),
    "2.3-higher-minor": (head(line=b"GET / HTTP/1.2"), b"/"),
    "3.2-empty-Host": (head(host=b"Host:\r\n"), b"/"),
    "3.2-IPv6-Host": (head(host=b"Host: [::1]:80\r\n"), b"/"),
    "3.2.2-absolute-form": (head(line=b"GET http://b/c HTTP/1.1"), b"/c"),
    "3.2.3-authority-form": (head(line=b"CONNECT a:80 HTTP/1.1"), b"/"),
    "3.2.4-asterisk-form": (head(line=b"OPTIONS * HTTP/1.1"), b"*"),
    "3-longest-target": (head(line=b"GET /" + b"a" * 8191 + b" HTTP/1.1"), b"/" + b"a" * 8191),
    "3-unknown-long-method": (head(line=b"A" * 50 + b" / HTTP/1.1"), b"/"),
    "5-empty-value": (head(b"A:\r\n"), b"/"),
    "5.5-obs-text": (head(b"A: \xe9\r\n"), b"/"),
    "5.4-as-many-fields-as-may-be": (head(b"A: b\r\n" * 99), b"/"),
    "6-no-length": (head(line=b"POST / HTTP/1.1"), b"/"),
    "6.3-length-0": (head(b"Content-Length: 0\r\n"), b"/"),
    "6.3-body-of-GET": (head(b"Content-Length: 5\r\n") + b"abcde", b"/"),
    "6.3-largest-body": (head(b"Content-Length: 65536\r\n") + b"x" * 65536, b"/"),
    "8.6-blanks-around": (head(b"Content-Length: \t5 \t\r\n") + b"abcde", b"/"),
    "8.6-leading-zeros": (head(b"Content-Length: " + b"0" * 5000 + b"5\r\n") + b"abcde", b"/"),
    "7.1-extension": (CHUNKED + b'5;a;b=c;d="e"\r\nabcde\r\n0;f\r\n\r\n', b"/"),
    "7.1-trailers": (CHUNKED + b"0\r\nHost: b\r\nA: b\r\n\r\n", b"/"),
    "7.1-case": (head(b"transfer-encoding: ChunKed\r\n") + b"00A\r\n0123456789\r\n000\r\n\r\n", b"/"),
    "7.8-upgrade-is-ignored": (head(b"Connection: upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"), b"/"),
    "7.8-upgrade-with-body": (head(b"Connection: Upgrade\r\nUPGRADE: h2c\r\nContent-Length: 3\r\n") + b"abc", b"/"),
    "10.1.1-expectation-in-1.0": (head(b"Expect: a-pony\r\nConnection: keep-alive\r\n", b"GET / HTTP/1.0"), b"/"),
}


@pytest.mark.parametrize(("data", "path"), GOOD.values(), ids=GOOD)
def test_well_formed_input(data: bytes, path: bytes) -> None:
    """What must be, or may well be, accepted; another request behind it is found where it begins."""
    requests = wire().receive(data + GET)
    assert faults_of(requests) == [0] * (1 + requests[0].keep_alive)
    assert requests[0].path == path
    assert [found.target for found in requests[1:]] == [b"/"] * requests[0].keep_alive


class Message:
    """The bytes of a request, and what it is."""

    def __init__(self, method: bytes, target: bytes, fields: Sequence[tuple[bytes, bytes]], body: bytes) -> None:
        lines = b"".join(name + b":" + value + b"\r\n" for name, value in ((b"Host", b"a"), *fields))
        self.data = method + b" " + target + b" HTTP/1.1\r\n" + lines + b"\r\n" + body
        self.expected = (method, target, {b"host": b"a"} | {name.lower(): value.strip() for name, value in fields})

    def __repr__(self) -> str:
        return repr(self.data)


def chunk(data: bytes, extension: bytes, upper: bool) -> bytes:
    """One chunk (RFC 9112, 7.1)."""
    size = b"%X" % len(data) if upper else b"0%x" % len(data)
    return size + extension + b"\r\n" + data + b"\r\n"


TARGETS = st.sampled_from([b"/", b"/a?b", b"/%61//b", b"http://b/c"])
EXTRA = st.sampled_from([(), ((b"Accept", b" */* "),), ((b"X-Empty", b""), (b"x-2", b"\tv"))])
CONTENT = st.one_of(
    st.binary(max_size=20), st.sampled_from([GET, b"\r\n\r\n", b"0\r\n\r\n", b"\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n"])
)
PLAIN = st.builds(lambda target, extra: Message(b"GET", target, extra, b""), TARGETS, EXTRA)
SIZED = st.builds(
    lambda target, extra, body: Message(b"POST", target, (*extra, (b"Content-Length", b" %d" % len(body))), body),
    TARGETS,
    EXTRA,
    CONTENT,
)
CHUNKS = st.lists(
    st.builds(chunk, CONTENT.filter(bool), st.sampled_from([b"", b";a", b";a=b"]), st.booleans()), max_size=3
)
TRAILERS = st.sampled_from([b"", b"X-Sum: 5\r\n", b"A: b\r\nHost: c\r\nA: b\r\n", b"Connection: close\r\nRange: x\r\n"])
IN_CHUNKS = st.builds(
    lambda target, extra, chunks, trailers: Message(
        b"PUT", target, (*extra, (b"Transfer-Encoding", b"chunked")), b"".join(chunks) + b"0\r\n" + trailers + b"\r\n"
    ),
    TARGETS,
    EXTRA,
    CHUNKS,
    TRAILERS,
)


def pieces_of(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    """The data, cut at these places."""
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(places)]


@given(
    st.lists(st.one_of(PLAIN, SIZED, IN_CHUNKS), min_size=1, max_size=6),
    st.lists(st.integers(0, 1200), max_size=12),
    st.integers(1, 4),
)
def test_any_split_of_a_stream_gives_the_same_requests(messages: list[Message], cuts: list[int], pipeline: int) -> None:
    """RFC 9112, 6 and 9.3.2: pipelined requests, with bodies of any framing, in pieces of any size."""
    one = wire(pipeline=pipeline)
    found: list[Request] = []
    answers = 0
    for piece in pieces_of(b"".join(message.data for message in messages), cuts):
        requests = one.receive(piece)
        while requests or one.held:
            assert len(requests) <= pipeline
            found += requests
            for each in requests:
                one.respond(each, fixed(204))
            answers += sent_by(one).count(b"HTTP/1.1 204 ")
            requests = one.receive(b"")
    assert [(each.method, each.target, each.fields) for each in found] == [message.expected for message in messages]
    assert answers == len(messages)
    assert one.quiet and not one.partial and not one.unread


def test_every_split_of_one_stream_in_three() -> None:
    """RFC 9112, 7.1: the end of a chunked body is found wherever its bytes are torn, with a request right behind it."""
    data = CHUNKED + b"4\r\n\r\n\r\n\r\n0\r\nA: b\r\n\r\n" + CHUNKED + b"0\r\n\r\n" + GET
    for first in range(len(data)):
        for second in range(first, min(first + 8, len(data))):
            one, found = wire(), list[Request]()
            for piece in pieces_of(data, (first, second)):
                found += one.receive(piece)
            assert [each.method for each in found] == [b"POST", b"POST", b"GET"]
            assert faults_of(found) == [0, 0, 0]


@given(st.sampled_from(list(BAD)), st.lists(st.integers(0, 300), max_size=6))
def test_any_split_of_a_fault_is_the_same_fault(name: str, cuts: list[int]) -> None:
    """A fault is never missed because of where a piece ends."""
    data, status = BAD[name]
    one, found = wire(), list[Request]()
    for piece in pieces_of(GET + data, cuts):
        found += one.receive(piece)
    assert faults_of(found) == [0, status]


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=3))
def test_receive_never_raises(data: bytes, cuts: list[int]) -> None:
    """Whatever bytes come, a fault is the last request, and nothing comes after it."""
    one, found = wire(), list[Request]()
    for piece in pieces_of(data, cuts):
        found += one.receive(piece)
    assert all(not each.fault for each in found[:-1])


@pytest.mark.parametrize(
    ("fields", "version", "kept"),
    [
        (b"", b"1.1", True),
        (b"Connection: keep-alive\r\n", b"1.1", True),
        (b"Connection: close\r\n", b"1.1", False),
        (b"Connection: Close\r\n", b"1.1", False),
        (b"Connection: foo, close\r\n", b"1.1", False),
        (b"Connection: keep-alive\r\nConnection: close\r\n", b"1.1", False),
        (b"Connection: foo\r\n", b"1.1", True),
        (b"", b"1.0", False),
        (b"Connection: Keep-Alive\r\n", b"1.0", True),
        (b"Connection: keep-alive, close\r\n", b"1.0", False),
        (b"Connection: foo\r\n", b"1.0", False),
    ],
)
def test_persistence(fields: bytes, version: bytes, kept: bool) -> None:
    """RFC 9112, 9.3; after the last request nothing more is read (9.6), and the peer is told (9.6)."""
    one = wire()
    requests = one.receive(head(fields, b"GET / HTTP/" + version) + GET)
    assert len(requests) == 1 + kept
    assert requests[0].keep_alive is kept
    for found in requests:
        one.respond(found, fixed(204))
    sent = sent_by(one)
    assert (b"Connection: close\r\n" in sent) is not kept
    assert (b"Connection: keep-alive\r\n" in sent) is (kept and version == b"1.0")
    assert one.closing is one.unread is not kept


@pytest.mark.parametrize(
    ("fields", "plain"),
    [
        (b"", True),
        (b"Accept: text/html\r\nCookie: a=b\r\nReferer: /\r\n", True),
        (b"Range: bytes=0-0\r\n", False),
        (b"If-Range: x\r\n", False),
        (b"If-Match: *\r\n", False),
        (b"If-None-Match: *\r\n", False),
        (b"If-Modified-Since: x\r\n", False),
        (b"If-Unmodified-Since: x\r\n", False),
        (b"Accept-Encoding: gzip\r\n", True),  # the resource looks at it where there is a choice
        (b"Expect: 100-continue\r\n", False),
    ],
)
def test_plain(fields: bytes, plain: bool) -> None:
    """A plain request is a GET that nothing can turn into other than a whole 200 (RFC 9110, 12 to 14)."""
    (found,) = wire().receive(head(fields))
    assert found.plain is plain
    (other,) = wire().receive(head(fields, b"HEAD / HTTP/1.1"))
    assert not other.plain


def test_fields_of_one_name_are_joined() -> None:
    """RFC 9110, 5.3; names in lower case (5.1), values without the blanks around them (5.5)."""
    (found,) = wire().receive(head(b"Accept:  a\t \r\nACCEPT: b\r\nX: c  d\r\n"))
    assert found.fields == {b"host": b"a", b"accept": b"a, b", b"x": b"c  d"}


def test_a_fault_shows_what_was_asked() -> None:
    """The request in a fault's place has the line's method and target, for the log and for HEAD (RFC 9110, 9.3.2)."""
    (bad,) = wire().receive(b"HEAD /a b HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (bad.method, bad.target, bad.fault) == (b"HEAD", b"/a b", 400)
    assert repr(bad) == "<Request HEAD /a b fault=400>"


def test_a_fault_in_a_body_belongs_to_its_request() -> None:
    """RFC 9110, 9.3.2: the answer to a HEAD has no content, even when it is the chunks that are bad."""
    (bad,) = wire().receive(head(b"Transfer-Encoding: chunked\r\n", b"HEAD /a HTTP/1.1") + b"zz\r\n\r\n")
    assert (bad.method, bad.target, bad.fault) == (b"HEAD", b"/a", 400)


# Expect


def test_100_continue() -> None:
    """RFC 9110, 10.1.1: who expects it gets it once, before the body; then the request goes on."""
    one = wire()
    assert one.receive(head(b"Expect: 100-Continue\r\nContent-Length: 3\r\n", b"PUT / HTTP/1.1")) == []
    assert one.partial
    assert sent_by(one) == CONTINUE
    assert sent_by(one) == b""
    (found,) = one.receive(b"abc")
    one.respond(found, fixed(204))
    assert sent_by(one).startswith(b"HTTP/1.1 204 ")


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(head(b"Expect: 100-continue\r\nContent-Length: 3\r\n") + b"a", id="body-is-arriving"),
        pytest.param(head(b"Expect: 100-continue\r\n"), id="no-body"),
        pytest.param(head(b"Content-Length: 3\r\n"), id="not-expected"),
        pytest.param(head(b"Expect: 100-continue\r\nContent-Length: 3\r\n", b"PUT / HTTP/1.0"), id="1.0"),
    ],
)
def test_no_100_continue(data: bytes) -> None:
    """RFC 9110, 10.1.1: it may be left out when the body arrives, and must not be sent to HTTP/1.0."""
    one = wire()
    one.receive(data)
    assert sent_by(one) == b""


def test_100_continue_waits_for_the_answers_before_it() -> None:
    """RFC 9112, 9.3.2: answers, the interim ones too, leave in the order of the requests."""
    one = wire()
    (first,) = one.receive(GET + head(b"Expect: 100-continue\r\nContent-Length: 3\r\n"))
    assert sent_by(one) == b""
    one.respond(first, fixed(204))
    sent = sent_by(one)
    assert sent.startswith(b"HTTP/1.1 204 ") and sent.endswith(CONTINUE)


# Sending


def numbered(number: int) -> Response:
    """An answer that can be told from others."""
    body = b"answer %d" % number
    return Response(Head(200, ((b"Content-Length", b"%d" % len(body)),)), (body,))


@given(st.integers(1, 6).flatmap(lambda count: st.permutations(range(count))))
def test_answers_leave_in_the_order_of_the_requests(order: Sequence[int]) -> None:
    """RFC 9112, 9.3.2, in whatever order they were given."""
    one = wire()
    requests = one.receive(b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number for number in range(len(order))))
    for number in order:
        one.respond(requests[number], numbered(number))
    sent = sent_by(one)
    places = [sent.index(b"answer %d" % number) for number in range(len(order))]
    assert places == sorted(places)
    assert one.unanswered == 0


def test_an_answer_as_it_leaves() -> None:
    """RFC 9112, 2.1; RFC 9110, 6.6.1: head, Date, an empty line, the content, in one piece."""
    one = wire()
    (found,) = one.receive(GET)
    one.respond(found, numbered(7))
    sendable = one.pull()
    assert sendable is not None
    assert sendable[0] == (b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\nDate: " + DATE + b"\r\n\r\nanswer 7",)
    assert [(answered, response.length) for answered, response in sendable[1]] == [(found, 8)]
    assert one.pull() is None


def test_small_answers_are_joined_and_large_ones_are_not_copied() -> None:
    """Up to the limit one buffer; above it, the content itself is a piece."""
    one, large = wire(), b"x" * JOIN_LIMIT
    first, second = one.receive(GET + GET)
    one.respond(first, numbered(1))
    one.respond(second, numbered(2))
    joined = one.pull()
    assert joined is not None and len(joined[0]) == 1 and len(joined[1]) == 2
    (third,) = one.receive(GET)
    one.respond(third, Response(Head(200, ()), (large,)))
    apart = one.pull()
    assert apart is not None and apart[0][1] is large


def test_answers_from_files_leave_one_at_a_time(tmp_path: Path) -> None:
    """Each sendable ends with the answer that has slices, so that its end can be told."""
    (tmp_path / "file").write_bytes(b"0123456789")
    part = Slice(Descriptor(os.open(tmp_path / "file", os.O_RDONLY)), 0, 10)
    one = wire()
    requests = one.receive(GET * 4)
    answers = [numbered(0), Response(Head(200, ()), (part,)), Response(Head(200, ()), (part,)), numbered(3)]
    for found, answer in zip(requests, answers, strict=True):
        one.respond(found, answer)
    pulled = []
    while sendable := one.pull():
        pulled.append((len(sendable[1]), [type(piece) for piece in sendable[0]]))
    assert pulled == [(1, [bytes]), (1, [bytes, Slice]), (1, [bytes, Slice]), (1, [bytes])]


def test_an_answer_that_closes_drops_what_follows() -> None:
    """RFC 9112, 9.6: no answer after one that said ``Connection: close``."""
    one = wire()
    first, second = one.receive(GET + GET)
    one.respond(first, fixed(503, close=True))
    one.respond(second, numbered(2))
    sent = sent_by(one)
    assert sent.count(b"HTTP/1.1 ") == 1 and b"Connection: close\r\n" in sent
    assert one.closing and not one.quiet
    assert one.receive(GET) == []


def test_shut_closes_after_the_last_answer_that_is_due() -> None:
    """RFC 9112, 9.6: a server that ends says so in its last answer, not before."""
    one = wire()
    first, second = one.receive(GET + GET)
    one.shut()
    one.respond(first, numbered(1))
    assert b"Connection: close" not in sent_by(one)
    one.respond(second, numbered(2))
    assert b"Connection: close\r\n" in sent_by(one)
    assert one.closing


def test_no_more_requests_than_the_pipeline_holds() -> None:
    """Requests behind the limit wait in the wire until answers have left."""
    one = wire(pipeline=2)
    first = one.receive(GET * 5)
    assert len(first) == 2 and one.held and one.unanswered == 2
    assert one.receive(b"") == [] and one.held
    for found in first:
        one.respond(found, fixed(204))
    assert one.receive(b"") == [] and one.held  # answered, but not pulled
    sent_by(one)
    assert len(one.receive(b"")) == 2 and one.held


def state_of(one: Http1) -> tuple[bool, bool, int, str]:
    """What a connection asks of its wire, and how it shows itself."""
    return one.quiet, one.partial, one.unanswered, repr(one)


def test_states() -> None:
    """``quiet``, ``partial`` and ``repr`` through the life of a request."""
    one = wire()
    assert state_of(one) == (True, False, 0, "<Http1 HEAD unanswered=0 buffered=0>")
    one.receive(b"GET / HT")
    assert state_of(one) == (False, True, 0, "<Http1 HEAD unanswered=0 buffered=8>")
    (found,) = one.receive(b"TP/1.1\r\nHost: a\r\n\r\n")
    assert state_of(one) == (False, False, 1, "<Http1 HEAD unanswered=1 buffered=0>")
    one.respond(found, fixed(204))
    sent_by(one)
    assert state_of(one) == (True, False, 0, "<Http1 HEAD unanswered=0 buffered=0>")
    one.receive(CHUNKED + b"5\r\nab")
    assert state_of(one) == (False, True, 0, "<Http1 BODY unanswered=0 buffered=0>")


def test_one_parser_serves_many_connections() -> None:
    """A parser that a bad, unfinished or last request has used is not used again."""
    common = shared(memo=0)
    expected = facts(request())
    for data in (
        GET,
        CHUNKED + b"zz\r\n\r\n",
        CHUNKED,
        head(b"Connection: close\r\n"),
        head(b"A : b\r\n"),
        head(host=b""),
        head(b"Proxy-Connection: close\r\n"),
        CHUNKED + b"0\r\nConnection: close\r\n\r\n",
    ):
        Http1(common).receive(data)
        (found,) = Http1(common).receive(head(host=b"Host: example\r\n"))
        assert facts(found) == expected
