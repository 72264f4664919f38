"""HTTP/2 on a wire, with h2 at the other end: what is given out, what leaves, and in which order."""

import os
from itertools import pairwise
from pathlib import Path

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, ResponseReceived, StreamEnded, StreamReset
from h2.settings import SettingCodes
from hypothesis import given
from hypothesis import strategies as st

from flashpy.buffers import Descriptor, Lazy, Slice
from flashpy.http.http2 import FEED, FRAMES, PREFACE, TURN, Http2, Http2Shared
from flashpy.http.http2frames import Kind, frame
from flashpy.http.request import Request
from flashpy.http.response import Head, Response, fixed
from flashpy.http.wire import Tails
from flashpy.now import Now
from flashpy.settings import LimitsSection
from tests.http.making import DATE, facts
from tests.http2peer import SETTINGS, fields, headers


class Files:
    """Bodies that are at hand, or come when they are said to."""

    def __init__(self) -> None:
        self.absent: set[int] = set()  # streams whose files are not in memory
        self.asked: list[int] = []
        self.dropped: list[int] = []

    def read(self, stream: int, piece: Slice, most: int, asker: Http2) -> bytes | None:
        """See Bodies."""
        if stream in self.absent:
            self.asked.append(stream)
            return None
        return os.pread(piece.file.fd, most, piece.offset)

    def make(self, stream: int, piece: Lazy, asker: Http2) -> None:
        """See Bodies."""
        self.asked.append(stream)

    def drop(self, stream: int) -> None:
        """See Bodies."""
        self.dropped.append(stream)


def made(bodies: Files | None = None, **limits: int) -> Http2:
    """The wire of a new connection."""
    return Http2(Http2Shared(LimitsSection(**limits), Tails(DATE), Now()), bodies or Files())


class Pair:
    """A wire and its client."""

    def __init__(self, window: int = 65_535, **limits: int) -> None:
        self.bodies = Files()
        self.wire = made(self.bodies, **limits)
        self.client = H2Connection(H2Configuration())
        self.client.local_settings.update({SettingCodes.INITIAL_WINDOW_SIZE: window})
        self.client.local_settings.acknowledge()
        self.client.initiate_connection()
        self.answered: list[tuple[Request, Response]] = []
        self.pass_on()

    def pass_on(self) -> list[Request]:
        """What the client has to say, to the wire."""
        found = list(self.wire.receive(self.client.data_to_send()))
        while self.wire.held:
            found += self.wire.receive(b"")
        return found

    def ask(self, *paths: bytes, priority: bytes = b"") -> list[Request]:
        """The requests that the wire gives out."""
        more = ((b"priority", priority),) if priority else ()
        for path in paths:
            self.client.send_headers(self.client.get_next_available_stream_id(), fields(path, *more), end_stream=True)
        return self.pass_on()

    def take(self) -> list[Event]:
        """All that the wire has to send."""
        events: list[Event] = []
        while sendable := self.wire.pull():
            data, answered = sendable
            assert all(isinstance(piece, bytes) for piece in data)
            self.answered += answered
            events += self.client.receive_data(b"".join(piece for piece in data if isinstance(piece, bytes)))
        return events

    def streams(self) -> list[int]:
        """The streams of the DATA frames that come, in their order."""
        return [event.stream_id or 0 for event in self.take() if isinstance(event, DataReceived)]


def whole(body: bytes) -> Response:
    """An answer with this content."""
    return Response(Head(200, ((b"Server", b"flashpy"), (b"Content-Length", b"%d" % len(body)))), (body,))


REQUESTS = PREFACE + b"".join(
    [
        SETTINGS,
        headers(1, fields(b"/a?b", (b"accept", b"text/html"), (b"cookie", b"a=b"))),
        frame(Kind.PING, bytes(8)),
        headers(3, fields(b"/c", method=b"POST"), 4),
        frame(Kind.DATA, b"abc", 3),
        headers(5, fields(b"/d", (b"if-none-match", b'"e"')), 1)[:12]
        + headers(5, fields(b"/d", (b"if-none-match", b'"e"')), 1)[12:],
        frame(Kind.CONTINUATION, b"", 5, 4),
        frame(Kind.DATA, b"", 3, 1),
        headers(7, fields(b"/../f")),
        frame(0x70, b"unknown"),
        headers(9, fields(b"/g", (b"range", b"bytes=0-1"))),
    ]
)


def given_out(wire: Http2, parts: list[bytes]) -> list[tuple[object, ...]]:
    """What is given out for bytes that come in these parts."""
    found = []
    for part in parts:
        found += [facts(one) for one in wire.receive(part)]
        while wire.held:
            found += [facts(one) for one in wire.receive(b"")]
    return found


