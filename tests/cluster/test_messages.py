"""What a front-end and a node tell each other survives the way, and nonsense does no harm."""

import os
import socket

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashpy.cluster.choosing import Report
from flashpy.cluster.messages import (
    ROOM,
    Advice,
    Asks,
    Back,
    Disowned,
    Fetched,
    Finished,
    FromNode,
    Handed,
    Introduced,
    Introduces,
    Leaving,
    Question,
    Recalled,
    Reported,
    Told,
    ToNode,
    parts_of,
)
from flashpy.cluster.summary import Summary
from flashpy.event.link import BadMessage, Link

COUNT = st.integers(0, 2**40)
SECONDS = st.floats(0, 1e9)
DATA = st.binary(max_size=2_000)
REPORT = st.builds(
    Report, SECONDS, COUNT, SECONDS, SECONDS, COUNT, SECONDS, COUNT, st.none() | st.builds(Summary, st.binary())
)
TO_NODE = (
    st.builds(Handed, st.text(), DATA, st.booleans(), st.booleans())
    | st.builds(Introduced, st.booleans())
    | st.builds(Told, st.lists(st.builds(Advice, COUNT, st.text(), st.booleans(), st.booleans())))
    | st.builds(Disowned, st.lists(DATA))
    | st.builds(Recalled, st.booleans())
)
FROM_NODE = (
    st.builds(Back, st.text(), DATA)
    | st.builds(Finished, COUNT)
    | st.builds(Asks, st.lists(st.builds(Question, COUNT, DATA, st.integers(1, 2**40))))
    | st.builds(Introduces, st.text())
    | st.builds(Fetched, st.lists(COUNT))
    | st.builds(Reported, COUNT, COUNT, REPORT, st.tuples(COUNT, COUNT, COUNT, COUNT), COUNT)
    | st.builds(Leaving)
)


@given(TO_NODE)
def test_what_a_node_is_told(message: ToNode) -> None:
    """Each is understood as it was meant."""
    data = msgspec.msgpack.encode(message)
    assert msgspec.msgpack.decode(data, type=ToNode) == message


@given(FROM_NODE)
def test_what_a_node_says(message: FromNode) -> None:
    """Each is understood as it was meant."""
    data = msgspec.msgpack.encode(message)
    assert msgspec.msgpack.decode(data, type=FromNode) == message


@given(st.binary(max_size=200))
def test_nonsense(data: bytes) -> None:
    """It is a BadMessage, if it does not happen to be a message; descriptors that came beside it are closed."""
    if not data:
        return
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    reading, writing = os.pipe()
    with ours, theirs:
        link: Link[ToNode] = Link(theirs, ToNode, ROOM, binary=True)
        socket.send_fds(ours, [data], [writing])
        os.close(writing)
        try:
            received = link.receive()
        except BadMessage:
            pass
        else:
            assert received is not None
            for fd in received[1]:
                os.close(fd)
    assert os.read(reading, 1) == b""  # nobody has the other end any more
    os.close(reading)


def test_a_message_that_is_too_long() -> None:
    """The most that may be handed over fits; what is longer is refused by who hears it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sending: Link[FromNode] = Link(ours, FromNode, ROOM, binary=True)
    hearing: Link[ToNode] = Link(theirs, ToNode, ROOM, binary=True)
    longest = Handed("2001:db8::1", b"x" * (ROOM - 1024))
    sending.send(longest)
    assert hearing.receive() == (longest, [])
    sending.send(Handed("2001:db8::1", b"x" * (ROOM + 1)))
    with pytest.raises(BadMessage, match="too long"):
        hearing.receive()
    sending.close()
    hearing.close()


@given(st.lists(st.integers(0, 70_000), max_size=60))
def test_many_targets_are_told_in_parts(lengths: list[int]) -> None:
    """All of them, in order, in messages for which there is room."""
    targets = [b"x" * length for length in lengths]
    parts = list(parts_of(targets))
    assert [target for part in parts for target in part] == targets
    assert all(part and len(msgspec.msgpack.encode(Disowned(part))) <= ROOM for part in parts)
