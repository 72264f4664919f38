"""Many connections, many requests, and slow ones: the others are served. They come from other loopback addresses."""

import resource
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from flashpy.event.sockets import SO_MAX_PACING_RATE, UNSENT, flat, listen, pace
from flashpy.server import Background, background
from tests.running import PATIENCE, Client, Flashpy, eventually

HALF = b"GET / HTTP/1.1\r\nHost: te"
OTHER, THIRD = "127.0.0.2", "127.0.0.3"


def serve(stack: ExitStack, root: Path, server: Any = None, **limits: Any) -> Background:
    """A server with these limits until the test ends, which then does not wait for its clients."""
    settings = {"timeout_graceful_shutdown": 0.0, **(server or {})}
    return stack.enter_context(background(root, limits=limits, server=settings))


def connect(stack: ExitStack, server: Background, **how: Any) -> Client:
    """A connection until the test ends."""
    return stack.enter_context(Client(("127.0.0.1", int(server.url.rpartition(":")[2])), **how))


def slow(stack: ExitStack, server: Background, count: int, **how: Any) -> list[Client]:
    """Clients in the middle of a request, which the server has seen, the first longest ago."""
    before = server.metrics()["connections"]
    clients = []
    for number in range(count):
        clients.append(client := connect(stack, server, **how))
        client.send(HALF)
        eventually("it is seen", lambda: server.metrics()["connections"] == before + number + 1)  # noqa: B023
    return clients


def is_open(client: Client) -> bool:
    """Whether the server has not closed."""
    client.sock.setblocking(False)
    try:
        return client.sock.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True
    except ConnectionResetError:
        return False
    finally:
        client.sock.settimeout(PATIENCE)


# Who gives way


def test_who_has_most_makes_room_for_another(stack: ExitStack, root: Path) -> None:
    server = serve(stack, root, connections=8)
    mine = slow(stack, server, 8)
    others = [connect(stack, server, source=OTHER) for _ in range(4)]
    assert [other.get().status for other in others[:3]] == [200] * 3
    assert [is_open(client) for client in mine] == [False] * 3 + [True] * 5  # the idlest ones
    assert others[3].get().status == 200
    fifth = connect(stack, server, source=OTHER)
    assert fifth.get().status == 503  # both have four now: nobody has more
    third = connect(stack, server, source=THIRD)
    assert third.get().status == 200
    assert server.metrics()["connections"] == 8


def test_who_has_most_makes_no_room_for_himself(stack: ExitStack, root: Path) -> None:
    server = serve(stack, root, connections=4)
    mine = slow(stack, server, 4)
    for _ in range(3):
        assert connect(stack, server).get().status == 503
    assert all(map(is_open, mine))


def test_idle_connections_make_room_where_all_clients_have_one(stack: ExitStack, root: Path) -> None:
    server = serve(stack, root, connections=3)
    first, second, third = (connect(stack, server, source=f"127.0.1.{number}") for number in (1, 2, 3))
    for client in (first, second, third, first):
        assert client.get().status == 200
    assert connect(stack, server, source=OTHER).get().status == 200
    assert [is_open(client) for client in (first, second, third)] == [True, False, True]
    for client in (first, third):
        client.send(HALF)
    assert connect(stack, server, source=THIRD).get().status == 200  # in the place of the newcomer before
    for client in (first, third):
        client.send(b"st\r\n\r\n")
        assert client.answer().status == 200
    assert server.metrics()["connections"] == 3


def test_who_has_gone_by_himself_makes_no_room_twice(stack: ExitStack, root: Path) -> None:
    server = serve(stack, root, connections=4)
    mine = slow(stack, server, 4)
    assert connect(stack, server, source=OTHER).get().status == 200  # the others have been chosen by now, too
    for client in mine[1:]:
        client.close()
    eventually("they have gone", lambda: server.metrics()["connections"] == 1)
    slow(stack, server, 3, source=THIRD)
    assert connect(stack, server, source="127.0.0.4").get().status == 200
    assert server.metrics()["connections"] == 4