WHOLE = given_out(made(), [REQUESTS])


def test_what_is_given_out() -> None:
    assert [(one[0], one[1], one[2]) for one in WHOLE] == [
        (0, b"GET", b"/a?b"),
        (0, b"GET", b"/d"),
        (0, b"POST", b"/c"),
        (400, b"", b""),
        (0, b"GET", b"/g"),
    ]


@given(st.lists(st.integers(0, len(REQUESTS)), max_size=12))
def test_any_split_of_the_bytes_gives_the_same_requests(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(REQUESTS)]
    parts = [REQUESTS[start:end] for start, end in pairwise(edges)]
    assert given_out(made(), parts) == WHOLE


@given(st.binary(max_size=300), st.booleans())
def test_nothing_that_comes_is_raised(data: bytes, greeted: bool) -> None:
    wire = made()
    wire.receive(PREFACE + SETTINGS + headers(1) + data if greeted else data)
    while wire.held:
        wire.receive(b"")
    while wire.pull():
        pass


def test_answers_leave_in_any_order_with_the_date() -> None:
    pair = Pair()
    first, second = pair.ask(b"/a", b"/b")
    pair.wire.respond(second, whole(b"b"))
    events = pair.take()
    (answer,) = (event for event in events if isinstance(event, ResponseReceived))
    assert answer.stream_id == 3
    assert dict(answer.headers or ()) == {
        b":status": b"200",
        b"server": b"flashpy",
        b"content-length": b"1",
        b"date": DATE,
    }
    assert pair.wire.unanswered == 1
    pair.wire.respond(first, fixed(304))
    assert [event.stream_id for event in pair.take() if isinstance(event, StreamEnded)] == [1]
    assert [request for request, _ in pair.answered] == [second, first]
    assert pair.wire.quiet and not pair.wire.blocked


def test_equal_requests_are_told_apart() -> None:
    requests = [pair_request for pair in [Pair()] for _ in range(4) for pair_request in pair.ask(b"/a", b"/a")]
    assert len(set(map(id, requests))) == 8


def test_content_leaves_as_the_windows_allow() -> None:
    pair = Pair(window=1_000)
    (request,) = pair.ask(b"/a")
    pair.wire.respond(request, whole(b"x" * 2_500))
    got = b""
    for _ in range(3):
        for event in pair.take():
            if isinstance(event, DataReceived):
                got += event.data or b""
        assert pair.wire.blocked is (len(got) < 2_500)
        if len(got) < 2_500:
            pair.client.increment_flow_control_window(1_000, 1)
            pair.pass_on()
    assert got == b"x" * 2_500


def test_a_window_that_shrinks_below_nothing_waits() -> None:
    pair = Pair(window=1_000)
    (request,) = pair.ask(b"/a")
    pair.wire.respond(request, whole(b"x" * 1_500))
    pair.take()
    pair.client.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 0})
    pair.pass_on()
    assert pair.streams() == []
    pair.client.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 5_000})
    pair.pass_on()
    assert pair.streams() == [1]


def test_the_urgent_before_the_others_and_the_incremental_in_turn() -> None:
    pair = Pair(window=2**20)
    pair.client.increment_flow_control_window(2**20)
    late = pair.ask(b"/a", priority=b"u=5")
    turns = pair.ask(b"/b", b"/c", priority=b"u=4, i")
    first = pair.ask(b"/d", priority=b"u=0")
    for request in (*late, *turns, *first):
        pair.wire.respond(request, whole(b"x" * 40_000))
    assert pair.streams() == [7, 7, 7, 3, 5, 3, 5, 3, 5, 1, 1, 1]


def test_priority_updates_count_before_and_after_the_request() -> None:
    pair = Pair(window=2**20)
    pair.client.increment_flow_control_window(2**20)
    pair.pass_on()
    pair.wire.receive(frame(Kind.PRIORITY_UPDATE, (3).to_bytes(4, "big") + b"u=1"))
    one, two = pair.ask(b"/a", b"/b")
    pair.wire.respond(one, whole(b"x" * 20_000))
    pair.wire.respond(two, whole(b"x" * 20_000))
    pair.wire.receive(frame(Kind.PRIORITY_UPDATE, (1).to_bytes(4, "big") + b"u=0"))
    assert pair.streams() == [1, 1, 3, 3]


