"""What a front-end leaves to the one that succeeds it: which nodes have joined since it began, which are warm, and who
has which target; in parts, the most wanted first. Pure.

Each part is a MessagePack message behind its length (four bytes, the most significant first).
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, BinaryIO

import msgspec
from msgspec import Meta, Struct

from flashpy.cluster.choosing import Amount, Count
from flashpy.cluster.mapping import Mapping, ServerSet

LENGTH = 4
"""Bytes of a part's length."""
Place = str
"""Where a node of the configuration is reached; empty for one that has joined later, and may join again."""


class Entry(Struct, array_like=True):
    """A server set. Its members are numbers of the part's nodes, its age is in seconds."""

    target: bytes
    members: list[Annotated[int, Meta(ge=0)]]
    age: Amount
    asked: Count


class Joined(Struct, array_like=True):
    """A node that is in no configuration, and lives: where it is reached, and its weight."""

    name: str
    address: str
    weight: Annotated[float, Meta(gt=0)] = 1.0


class Part(Struct, array_like=True):
    """Some server sets, and the nodes that are in them, with their places; and others that are warm, or have joined."""

    nodes: list[tuple[str, Place]]
    entries: list[Entry]
    joined: list[Joined] = []


_decode = msgspec.msgpack.Decoder(Part).decode


def packed(
    entries: Sequence[ServerSet],
    places: dict[str, Place],
    now: float,
    names: Iterable[str] = (),
    joined: Sequence[Joined] = (),
) -> bytes:
    """One part: these server sets, without members that have been forgotten, and further nodes."""
    numbers = {name: number for number, name in enumerate(names)}
    part = Part([], [], list(joined))
    for entry in entries:
        members = [numbers.setdefault(member.name, len(numbers)) for member in entry.members if not member.gone]
        part.entries.append(Entry(entry.target, members, max(0.0, now - entry.changed), entry.asked))
    part.nodes = [(name, places.get(name, "")) for name in numbers]
    data = msgspec.msgpack.encode(part)
    return len(data).to_bytes(LENGTH, "big") + data


def parts_in(file: BinaryIO, size: int) -> Iterator[Part]:
    """The parts in a file of so many bytes.

    Raises:
        ValueError: there is something else in it.
    """
    while size:
        length = int.from_bytes(file.read(LENGTH), "big")
        size -= LENGTH + length
        if size < 0:
            raise ValueError("it ends too early")
        yield _decode(file.read(length))


def restore(mapping: Mapping, part: Part, places: dict[str, Place], now: float) -> set[str]:
    """Put what is in a part into a mapping, as far as it has room; the nodes that are in it and are still the same:
    at the same place. Others are left out.

    Raises:
        ValueError: it has members that it does not name.
    """
    names = [name if places.get(name, "") == place else None for name, place in part.nodes]
    for entry in part.entries:
        if max(entry.members, default=-1) >= len(names):
            raise ValueError("it has members without a name")
        members = [name for number in entry.members if (name := names[number]) is not None]
        mapping.restore(entry.target, members, now - entry.age, entry.asked)
    return {name for name in names if name is not None}
