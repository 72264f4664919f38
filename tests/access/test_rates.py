"""How often a client may ask. The time is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashpy.access.rates import Rates


def passed(rates: Rates, client: str, *times: float) -> list[bool]:
    """Which of the requests at these times may be answered."""
    return [rates.take(client, time) == 0.0 for time in times]


def test_a_client_may_ask_at_its_rate() -> None:
    rates = Rates(2.0, 0)
    assert passed(rates, "a", 0.0, 0.1, 0.49, 0.5, 0.9, 1.0, 9.0, 9.1) == [1, 0, 0, 1, 0, 1, 1, 0]


def test_a_burst_may_be_ahead_of_it_and_is_filled_up_again_by_waiting() -> None:
    rates = Rates(1.0, 3)
    assert passed(rates, "a", *[0.0] * 5) == [1, 1, 1, 1, 0]
    assert passed(rates, "a", *[2.0] * 3) == [1, 1, 0]
    assert passed(rates, "a", *[99.0] * 5) == [1, 1, 1, 1, 0]


def test_who_is_refused_is_told_how_long_and_pays_nothing() -> None:
    rates = Rates(0.5, 1)
    assert [rates.take("a", 0.0) for _ in range(5)] == [0.0, 0.0, 2.0, 2.0, 2.0]
    assert rates.take("a", 1.5) == pytest.approx(0.5)
    assert rates.take("a", 2.0) == 0.0


def test_each_client_has_its_own_rate_and_a_network_of_ipv6_has_one() -> None:
    rates = Rates(1.0, 0)
    assert passed(rates, "192.0.2.1", 0.0) == passed(rates, "192.0.2.2", 0.0) == [1]
    assert passed(rates, "2001:db8::1", 0.0) == [1]
    assert passed(rates, "2001:db8::ffff:2", 0.0) == [0]
    assert passed(rates, "2001:db8:0:1::1", 0.0) == [1]
    assert passed(rates, "unix:", 0.0, 0.0) == [1, 0]


def test_the_table_is_bounded_and_forgets_who_has_not_asked_for_longest() -> None:
    rates = Rates(0.001, 0, most=3)
    for client in "abcd":
        rates.take(client, 0.0)
    assert len(rates) == 3
    assert passed(rates, "b", 1.0) == [0]  # and so it is not the least recent any more
    assert passed(rates, "a", 1.0) == [1]
    assert passed(rates, "b", 1.0) == [0]
    assert passed(rates, "c", 1.0) == [1]


@given(
    st.floats(0.1, 1_000.0),
    st.integers(0, 50),
    st.lists(st.floats(0.0, 3.0), max_size=60),
)
def test_no_more_pass_in_any_time_than_the_rate_and_the_burst_allow(
    rate: float, burst: int, pauses: list[float]
) -> None:
    rates, now, begun = Rates(rate, burst), 0.0, []
    for pause in pauses:
        now += pause
        wait = rates.take("a", now)
        assert wait <= 1.0 / rate + 1e-6
        if not wait:
            begun.append(now)
    for first in range(len(begun)):
        for last in range(first, len(begun)):
            assert last - first <= (begun[last] - begun[first]) * rate + burst + 1e-3
