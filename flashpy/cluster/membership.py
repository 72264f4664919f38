"""Who the nodes of a cluster are, by their entries in etcd. Pure: what etcd says comes as arguments.

Without etcd they are those of the configuration (``[[cluster.node]]``). With it, each node has an entry beneath a
prefix, and a ``Register`` of them is kept for a front-end (flashpy.cluster.etcd.members).
"""

from collections.abc import Mapping
from typing import Annotated, NamedTuple

import msgspec

from flashpy.addresses import Tcp, parse

PORT = 2379
"""etcd's, unless an endpoint says otherwise."""


class Member(NamedTuple):
    """A node: its name, where it is to be reached (``host:port`` or ``unix:PATH``), and its share of the load."""

    name: str
    address: str
    weight: float = 1.0


class _Value(msgspec.Struct):
    """What stands in a member's entry, as JSON; its name is in the key."""

    address: Annotated[str, msgspec.Meta(min_length=1)]
    weight: Annotated[float, msgspec.Meta(gt=0)] = 1.0


def encode(member: Member) -> bytes:
    """The value of a member's entry."""
    return msgspec.json.encode(_Value(member.address, member.weight))


def decode(name: str, value: bytes) -> Member:
    """The member that an entry tells of.

    Raises:
        ValueError: it tells of none; the text is one plain sentence.
    """
    try:
        found = msgspec.json.decode(value, type=_Value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"The entry of the node {name!r} is none: {error}.") from None
    return Member(name, found.address, found.weight)


class Register:
    """The entries beneath a prefix as far as they have been read, and the revision of the store up to which they are.

    A watch that has broken off is begun again at ``revision + 1``. At 0 nothing has been read yet, or what is between
    has been compacted away: then all is to be read.
    """

    def __init__(self, prefix: bytes) -> None:
        self.revision = 0
        self._prefix = prefix
        self._read_at = 0
        self._members: dict[str, Member] = {}

    def forget_revision(self) -> None:
        """All is to be read again; until then the members are as they were."""
        self.revision = self._read_at = 0

    def read(self, revision: int, entries: Mapping[bytes, bytes]) -> list[str]:
        """All entries have been read, at a revision. Returns what is wrong with those that tell of no member."""
        self.revision = self._read_at = revision
        self._members.clear()
        return [wrong for key, value in entries.items() if (wrong := self._put(key, value))]

    def put(self, revision: int, key: bytes, value: bytes) -> str:
        """An entry was written. Returns what is wrong with it, if something is: then there is no such member."""
        return self._put(key, value) if self._is_news(revision) else ""

    def deleted(self, revision: int, key: bytes) -> None:
        """An entry was deleted, or its lease has ended."""
        if self._is_news(revision):
            self._members.pop(self._name(key), None)

    def members(self) -> tuple[Member, ...]:
        """All members, by name: so all fronts have them in one order."""
        return tuple(self._members[name] for name in sorted(self._members))

    def _is_news(self, revision: int) -> bool:
        """Whether it happened after all was read. One revision may have several events."""
        if revision <= self._read_at:
            return False
        self.revision = max(self.revision, revision)
        return True

    def _put(self, key: bytes, value: bytes) -> str:
        name = self._name(key)
        try:
            self._members[name] = decode(name, value)
        except ValueError as error:
            self._members.pop(name, None)
            return str(error)
        return ""

    def _name(self, key: bytes) -> str:
        return key.removeprefix(self._prefix).decode("utf-8", "replace")


def endpoint(text: str) -> tuple[str, int]:
    """Host and port of an endpoint of etcd that is written as ``host:port``; a host alone has etcd's usual port. An
    address of IPv6 is in brackets, as gRPC wants it.

    Raises:
        ValueError: it is none; the text is one plain sentence.
    """
    try:
        address = parse(text if ":" in text else f"{text}:{PORT}")
    except ValueError:
        address = None
    if not isinstance(address, Tcp) or not address.host or not address.port:
        raise ValueError(f"{text!r} is no endpoint of etcd; write host:port.")
    return f"[{address.host}]" if ":" in address.host else address.host, address.port
