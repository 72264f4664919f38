"""Members as pure state: what is read, what events say, what becomes of it."""

import pytest

from flashpy.cluster.membership import Member, Register, decode, encode, endpoint

A, B = Member("a", "127.0.0.1:1"), Member("b", "unix:/b", 2.5)


def register() -> Register:
    """One that has read A and B at revision 10."""
    found = Register(b"/n/")
    assert found.read(10, {b"/n/b": encode(B), b"/n/a": encode(A)}) == []
    return found


def test_members_are_in_the_order_of_their_names() -> None:
    """So policies see them in the same order in each front."""
    assert register().members() == (A, B)


@pytest.mark.parametrize("member", [A, B, Member("ü", "[::1]:80", 0.25)])
def test_an_entry_tells_what_was_written(member: Member) -> None:
    """Address and weight are in the value, the name in the key."""
    assert decode(member.name, encode(member)) == member


@pytest.mark.parametrize(
    "value", [b"", b"{", b"[]", b"{}", b'{"address": ""}', b'{"address": "a", "weight": 0}', b'{"address": 1}', b"\xff"]
)
def test_an_entry_that_tells_of_no_member(value: bytes) -> None:
    """It is left out and said, whether it is read or comes as an event; the others count."""
    found = Register(b"/n/")
    (wrong,) = found.read(10, {b"/n/a": encode(A), b"/n/x": value})
    assert wrong.startswith("The entry of the node 'x' is none: ")
    assert found.members() == (A,)
    assert found.put(11, b"/n/a", value).startswith("The entry of the node 'a' is none: ")
    assert found.members() == ()


def test_events_after_what_was_read() -> None:
    """They change it, and the watch would go on after them."""
    found = register()
    assert found.put(11, b"/n/c", encode(Member("c", "c:1"))) == ""
    found.deleted(12, b"/n/a")
    assert [member.name for member in found.members()] == ["b", "c"]
    assert found.revision == 12


def test_several_events_of_one_revision() -> None:
    """A transaction may write more than one entry."""
    found = register()
    found.deleted(11, b"/n/a")
    found.deleted(11, b"/n/b")
    assert found.members() == ()


def test_events_that_were_there_when_all_was_read() -> None:
    """A watch may tell them late; they are in what was read."""
    found = register()
    found.deleted(10, b"/n/a")
    assert found.put(9, b"/n/b", encode(A)) == ""
    assert found.members() == (A, B)
    assert found.revision == 10


def test_when_the_revision_is_forgotten_the_members_are_not() -> None:
    """They hold until all has been read again, be it at a lower revision, of a store that has lost its data."""
    found = register()
    found.forget_revision()
    assert (found.revision, found.members()) == (0, (A, B))
    found.read(3, {b"/n/a": encode(A)})
    assert (found.revision, found.members()) == (3, (A,))
    found.deleted(4, b"/n/a")
    assert found.members() == ()


@pytest.mark.parametrize("text", ["", ":2379", "host:0", "host:x", "http://host:2379", "unix:/etcd", "host:99999"])
def test_what_is_no_endpoint(text: str) -> None:
    """It is said with the configuration."""
    with pytest.raises(ValueError, match="is no endpoint of etcd; write host:port"):
        endpoint(text)


def test_endpoints() -> None:
    """The port may be left out; gRPC wants brackets around IPv6."""
    assert endpoint("etcd.example") == ("etcd.example", 2379)
    assert endpoint("[::1]:2380") == ("[::1]", 2380)
