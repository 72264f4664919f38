"""What is read in certificates, beside what others read in them."""

import ssl
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from flashpy.tls.certificate import Certificate, parse
from tests.tls.authority import Authority

BEGIN, END = datetime(2024, 2, 29, 1, 2, 3, tzinfo=UTC), datetime(2051, 1, 2, 3, 4, 5, tzinfo=UTC)
NAMES = ("localhost", "*.example.org", "127.0.0.1", "2001:db8::1")


@pytest.mark.parametrize("kind", ["RSA", "ECDSA"])
def test_names_dates_and_keys(authority: Authority, kind: str) -> None:
    pem = authority.issue("all", *NAMES, kind=kind, not_before=BEGIN, not_after=END).file.read_bytes()
    expected = ("RSA", 2048) if kind == "RSA" else ("EC", 0)
    assert parse(pem) == Certificate(NAMES, BEGIN, END, *expected)
    other = x509.load_pem_x509_certificate(pem)
    assert (other.not_valid_before_utc, other.not_valid_after_utc) == (BEGIN, END)


@pytest.mark.parametrize(
    ("host", "covered"),
    [
        ("localhost", True),
        ("LOCALHOST", True),
        ("a.example.org", True),
        ("*.example.org", True),
        ("example.org", False),
        ("a.b.example.org", False),
        ("*.b.example.org", False),
        ("[2001:db8::1]", True),
        ("org", False),
    ],
)
def test_what_a_certificate_is_good_for(host: str, covered: bool) -> None:
    """As browsers judge it (RFC 9525, 6.3): a wildcard is one label."""
    assert Certificate(NAMES, BEGIN, END, "EC").covers(host) is covered


@pytest.mark.parametrize(
    "pem",
    [b"", b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----", b"-----BEGIN PRIVATE KEY-----\n"],
)
def test_what_has_no_certificate_in_it(pem: bytes) -> None:
    with pytest.raises(ValueError, match="there is no certificate in it"):
        parse(pem)


@given(data=st.data())
def test_a_malformed_certificate_is_refused_or_read(authority: Authority, data: st.DataObject) -> None:
    pem = authority.issue("whole").file.read_text() if not DER else ""
    if pem:
        DER.append(ssl.PEM_cert_to_DER_cert(pem.partition("-----END")[0] + "-----END CERTIFICATE-----\n"))
    der = bytearray(DER[0])
    for _ in range(data.draw(st.integers(1, 4))):
        der[data.draw(st.integers(0, len(der) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(1, len(der)))
    with suppress(ValueError):
        parse(ssl.DER_cert_to_PEM_cert(bytes(der[:cut])).encode())


DER: list[bytes] = []