def test_a_connection_that_is_sent_something_gives_way_last(stack: ExitStack, root: Path) -> None:
    with (root / "big").open("wb") as file:
        file.truncate(64 * 2**20)
    server = serve(stack, root, connections=3)
    reader = connect(stack, server, receive_buffer=4096)
    reader.ask("/big")
    assert reader.head().status == 200
    idle = [connect(stack, server) for _ in range(2)]
    assert [client.get().status for client in idle] == [200, 200]
    assert connect(stack, server, source=OTHER).get().status == 200
    assert is_open(reader)
    assert [is_open(client) for client in idle] == [False, True]


def test_trusted_proxies_keep_what_they_have(stack: ExitStack, root: Path) -> None:
    proxies = {"trusted_proxies": ["127.0.0.1"]}
    server = serve(stack, root, proxies, connections=4, connections_per_client=1)
    through = [connect(stack, server) for _ in range(4)]
    assert [client.get().status for client in through] == [200] * 4
    assert connect(stack, server, source=OTHER).get().status == 503
    assert all(map(is_open, through))


def test_an_attacker_does_not_keep_others_out(stack: ExitStack, root: Path) -> None:
    """He connects again and again, and holds what he gets."""
    server = serve(stack, root, connections=100)
    port = int(server.url.rpartition(":")[2])
    for _ in range(10):
        for _ in range(100):
            attacker = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            attacker.sendall(HALF)
        for number in range(5):
            assert connect(stack, server, source=f"127.0.1.{number}").get().status == 200
    assert server.metrics()["connections"] <= 100
    assert server.metrics()["faults"] == 0


def test_many_that_are_late_at_once_are_all_told(stack: ExitStack, root: Path) -> None:
    server = serve(stack, root, timeout_head=0.5)
    clients = [connect(stack, server) for _ in range(200)]
    for client in clients:
        client.send(HALF)
    assert {client.answer().status for client in clients} == {408}
    assert server.metrics()["timeouts"] == 200


