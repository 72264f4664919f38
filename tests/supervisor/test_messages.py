"""The link between a supervisor and its workers, over real socket pairs."""

import os
import socket
from collections.abc import Iterator

import pytest

from flashpy.event.link import MOST, BadMessage, Link
from flashpy.report import Report
from flashpy.supervisor.messages import Counted, FromWorker, Ready, Retire, Taken, ToWorker, Wanted

Pair = tuple[Link[ToWorker], Link[FromWorker]]


@pytest.fixture
def links() -> Iterator[Pair]:
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pair: Pair = Link(one, ToWorker), Link(other, FromWorker)
    yield pair
    for link in pair:
        link.close()


def test_messages_arrive_as_they_were_and_in_order(links: Pair) -> None:
    worker, supervisor = links
    messages = [Ready(7), Counted(Report(counters={"requests": 2**60}, connections={"idle": 3})), Wanted("disk")]
    for message in messages:
        worker.send(message)
    supervisor.send(Retire(1.5, succeeded=True, abandoned=[2]))
    assert [supervisor.receive() for _ in messages] == [(message, []) for message in messages]
    assert worker.receive() == (Retire(1.5, succeeded=True, abandoned=[2]), [])
    with pytest.raises(BlockingIOError):
        worker.receive()


def test_descriptors_travel_and_are_closed_here(links: Pair) -> None:
    worker, supervisor = links
    pipes = [os.pipe() for _ in range(MOST)]
    for reader, _ in pipes:
        os.close(reader)
    worker.send(Taken(["127.0.0.1"] * MOST), [writer for _, writer in pipes])
    for _, writer in pipes:
        with pytest.raises(OSError):
            os.fstat(writer)
    received = supervisor.receive()
    assert received is not None
    message, fds = received
    assert isinstance(message, Taken)
    assert len(message.clients) == len(fds) == MOST
    for fd in fds:
        assert not os.get_inheritable(fd)
        os.close(fd)


def test_what_does_not_fit_is_kept_until_there_is_room(links: Pair) -> None:
    worker, supervisor = links
    sent = 0
    while not worker.waiting:
        worker.send(Wanted(f"{sent:>1000}"))
        sent += 1
    worker.send(Wanted("last"))
    sent += 1
    assert worker.waiting == 2
    received = 0
    while received < sent:
        worker.flush()
        try:
            got = supervisor.receive()
        except BlockingIOError:
            continue
        assert got is not None
        received += 1
    assert got is not None
    assert got[0] == Wanted("last")
    assert worker.flush()


def test_the_end(links: Pair) -> None:
    worker, supervisor = links
    worker.close()
    assert supervisor.receive() is None
    with pytest.raises(OSError):
        supervisor.send(Retire(0.0, succeeded=False))


@pytest.mark.parametrize(
    "data", [b"nonsense", b"{}", b'{"type":"Retire","timeout":1,"succeeded":true}', b'{"type":"Wanted","program":1}']
)
def test_what_is_no_message_is_told_from_what_is_one(data: bytes) -> None:
    """A worker has clients' bytes in it: what it says is not believed to be of any shape."""
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    link: Link[FromWorker] = Link(other, FromWorker)
    with one:
        reader, writer = os.pipe()
        socket.send_fds(one, [data], [writer])
        os.close(writer)
        with pytest.raises(BadMessage):
            link.receive()
        assert os.read(reader, 1) == b""  # the descriptor that came along has been closed
        os.close(reader)
        one.send(b"x" * 100_000)
        with pytest.raises(BadMessage):
            link.receive()
    link.close()
