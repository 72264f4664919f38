"""RFC 9218: what Priority says, and whose turn it is."""

import pytest

from flashpy.http.http2priority import DEFAULT, Priority, Turns, parse_priority


@pytest.mark.parametrize(
    ("value", "priority"),
    [
        (b"u=0", Priority(0)),
        (b"u=7, i", Priority(7, True)),
        (b"i", Priority(3, True)),
        (b"i=?1", Priority(3, True)),
        (b"i=?0", DEFAULT),
        (b" u=5 ,i", Priority(5, True)),
        (b"u=5;a=b, i;c", Priority(5, True)),
        (b"u=8", DEFAULT),
        (b"u=-1", DEFAULT),
        (b"u=10", DEFAULT),
        (b"u", DEFAULT),
        (b"i=1", DEFAULT),
        (b"", DEFAULT),
        (b"nonsense(", DEFAULT),
        (b"u=1, x=(a b), i", Priority(1, True)),
    ],
)
def test_the_field_priority(value: bytes, priority: Priority) -> None:
    assert parse_priority(value) == priority


def order(turns: Turns, count: int, priorities: dict[int, Priority]) -> list[int]:
    """Whose turns come, where each stream always has more to send if it is incremental."""
    found = []
    for _ in range(count):
        stream = turns.take()
        assert stream is not None
        found.append(stream)
        turns.add(stream, priorities[stream])
    return found


def test_the_most_urgent_comes_first_and_is_finished_first() -> None:
    priorities = {1: Priority(5), 3: Priority(0), 5: Priority(0)}
    turns = Turns()
    for stream, priority in priorities.items():
        turns.add(stream, priority)
    assert order(turns, 3, priorities) == [3, 3, 3]
    turns.remove(3)
    assert order(turns, 2, priorities) == [5, 5]


def test_incremental_streams_take_turns() -> None:
    priorities = {number: Priority(3, True) for number in (1, 3, 5)}
    turns = Turns()
    for stream, priority in priorities.items():
        turns.add(stream, priority)
    assert order(turns, 6, priorities) == [1, 3, 5, 1, 3, 5]


def test_a_priority_that_changes_counts_at_once() -> None:
    turns = Turns()
    turns.add(1, Priority(3))
    turns.add(3, Priority(3))
    turns.add(3, Priority(1))
    assert (len(turns), 1 in turns, 5 in turns) == (2, True, False)
    assert [turns.take(), turns.take(), turns.take()] == [3, 1, None]
