"""Which networks may ask."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashpy.access.networks import MOST_REMEMBERED, Networks, household, parse_network

ADDRESSES = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)
NETWORKS = st.one_of(
    st.tuples(st.ip_addresses(v=4), st.integers(0, 32)), st.tuples(st.ip_addresses(v=6), st.integers(0, 128))
).map(lambda pair: str(ip_network(pair, strict=False)))


@pytest.mark.parametrize(
    ("allow", "deny", "client", "may"),
    [
        ((), (), "192.0.2.1", True),
        ((), (), "unix:", True),
        (("192.0.2.0/24",), (), "192.0.2.255", True),
        (("192.0.2.0/24",), (), "192.0.3.0", False),
        (("192.0.2.0/24",), (), "unix:", False),
        (("192.0.2.0/24", "unix:"), (), "", True),
        ((), ("unix:",), "unix:", False),
        ((), ("unix:",), "192.0.2.1", True),
        ((), ("192.0.2.0/24",), "192.0.2.7", False),
        ((), ("192.0.2.0/24",), "198.51.100.1", True),
        (("192.0.2.7",), ("192.0.2.0/24",), "192.0.2.7", True),
        (("192.0.2.7",), ("192.0.2.0/24",), "192.0.2.8", False),
        (("0.0.0.0/0",), ("10.0.0.0/8",), "10.1.2.3", False),
        (("10.1.0.0/16",), ("10.0.0.0/8", "10.1.2.0/24"), "10.1.2.3", False),
        (("10.1.0.0/16",), ("10.0.0.0/8", "10.1.2.0/24"), "10.1.3.3", True),
        (("2001:db8::/32",), (), "2001:db8::1", True),
        (("2001:db8::/32",), (), "192.0.2.1", False),
        ((), ("::/0",), "192.0.2.1", True),
        ((), ("192.0.2.0/24",), "::ffff:192.0.2.1", False),
        ((), ("::ffff:192.0.2.0/120",), "192.0.2.1", False),
        ((), ("::ffff:192.0.2.1",), "192.0.2.1", False),
        (("fe80::/10",), (), "fe80::1%eth0", True),
        ((), ("10.0.0.0/8",), "nonsense", False),
    ],
)
def test_the_more_specific_network_decides(
    allow: tuple[str, ...], deny: tuple[str, ...], client: str, may: bool
) -> None:
    """Whichever list it is in; and nothing said means yes, unless some are allowed by name."""
    networks = Networks(allow, deny)
    assert networks.allows(client) is may
    assert networks.allows(client) is may


@given(st.lists(NETWORKS, max_size=6), st.lists(NETWORKS, max_size=6), st.data())
def test_it_is_the_longest_prefix(allow: list[str], deny: list[str], data: st.DataObject) -> None:
    """Compared with a look at each network in turn; the order of the lists does not matter."""
    deny = [network for network in deny if parse_network(network) not in map(parse_network, allow)]
    bases = [str(ip_network(network).network_address) for network in allow + deny]
    client = data.draw(st.one_of(ADDRESSES, st.sampled_from(bases)) if bases else ADDRESSES)
    address = ip_address(client)
    address = getattr(address, "ipv4_mapped", None) or address
    best, expected = -1, not allow
    for text, verdict in [*((text, True) for text in allow), *((text, False) for text in deny)]:
        network = parse_network(text)
        assert not isinstance(network, str)
        if address in network and network.prefixlen > best:
            best, expected = network.prefixlen, verdict
    assert Networks(allow, deny).allows(client) is expected
    assert Networks(reversed(allow), reversed(deny)).allows(client) is expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("10.0.0.1/8", "write 10.0.0.0/8"),
        ("2001:db8::1/32", "write 2001:db8::/32"),
        ("10.0.0", "is no network"),
        ("10.0.0.0/33", "is no network"),
        ("example.org", "is no network"),
        ("", "is no network"),
        ("fe80::1%eth0", "is no network"),
        ("010.0.0.1", "is no network"),
    ],
)
def test_what_is_no_network_is_said(text: str, said: str) -> None:
    """In a sentence."""
    with pytest.raises(ValueError, match=said):
        Networks((text,))


def test_a_contradiction_is_said() -> None:
    """However the two are written."""
    with pytest.raises(ValueError, match="both allowed and denied"):
        Networks(("192.0.2.0/24",), ("::ffff:192.0.2.0/120",))


def test_what_is_remembered_is_bounded() -> None:
    """Clients come and go."""
    networks = Networks((), ("10.0.0.0/8",))
    for number in range(MOST_REMEMBERED + 10):
        assert not networks.allows(str(ip_address(0x0A000000 + number)))
    assert len(networks._remembered) <= MOST_REMEMBERED
    assert networks.allows("192.0.2.1")


@pytest.mark.parametrize(
    ("client", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unix:", "unix:"),
        ("", ""),
        ("non:sense", "non:sense"),
    ],
)
def test_who_counts_as_one(client: str, counted: str) -> None:
    """RFC 6177: an IPv6 client has a whole /64 to choose addresses from."""
    assert household(client) == counted
