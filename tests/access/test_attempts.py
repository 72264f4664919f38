"""What is remembered of attempts to log in."""

from math import isclose

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from flashpy.access.attempts import FAILURES, IN_WORK, PAUSE, VALID, Attempts, Failures
from flashpy.access.credentials import Credentials

ANNA = Credentials(b"anna", b"secret")
CLIENT = "192.0.2.1"


def test_a_password_that_passed_is_remembered_for_a_minute() -> None:
    """And not longer, however often it is used."""
    attempts = Attempts()
    mark = attempts.mark(b"hash", ANNA)
    assert not attempts.passed(mark, 100.0)
    assert attempts.begin(mark, CLIENT, 100.0) == 0
    attempts.end(mark, True, 100.0)
    assert attempts.passed(mark, 100.0)
    assert attempts.passed(mark, 99.0 + VALID)
    assert not attempts.passed(mark, 100.0 + VALID)


def test_a_password_is_not_kept() -> None:
    """Only a mark is, which is another in each process."""
    attempts = Attempts()
    mark = attempts.mark(b"hash", ANNA)
    attempts.end(mark, True, 0.0)
    assert b"secret" not in mark and mark != Attempts().mark(b"hash", ANNA)
    assert mark == attempts.mark(b"hash", ANNA)


@given(
    st.lists(st.tuples(st.binary(max_size=4), st.binary(max_size=4), st.binary(max_size=4)), min_size=2, unique=True)
)
def test_only_what_passed_is_remembered(triples: list[tuple[bytes, bytes, bytes]]) -> None:
    """No other hash, user or password, wherever one ends and the next begins."""
    attempts = Attempts()
    first, *others = (attempts.mark(hashed, Credentials(user, password)) for hashed, user, password in triples)
    attempts.end(first, True, 0.0)
    assert attempts.passed(first, 1.0)
    for other in others:
        assert not attempts.passed(other, 1.0)
        attempts.end(other, False, 1.0)
        assert not attempts.passed(other, 1.0)


def test_so_many_failures_and_then_one_now_and_then() -> None:
    """With the time until the next; another client is not concerned, another address of the same network is."""
    attempts = Attempts()
    for number in range(FAILURES):
        mark = attempts.mark(b"hash", Credentials(b"anna", b"%d" % number))
        assert attempts.begin(mark, CLIENT, 0.0) == 0
        attempts.end(mark, False, 0.0)
    mark = attempts.mark(b"hash", ANNA)
    assert attempts.begin(mark, CLIENT, 0.0) == PAUSE
    assert isclose(attempts.begin(mark, CLIENT, PAUSE - 2), 2)
    assert attempts.begin(mark, "192.0.2.2", 0.0) == 0
    attempts.end(mark, False, 0.0)
    assert attempts.begin(mark, "::ffff:192.0.2.1", 1.0) > 0
    assert attempts.begin(mark, CLIENT, PAUSE) == 0
    attempts.end(mark, False, PAUSE)
    assert attempts.begin(mark, CLIENT, PAUSE) == PAUSE


def test_what_passed_costs_nothing() -> None:
    """Not even where many users have one address."""
    attempts = Attempts()
    for number in range(5 * FAILURES):
        mark = attempts.mark(b"hash", Credentials(b"%d" % number, b"right"))
        assert attempts.begin(mark, CLIENT, 0.0) == 0
        attempts.end(mark, True, 0.0)
    assert attempts.failures.tokens(CLIENT, 0.0) == FAILURES


def test_many_at_a_time_are_no_way_around() -> None:
    """Tokens are taken before anything is known of an attempt."""
    attempts = Attempts()
    begun = [
        attempts.begin(attempts.mark(b"hash", Credentials(b"anna", b"%d" % number)), CLIENT, 0.0) == 0
        for number in range(100)
    ]
    assert sum(begun) == FAILURES


def test_equal_ones_at_a_time_are_one() -> None:
    """A browser asks for many files with the same password, on several connections."""
    attempts = Attempts()
    mark = attempts.mark(b"hash", ANNA)
    assert [attempts.begin(mark, CLIENT, 0.0) for _ in range(50)] == [0.0] * 50
    assert attempts.failures.tokens(CLIENT, 0.0) == FAILURES - 1
    for _ in range(50):
        attempts.end(mark, True, 0.0)
    assert attempts.failures.tokens(CLIENT, 0.0) == FAILURES
    assert attempts.passed(mark, 0.0)


def test_an_attempt_of_which_nothing_is_heard() -> None:
    """Its job was dropped: it counts as a failure, and the next takes a token of its own."""
    attempts = Attempts()
    mark = attempts.mark(b"hash", ANNA)
    assert attempts.begin(mark, CLIENT, 0.0) == 0
    assert attempts.begin(mark, CLIENT, IN_WORK) == 0
    assert attempts.failures.tokens(CLIENT, IN_WORK) == FAILURES - 1


def test_without_a_limit() -> None:
    """Where all clients come from one proxy, somebody else must count."""
    attempts = Attempts(Failures(0))
    for number in range(100):
        assert attempts.begin(attempts.mark(b"hash", Credentials(b"anna", b"%d" % number)), CLIENT, 0.0) == 0


def test_tables_are_bounded() -> None:
    """The oldest goes first, so that many addresses do not free the one that tries now."""
    attempts = Attempts(Failures(2, clients=8), most=8)
    for number in range(50):
        mark = attempts.mark(b"hash", Credentials(b"anna", b"%d" % number))
        attempts.begin(mark, f"192.0.2.{number}", 0.0)
        if number % 2:
            attempts.end(mark, True, 0.0)
    assert len(attempts.failures) <= 8
    assert len(attempts._working) <= 8 and len(attempts._passed) <= 8
    assert attempts.passed(mark, 0.0)
    assert attempts.failures.tokens("192.0.2.48", 0.0) == 1


class Buckets(RuleBasedStateMachine):
    """What any sequence of attempts leaves of the limit."""

    def __init__(self) -> None:
        super().__init__()
        self.failures = Failures(3, 2.0, clients=100)
        self.now = 0.0
        self.taken: list[float] = []
        self.open = 0

    @rule(seconds=st.floats(0, 5))
    def wait(self, seconds: float) -> None:
        """Time goes on."""
        self.now += seconds

    @rule()
    def take(self) -> None:
        """An attempt; where it must wait, waiting so long is enough."""
        wait = self.failures.take(CLIENT, self.now)
        if wait:
            assert 0 < wait <= 2.0
            assert Failures(3, 2.0).take(CLIENT, self.now) == 0
            assert self.failures.tokens(CLIENT, self.now + wait) > 0.999
        else:
            self.taken.append(self.now)
            self.open += 1

    @rule()
    def give_back(self) -> None:
        """One that was none."""
        if self.open:
            self.open -= 1
            self.taken.pop()
            self.failures.give_back(CLIENT, self.now)

    @invariant()
    def never_more_than_the_limit(self) -> None:
        """A bucket never holds more than it can, and over any time no more are taken than there were and came."""
        assert 0 <= self.failures.tokens(CLIENT, self.now) <= 3
        for index, first in enumerate(self.taken):
            count = len(self.taken) - index
            assert count <= 3 + (self.now - first) / 2.0 + 1e-6


TestBuckets = Buckets.TestCase