def test_idle_connections_cost_the_others_nothing(stack: ExitStack, root: Path, tmp_path: Path) -> None:
    """20,000 of them, or as many as this user may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = 20_000 if hard == resource.RLIM_INFINITY else min(20_000, hard - 1_000)
    resource.setrlimit(resource.RLIMIT_NOFILE, (count + 1_000, hard))
    stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
    config = tmp_path / "flashpy.toml"
    config.write_text(
        f'[server]\nbind = ["127.0.0.1:0"]\n[site]\nroot = "{root}"\n[limits]\nconnections = {count + 100}\n'
    )
    server = stack.enter_context(Flashpy("-c", config))
    address = ("127.0.0.1", server.port)
    request = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"
    held = []
    for _ in range(count):
        sock = stack.enter_context(socket.create_connection(address))
        sock.sendall(request)
        held.append(sock)
    for sock in held:
        assert sock.recv(4096).startswith(b"HTTP/1.1 200 ")
    with Client(address, source=OTHER) as probe:
        assert [probe.get().status for _ in range(100)] == [200] * 100
    for sock in held[::100]:
        sock.sendall(request)
        assert sock.recv(4096).startswith(b"HTTP/1.1 200 ")
    assert "Traceback" not in server.stderr
    server.process.kill()  # nobody waits for 20,000 clients to close


# Rates


def statuses(client: Client, count: int, *fields: str) -> list[int]:
    return [client.get("/", *fields).status for _ in range(count)]


def test_who_asks_too_often_is_answered_429(stack: ExitStack, root: Path) -> None:
    server = serve(stack, root, requests_per_second_per_client=0.01, burst_per_client=2)
    client = connect(stack, server)
    assert statuses(client, 3) == [200] * 3  # and so the answer is prepared
    answer = client.get()
    assert (answer.status, answer.fields["cache-control"]) == (429, "no-store")
    assert 1 <= int(answer.fields["retry-after"]) <= 100
    assert "many requests" in answer.body.decode()
    assert connect(stack, server).get().status == 429
    assert connect(stack, server, source=OTHER).get().status == 200
    client.send(b"HEAD / HTTP/1.1\r\nHost: test\r\n\r\nGET / HTTP/1.1\r\nHost: test\r\n\r\n" + b"?\r\n\r\n")
    assert [client.head().status, client.answer().status, client.answer().status] == [429, 429, 429]
    assert client.rest() == b""  # the last was no request, after which nothing can be read
    assert server.metrics()["requests_limited"] == 5


def test_who_waits_is_served_again(stack: ExitStack, root: Path) -> None:
    server = serve(stack, root, requests_per_second_per_client=10.0, burst_per_client=0)
    client = connect(stack, server)
    assert client.get().status == 200

    def served() -> bool:
        return client.get().status == 200

    eventually("it is served", served)


def test_no_way_of_asking_passes_the_rate(stack: ExitStack, root: Path) -> None:
    """Short, pipelined, on a new connection, with conditions, for what is not there."""
    (root / "big").write_bytes(bytes(200_000))
    server = serve(stack, root, requests_per_second_per_client=0.01, burst_per_client=0)
    assert connect(stack, server, source=OTHER).get("/big").status == 200
    assert connect(stack, server, source=OTHER).get("/big").status == 429
    client = connect(stack, server)
    client.send(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n" * 20)
    assert [client.answer().status for _ in range(20)] == [200] + [429] * 19
    for target, fields in (("/big", ()), ("/none", ()), ("/", ("If-None-Match: *",)), ("/", ("Range: bytes=0-1",))):
        assert connect(stack, server).get(target, *fields).status == 429
    for method in ("OPTIONS", "POST", "NONSENSE"):
        client = connect(stack, server)
        client.ask("/", method=method)
        assert client.answer().status == 429


def test_the_rate_is_that_of_the_client_behind_a_proxy(stack: ExitStack, root: Path) -> None:
    proxies = {"trusted_proxies": ["127.0.0.1"]}
    server = serve(stack, root, proxies, requests_per_second_per_client=0.01, burst_per_client=1)
    proxy = connect(stack, server)
    assert statuses(proxy, 3, "X-Forwarded-For: 192.0.2.1") == [200, 200, 429]
    assert statuses(proxy, 3, "X-Forwarded-For: 192.0.2.1, 192.0.2.2") == [200, 200, 429]
    assert statuses(proxy, 5) == [200] * 5
    assert statuses(connect(stack, server, source=OTHER), 3, "X-Forwarded-For: 192.0.2.9") == [200, 200, 429]


# Bandwidth


@pytest.mark.parametrize(("rate", "kept"), [(123_456, 123_456), (0, 2**32 - 1)])
def test_connections_inherit_the_bound_on_their_bandwidth(stack: ExitStack, rate: int, kept: int) -> None:
    (listening,) = flat(listen(["127.0.0.1:0"], 16))
    stack.callback(listening.close)
    pace(listening, 1_000)  # by the configuration before
    pace(listening, rate)
    client = stack.enter_context(Client(listening.getsockname()))
    client.send(b"x")
    listening.settimeout(PATIENCE)
    with listening.accept()[0] as accepted:
        assert accepted.getsockopt(socket.SOL_SOCKET, SO_MAX_PACING_RATE) & 0xFFFFFFFF == kept
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) == UNSENT


def test_who_is_sent_little_at_a_time_is_not_given_up(stack: ExitStack, root: Path) -> None:
    """What waits in the socket's own buffer takes longer than the time-out, but goes on being taken."""
    size = 3 * 2**20
    (root / "file").write_bytes(bytes(size))
    server = serve(stack, root, bandwidth_per_connection=2**20, timeout_send=0.3, min_send_rate=1_000)
    assert len(connect(stack, server).get("/file").body) == size
    assert server.metrics()["timeouts"] == 0
