"""Certificates with their keys: from files, which only the process that is started may open, or made on the spot."""

import os
from typing import NamedTuple

from flashpy.errors import ConfigError
from flashpy.settings import CertificateSection, TlsSection
from flashpy.tls.certificate import Certificate, parse

LARGEST = 2**20
"""Bytes of a file with certificates or a key, at most."""

Stamps = tuple[tuple[int, int, int] | None, ...]
"""By what is seen that files have changed: of each its inode, its size and the time of its last change."""


class Material(NamedTuple):
    """A certificate with those that lead from it to an authority, and its private key: all in PEM (RFC 7468), as one
    text. ``name`` is how people know it."""

    name: str
    pem: bytes
    certificate: Certificate


def read_all(settings: TlsSection) -> list[Material]:
    """What the settings name, or a certificate for this machine alone.

    Raises:
        ConfigError: a file cannot be read, or has no certificate in it.
    """
    if settings.self_signed:
        return [_self_signed()]
    return [read(section) for section in settings.certificate]


def read_authorities(settings: TlsSection) -> str:
    """The certificates of the authorities that vouch for clients; empty if nobody asks.

    Raises:
        ConfigError: the file cannot be read, or has no certificate in it.
    """
    if not settings.client_ca:
        return ""
    return _of_certificates(settings.client_ca)[0].decode("ascii", "replace")


def stamps(settings: TlsSection) -> Stamps:
    """Of all files that the settings name."""
    paths = [path for section in settings.certificate for path in (section.file, section.key) if path]
    return tuple(_stamp(path) for path in paths)


def from_descriptor(fd: int) -> Material:
    """What another process has put there (``to_descriptor``)."""
    pem = os.pread(fd, os.fstat(fd).st_size, 0)
    return Material("", pem, parse(pem))


def to_descriptor(pem: bytes) -> int:
    """A file in memory with this in it (memfd_create(2)). It can be opened by /proc/self/fd/N even where no other file
    can: Landlock does not judge what no mount can show."""
    fd = os.memfd_create("certificate", os.MFD_CLOEXEC)
    try:
        with open(fd, "wb", closefd=False) as file:
            file.write(pem)
    except BaseException:
        os.close(fd)
        raise
    return fd


def read(section: CertificateSection) -> Material:
    """What one table of the settings names.

    Raises:
        ConfigError: a file cannot be read, or has no certificate in it.
    """
    pem, certificate = _of_certificates(section.file)
    if section.key:
        pem = pem.rstrip() + b"\n" + _content(section.key)
    return Material(section.file, pem, certificate)


def _of_certificates(path: str) -> tuple[bytes, Certificate]:
    pem = _content(path)
    try:
        return pem, parse(pem)
    except ValueError as error:
        raise ConfigError(f"{path} cannot be used: {error}; name a file in PEM.") from None


def _content(path: str) -> bytes:
    """A file's content. What is no regular file keeps nobody waiting."""
    try:
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            data = file.read(LARGEST + 1) or b""
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from None
    if len(data) > LARGEST:
        raise ConfigError(f"{path} is larger than {LARGEST} bytes; name a file in PEM.")
    return data


def _stamp(path: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _self_signed() -> Material:
    """A certificate for this machine, by an authority that nobody knows and that is forgotten at once."""
    try:
        import trustme
    except ImportError:
        raise ConfigError("tls.self_signed: it takes trustme; pip install 'flashpy-server[tls]' does it.") from None
    issued = trustme.CA().issue_cert("localhost", "127.0.0.1", "::1")
    pem = issued.private_key_and_cert_chain_pem.bytes()
    return Material("the certificate for development", pem, parse(pem))
