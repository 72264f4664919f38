"""Heads as they are read; and remembered, which may save work and nothing else."""

import httptools
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flashpy.http.framer import Fault
from flashpy.http.head import HeadReader
from flashpy.http.http1 import Http1, Http1Shared
from flashpy.http.request import Request
from flashpy.http.response import JOIN_LIMIT, Head, Response, fixed
from flashpy.http.wire import Tails
from flashpy.settings import LimitsSection
from tests.http.making import DATE, facts, request, shared

HEADS = [
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /a?b HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=0-0\r\n\r\n",
    b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic eDp5\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
    b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
    b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHo",
    b"abc",
    b"st: a\r\n\r\n",
]


class Conversation:
    """Connections one after another, each used until it closes."""

    def __init__(self, memo: int) -> None:
        self.shared = Http1Shared(LimitsSection(memo=memo, pipeline=2), Tails(b"now"), 0)
        self.wire = Http1(self.shared)
        self.due: list[Request] = []

    def say(self, data: bytes, answer: bool) -> list[object]:
        """Everything that can be seen of the wire after these bytes."""
        requests = self.wire.receive(data)
        seen: list[object] = [facts(each) for each in requests]
        self.due += requests
        if answer:  # in order: equal requests may be one object, and then which of them is answered does not matter
            for each in self.due:
                self.wire.respond(each, fixed(204))
            self.due.clear()
            while sendable := self.wire.pull():
                seen.append(sendable[0])
        wire = self.wire
        seen.append((wire.unanswered, wire.partial, wire.quiet, wire.closing, wire.held, wire.unread))
        if wire.closing:
            self.wire = Http1(self.shared)
            self.due.clear()
        return seen


@given(st.lists(st.tuples(st.sampled_from(HEADS), st.booleans()), max_size=30))
def test_a_memo_changes_no_answer(said: list[tuple[bytes, bool]]) -> None:
    """A wire with a memo and one without say the same to the same bytes, whatever they are."""
    with_memo, without = Conversation(2**20), Conversation(0)
    for data, answer in said:
        assert with_memo.say(data, answer) == without.say(data, answer)
    assert not any(without.shared.heads.snapshot().values())


def remembered(reader: HeadReader) -> tuple[int, ...]:
    """How many heads, blocks, blocks but for their last line, request lines and field lines."""
    return tuple(reader.snapshot().values())


def test_what_repeats_is_remembered() -> None:
    """From the second sighting on; the head as a whole when its block is known. Then it is the same object."""
    reader = HeadReader(LimitsSection())
    seen = []
    for kept in ((0, 0, 0, 0, 0), (0, 1, 1, 1, 1), (0, 1, 1, 1, 1), (1, 1, 1, 1, 1), (1, 1, 1, 1, 1)):
        seen.append(reader.read(HEADS[0]))
        assert remembered(reader) == kept
    assert seen[4] is seen[3] is not seen[2]
    assert seen[3].fields is seen[2].fields is seen[1].fields
    assert len({str(facts(one)) for one in seen}) == 1


def test_credentials_and_bodies_are_not_kept() -> None:
    """A head with Authorization is a secret, and so is its field; where a body follows, the whole is judged again."""
    for head, kept in ((HEADS[5], (0, 0, 1, 1, 1)), (HEADS[12][:-3], (0, 0, 1, 1, 2)), (HEADS[8], (0, 0, 1, 1, 0))):
        reader = HeadReader(LimitsSection())
        for _ in range(5):
            reader.read(head)
        assert remembered(reader) == kept


def test_a_block_of_fields_is_read_once_for_many_targets() -> None:
    """A browser asks for all assets of a page with the same fields."""
    reader = HeadReader(LimitsSection())
    found = [reader.read(b"GET /%d HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n" % n) for n in range(5)]
    assert [one.path for one in found] == [b"/0", b"/1", b"/2", b"/3", b"/4"]
    assert [dict(one.fields) for one in found] == [{b"host": b"a", b"x": b"y"}] * 5
    assert found[4].block is found[3].block is found[2].block is not found[1].block
    assert remembered(reader) == (0, 1, 1, 0, 2)


def test_a_block_is_known_but_for_its_last_line() -> None:
    """Where a browser has its condition, and a proxy the number of the request; values of one name are joined."""
    reader = HeadReader(LimitsSection())
    for number, line in enumerate((b"X-Id: %d", b"X-Id: %d", b"X-Id: %d", b"a: %d", b"Host: %d", b"If-Range: %d")):
        head = b"GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nA: c\r\n" + line % number + b"\r\n\r\n"
        if line.startswith(b"Host"):
            with pytest.raises(Fault):
                reader.read(head)
            continue
        fields = dict(reader.read(head).fields)
        assert fields.pop(b"host") == b"a"
        assert fields.pop(b"a") == (b"b, c, %d" % number if line.startswith(b"a") else b"b, c")
        assert list(fields.values()) == ([] if line.startswith(b"a") else [b"%d" % number])
    assert remembered(reader) == (0, 0, 1, 1, 3)


def test_a_known_block_says_the_same_only_where_it_does() -> None:
    """HTTP/1.0 means another thing by the same fields, and other methods are not plain."""
    reader = HeadReader(LimitsSection())
    for version, method, facts_of in (
        (b"1", b"GET", (True, True)),
        (b"0", b"GET", (False, True)),
        (b"1", b"HEAD", (True, False)),
        (b"1", b"GET", (True, True)),
    ):
        for target in (b"/a", b"/b", b"/c"):
            found = reader.read(method + b" " + target + b" HTTP/1." + version + b"\r\nHost: a\r\n\r\n")
            assert (found.keep_alive, found.plain) == facts_of


def test_what_is_known_is_still_counted() -> None:
    """Lines that are good one by one may be too many, or too long together."""
    reader = HeadReader(LimitsSection(head=256, fields=4))
    lines = [b"Host: a\r\n", *(b"X-%d: %s\r\n" % (n, b"x" * 60) for n in range(5))]
    for line in lines[1:]:
        for _ in range(2):
            reader.read(b"GET / HTTP/1.1\r\n" + lines[0] + line + b"\r\n")
    reader.read(b"GET / HTTP/1.1\r\n" + b"".join(lines[:3]) + b"\r\n")
    for count in (5, 6):  # 256 bytes, 4 fields
        with pytest.raises(Fault) as caught:
            reader.read(b"GET / HTTP/1.1\r\n" + b"".join(lines[:count]) + b"\r\n")
        assert caught.value.status == 431


@pytest.mark.parametrize(
    "data",
    [b"", b"\r\n" + HEADS[0], HEADS[0] * 2, HEADS[0] + b"x", HEADS[0][:-1], HEADS[11], HEADS[12], HEADS[10], b"x"],
)
def test_only_a_whole_head_alone_is_recalled(data: bytes) -> None:
    """Anything else is for the wire to make sense of: several heads, a part of one, a body, a fault."""
    reader = HeadReader(LimitsSection())
    for _ in range(5):
        found = reader.recall(HEADS[0])
        assert found is not None and found.path == b"/"
        assert reader.recall(data) is None


LINES = [
    *(b"Host: a", b"host:b", b"Host:", b"Host: a b", b"X: y", b"x: z", b"X:", b"Accept: */*", b"Cookie: a=b"),
    *(b"Content-Length: 3", b"Content-Length: 03", b"Content-Length: x", b"Content-Length: 4", b"Upgrade: h2c"),
    *(b"Transfer-Encoding: chunked", b"Transfer-Encoding: x", b"Expect: 100-continue", b"Proxy-Connection: close"),
    *(b"Connection: close", b"Connection: keep-alive, upgrade", b" folded", b"\tfolded: x", b": y", b"X : y", b"X"),
    *(b"X: a\0b", b"X: a\rb", b"X: a\nHost: b"),
]  # fmt: skip


