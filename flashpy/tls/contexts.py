"""The contexts of OpenSSL: who a server is by the name that it is asked for (SNI, RFC 6066, 3), and how it speaks TLS.

A context is made before workers are forked: what encrypts session tickets (RFC 5077; RFC 8446, 2.2) is in it, so each
worker resumes what another has begun. For the same reason a new certificate is loaded into the context that there is.
"""

import os
import ssl
from collections.abc import Sequence

from flashpy.errors import ConfigError
from flashpy.settings import TlsSection
from flashpy.tls.certificate import Certificate
from flashpy.tls.material import Material, to_descriptor

CIPHERS = ":".join(
    f"ECDHE-{kind}-{cipher}"
    for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
    for kind in ("ECDSA", "RSA")
)
"""Of TLS 1.2: Mozilla's intermediate configuration, without those that take parameters of Diffie and Hellman. (All of
TLS 1.3 are good.) As there, the client chooses: who has no instructions for AES prefers ChaCha20."""
_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
_WHY = {
    "KEY_VALUES_MISMATCH": "its key belongs to another certificate",
    "NO_CERTIFICATE_ASSIGNED": "its key belongs to another certificate",  # of another kind
    "EE_KEY_TOO_SMALL": "its key is too short to be safe",
    "CA_MD_TOO_WEAK": "it is signed by a method that is not safe any more",
}


class Contexts:
    """A context for each certificate; the first is for clients that ask for no name, or for one that none has.

    ``protocols`` are what is offered in the handshake (ALPN, RFC 7301), the most wanted first; ``authorities`` are the
    certificates by which clients are judged, in PEM.

    Raises:
        ConfigError: a certificate cannot be used.
    """

    def __init__(
        self, settings: TlsSection, materials: Sequence[Material], protocols: Sequence[str], authorities: str = ""
    ) -> None:
        self.settings = settings
        self.protocols = tuple(protocols)
        self._authorities = authorities
        self._held: list[tuple[Certificate, ssl.SSLContext]] = []
        self._by_name: dict[str, ssl.SSLContext] = {}
        self.renew(materials)

    def is_made_of(self, settings: TlsSection, protocols: Sequence[str], authorities: str) -> bool:
        """Whether these are the contexts for such settings."""
        return (self.settings, self.protocols, self._authorities) == (settings, tuple(protocols), authorities)

    @property
    def default(self) -> ssl.SSLContext:
        """The context with which a handshake begins."""
        return self._held[0][1]

    def renew(self, materials: Sequence[Material]) -> None:
        """Use these certificates from now on; connections that there are do not notice.

        Raises:
            ConfigError: one cannot be used; all stay as they were.
        """
        for material in materials:  # a trial first: what has been loaded into a context cannot be taken back
            load(self._make(), material)
        self._held = [self._renewed(number, material) for number, material in enumerate(materials)]
        self._by_name = {name: context for certificate, context in reversed(self._held) for name in certificate.names}
        self.default.sni_callback = self._choose if len(self._held) > 1 else None

    def _renewed(self, number: int, material: Material) -> tuple[Certificate, ssl.SSLContext]:
        """The context that there is, but where the kind of the key is another: OpenSSL has a place for each kind, and
        would go on to offer the old one."""
        before, context = self._held[number] if number < len(self._held) else (None, self._make())
        if before is not None and before.kind != material.certificate.kind:
            context = self._make()
        load(context, material)
        return material.certificate, context

    def _make(self) -> ssl.SSLContext:
        settings = self.settings
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = _VERSIONS[settings.min_version]
        context.set_ciphers(CIPHERS)
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
        context.options |= ssl.OP_NO_RENEGOTIATION
        context.set_alpn_protocols(list(self.protocols))
        if self._authorities:
            try:
                context.load_verify_locations(cadata=self._authorities)
            except ssl.SSLError:
                raise ConfigError(f"tls.client_ca: {settings.client_ca} cannot be used; name a file in PEM.") from None
            required = settings.client_auth == "required"
            context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
        return context

    def _choose(self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        """Called in a handshake with the name that the client asks for."""
        if name is None:
            return
        name = name.lower()
        chosen = self._by_name.get(name) or self._by_name.get(f"*.{name.partition('.')[2]}")
        if chosen is not None and chosen is not context:
            connection.context = chosen


def load(context: ssl.SSLContext, material: Material) -> None:
    """Load a certificate and its key into a context, for all handshakes to come.

    Raises:
        ConfigError: they do not fit each other, or are not safe.
    """

    def no_password() -> str:
        raise ConfigError(f"The key of {material.name} is encrypted; decrypt it with openssl pkey.")

    fd = to_descriptor(material.pem)
    try:
        context.load_cert_chain(f"/proc/self/fd/{fd}", password=no_password)
    except ssl.SSLError as error:
        why = _WHY.get(error.reason or "", "there is no key for it, or what is there is no PEM")
        raise ConfigError(f"{material.name} cannot be used: {why}.") from None
    finally:
        os.close(fd)
