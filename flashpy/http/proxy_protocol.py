"""The PROXY protocol: what a proxy says before the first byte of a connection that it passes on, without I/O.

After HAProxy's proxy-protocol.txt, version 1 (a line of text, its section 2.1) and version 2 (binary, its section 2.2).
A header is good or bad by itself, and nothing is guessed: who does not speak the protocol as it is written is refused.
"""

import re
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from flashpy.addresses import client_text

LONGEST_LINE = 107
"""Bytes of a header of version 1, with its end of line (section 2.1)."""
LONGEST = 4_096
"""Bytes of a header of version 2 that are taken: nginx's bound. The format has room for 65,551."""
UNIX = "unix:"

_LINE = re.compile(rb"PROXY (TCP4|TCP6) ([0-9A-Fa-f:.]{2,39}) ([0-9A-Fa-f:.]{2,39}) (\d{1,5}) (\d{1,5})\r\n")
_UNKNOWN = re.compile(rb"PROXY UNKNOWN(?: [^\r\n]*)?\r\n")
_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_FIXED = 16
"""Bytes of version 2 before its addresses: the signature, the version with the command, the family, the length."""
_LOCAL, _PROXY = 0x20, 0x21
_TCP4, _TCP6, _UNIX_STREAM = 0x11, 0x21, 0x31
_ADDRESSES = (0, 12, 36, 216)
"""Bytes of the addresses, by the family: unspecified, IPv4, IPv6, Unix."""
_TRANSPORTS = 3
"""Unspecified, stream, datagram."""
_CRC32C = 0x03


class BadHeader(ValueError):
    """What came is no header of the PROXY protocol; the text says why, for the log."""


class Header(NamedTuple):
    """A complete header: its length in bytes, and the client's address as text; None if that is for the socket to say
    (the proxy asks for itself, or does not know)."""

    length: int
    client: str | None


def parse(data: bytes) -> Header | None:
    """The header with which data begins; None while it is not complete.

    Raises:
        BadHeader: it is none, whatever may follow.
    """
    if data[: len(_SIGNATURE)] == _SIGNATURE[: len(data)]:
        return _parse_binary(data) if len(data) >= _FIXED else None
    return _parse_line(data)


def _parse_line(data: bytes) -> Header | None:
    end = data.find(b"\n", 0, LONGEST_LINE) + 1
    if not end:
        if data[:6] != b"PROXY "[: len(data)]:
            raise BadHeader("it does not begin as one")
        if len(data) >= LONGEST_LINE:
            raise BadHeader("its line is too long")
        return None
    line = data[:end]
    if _UNKNOWN.fullmatch(line):
        return Header(end, None)
    match = _LINE.fullmatch(line)
    if match is None:
        raise BadHeader("its line is malformed")
    family, source, destination, *ports = match.groups()
    if any(int(port) > 65_535 or (port[:1] == b"0" and port != b"0") for port in ports):
        raise BadHeader("a port is none")
    kind = IPv4Address if family == b"TCP4" else IPv6Address
    try:
        kind(destination.decode())
        return Header(end, client_text(kind(source.decode())))
    except ValueError:
        raise BadHeader(f"an address is none of {family.decode()}") from None


def _parse_binary(data: bytes) -> Header | None:
    command, family, room = data[12], data[13], int.from_bytes(data[14:16], "big")
    if command not in (_LOCAL, _PROXY):
        raise BadHeader("its version or its command is not known")
    if family >> 4 >= len(_ADDRESSES) or family & 15 >= _TRANSPORTS:
        raise BadHeader("its family of addresses is not known")
    end = _FIXED + room
    if end > LONGEST:
        raise BadHeader("it is too long")
    if command == _PROXY and room < _ADDRESSES[family >> 4]:
        raise BadHeader("it is too short for its addresses")
    if len(data) < end:
        return None
    if command == _LOCAL:  # nothing that follows is of any meaning
        return Header(end, None)
    _check_additions(data[:end], _FIXED + _ADDRESSES[family >> 4])
    if family == _TCP4:
        return Header(end, client_text(IPv4Address(data[16:20])))
    if family == _TCP6:
        return Header(end, client_text(IPv6Address(data[16:32])))
    return Header(end, UNIX if family == _UNIX_STREAM else None)


def _check_additions(header: bytes, position: int) -> None:
    """Walk over the additions (TLV: a type, a length, a value), and check the checksum if there is one: CRC-32C of all
    of the header, with zeros in its own place (section 2.2.3)."""
    while position < len(header):
        start = position + 3
        size = int.from_bytes(header[position + 1 : start], "big")
        if start > len(header) or start + size > len(header):
            raise BadHeader("an addition is cut off")
        if header[position] == _CRC32C:
            if size != 4:
                raise BadHeader("its checksum is malformed")
            without = header[:start] + bytes(4) + header[start + 4 :]
            if crc32c(without) != int.from_bytes(header[start : start + 4], "big"):
                raise BadHeader("its checksum is wrong")
        position = start + size


def _table() -> tuple[int, ...]:
    entries = []
    for entry in range(256):
        for _ in range(8):
            entry = entry >> 1 ^ (0x82F63B78 if entry & 1 else 0)
        entries.append(entry)
    return tuple(entries)


_TABLE = _table()


def crc32c(data: bytes) -> int:
    """Castagnoli's checksum (RFC 9260, appendix A), which the standard library has not."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF
