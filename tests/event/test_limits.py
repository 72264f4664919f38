"""Bounds on what a client can hold: time, connections, requests, descriptors. With short limits, over real sockets."""

import os
import select
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from flashpy.server import Background, background
from tests.running import PATIENCE, Client, Flashpy, eventually, no_descriptors_for

BIG = 64 * 2**20
HALF_A_REQUEST = b"GET / HTTP/1.1\r\nHost: te"


def serve(stack: ExitStack, root: Path, **limits: Any) -> Background:
    """A server with these limits until the test ends, which then does not wait for its clients."""
    return stack.enter_context(background(root, limits=limits, server={"timeout_graceful_shutdown": 0.0}))


def connect(stack: ExitStack, server: Background, **how: Any) -> Client:
    """A connection until the test ends."""
    return stack.enter_context(Client(("127.0.0.1", int(server.url.rpartition(":")[2])), **how))


def big_file(root: Path, size: int = BIG) -> int:
    """A file that fills every buffer on its way, and is in memory. Its size."""
    with (root / "big").open("wb") as file:
        file.truncate(size)
    return len((root / "big").read_bytes())


# Time


@pytest.mark.parametrize(
    "sent", [b"G", HALF_A_REQUEST, b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 9\r\n\r\nabc"]
)
def test_a_request_that_does_not_become_complete_is_answered_408(stack: ExitStack, root: Path, sent: bytes) -> None:
    server = serve(stack, root, timeout_head=0.1)
    client = connect(stack, server)
    client.send(sent)
    answer = client.answer()
    assert (answer.status, answer.fields["connection"]) == (408, "close")  # RFC 9110, 15.5.9
    assert answer.body
    assert client.rest() == b""
    assert server.metrics()["timeouts"] == 1


def test_the_limit_on_a_head_is_not_moved_by_single_bytes(stack: ExitStack, root: Path) -> None:
    client = connect(stack, serve(stack, root, timeout_head=0.5))
    client.send(b"GET / HTTP/1.1\r\nX: ")
    deadline = time.monotonic() + PATIENCE
    while not select.select([client.sock], [], [], 0.05)[0]:
        assert time.monotonic() < deadline
        client.send(b"x")
    assert client.answer().status == 408


def test_a_second_request_that_does_not_become_complete_is_answered_408(stack: ExitStack, root: Path) -> None:
    client = connect(stack, serve(stack, root, timeout_head=0.1))
    client.send(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n" + HALF_A_REQUEST)
    assert client.answer().body == b"hello"
    assert client.answer().status == 408
    assert client.rest() == b""


def test_a_silent_connection_is_closed_without_a_word(stack: ExitStack, root: Path) -> None:
    server = serve(stack, root, timeout_head=0.1)
    assert connect(stack, server).rest() == b""
    assert server.metrics()["connections"] == 0


def test_an_idle_connection_is_closed(stack: ExitStack, root: Path) -> None:
    server = serve(stack, root, timeout_keep_alive=0.1)
    client = connect(stack, server)
    assert client.get().status == 200
    assert client.rest() == b""
    assert server.metrics()["timeouts"] == 1


def test_a_connection_in_use_stays(stack: ExitStack, root: Path) -> None:
    client = connect(stack, serve(stack, root, timeout_keep_alive=1.5))
    until = time.monotonic() + 3.0
    while time.monotonic() < until:
        assert client.get().status == 200
        time.sleep(0.1)


def test_a_reader_that_stops_is_given_up(stack: ExitStack, root: Path) -> None:
    size = big_file(root)
    server = serve(stack, root, timeout_send=0.5)
    client = connect(stack, server, receive_buffer=4096)
    client.ask("/big")
    eventually("the reader is given up", lambda: server.metrics()["timeouts"] == 1)
    assert server.metrics()["connections"] == 0
    assert client.head().status == 200
    assert len(client.rest()) < size


def test_a_reader_that_is_too_slow_is_given_up(stack: ExitStack, root: Path) -> None:
    size = big_file(root)
    server = serve(stack, root, timeout_send=0.5, min_send_rate=10**12)
    client = connect(stack, server, receive_buffer=65536)
    client.ask("/big")
    taken = 0
    while piece := _take(client):  # it makes progress all the time, yet less than is demanded
        taken += piece
        time.sleep(0.005)
    assert taken < size
    assert server.metrics()["timeouts"] == 1


def test_a_slow_reader_of_what_is_not_in_memory_is_given_up_too(stack: ExitStack, root: Path) -> None:
    size = big_file(root)
    server = serve(stack, root, timeout_send=0.5, min_send_rate=10**12)
    client = connect(stack, server, receive_buffer=65536)
    taken = 0
    with (root / "big").open("rb") as file:
        client.ask("/big")
        while taken < size and (piece := _take(client)):
            taken += piece
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)  # so that a helper is needed again and again
            time.sleep(0.005)
    assert taken < size
    assert server.metrics()["timeouts"] == 1


def test_a_reader_that_is_fast_enough_gets_all(stack: ExitStack, root: Path) -> None:
    size = big_file(root)
    server = serve(stack, root, timeout_send=0.5, min_send_rate=1)
    client = connect(stack, server, receive_buffer=65536)
    client.ask("/big", "Connection: close")
    head = client.head()
    taken = 0
    while piece := _take(client):
        taken += piece
        time.sleep(0.003)
    assert int(head.fields["content-length"]) == size
    assert taken == size
    assert server.metrics()["timeouts"] == 0


def _take(client: Client) -> int:
    """Read some bytes; 0 when the server has closed."""
    ahead, client._ahead = client._ahead, b""
    if ahead:
        return len(ahead)
    try:
        return len(client.sock.recv(128 * 1024))
    except ConnectionResetError:
        return 0


# Connections


def test_connections_beyond_the_limit_are_answered_503(stack: ExitStack, root: Path) -> None:
    server = serve(stack, root, connections=2)
    first, second = connect(stack, server), connect(stack, server)
    assert first.get().status == second.get().status == 200
    answer = connect(stack, server).answer()
    assert (answer.status, answer.fields["connection"]) == (503, "close")
    assert int(answer.fields["retry-after"]) > 0
    assert "date" in answer.fields
    assert first.get().status == 200
    metrics = server.metrics()
    assert (metrics["connections"], metrics["connections_refused"]) == (2, 1)
    first.close()
    eventually("the place is free", lambda: server.metrics()["connections"] == 1)
    assert connect(stack, server).get().status == 200


def test_who_has_sent_a_request_before_being_refused_reads_the_refusal(stack: ExitStack, root: Path) -> None:
    server = serve(stack, root, connections=1)
    assert connect(stack, server).get().status == 200
    for _ in range(20):
        assert connect(stack, server).get().status == 503


def test_connections_of_one_client_are_limited_and_those_of_others_are_not(stack: ExitStack, root: Path) -> None:
    server = serve(stack, root, connections_per_client=2)
    mine = [connect(stack, server) for _ in range(2)]
    assert [client.get().status for client in mine] == [200, 200]
    assert connect(stack, server).answer().status == 503
    assert connect(stack, server, source="127.0.0.2").get().status == 200
    mine[0].close()
    eventually("the connection has gone", lambda: server.metrics()["connections"] == 2)
    again = connect(stack, server)
    assert again.get().status == 200
    assert connect(stack, server).answer().status == 503


# Requests


@pytest.mark.parametrize("limit", [1, 2, 32])
def test_pipelining_beyond_the_limit_loses_nothing(stack: ExitStack, root: Path, limit: int) -> None:
    count = 1000  # so many heads do not fit into one read either
    for number in range(20):
        (root / str(number)).write_text(f"number {number}")
    client = connect(stack, serve(stack, root, pipeline=limit))
    client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: test\r\n\r\n" % (number % 20) for number in range(count)))
    for number in range(count):
        assert client.answer().body == b"number %d" % (number % 20)
    assert client.get("/7").body == b"number 7"


def test_a_client_that_pipelines_and_closes_its_side_gets_all_answers(stack: ExitStack, root: Path) -> None:
    client = connect(stack, serve(stack, root, pipeline=2))
    client.send(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n" * 50)
    client.sock.shutdown(1)
    for _ in range(50):
        assert client.answer().body == b"hello"
    assert client.rest() == b""


def test_who_asks_and_does_not_read_is_not_read_either(stack: ExitStack, root: Path) -> None:
    (root / "page").write_bytes(b"p" * 20_000)
    count = 20_000
    client = connect(stack, serve(stack, root), receive_buffer=4096)
    request = b"GET /page HTTP/1.1\r\nHost: test\r\nX: %s\r\n\r\n" % (b"x" * 500)

    def send() -> None:
        with suppress(BrokenPipeError, ConnectionResetError):
            client.send(request * count)

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    sender.join(1.0)
    assert sender.is_alive()  # 10 MB of requests stand for 400 MB of answers: nobody takes them in
    for _ in range(200):
        assert len(client.answer().body) == 20_000
    client.sock.shutdown(2)
    sender.join(PATIENCE)
    assert not sender.is_alive()


# Descriptors


def test_out_of_descriptors_on_accept(stack: ExitStack, root: Path) -> None:
    count = 120
    server = stack.enter_context(Flashpy(root, "--port", "0", shell='ulimit -n 64; exec "$@"'))
    port = server.port
    waiting = [stack.enter_context(Client(("127.0.0.1", port))) for _ in range(count)]
    for client in waiting:  # each is in the middle of a request, so that none makes room
        client.send(HALF_A_REQUEST)
    eventually("accepting pauses", lambda: "Accepting pauses" in server.stderr)
    for client in waiting:
        client.send(b"st\r\n\r\n")
    served = 0
    while waiting:  # who has been served makes room for the others
        ready, _, _ = select.select([client.sock for client in waiting], [], [], PATIENCE)
        assert ready
        for client in [client for client in waiting if client.sock in ready]:
            answer = client.answer()
            assert answer.status in (200, 503)
            served += answer.status == 200
            client.close()
            waiting.remove(client)
    assert served > 0
    assert server.get().status == 200
    assert server.end() == 0
    assert "Traceback" not in server.stderr


def test_out_of_descriptors_in_a_helper(stack: ExitStack, root: Path) -> None:
    (root / "other").write_text("other")
    server = stack.enter_context(background(root, helpers={"min": 1, "max": 1}))
    client = connect(stack, server)
    assert client.get().status == 200
    with no_descriptors_for(*server.metrics()["pool"]["pids"]):
        answer = client.get("/other")
        assert answer.status == 503
        assert int(answer.fields["retry-after"]) > 0
        assert server.metrics()["descriptors_exhausted"] == 1
    answer = client.get("/other")
    assert (answer.status, answer.body) == (200, b"other")


def test_out_of_descriptors_when_a_helper_is_to_load(stack: ExitStack, root: Path) -> None:
    size = 2 * 2**20
    with (root / "big").open("wb") as file:
        file.write(b"x" * size)
        file.flush()
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    server = stack.enter_context(background(root, helpers={"min": 1, "max": 1}))
    client = connect(stack, server)
    client.ask("/big", method="HEAD")
    assert client.head().status == 200  # now its descriptor is at hand
    with no_descriptors_for(*server.metrics()["pool"]["pids"]):
        answer = client.get("/big")
        if server.metrics()["loads"] == 0:
            pytest.skip("this file system does not let go of a file's pages")
        assert answer.status == 503
        assert int(answer.fields["retry-after"]) > 0
    assert len(connect(stack, server).get("/big").body) == size


def test_out_of_descriptors_when_a_helper_sends_one(stack: ExitStack, root: Path) -> None:
    size = big_file(root, 2**20)
    server = stack.enter_context(Flashpy(root, "--port", "0"))
    client = stack.enter_context(server.client())
    assert client.get().status == 200
    with no_descriptors_for(server.worker):
        answer = client.get("/big")
        assert answer.status == 503
        assert int(answer.fields["retry-after"]) > 0
        assert client.get("/none").status == 404
    assert len(client.get("/big").body) == size
    assert server.end() == 0


def test_out_of_descriptors_in_all_processes_and_back(stack: ExitStack, root: Path) -> None:
    server = stack.enter_context(Flashpy(root, "--port", "0"))
    client = stack.enter_context(server.client())
    assert client.get().status == 200
    assert len(server.helpers()) == 2
    with no_descriptors_for(server.worker, *server.helpers()):
        late = stack.enter_context(server.client())
        late.ask()
        assert client.rest() == b""  # who is between two requests makes room
        assert late.answer().status == 200
        for _ in range(20):  # there is still none to spare, but nobody waits any more
            assert late.get().status == 200
        assert late.get("/none").status == 503
    assert late.get("/none").status == 404
    assert server.end() == 0
