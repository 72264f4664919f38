"""The memo of heads: it may save work, and nothing else."""

from hypothesis import given
from hypothesis import strategies as st

from flashpy.config import LimitsSection
from flashpy.http.http1 import PREPARED_LIMIT, Http1, Http1Shared
from flashpy.http.memo import HeadMemo
from flashpy.http.request import Request
from flashpy.http.response import JOIN_LIMIT, Head, Response, fixed
from flashpy.http.wire import Tails
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
        self.shared = Http1Shared(LimitsSection(memo=memo, pipeline=2), Tails(b"now"))
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
    assert len(without.shared.memo) == 0


def test_a_head_is_remembered_from_its_second_sighting() -> None:
    """Heads that never repeat do not fill the memo; the third is the same object as the second."""
    common = shared()
    seen: list[Request] = []
    for length in (0, 1, 1):
        wire = Http1(common)
        seen += wire.receive(HEADS[0])
        assert len(common.memo) == length
    assert seen[2] is seen[1] is not seen[0]


def test_credentials_and_last_requests_are_not_kept() -> None:
    """A head with Authorization is a secret; one that ends its connection is not repeated on it."""
    common = shared()
    for head in (HEADS[5], HEADS[6], HEADS[8], HEADS[10], HEADS[12]):
        for _ in range(3):
            Http1(common).receive(head)
    assert len(common.memo) == 0


def test_pipelined_heads_are_remembered_one_by_one() -> None:
    """What comes in one piece need not repeat as one piece."""
    common = shared()
    for _ in range(2):
        Http1(common).receive(HEADS[14])
    assert len(common.memo) == 2
    (found,) = Http1(common).receive(HEADS[0])
    assert found is common.memo.get(HEADS[0])


def test_a_block_of_fields_is_judged_once_for_many_targets() -> None:
    """A browser asks for all assets of a page with the same fields."""
    common = shared()
    found = [one for n in range(3) for one in Http1(common).receive(b"GET /%d HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n" % n)]
    assert [one.path for one in found] == [b"/0", b"/1", b"/2"]
    assert len(common.blocks) == 1
    assert found[2].fields is found[1].fields is not found[0].fields
    assert not common.memo


def test_a_known_block_says_the_same_only_where_it_does() -> None:
    """HTTP/1.0 means another thing by the same fields; other methods are not plain; credentials are not kept."""
    common = shared()
    block = b"\r\nHost: a\r\n\r\n"
    for line in (b"GET /a HTTP/1.1", b"GET /b HTTP/1.1", b"GET /c HTTP/1.1"):
        Http1(common).receive(line + block)
    old, head, get = (
        Http1(common).receive(line + block)[0] for line in (b"GET /d HTTP/1.0", b"HEAD /d HTTP/1.1", b"GET /e HTTP/1.1")
    )
    assert (old.keep_alive, head.plain, get.plain) == (False, False, True)
    for secret in (b"Authorization: x", b"Expect: 100-continue", b"Content-Length: 1", b"Transfer-Encoding: chunked"):
        for target in (b"/a", b"/b", b"/c"):
            Http1(common).receive(b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n" + secret + b"\r\n\r\n")
    assert len(common.blocks) == 1


def test_a_prepared_answer_lasts_as_long_as_its_date() -> None:
    """RFC 9110, 6.6.1: the Date is that of the answer."""
    common = shared()
    response = fixed(404)
    first = common.at_once(request(), response)
    assert first is not None and b"Date: " + DATE in first
    assert common.at_once(request(), response) is first
    common.tails.set(b"later")
    second = common.at_once(request(), response)
    assert second is not None and b"Date: later\r\n" in second


def test_only_small_answers_in_memory_are_prepared() -> None:
    """Others take the long way; what is not small is rendered, but not kept twice."""
    common = shared()
    closing, large = Response(Head(200, ()), (b"x",), close=True), Response(Head(200, ()), (b"x" * JOIN_LIMIT,))
    assert common.at_once(request(), closing) is common.at_once(request(), large) is None
    medium = Response(Head(200, ()), (b"x" * PREPARED_LIMIT,))
    assert common.at_once(request(), medium) is not None
    assert medium.prepared is None


@given(st.lists(st.integers(0, 40), max_size=80), st.integers(0, 8000))
def test_the_memo_is_bounded_in_bytes(numbers: list[int], limit: int) -> None:
    """However many heads repeat, those kept fit the limit."""
    memo, kept = HeadMemo(limit), request()
    for number in numbers:
        head = b"GET /%d" % number + b"x" * 50 * number
        memo.learn(head, kept)
        memo.learn(head, kept)
        present = [b"GET /%d" % n + b"x" * 50 * n for n in set(numbers) if memo.get(b"GET /%d" % n + b"x" * 50 * n)]
        assert len(present) == len(memo)
        assert sum(2 * len(one) + 1000 for one in present) <= limit
