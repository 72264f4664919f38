"""Which site a host means: by exact name, by wildcard, or the one that takes what no other does."""

import re
from collections.abc import Iterable, Sequence
from ipaddress import AddressValueError, IPv6Address
from typing import Generic, TypeVar

from flashpy.http.memo import Memo

LONGEST = 255
"""Bytes of a name in the Domain Name System, with room for the dot at its end (RFC 1035, 2.3.4)."""

MEMO_BYTES = 2**20
"""What is remembered of the values that clients send."""

_PORT = re.compile(rb":\d*\Z")
_NAME = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")

S = TypeVar("S")


class Hosts(Generic[S]):
    """The sites of a server by their hosts.

    Hosts are names ("example.org"), wildcards ("*.example.org": any name beneath, not that name itself) and addresses
    ("192.0.2.1", "[2001:db8::1]"), without ports; names beyond ASCII are taken as IDNA. "*", or no host at all, makes
    a site the default.

    ``find`` gives the site of a request's host (``Request.host``: as it was sent, with or without a port; empty for
    none): the exact name first, then the longest wildcard, then the default, or None, which is to be answered 421
    (RFC 9110, 7.4). It costs one look-up in a mapping, once a value has come twice.

    Raises:
        ValueError: a host is none, or two sites have the same; in one sentence.
    """

    __slots__ = ("_beneath", "_default", "_exact", "_memo", "find")

    def __init__(self, sites: Iterable[tuple[Sequence[str], S]]) -> None:
        self._exact: dict[bytes, S] = {}
        self._beneath: dict[bytes, S] = {}
        self._default: S | None = None
        for hosts, site in sites:
            for host in hosts or ("*",):
                self._add(host, site)
        self._memo: Memo[bytes, S | None] = Memo(MEMO_BYTES, self._look)
        self.find = self._memo.recall

    def _add(self, host: str, site: S) -> None:
        if host == "*":
            if self._default is not None:
                raise ValueError('two sites take all hosts; give all but one of them "hosts"')
            self._default = site
            return
        table = self._beneath if host.startswith("*.") else self._exact
        name = plain(host.removeprefix("*."))
        if name in table:
            raise ValueError(f"two sites have the host {host!r}")
        table[name] = site

    def _look(self, value: bytes) -> S | None:
        """The site of a value that is not remembered."""
        site = self._default
        if len(value) <= LONGEST:
            site = self._named(normal(value))
            self._memo.learn(value, site, len(value) + 200)
        return site

    def _named(self, name: bytes) -> S | None:
        exact = self._exact.get(name)
        if exact is not None:
            return exact
        while self._beneath and b"." in name:
            name = name.partition(b".")[2]
            site = self._beneath.get(name)
            if site is not None:
                return site
        return self._default


def normal(value: bytes) -> bytes:
    """The host of a ``host[:port]`` in the form in which it is compared: lower case, no port, no dot at its end.

    Addresses of IPv6 are in their canonical form (RFC 5952), without brackets.
    """
    host = _PORT.sub(b"", value).lower()
    if host.startswith(b"["):
        try:
            return IPv6Address(host[1:-1].decode("ascii", "replace")).compressed.encode()
        except AddressValueError:
            return host
    return host.removesuffix(b".")


def plain(host: str) -> bytes:
    """A host of a configuration, in the form in which it is compared.

    Raises:
        ValueError: it is none; in one sentence.
    """
    try:
        return IPv6Address(host.removeprefix("[").removesuffix("]")).compressed.encode()
    except AddressValueError:
        pass
    try:
        name = host.encode("idna").decode().lower().removesuffix(".")
    except UnicodeError:
        name = ""
    if not _NAME.fullmatch(name) or len(name) >= LONGEST:
        raise ValueError(f'{host!r} is no host; write a name such as "example.org", without scheme, port and path')
    return name.encode()
