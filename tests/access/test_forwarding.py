"""Who a client is behind trusted proxies, and behind others."""

import pytest

from flashpy.access.forwarding import Forwarding
from flashpy.http.request import Block, Request, RequestLine

TRUSTED = ("10.0.0.0/8", "2001:db8:1::/48", "unix:")


def asked(field: bytes = b"", value: bytes = b"") -> Request:
    """A request with that field."""
    line = RequestLine(b"GET", b"/", b"/", b"", 1)
    return Request(line, Block({field: value} if field else {}, True, True, False))


def client(peer: str, value: bytes, trusted: tuple[str, ...] = TRUSTED) -> str:
    """Who has made a request that came from this peer."""
    forwarding = Forwarding(trusted, "X-Forwarded-For")
    request = asked(b"x-forwarded-for", value)
    found = forwarding.client_of(request, peer)
    assert forwarding.client_of(request, peer) == found  # as it is remembered
    return found


@pytest.mark.parametrize(
    ("peer", "value", "who"),
    [
        ("10.0.0.1", b"192.0.2.1", "192.0.2.1"),
        ("10.0.0.1", b"6.6.6.6, 192.0.2.1", "192.0.2.1"),
        ("10.0.0.1", b"6.6.6.6, 192.0.2.1, 10.0.0.2, 10.0.0.3", "192.0.2.1"),
        ("10.0.0.1", b"10.0.0.9, 10.0.0.2", "10.0.0.9"),
        ("10.0.0.1", b"192.0.2.1, unknown", "10.0.0.1"),
        ("10.0.0.1", b"192.0.2.1, unknown, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", b"unix:", "10.0.0.1"),
        ("10.0.0.1", b"", "10.0.0.1"),
        ("2001:db8:1::1", b"2001:db8:2::1", "2001:db8:2::1"),
        ("unix:", b"192.0.2.1", "192.0.2.1"),
        ("192.0.2.9", b"192.0.2.1", "192.0.2.9"),
        ("192.0.2.9", b"10.0.0.1", "192.0.2.9"),
    ],
)
def test_the_last_address_that_is_not_trusted_is_the_client(peer: str, value: bytes, who: str) -> None:
    assert client(peer, value) == who


def test_another_field_says_nothing() -> None:
    """The proxy adds to one field only; what is in the other is the client's own."""
    forwarding = Forwarding(TRUSTED, "Forwarded")
    assert forwarding.client_of(asked(b"x-forwarded-for", b"6.6.6.6"), "10.0.0.1") == "10.0.0.1"
    assert forwarding.client_of(asked(b"forwarded", b"for=192.0.2.1"), "10.0.0.1") == "192.0.2.1"
    assert forwarding.client_of(asked(), "10.0.0.1") == "10.0.0.1"


def test_what_is_remembered_is_bounded() -> None:
    forwarding = Forwarding(TRUSTED, "X-Forwarded-For")
    for number in range(10_000):
        forwarding.client_of(asked(b"x-forwarded-for", b"192.0.2.1, 10.0.%d.%d" % divmod(number, 256)), "10.0.0.1")
    assert len(forwarding._remembered) <= 4_096
    assert forwarding.client_of(asked(b"x-forwarded-for", b" " * 1_000 + b"192.0.2.1"), "10.0.0.1") == "192.0.2.1"
    assert max(len(value) for _, value in forwarding._remembered) <= 256
