"""The memo: bounded in bytes, and it takes in only what repeats."""

from hypothesis import given
from hypothesis import strategies as st

from flashpy.http.memo import MOST_SEEN, Memo


def nothing(key: bytes) -> bytes:
    """What a memo says of keys that it does not know."""
    return b"?" + key


def test_a_key_is_remembered_from_its_second_sighting() -> None:
    """What never repeats does not fill the memo."""
    memo = Memo(1_000, nothing)
    for length in (0, 1, 1):
        memo.learn(b"a", b"A", 100)
        assert len(memo) == length
        assert memo.get(b"a") == (b"A" if length else None)
        assert memo.recall(b"a") == (b"A" if length else b"?a")
        assert (b"a" in memo) is bool(length)


def test_a_sighting_is_forgotten_among_many_others() -> None:
    """So the sightings are bounded too."""
    memo = Memo(1_000, nothing)
    memo.learn(b"a", b"A", 100)
    for number in range(MOST_SEEN):
        memo.learn(b"%d" % number, b"", 1)
    memo.learn(b"a", b"A", 100)
    assert memo.get(b"a") is None


@given(st.lists(st.integers(0, 40), max_size=80), st.integers(0, 2_000))
def test_the_memo_is_bounded_in_bytes(numbers: list[int], limit: int) -> None:
    """However many keys repeat, those kept fit the limit; what alone is over it is never kept."""
    memo = Memo(limit, nothing)
    for number in numbers:
        key, cost = b"%d" % number, 50 * number
        memo.learn(key, key, cost)
        memo.learn(key, key, cost)
        assert (memo.get(key) == key) is (cost <= limit)
        present = [n for n in set(numbers) if b"%d" % n in memo]
        assert len(present) == len(memo)
        assert sum(50 * n for n in present) <= limit
