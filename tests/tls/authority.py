"""Certificates for tests, by an authority of their own, and clients that trust it."""

import socket
import ssl
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import trustme

from tests.running import PATIENCE, Client


class Pair(NamedTuple):
    """The files of a certificate with its chain, and of its key."""

    file: Path
    key: Path


class Authority:
    """Issues certificates into a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._authority = trustme.CA()
        self.file = directory / "authority.pem"
        self._authority.cert_pem.write_to_path(self.file)

    def issue(
        self,
        name: str,
        *names: str,
        kind: str = "ECDSA",
        not_after: datetime | None = None,
        not_before: datetime | None = None,
    ) -> Pair:
        """A certificate for these names (without: for this machine), in files that begin with ``name``."""
        issued = self._authority.issue_cert(
            *(names or ("localhost", "127.0.0.1", "::1")),
            key_type=trustme.KeyType[kind],
            not_after=not_after,
            not_before=not_before,
        )
        pair = Pair(self._directory / f"{name}.pem", self._directory / f"{name}.key")
        pair.file.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(pair.key)
        pair.key.chmod(0o600)
        return pair

    def context(self, version: str = "", alpn: tuple[str, ...] = (), pair: Pair | None = None) -> ssl.SSLContext:
        """For clients that trust this authority, and have a certificate themselves if a pair is given."""
        context = ssl.create_default_context(cafile=str(self.file))
        if version:
            context.minimum_version = context.maximum_version = ssl.TLSVersion["TLSv" + version.replace(".", "_")]
        if alpn:
            context.set_alpn_protocols(list(alpn))
        if pair is not None:
            context.load_cert_chain(pair.file, pair.key)
        return context


class TlsClient(Client):
    """A blocking connection by TLS that says just what it is told to."""

    sock: ssl.SSLSocket

    def __init__(
        self,
        address: tuple[str, int],
        context: ssl.SSLContext,
        name: str = "localhost",
        session: ssl.SSLSession | None = None,
        **how: Any,
    ) -> None:
        super().__init__(address, **how)
        try:
            self.sock = context.wrap_socket(
                self.sock, server_hostname=name, session=session, suppress_ragged_eofs=False
            )
        except BaseException:
            self.close()
            raise

    def names(self) -> list[str]:
        """The names in the server's certificate."""
        found: Any = self.sock.getpeercert()
        return [name for _, name in found["subjectAltName"]]

    def says_end(self) -> bool:
        """Whether the server ends by saying so (close_notify), rather than by just closing."""
        try:
            return self.sock.recv(1) == b""
        except ssl.SSLEOFError:
            return False


def plain(address: tuple[str, int]) -> socket.socket:
    """A connection without TLS, to a port where it is spoken."""
    return socket.create_connection(address, PATIENCE)
