"""RFC 9113, section by section, over sockets: what is at fault, and what is said of it."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flashpy.http.http2 import PREFACE
from flashpy.http.http2frames import END_HEADERS, END_STREAM, IDLE_FRAMES, RESETS, Kind, frame
from flashpy.server import Background, background
from tests.http2peer import GET, SETTINGS, Peer, fields, headers

NO_ERROR, PROTOCOL, FLOW_CONTROL, CLOSED, FRAME_SIZE, CALM = 0, 1, 3, 5, 6, 11
PADDED, PRIORITY = 0x8, 0x20
POST = ((b":method", b"POST"), *GET[1:])
LIMIT = 16


@pytest.fixture(scope="module")
def http2(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Background]:
    """A server of one small and one larger file."""
    root = tmp_path_factory.mktemp("http2")
    (root / "index.html").write_text("<p>Hello")
    (root / "large").write_bytes(bytes(200_000))
    limits = {"http2_max_concurrent_streams": LIMIT, "body": 1_000, "head": 2_000, "fields": 20}
    with background(root, server={"http2": True}, limits=limits) as server:
        yield server


@pytest.fixture
def address(http2: Background) -> tuple[str, int]:
    """Where it listens."""
    return "127.0.0.1", int(http2.url.rpartition(":")[2])


def window(increment: int, stream: int = 0) -> bytes:
    """WINDOW_UPDATE."""
    return frame(Kind.WINDOW_UPDATE, increment.to_bytes(4, "big"), stream)


def setting(number: int, value: int) -> bytes:
    """SETTINGS of one."""
    return frame(Kind.SETTINGS, number.to_bytes(2, "big") + value.to_bytes(4, "big"))


def reset(stream: int) -> bytes:
    """RST_STREAM."""
    return frame(Kind.RST_STREAM, (8).to_bytes(4, "big"), stream)


CONNECTION_ERRORS = {
    "3.4-first-frame-is-no-SETTINGS": (frame(Kind.PING, bytes(8)), PROTOCOL),
    "3.4-first-frame-is-an-acknowledgement": (frame(Kind.SETTINGS, b"", 0, 1), PROTOCOL),
    "4.2-frame-too-large": (SETTINGS + (16_385).to_bytes(3, "big") + bytes((Kind.PING, 0, 0, 0, 0, 0)), FRAME_SIZE),
    "4.3-bad-field-block": (SETTINGS + frame(Kind.HEADERS, b"\xff\xff\xff\xff", 1, 5), None),
    "5.1-DATA-on-an-idle-stream": (SETTINGS + frame(Kind.DATA, b"a", 1), PROTOCOL),
    "5.1-RST_STREAM-on-an-idle-stream": (SETTINGS + reset(1), PROTOCOL),
    "5.1-WINDOW_UPDATE-on-an-idle-stream": (SETTINGS + window(1, 1), PROTOCOL),
    "5.1-CONTINUATION-on-an-idle-stream": (SETTINGS + frame(Kind.CONTINUATION, b"", 1, END_HEADERS), PROTOCOL),
    "5.1.1-even-stream": (SETTINGS + headers(2), PROTOCOL),
    "5.1.1-lower-stream": (SETTINGS + headers(3) + headers(1), PROTOCOL),
    "6.1-DATA-on-stream-0": (SETTINGS + frame(Kind.DATA, b"a"), PROTOCOL),
    "6.1-padding-too-long": (SETTINGS + headers(1, POST, 4) + frame(Kind.DATA, b"\x05a", 1, PADDED), PROTOCOL),
    "6.2-HEADERS-on-stream-0": (SETTINGS + headers(0), PROTOCOL),
    "6.2-padding-too-long": (SETTINGS + frame(Kind.HEADERS, b"\x05\x82", 1, 5 | PADDED), PROTOCOL),
    "6.2-interrupted-block": (SETTINGS + headers(1, GET, END_STREAM) + frame(Kind.PING, bytes(8)), PROTOCOL),
    "6.2-block-interrupted-by-GOAWAY": (SETTINGS + headers(1, GET, 1) + frame(Kind.GOAWAY, bytes(8)), PROTOCOL),
    "6.2-block-interrupted-by-another-stream": (SETTINGS + headers(1, GET, 1) + headers(3), PROTOCOL),
    "6.2-block-interrupted-by-what-is-unknown": (SETTINGS + headers(1, GET, 1) + frame(0x70, b""), PROTOCOL),
    "6.3-PRIORITY-on-stream-0": (SETTINGS + frame(Kind.PRIORITY, bytes(5)), PROTOCOL),
    "6.3-PRIORITY-of-a-wrong-size": (SETTINGS + frame(Kind.PRIORITY, bytes(4), 1), FRAME_SIZE),
    "6.4-RST_STREAM-on-stream-0": (SETTINGS + reset(0), PROTOCOL),
    "6.4-RST_STREAM-of-a-wrong-size": (SETTINGS + headers(1) + frame(Kind.RST_STREAM, bytes(3), 1), FRAME_SIZE),
    "6.5-SETTINGS-on-a-stream": (SETTINGS + frame(Kind.SETTINGS, b"", 1), PROTOCOL),
    "6.5-SETTINGS-of-a-wrong-size": (SETTINGS + frame(Kind.SETTINGS, bytes(5)), FRAME_SIZE),
    "6.5-acknowledgement-with-a-payload": (SETTINGS + frame(Kind.SETTINGS, bytes(6), 0, 1), FRAME_SIZE),
    "6.5.2-push-is-neither-0-nor-1": (SETTINGS + setting(2, 2), PROTOCOL),
    "6.5.2-window-too-large": (SETTINGS + setting(4, 2**31), FLOW_CONTROL),
    "6.5.2-frame-size-too-small": (SETTINGS + setting(5, 16_383), PROTOCOL),
    "6.5.2-frame-size-too-large": (SETTINGS + setting(5, 2**24), PROTOCOL),
    "6.6-PUSH_PROMISE-from-a-client": (SETTINGS + headers(1) + frame(Kind.PUSH_PROMISE, bytes(4), 1, 4), PROTOCOL),
    "6.7-PING-on-a-stream": (SETTINGS + frame(Kind.PING, bytes(8), 1), PROTOCOL),
    "6.7-PING-of-a-wrong-size": (SETTINGS + frame(Kind.PING, bytes(7)), FRAME_SIZE),
    "6.8-GOAWAY-on-a-stream": (SETTINGS + frame(Kind.GOAWAY, bytes(8), 1), PROTOCOL),
    "6.8-GOAWAY-too-short": (SETTINGS + frame(Kind.GOAWAY, bytes(7)), FRAME_SIZE),
    "6.9-WINDOW_UPDATE-of-0": (SETTINGS + window(0), PROTOCOL),
    "6.9-WINDOW_UPDATE-of-a-wrong-size": (SETTINGS + frame(Kind.WINDOW_UPDATE, bytes(3)), FRAME_SIZE),
    "6.9.1-window-too-large": (SETTINGS + window(2**31 - 1), FLOW_CONTROL),
    "6.10-CONTINUATION-after-the-end": (SETTINGS + headers(1) + frame(Kind.CONTINUATION, b"", 1, 4), None),
    "8.1-trailers-without-an-end": (SETTINGS + headers(1, POST, 4) + headers(1, ((b"a", b"b"),), 4), PROTOCOL),
    "8.1.1-more-content-than-said": (
        SETTINGS + headers(1, (*POST, (b"content-length", b"1")), 4) + frame(Kind.DATA, b"ab", 1, 1),
        PROTOCOL,
    ),
    "5.1.2-too-many-streams": (SETTINGS + b"".join(headers(n, POST, 4) for n in range(1, 2 * LIMIT + 2, 2)), PROTOCOL),
    "10.5-rapid-reset": (SETTINGS + b"".join(headers(n) + reset(n) for n in range(1, 4 * RESETS, 2)), CALM),
    "10.5-PING-flood": (SETTINGS + frame(Kind.PING, bytes(8)) * (IDLE_FRAMES * 2), CALM),
    "10.5-SETTINGS-flood": (SETTINGS * (IDLE_FRAMES * 2), CALM),
    "10.5-PRIORITY-flood": (SETTINGS + frame(Kind.PRIORITY, bytes(5), 1) * (IDLE_FRAMES * 2), CALM),
    "10.5-WINDOW_UPDATE-flood": (SETTINGS + window(1) * (IDLE_FRAMES * 2), CALM),
    "10.5-flood-of-what-is-unknown": (SETTINGS + frame(0x70, b"") * (IDLE_FRAMES * 2), CALM),
    "10.5-flood-of-empty-DATA": (SETTINGS + headers(1, POST, 4) + frame(Kind.DATA, b"", 1) * (IDLE_FRAMES * 2), CALM),
    "10.5.1-CONTINUATION-flood": (
        SETTINGS + headers(1, GET, END_STREAM) + frame(Kind.CONTINUATION, b"", 1) * 100,
        CALM,
    ),
    "10.5.1-endless-field-block": (
        SETTINGS + headers(1, GET, END_STREAM) + frame(Kind.CONTINUATION, bytes(1_000), 1) * 10,
        CALM,
    ),
    "10.5.1-field-list-beyond-all-bounds": (
        SETTINGS + frame(Kind.HEADERS, b"\x40\x01a\x7f\x81\x05" + b"a" * 768 + b"\xbe" * 900, 1, 5),
        None,
    ),
    "RFC9218-7.1-PRIORITY_UPDATE-on-a-stream": (SETTINGS + frame(Kind.PRIORITY_UPDATE, bytes(4), 1), PROTOCOL),
    "RFC9218-7.1-PRIORITY_UPDATE-for-stream-0": (SETTINGS + frame(Kind.PRIORITY_UPDATE, bytes(4)), PROTOCOL),
}
"""What ends the connection, and the error code; None where the RFC allows more than one."""


@pytest.mark.parametrize("case", CONNECTION_ERRORS)
def test_an_error_that_ends_the_connection(http2: Background, address: tuple[str, int], case: str) -> None:
    sent, code = CONNECTION_ERRORS[case]
    with Peer(address, PREFACE) as peer:
        peer.send(sent)
        goaway = peer.until(Kind.GOAWAY)
        assert code in (None, goaway.code)
        assert goaway.code != NO_ERROR
        assert list(peer.frames()) == []
    assert http2.metrics()["faults"] == 0


METHOD, SCHEME, PATH, AUTHORITY = GET
MALFORMED = {
    "8.2.1-upper-case-name": (*GET, (b"Accept", b"a")),
    "8.2.1-space-in-a-name": (*GET, (b"a b", b"a")),
    "8.2.1-colon-in-a-name": (*GET, (b"a:b", b"a")),
    "8.2.1-empty-name": (*GET, (b"", b"a")),
    "8.2.1-NUL-in-a-value": (*GET, (b"a", b"a\0b")),
    "8.2.1-LF-in-a-value": (*GET, (b"a", b"a\nb: c")),
    "8.2.1-CR-in-a-value": (*GET, (b"a", b"a\rb")),
    "8.2.1-space-before-a-value": (*GET, (b"a", b" b")),
    "8.2.1-tab-after-a-value": (*GET, (b"a", b"b\t")),
    "8.2.2-connection": (*GET, (b"connection", b"close")),
    "8.2.2-proxy-connection": (*GET, (b"proxy-connection", b"close")),
    "8.2.2-keep-alive": (*GET, (b"keep-alive", b"a")),
    "8.2.2-transfer-encoding": (*GET, (b"transfer-encoding", b"chunked")),
    "8.2.2-upgrade": (*GET, (b"upgrade", b"h2c")),
    "8.2.2-te": (*GET, (b"te", b"gzip")),
    "8.3-pseudo-header-behind-others": (METHOD, SCHEME, PATH, (b"a", b"b"), AUTHORITY),
    "8.3-unknown-pseudo-header": (*GET, (b":proto", b"a")),
    "8.3-pseudo-header-of-answers": (*GET, (b":status", b"200")),
    "8.3-pseudo-header-twice": (*GET, (b":path", b"/")),
    "8.3.1-no-method": (SCHEME, PATH, AUTHORITY),
    "8.3.1-empty-method": ((b":method", b""), SCHEME, PATH, AUTHORITY),
    "8.3.1-no-scheme": (METHOD, PATH, AUTHORITY),
    "8.3.1-no-path": (METHOD, SCHEME, AUTHORITY),
    "8.3.1-empty-path": (METHOD, SCHEME, (b":path", b""), AUTHORITY),
    "8.3.1-absolute-path": (METHOD, SCHEME, (b":path", b"http://example/"), AUTHORITY),
    "8.3.1-no-authority": (METHOD, SCHEME, PATH),
    "8.3.1-another-host": (*GET, (b"host", b"other")),
    "8.3.1-two-hosts": (METHOD, SCHEME, PATH, (b"host", b"a"), (b"host", b"a")),
    "8.5-CONNECT-with-a-path": ((b":method", b"CONNECT"), PATH, AUTHORITY),
    "8.5-CONNECT-without-an-authority": ((b":method", b"CONNECT"),),
    "8.1.1-content-that-does-not-come": (*GET, (b"content-length", b"1")),
    "RFC8441-4-extended-CONNECT": ((b":method", b"CONNECT"), (b":protocol", b"websocket"), SCHEME, PATH, AUTHORITY),
}
"""Requests that are none (RFC 9113, 8.1.1)."""


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_request_ends_its_stream_alone(address: tuple[str, int], case: str) -> None:
    with Peer(address) as peer:
        for stream in (1, 3):  # the second time from memory, if it were remembered
            peer.send(headers(stream, MALFORMED[case]))
            found = peer.until(Kind.RST_STREAM, Kind.GOAWAY)
            assert (found.kind, found.stream, found.code) == (Kind.RST_STREAM, stream, PROTOCOL)
        peer.send(headers(5))
        assert peer.status(5) == 200


ANSWERED = {
    "8.3.1-host-in-place-of-authority": ((METHOD, SCHEME, PATH, (b"host", b"example")), 200),
    "8.3.1-host-and-authority": ((*GET, (b"host", b"example")), 200),
    "8.2.2-te-trailers": ((*GET, (b"te", b"trailers")), 200),
    "8.2.3-cookies": ((*GET, (b"cookie", b"a=b"), (b"cookie", b"c=d")), 200),
    "8.3.1-asterisk": (((b":method", b"OPTIONS"), SCHEME, (b":path", b"*"), AUTHORITY), 204),
    "8.3.1-asterisk-not-OPTIONS": ((METHOD, SCHEME, (b":path", b"*"), AUTHORITY), 400),
    "8.3.1-userinfo": ((METHOD, SCHEME, PATH, (b":authority", b"a@b")), 400),
    "8.5-CONNECT": (((b":method", b"CONNECT"), AUTHORITY), 405),
    "above-the-root": (fields(b"/../a"), 400),
    "not-there": (fields(b"/nothing"), 404),
    "another-method": (fields(method=b"DELETE"), 405),
    "unknown-method": (fields(method=b"BREW"), 501),
    "another-expectation": ((*GET, (b"expect", b"200-ok")), 417),
    "too-many-fields": ((*GET, *((b"a%d" % n, b"b") for n in range(21))), 431),
    "too-large-fields": ((*GET, (b"a", b"b" * 1_900)), 431),
    "too-long-target": (fields(b"/" + b"a" * 1_500), 404),
    "too-large-content": ((*POST, (b"content-length", b"1001")), 413),
}
"""What is answered, by a status."""


@pytest.mark.parametrize("case", ANSWERED)
def test_what_is_answered(address: tuple[str, int], case: str) -> None:
    listed, status = ANSWERED[case]
    flags = END_HEADERS if status == 413 else END_HEADERS | END_STREAM
    with Peer(address) as peer:
        for stream in (1, 3, 5):
            peer.send(headers(stream, listed, flags))
            assert peer.status(stream) == status
        assert peer.is_alive()


def test_content_is_thrown_away_up_to_the_limit(address: tuple[str, int]) -> None:
    """RFC 9113, 8.1: an answer may come before all of the request has; then the rest is not wanted."""
    with Peer(address) as peer:
        peer.send(headers(1, POST, END_HEADERS) + frame(Kind.DATA, bytes(1_000), 1, END_STREAM))
        assert peer.status(1) == 405
        peer.send(headers(3, POST, END_HEADERS) + frame(Kind.DATA, bytes(1_001), 3))
        assert peer.status(3) == 413
        found = peer.until(Kind.RST_STREAM)
        assert (found.stream, found.code) == (3, NO_ERROR)
        peer.send(headers(5, POST, END_HEADERS) + headers(5, ((b"trailer", b"a"),), END_HEADERS | END_STREAM))
        assert peer.status(5) == 405


def test_a_client_that_waits_is_told_to_continue(address: tuple[str, int]) -> None:
    """RFC 9110, 10.1.1."""
    with Peer(address) as peer:
        peer.send(headers(1, (*POST, (b"expect", b"100-continue"), (b"content-length", b"1")), END_HEADERS))
        assert peer.status(1) == 100
        peer.send(frame(Kind.DATA, b"a", 1, END_STREAM))
        assert peer.status(1) == 405


def test_frames_that_are_unknown_are_passed_over(address: tuple[str, int]) -> None:
    """RFC 9113, 4.1 and 5.5: unknown frames, flags and settings; and frames of streams that are closed (5.1)."""
    with Peer(address) as peer:
        peer.send(frame(0x70, b"abc", 7, 0xFF) + setting(0x70, 1) + frame(Kind.PING, bytes(8), 0, 0xFE))
        assert peer.until(Kind.PING).flags == 1
        peer.send(headers(1))
        assert peer.status(1) == 200
        peer.send(window(1, 1) + reset(1) + frame(Kind.PRIORITY, bytes(4) + b"\1", 1))
        assert peer.is_alive()


@pytest.mark.parametrize("sent", [headers(1), frame(Kind.DATA, b"a", 1)], ids=["HEADERS", "DATA"])
def test_more_on_a_stream_that_is_half_closed_ends_it(address: tuple[str, int], sent: bytes) -> None:
    """RFC 9113, 5.1."""
    with Peer(address) as peer:
        peer.send(headers(1, fields(b"/large")) + sent)
        found = peer.until(Kind.RST_STREAM, Kind.GOAWAY)
        assert (found.kind, found.stream, found.code) == (Kind.RST_STREAM, 1, CLOSED)
        assert peer.is_alive()


def test_a_window_that_grows_too_large_ends_its_stream(address: tuple[str, int]) -> None:
    """RFC 9113, 6.9.1."""
    with Peer(address) as peer:
        peer.send(headers(1, fields(b"/large")) + window(2**31 - 1, 1))
        found = peer.until(Kind.RST_STREAM, Kind.GOAWAY)
        assert (found.kind, found.code) == (Kind.RST_STREAM, FLOW_CONTROL)
        assert peer.is_alive()


def test_what_the_server_says_first(address: tuple[str, int]) -> None:
    """RFC 9113, 3.4 and 6.5.2; RFC 9218, 2.1."""
    with Peer(address) as peer:
        first = next(peer.frames())
        assert first.kind == Kind.SETTINGS
        pairs = [first.payload[at : at + 6] for at in range(0, len(first.payload), 6)]
        said = {int.from_bytes(pair[:2], "big"): int.from_bytes(pair[2:], "big") for pair in pairs}
        assert said[3] == LIMIT
        assert said[6] == 2_000
        assert said[9] == 1


def test_the_preface_in_parts(address: tuple[str, int]) -> None:
    """RFC 9113, 3.4: as slowly as it comes, it is HTTP/2."""
    with Peer(address, b"") as peer:
        peer.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(len(PREFACE)):
            peer.send(PREFACE[at : at + 1])
            time.sleep(0.005)
        peer.send(SETTINGS + headers(1))
        assert peer.status(1) == 200


@pytest.mark.parametrize("start", [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\rX", b"PRI * HTTP/2.0\r\n\r\nGET / HTTP/1.1\r\n"])
def test_a_bad_preface(address: tuple[str, int], start: bytes) -> None:
    """RFC 9113, 3.4."""
    with Peer(address, start) as peer:
        assert peer.until(Kind.GOAWAY).code == PROTOCOL


def test_a_client_that_leaves_gets_what_it_has_asked_for(address: tuple[str, int]) -> None:
    """RFC 9113, 6.8."""
    with Peer(address) as peer:
        peer.send(setting(4, 10) + headers(1) + frame(Kind.GOAWAY, bytes(8)) + window(1_000, 1))
        assert peer.status(1) == 200
        body = b"".join(one.payload for one in peer.frames() if one.kind == Kind.DATA)
        assert body == b"<p>Hello"


def test_without_http2_the_preface_is_a_request_of_another_version(tmp_path: Path) -> None:
    with background(tmp_path) as server, Peer(("127.0.0.1", int(server.url.rpartition(":")[2]))) as peer:
        assert peer.sock.recv(1_000).startswith(b"HTTP/1.1 505")
