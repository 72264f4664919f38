"""Which site a host means."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashpy.http.target import valid_authority
from flashpy.routing.hosts import Hosts

SITES = [
    (("example.org", "www.example.org"), "main"),
    (("*.example.org",), "beneath"),
    (("*.b.example.org", "x.b.example.org."), "deeper"),
    (("Bücher.example", "*.Straße.example"), "idn"),
    (("192.0.2.1", "[2001:db8::1]", "::1"), "address"),
    (("under_score.example",), "underscore"),
]

FOUND = {
    b"example.org": "main",
    b"EXAMPLE.org:8080": "main",
    b"example.org:": "main",
    b"example.org.": "main",
    b"example.org.:80": "main",
    b"www.example.org": "main",
    b"a.example.org": "beneath",
    b"b.example.org": "beneath",
    b"a.a.example.org": "beneath",
    b"a.b.example.org": "deeper",
    b"c.a.B.example.org": "deeper",
    b"x.b.example.org": "deeper",
    b"xn--bcher-kva.example": "idn",
    b"a.strasse.example": "idn",
    b"192.0.2.1:80": "address",
    b"[2001:db8::1]": "address",
    b"[2001:DB8:0:0::1]:443": "address",
    b"[::1]": "address",
    b"under_score.example": "underscore",
    b"example.com": None,
    b"notexample.org": None,
    b".example.org": "beneath",
    b"example.org..": None,
    b"[::2]": None,
    b"[::z]": None,
    b"[": None,
    b"": None,
    b"a." * 120 + b"example.org": "beneath",
    b"a." * 130 + b"example.org": None,
}


@pytest.mark.parametrize("value", FOUND)
def test_the_site_of_a_host(value: bytes) -> None:
    """RFC 9110, 4.2.3: case does not matter, nor does the port here; what is most exact counts."""
    hosts = Hosts(SITES)
    for _ in range(3):
        assert hosts.find(value) == FOUND[value]


@pytest.mark.parametrize("default", [(), ("*",), ("other.example", "*")])
def test_the_default_takes_what_no_other_does(default: tuple[str, ...]) -> None:
    """A site without hosts, or with "*" among them."""
    hosts = Hosts([*SITES, (default, "default")])
    for value, site in FOUND.items():
        assert hosts.find(value) == (site or "default")


@pytest.mark.parametrize(
    "host",
    ["", "*.", "a:80", "http://a", "a/b", "a b", "*.*.a", "a*", "-a", "a..b", "a" * 64, ".".join("a" * 130), "é" * 99],
)
def test_what_is_no_host_is_refused(host: str) -> None:
    """In a sentence."""
    with pytest.raises(ValueError, match="is no host; write a name"):
        Hosts([((host,), 1)])


def test_two_sites_cannot_have_one_host() -> None:
    """Nor can two be the default."""
    with pytest.raises(ValueError, match=r"two sites have the host 'A\.example'"):
        Hosts([(("a.example",), 1), (("A.example",), 2)])
    with pytest.raises(ValueError, match="two sites have the host"):
        Hosts([(("*.a.example",), 1), (("*.a.example.",), 2)])
    with pytest.raises(ValueError, match="two sites take all hosts"):
        Hosts([((), 1), ((), 2)])


@given(st.binary(max_size=300))
def test_any_value_has_an_answer(value: bytes) -> None:
    """Whatever a client sends as Host."""
    assert Hosts(SITES).find(value) in {*FOUND.values()}
    assert Hosts([((), "all")]).find(value) == "all"


@given(st.ip_addresses(v=6), st.sampled_from(["", ":", ":80"]))
def test_an_address_means_the_same_in_all_its_forms(address: ipaddress.IPv6Address, port: str) -> None:
    """RFC 4291, 2.2."""
    hosts = Hosts([((str(address),), 1)])
    for form in (address.exploded, address.compressed, address.exploded.upper()):
        value = f"[{form}]{port}".encode()
        assert valid_authority(value) and hosts.find(value) == 1


def test_the_memo_is_bounded() -> None:
    """Clients that invent hosts fill no memory."""
    hosts = Hosts([(("*.example.org",), 1)])
    for number in range(20_000):
        for _ in range(2):
            assert hosts.find(b"%d.example.org" % number) == 1
    assert len(hosts._memo) < 6_000
