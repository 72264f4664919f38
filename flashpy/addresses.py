"""Addresses to listen on, as they are written, and those of clients. Pure: a configuration can be checked without
binding anything."""

import re
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple


class Tcp(NamedTuple):
    """A host (a name or a number; empty: all of this machine's addresses) and a port (0: a free one)."""

    host: str
    port: int


class Unix(NamedTuple):
    """A Unix socket's path, or an abstract name (unix(7)), which begins with NUL and is in no directory."""

    path: str


class Packets(NamedTuple):
    """The path of a Unix socket that keeps the bounds of what is sent (SOCK_SEQPACKET, unix(7)): for a cluster's parts
    among themselves, not for HTTP."""

    path: str


class Inherited(NamedTuple):
    """A socket that this process was started with: its descriptor's number, or the name that systemd gave it."""

    name: str


Address = Tcp | Unix | Inherited

_TCP = re.compile(r"(?:\[([0-9A-Fa-f:.%\w]+)\]|([^:\[\]]*)):(\d{1,5})", re.ASCII)
_INHERITED = re.compile(r"[\x21-\x39\x3b-\x7e]+")  # sd_listen_fds(3): printable, no colon; our own: no blank


def parse(text: str) -> Address:
    """What ``host:port``, ``[ipv6]:port``, ``unix:PATH``, ``unix:@NAME``, ``fd://N`` or ``fd://NAME`` means.

    Raises:
        ValueError: it means nothing; the text is one plain sentence.
    """
    if text.startswith("unix:"):
        path = text[5:]
        if path in ("", "@") or "\0" in path:
            raise ValueError(f"{text!r} names no socket; write unix:PATH or unix:@NAME.")
        return Unix("\0" + path[1:] if path[0] == "@" else path)
    if text.startswith("fd://"):
        if not _INHERITED.fullmatch(text, 5):
            raise ValueError(f"{text!r} names no descriptor; write fd://N or fd://NAME.")
        return Inherited(text[5:])
    match = _TCP.fullmatch(text)
    if not match or int(match[3]) > 65535:
        raise ValueError(f"{text!r} is no address; write host:port, [ipv6]:port, unix:PATH or fd://N.")
    return Tcp(match[1] or match[2] or "", int(match[3]))


def parse_any(text: str) -> Address | Packets:
    """The same, or what ``packets:PATH`` means, which nobody writes: it is made of a path in the settings.

    Raises:
        ValueError: it means nothing; the text is one plain sentence.
    """
    return Packets(text.removeprefix("packets:")) if text.startswith("packets:") else parse(text)


def client_text(address: IPv4Address | IPv6Address) -> str:
    """How a client of this address is called; one of IPv4 may be written as IPv6 (RFC 4291, 2.5.5.2)."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)
