"""Headers of the PROXY protocol (HAProxy's proxy-protocol.txt), good ones, bad ones, and parts of them."""

import contextlib
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashpy.http.proxy_protocol import LONGEST, BadHeader, Header, crc32c, parse

SIGNATURE = b"\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a"
PORTS = b"\x1f\x90\x00\x50"


def binary(command: int, family: int, rest: bytes, length: int | None = None) -> bytes:
    """A header of version 2."""
    size = len(rest) if length is None else length
    return SIGNATURE + bytes([command, family]) + size.to_bytes(2, "big") + rest


def addition(kind: int, value: bytes) -> bytes:
    """A TLV."""
    return bytes([kind]) + len(value).to_bytes(2, "big") + value


def with_checksum(command: int, family: int, rest: bytes) -> bytes:
    """A header of version 2 whose last addition is the right checksum."""
    header = binary(command, family, rest + addition(3, bytes(4)))
    return header[:-4] + crc32c(header).to_bytes(4, "big")


IPV4 = bytes([192, 0, 2, 1, 198, 51, 100, 2]) + PORTS
IPV6 = IPv6Address("2001:db8::1").packed + IPv6Address("::1").packed + PORTS

GOOD = [
    (b"PROXY TCP4 192.0.2.1 198.51.100.2 8080 80\r\n", "192.0.2.1"),
    (b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255"),
    (b"PROXY TCP6 2001:DB8:0:0::1 ::1 0 443\r\n", "2001:db8::1"),
    (b"PROXY TCP6 ::ffff:192.0.2.1 ::1 1 443\r\n", "192.0.2.1"),
    (b"PROXY UNKNOWN\r\n", None),
    (b"PROXY UNKNOWN ffff:f...f:ffff whatever 65535 65535\r\n", None),
    (binary(0x21, 0x11, IPV4), "192.0.2.1"),
    (binary(0x21, 0x21, IPV6), "2001:db8::1"),
    (binary(0x21, 0x31, bytes(216)), "unix:"),
    (binary(0x20, 0x00, b""), None),
    (binary(0x20, 0x11, b"\xff"), None),
    (binary(0x21, 0x00, b""), None),
    (binary(0x21, 0x12, IPV4), None),
    (binary(0x21, 0x11, IPV4 + addition(4, bytes(300)) + addition(2, b"example.org")), "192.0.2.1"),
    (with_checksum(0x21, 0x11, IPV4), "192.0.2.1"),
    (with_checksum(0x21, 0x21, IPV6 + addition(0xE0, b"own")), "2001:db8::1"),
]

BAD = [
    *(b"GET / HTTP/1.1\r\n", b"\n", b"proxy TCP4 ", b"PROXY\tTCP4", b"PROXY \n", b"\x16\x03\x01\x02\x00"),
    b"PROXY TCP4 192.0.2.1 198.51.100.2 8080 80\n",
    b"PROXY TCP4  192.0.2.1 198.51.100.2 8080 80\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.2 8080\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.2 8080 80 \r\n",
    b"PROXY TCP4 192.0.2.256 198.51.100.2 8080 80\r\n",
    b"PROXY TCP4 192.0.2.01 198.51.100.2 8080 80\r\n",
    b"PROXY TCP4 ::1 ::1 8080 80\r\n",
    b"PROXY TCP6 192.0.2.1 198.51.100.2 8080 80\r\n",
    b"PROXY TCP6 ::1 fe80::1%eth0 8080 80\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.2 65536 80\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.2 080 80\r\n",
    b"PROXY UDP4 192.0.2.1 198.51.100.2 8080 80\r\n",
    b"PROXY UNKNOWN\rx\r\n",
    b"PROXY UNKNOWNX\r\n",
    b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n",
    b"PROXY TCP6 " + b"f" * 96,
    *(binary(command, 0x11, IPV4) for command in (0x11, 0x22, 0x2F, 0x00)),
    *(binary(0x21, family, IPV4) for family in (0x41, 0x13, 0xFF)),
    binary(0x21, 0x11, IPV4[:-1]),
    binary(0x21, 0x21, IPV4),
    binary(0x21, 0x31, IPV6),
    binary(0x21, 0x11, b"", length=LONGEST),
    binary(0x20, 0x00, b"", length=65_535),
    binary(0x21, 0x11, IPV4 + b"\x04"),
    binary(0x21, 0x11, IPV4 + b"\x04\x00\x02x"),
    binary(0x21, 0x11, IPV4 + addition(3, bytes(4))),
    binary(0x21, 0x11, IPV4 + addition(3, bytes(3))),
    with_checksum(0x21, 0x11, IPV4).replace(IPV4, IPV4[::-1]),
]


@pytest.mark.parametrize(("header", "client"), GOOD)
def test_a_good_header_is_read_and_no_byte_behind_it(header: bytes, client: str | None) -> None:
    assert parse(header) == Header(len(header), client)
    assert parse(header + b"GET / HTTP/1.1\r\n\r\n") == Header(len(header), client)


@pytest.mark.parametrize(("header", "client"), GOOD)
def test_a_part_of_a_good_header_is_no_header_yet(header: bytes, client: str | None) -> None:
    assert [length for length in range(len(header)) if parse(header[:length])] == []


@pytest.mark.parametrize("data", BAD)
def test_a_bad_header_is_refused_however_it_goes_on(data: bytes) -> None:
    for more in (b"", b"\r\n", bytes(70_000)):
        with pytest.raises(BadHeader, match=r"\w+"):
            parse(data + more)


def test_the_checksum_is_castagnolis() -> None:
    assert crc32c(b"123456789") == 0xE3069283  # the check value of the catalogue of CRCs
    assert crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720, B.4


@given(st.ip_addresses(), st.integers(0, 65_535), st.integers(0, 65_535))
def test_every_address_is_read_in_both_versions(address: IPv4Address | IPv6Address, port: int, other: int) -> None:
    family = b"TCP4" if address.version == 4 else b"TCP6"
    text = str(address).encode()
    line = b"PROXY %b %b %b %d %d\r\n" % (family, text, text, port, other)
    packed = address.packed * 2 + port.to_bytes(2, "big") + other.to_bytes(2, "big")
    for header in (line, binary(0x21, 0x11 if address.version == 4 else 0x21, packed)):
        found = parse(header)
        assert found is not None and found.client is not None
        assert ip_address(found.client) == (getattr(address, "ipv4_mapped", None) or address)


@given(st.sampled_from([header for header, _ in GOOD]), st.integers(0, 300), st.binary(max_size=8))
def test_whatever_comes_is_read_refused_or_awaited(header: bytes, at: int, patch: bytes) -> None:
    """And what has been refused once is not taken when more of it has come."""
    data = header[:at] + patch + header[at + len(patch) :]
    refused = False
    for length in range(len(data) + 1):
        try:
            found = parse(data[:length])
        except BadHeader:
            refused = True
        else:
            assert not refused
            assert found is None or found.length <= length


@given(st.binary(max_size=200))
def test_nothing_else_is_raised(data: bytes) -> None:
    for beginning in (b"", b"PROXY TCP4 ", SIGNATURE, SIGNATURE + b"\x21\x11\0\x20"):
        with contextlib.suppress(BadHeader):
            parse(beginning + data)
