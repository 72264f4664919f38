"""What a certificate says of itself (RFC 5280), as far as a server has to know it: names, dates, the kind of its key.

Python's ssl module tells this of a peer's certificate only, so what is needed is read here from its DER (X.690).
"""

import base64
import binascii
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import NamedTuple

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----\s(.+?)-----END CERTIFICATE-----", re.DOTALL)
_INTEGER, _BIT_STRING, _OCTET_STRING, _OID, _SEQUENCE = 0x02, 0x03, 0x04, 0x06, 0x30
_UTC_TIME = 0x17
_EXTENSIONS, _DNS_NAME, _IP_ADDRESS = 0xA3, 0x82, 0x87
_ALTERNATIVE_NAMES = bytes.fromhex("551d11")
_KINDS = {
    bytes.fromhex("2a864886f70d010101"): "RSA",
    bytes.fromhex("2a8648ce3d0201"): "EC",
    bytes.fromhex("2b6570"): "Ed25519",
    bytes.fromhex("2b6571"): "Ed448",
}
"""Kinds of keys by their object identifiers (RFC 8017, RFC 5480, RFC 8410)."""


class Certificate(NamedTuple):
    """Its names (of the extension subjectAltName; wildcards as they are written), the time within which it is good, and
    its key; ``bits`` are those of an RSA modulus, else 0."""

    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    kind: str
    bits: int = 0

    def covers(self, host: str) -> bool:
        """Whether it is good for a host; of a wildcard ("*.example.org"), for all that it stands for."""
        host = host.lower().strip("[]")
        if host in self.names:
            return True
        first, dot, parent = host.partition(".")
        return first != "*" and bool(dot) and f"*.{parent}" in self.names


class _Value(NamedTuple):
    tag: int
    content: bytes


def parse(pem: bytes) -> Certificate:
    """The first certificate of a PEM file (RFC 7468).

    Raises:
        ValueError: there is none, or it cannot be read.
    """
    found = _PEM.search(pem)
    if found is None:
        raise ValueError("there is no certificate in it")
    try:
        return _certificate(base64.b64decode(b"".join(found[1].split()), validate=True))
    except (binascii.Error, IndexError, StopIteration, UnicodeDecodeError, ValueError):
        raise ValueError("the certificate in it is malformed") from None


def _certificate(der: bytes) -> Certificate:
    to_be_signed = _first(_first(der).content)
    fields = list(_values(to_be_signed.content))
    if fields[0].tag == 0xA0:  # the version
        del fields[0]
    _, _, _, validity, _, key = fields[:6]
    not_before, not_after = map(_time, _values(validity.content))
    kind, bits = _key(key.content)
    return Certificate(tuple(_names(fields[6:])), not_before, not_after, kind, bits)


def _values(data: bytes) -> Iterator[_Value]:
    """The values that stand one after the other in DER."""
    at = 0
    while at < len(data):
        tag, length = data[at], data[at + 1]
        at += 2
        if length & 0x80:
            size = length & 0x7F
            length = int.from_bytes(data[at : at + size], "big")
            at += size
        if at + length > len(data):
            raise ValueError
        yield _Value(tag, data[at : at + length])
        at += length


def _first(data: bytes) -> _Value:
    return next(_values(data))


def _time(value: _Value) -> datetime:
    """A UTCTime, whose years are from 1950 to 2049, or a GeneralizedTime (RFC 5280, 4.1.2.5)."""
    text = value.content.decode("ascii")
    if value.tag == _UTC_TIME:
        text = ("19" if text[0] >= "5" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _key(content: bytes) -> tuple[str, int]:
    """The kind of a SubjectPublicKeyInfo, and the size of an RSA modulus."""
    algorithm, key = _values(content)
    kind = _KINDS.get(_first(algorithm.content).content, "other")
    if kind != "RSA":
        return kind, 0
    modulus = _first(_first(key.content[1:]).content)  # behind the number of bits that are not used
    return kind, int.from_bytes(modulus.content, "big").bit_length()


def _names(fields: list[_Value]) -> Iterator[str]:
    """The names for which it is good (RFC 5280, 4.2.1.6); browsers heed no others."""
    for extensions in (field for field in fields if field.tag == _EXTENSIONS):
        for extension in _values(_first(extensions.content).content):
            identifier, *_, value = _values(extension.content)
            if identifier.content != _ALTERNATIVE_NAMES:
                continue
            for name in _values(_first(value.content).content):
                if name.tag == _DNS_NAME:
                    yield name.content.decode("ascii").lower()
                elif name.tag == _IP_ADDRESS:
                    yield str(ip_address(name.content))
