"""What is wrong with the certificates that a configuration names, or soon will be."""

import os
import stat
from collections.abc import Iterator
from datetime import datetime, timedelta

from flashpy.config.contradictions import Finding
from flashpy.errors import ConfigError
from flashpy.settings import CertificateSection, Config, TlsSection
from flashpy.tls.certificate import Certificate
from flashpy.tls.contexts import Contexts
from flashpy.tls.material import read, read_authorities

SOON = timedelta(days=14)
"""Before so long it should have been renewed (certbot does it 30 days before the end)."""
RSA_BITS = 2048
"""A handshake with a longer key of RSA takes several times as long (4096: nine times)."""


def certificates(config: Config, now: datetime) -> Iterator[Finding]:
    """Of all certificates, and of the hosts that none of them is for."""
    tls = config.tls
    found: list[Certificate] = []
    for number, section in enumerate(tls.certificate):
        keys = ("tls", "certificate", str(number))
        try:
            material = read(section)
            Contexts(TlsSection(), [material], ())
        except ConfigError as error:
            yield Finding(keys, str(error))
            continue
        found.append(material.certificate)
        for why in (*_dates(material.certificate, now), *_key(section, material.certificate)):
            yield Finding(keys, why, error=False)
    try:
        read_authorities(tls)
    except ConfigError as error:
        yield Finding(("tls", "client_ca"), str(error))
    if found and len(found) == len(tls.certificate):
        yield from _hosts(config, found)


def _dates(certificate: Certificate, now: datetime) -> Iterator[str]:
    begin, end = (f"{date:%d %B %Y}" for date in (certificate.not_before, certificate.not_after))
    if now < certificate.not_before:
        yield f"the certificate is not good before {begin}: clients refuse it."
    if now > certificate.not_after:
        yield f"the certificate was good until {end}: clients refuse it."
    elif now > certificate.not_after - SOON:
        yield f"the certificate is good until {end} only; renew it."


def _key(section: CertificateSection, certificate: Certificate) -> Iterator[str]:
    if certificate.bits > RSA_BITS:
        yield (
            f"a handshake with its key (RSA, {certificate.bits} bits) takes several times as long as with one of "
            "P-256, or of RSA with 2048 bits."
        )
    path = section.key or section.file
    if os.stat(path).st_mode & stat.S_IROTH:
        yield f"everybody on this machine may read the key in {path}; chmod 600 takes that away."


def _hosts(config: Config, found: list[Certificate]) -> Iterator[Finding]:
    for number, site in enumerate(config.all_sites):
        keys = ("sites", str(number - 1), "hosts") if number else ("site", "hosts")
        for host in site.hosts:
            if host != "*" and not any(certificate.covers(host) for certificate in found):
                yield Finding(keys, f"no certificate is for {host}: browsers refuse it by HTTPS.", error=False)