def judged_by_httptools(block: bytes) -> bool:
    """Whether httptools takes a whole block of fields for good; with an upgrade it does."""
    try:
        httptools.HttpRequestParser(None).feed_data(b"POST / HTTP/1.1\r\n" + block)
    except httptools.HttpParserUpgrade:
        return True
    except httptools.HttpParserError:
        return False
    return True


@settings(max_examples=400)
@given(st.lists(st.lists(st.sampled_from(LINES), max_size=5), min_size=1, max_size=5))
def test_lines_that_are_good_one_by_one_are_good_together(blocks: list[list[bytes]]) -> None:
    """What httptools refuses of a whole block is refused, whatever has been remembered of its lines; a reader that has
    read much says the same as one that has read nothing."""
    old = shared()
    for lines in blocks * 3:
        data = b"POST / HTTP/1.1\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n"
        found = [facts(one) for one in Http1(old).receive(data)]
        assert found == [facts(one) for one in Http1(shared()).receive(data)]
        if not judged_by_httptools(data.partition(b"\r\n")[2]):
            assert found[0][0] in (400, 417, 501)


def test_a_prepared_answer_lasts_as_long_as_its_date() -> None:
    """RFC 9110, 6.6.1: the Date is that of the answer."""
    common = shared()
    response = fixed(404)
    first = common.at_once(request(), response, False)
    assert first is not None and b"Date: " + DATE in first
    assert common.at_once(request(), response, False) is first
    common.tails.set(b"later")
    second = common.at_once(request(), response, False)
    assert second is not None and b"Date: later\r\n" in second


def test_only_small_answers_are_prepared() -> None:
    """What is not small leaves in pieces, uncopied; so does what ends the connection by itself."""
    common = shared()
    closing, large = Response(Head(200, ()), (b"x",), close=True), Response(Head(200, ()), (b"x" * JOIN_LIMIT,))
    assert common.at_once(request(), closing, True) is common.at_once(request(), large, False) is None
    head, body = common.pieces(request(), large, False)
    assert isinstance(head, bytes) and head.startswith(b"HTTP/1.1 200 OK\r\n") and head.endswith(b"\r\n\r\n")
    assert body is large.body[0]


@pytest.mark.parametrize(
    ("head", "last", "said"), [(HEADS[0], False, None), (HEADS[0], True, b"close"), (HEADS[7], False, b"keep-alive")]
)
def test_an_answer_says_whether_the_connection_goes_on(head: bytes, last: bool, said: bytes | None) -> None:
    """RFC 9112, 9.3 and 9.6: on the short way as on the long one."""
    common = shared()
    whole = common.at_once(HeadReader(LimitsSection()).read(head), fixed(404), last)
    assert whole is not None
    assert (b"Connection: " in whole) is (said is not None)
    assert said is None or b"Connection: " + said + b"\r\n" in whole


@pytest.mark.parametrize(
    ("head", "host"),
    [
        (b"GET / HTTP/1.1\r\nHost: a.example:80\r\n\r\n", b"a.example:80"),
        (b"GET / HTTP/1.1\r\nHost: a.example\r\nX-Last: new\r\n\r\n", b"a.example"),
        (b"GET / HTTP/1.1\r\nX-First: new\r\nHost: a.example\r\n\r\n", b"a.example"),
        (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", b""),
        (b"GET / HTTP/1.0\r\n\r\n", b""),
        (b"GET http://b.example:8080/x HTTP/1.1\r\nHost: a.example\r\n\r\n", b"b.example:8080"),
        (b"GET http://b.example HTTP/1.0\r\n\r\n", b"b.example"),
    ],
)
def test_which_host_is_meant(head: bytes, host: bytes) -> None:
    """RFC 9112, 3.2.2: what an absolute-form names counts, and then not Host; from the memo as from the bytes."""
    reader = HeadReader(LimitsSection())
    for _ in range(3):
        assert reader.read(head).host == host