def test_who_waits_for_a_file_holds_up_nobody(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a" * 20_000)
    file = Descriptor(os.open(tmp_path / "a", os.O_RDONLY))
    pair = Pair()
    cold, warm = pair.ask(b"/a", b"/b")
    pair.bodies.absent.add(1)
    response = Response(Head(200, ()), (Slice(file, 0, 20_000),))
    pair.wire.respond(cold, response)
    pair.wire.respond(warm, response)
    assert pair.streams() == [3, 3]
    assert (pair.wire.unanswered, pair.bodies.asked) == (1, [1])
    pair.bodies.absent.clear()
    pair.wire.resume(1)
    assert pair.streams() == [1, 1]
    assert pair.wire.quiet


def test_a_file_that_cannot_be_read_is_an_error_page_or_a_reset(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a" * 100_000)
    file = Descriptor(os.open(tmp_path / "a", os.O_RDONLY))
    pair = Pair(window=20_000)
    response = Response(Head(200, ()), (Slice(file, 0, 100_000),))
    one, two = pair.ask(b"/a", b"/b")
    pair.wire.respond(one, response)
    pair.take()
    pair.bodies.absent.update((1, 3))
    pair.wire.respond(two, response)
    pair.client.increment_flow_control_window(20_000, 1)
    pair.pass_on()
    pair.take()
    pair.wire.unreadable(1, fixed(503))
    pair.wire.unreadable(3, fixed(503))
    events = pair.take()
    assert [event.error_code for event in events if isinstance(event, StreamReset)] == [2]
    (answer,) = (event for event in events if isinstance(event, ResponseReceived))
    assert dict(answer.headers or ())[b":status"] == b"503"
    assert [(response.head.status, response.length) for _, response in pair.answered] == [(200, 20_000), (503, 0)]


def test_a_file_that_became_shorter_is_a_reset(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a" * 10)
    file = Descriptor(os.open(tmp_path / "a", os.O_RDONLY))
    pair = Pair()
    (request,) = pair.ask(b"/a")
    pair.wire.respond(request, Response(Head(200, ()), (Slice(file, 0, 20),)))
    assert [event.error_code for event in pair.take() if isinstance(event, StreamReset)] == [2]


def test_what_is_lazy_is_made_in_its_turn() -> None:
    pair = Pair()
    (request,) = pair.ask(b"/a")
    pair.wire.respond(request, Response(Head(200, ()), (b"ab", Lazy(2), b"ef")))
    pair.take()
    assert pair.bodies.asked == [1]
    pair.wire.made(1, (b"cd",))
    data = b"".join(event.data or b"" for event in pair.take() if isinstance(event, DataReceived))
    assert data == b"cdef"


def test_a_request_that_is_taken_back() -> None:
    pair = Pair(window=100)
    one, two = pair.ask(b"/a", b"/b")
    pair.wire.respond(two, whole(b"x" * 1_000))
    pair.take()
    pair.client.reset_stream(1)
    pair.client.reset_stream(3)
    pair.pass_on()
    assert not pair.wire.awaits(one)
    pair.wire.respond(one, whole(b"late"))
    pair.take()
    assert [(request, response.head.status, response.length) for request, response in pair.answered] == [
        (one, 499, 0),
        (two, 200, 100),
    ]
    assert pair.bodies.dropped == [1, 3]
    assert pair.wire.unanswered == 0


def test_frames_are_taken_some_at_a_time() -> None:
    wire = made(http2_max_concurrent_streams=1_000)
    wire.receive(PREFACE + SETTINGS)
    data = b"".join(headers(number) for number in range(1, 1_001, 2))
    assert len(data) > 2 * FEED
    counts = [len(wire.receive(data))]
    while wire.held:
        counts.append(len(wire.receive(b"")))
    assert sum(counts) == 500
    assert max(counts) <= FRAMES


def test_one_connection_sends_so_much_at_a_time() -> None:
    pair = Pair(window=2**24)
    pair.client.increment_flow_control_window(2**24)
    (request,) = pair.ask(b"/a")
    pair.wire.respond(request, whole(b"x" * (3 * TURN)))
    pair.take()
    assert pair.wire.held
    pair.wire.receive(b"")
    assert pair.streams() != []


def test_the_end_is_said_and_what_is_open_is_finished() -> None:
    pair = Pair()
    (request,) = pair.ask(b"/a")
    pair.wire.shut()
    assert pair.wire.receive(headers(3)) == []
    sendable = pair.wire.pull()
    assert sendable is not None
    sent = b"".join(piece for piece in sendable[0] if isinstance(piece, bytes))
    assert frame(Kind.GOAWAY, (1).to_bytes(4, "big") + bytes(4)) in sent
    before = pair.wire.closing
    pair.wire.respond(request, whole(b"a"))
    assert pair.wire.pull() is not None
    assert (before, pair.wire.closing, pair.wire.unread) == (False, True, False)
