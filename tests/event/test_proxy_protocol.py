"""Clients behind proxies, over real sockets: by the PROXY protocol, and by a field of each request."""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from flashpy.server import Background, background
from tests.http.test_proxy_protocol import IPV4, IPV6, binary, with_checksum
from tests.running import PATIENCE, Client, Flashpy, eventually, free_ports

GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"
LINE = b"PROXY TCP4 192.0.2.1 198.51.100.2 8080 80\r\n"
ONLY_192_0_2_1 = [{"allow": ["192.0.2.1"]}]


def serve(stack: ExitStack, root: Path, limits: Any = None, site: Any = None, **server: Any) -> Background:
    """A server behind a proxy on 127.0.0.1, until the test ends."""
    settings = {"trusted_proxies": ["127.0.0.1"], "timeout_graceful_shutdown": 0.0, **server}
    return stack.enter_context(background(root, limits=limits or {}, server=settings, site=site or {}))


def address(server: Background) -> tuple[str, int]:
    return "127.0.0.1", int(server.url.rpartition(":")[2])


def connect(stack: ExitStack, server: Background, **how: Any) -> Client:
    """A connection until the test ends."""
    return stack.enter_context(Client(address(server), **how))


# The PROXY protocol


@pytest.mark.parametrize("header", [LINE, binary(0x21, 0x11, IPV4), with_checksum(0x21, 0x11, IPV4)])
def test_the_client_is_whom_the_proxy_names(stack: ExitStack, root: Path, header: bytes) -> None:
    server = serve(stack, root, site={"access": ONLY_192_0_2_1}, proxy_protocol=True)
    client = connect(stack, server)
    client.send(header + GET)
    assert client.answer().body == b"hello"
    assert client.get().body == b"hello"  # the connection goes on, and the header is not said again
    for other in (binary(0x21, 0x21, IPV6), LINE.replace(b"2.1", b"2.2")):
        client = connect(stack, server)
        client.send(other + GET)
        assert client.answer().status == 403


def test_a_header_may_come_byte_by_byte(stack: ExitStack, root: Path) -> None:
    server = serve(stack, root, site={"access": ONLY_192_0_2_1}, proxy_protocol=True)
    for header in (LINE, binary(0x21, 0x11, IPV4)):
        client = connect(stack, server)
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in header + GET:
            client.send(bytes([byte]))
            time.sleep(0.001)
        assert client.answer().body == b"hello"


@pytest.mark.parametrize("header", [b"PROXY UNKNOWN\r\n", binary(0x20, 0x11, IPV4), binary(0x21, 0x00, b"")])
def test_a_proxy_that_asks_for_itself_has_its_own_address(stack: ExitStack, root: Path, header: bytes) -> None:
    client = connect(stack, serve(stack, root, site={"access": [{"allow": ["127.0.0.1"]}]}, proxy_protocol=True))
    client.send(header + GET)
    assert client.answer().body == b"hello"


@pytest.mark.parametrize(
    "sent", [GET, b"\x16\x03\x01\x02\x00\x01", LINE.replace(b"192", b"392"), b"PROXY " + b"x" * 200]
)
def test_who_does_not_speak_the_protocol_is_told_nothing(stack: ExitStack, root: Path, sent: bytes) -> None:
    server = serve(stack, root, proxy_protocol=True)
    client = connect(stack, server)
    client.send(sent)
    assert client.rest() == b""
    metrics = server.metrics()
    assert (metrics["connections"], metrics["connections_refused"], metrics["faults"]) == (0, 1, 0)


def test_who_is_not_trusted_is_told_nothing(stack: ExitStack, root: Path) -> None:
    server = serve(stack, root, proxy_protocol=True)
    client = connect(stack, server, source="127.0.0.2")
    client.send(LINE + GET)
    assert client.rest() == b""
    assert server.metrics()["connections_refused"] == 1


@pytest.mark.parametrize("sent", [b"", LINE[:-1], binary(0x21, 0x11, IPV4)[:-1]])
def test_a_header_has_its_time(stack: ExitStack, root: Path, sent: bytes) -> None:
    server = serve(stack, root, limits={"timeout_head": 0.1}, proxy_protocol=True)
    client = connect(stack, server)
    client.send(sent)
    assert client.rest() == b""
    assert server.metrics()["timeouts"] == 1
    assert server.metrics()["connections"] == 0


def test_a_proxy_that_goes_away_leaves_nothing_behind(stack: ExitStack, root: Path) -> None:
    server = serve(stack, root, proxy_protocol=True)
    client = connect(stack, server)
    client.send(LINE[:10])
    eventually("it is there", lambda: server.metrics()["connections"] == 1)
    client.close()
    eventually("it has gone", lambda: server.metrics()["connections"] == 0)


def test_a_server_that_ends_does_not_wait_for_headers(stack: ExitStack, root: Path) -> None:
    with ExitStack() as until_then:
        server = serve(until_then, root, proxy_protocol=True, timeout_graceful_shutdown=1e6)
        client = connect(stack, server)
        client.send(LINE[:10])
        eventually("it is there", lambda: server.metrics()["connections"] == 1)
    assert client.rest() == b""


def test_the_protocol_is_spoken_only_where_it_is_wanted(stack: ExitStack, root: Path, tmp_path: Path) -> None:
    plain, proxied = f"unix:{tmp_path}/plain", f"unix:{tmp_path}/proxied"
    server = serve(stack, root, bind=[plain, proxied], proxy_protocol=[proxied], trusted_proxies=["unix:"])
    assert len(server.urls) == 2
    with Client(f"{tmp_path}/plain") as client:
        assert client.get().body == b"hello"
    with Client(f"{tmp_path}/proxied") as client:
        client.send(LINE + GET)
        assert client.answer().body == b"hello"


def test_limits_are_those_of_the_client_behind_the_proxy(stack: ExitStack, root: Path) -> None:
    server = serve(stack, root, limits={"connections_per_client": 1}, proxy_protocol=True)

    def status(header: bytes) -> int:
        client = connect(stack, server)
        client.send(header + GET)
        return client.answer().status

    other = LINE.replace(b"2.1", b"2.2")
    assert [status(header) for header in (LINE, LINE, other, other)] == [200, 503, 200, 503]
    assert [status(b"PROXY UNKNOWN\r\n") for _ in range(3)] == [200] * 3  # the proxy itself, which is trusted
    assert server.metrics()["connections"] == 5


def test_a_connection_that_is_handed_on_keeps_its_client(stack: ExitStack, root: Path, tmp_path: Path) -> None:
    config, log = tmp_path / "flashpy.toml", tmp_path / "access.log"
    config.write_text(
        f'[server]\nbind = ["127.0.0.1:0"]\nproxy_protocol = true\ntrusted_proxies = ["127.0.0.1"]\n'
        f'[site]\nroot = "{root}"\n[log]\naccess = true\naccess_file = "{log}"\naccess_format = "json"\n'
    )
    server = stack.enter_context(Flashpy("-c", config))
    client = stack.enter_context(server.client())
    client.send(LINE + GET)
    assert client.answer().status == 200
    late = stack.enter_context(server.client())
    late.send(LINE[:10])
    before = server.worker
    server.tell(signal.SIGHUP)
    eventually("another worker serves", lambda: server.workers() - {before})
    assert client.get().status == 200
    late.send(LINE[10:] + GET)
    assert late.answer().status == 200
    eventually("the worker before has ended", lambda: before not in server.workers())
    eventually("all are logged", lambda: log.exists() and log.read_text().count("\n") == 3)
    assert {json.loads(line)["client.address"] for line in log.read_text().splitlines()} == {"192.0.2.1"}
    assert server.end() == 0


HAPROXY = """
defaults
    mode tcp
    timeout connect 10s
    timeout client 10s
    timeout server 10s
listen one
    bind 127.0.0.1:{one}
    server flashpy 127.0.0.1:{port} source 127.0.0.1 send-proxy
listen two
    bind 127.0.0.1:{two}
    server flashpy 127.0.0.1:{port} source 127.0.0.1 send-proxy-v2 proxy-v2-options crc32c,unique-id
"""


@pytest.mark.skipif(not shutil.which("haproxy"), reason="HAProxy is not installed")
def test_behind_haproxy(stack: ExitStack, root: Path, tmp_path: Path) -> None:
    site = {"access": [{"allow": ["127.0.0.3"]}]}
    server = serve(stack, root, site=site, proxy_protocol=True)
    one, two = free_ports(2)
    config = tmp_path / "haproxy.cfg"
    config.write_text(HAPROXY.format(one=one, two=two, port=address(server)[1]))
    process = subprocess.Popen(["haproxy", "-db", "-f", config], env={**os.environ, "HOME": str(tmp_path)})
    stack.callback(process.wait, PATIENCE)
    stack.callback(process.kill)

    def is_up() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", two)) == 0

    eventually("HAProxy listens", is_up)
    for port in (one, two):
        for source, status in (("127.0.0.3", 200), ("127.0.0.2", 403)):
            client = stack.enter_context(Client(("127.0.0.1", port), source=source))
            assert [client.get().status for _ in range(3)] == [status] * 3


# Fields


@pytest.mark.parametrize(
    ("field", "by_field", "nobody"),
    [
        ("X-Forwarded-For", "X-Forwarded-For: 6.6.6.6, 192.0.2.1, 127.0.0.1", "Forwarded: for=192.0.2.1"),
        ("Forwarded", 'Forwarded: for=6.6.6.6, for="192.0.2.1:80";proto=https', "X-Forwarded-For: 192.0.2.1"),
    ],
)
def test_the_client_is_whom_the_field_names(
    stack: ExitStack, root: Path, field: str, by_field: str, nobody: str
) -> None:
    server = serve(stack, root, site={"access": ONLY_192_0_2_1}, client_ip_field=field)
    proxy = connect(stack, server)
    assert [proxy.get("/", *fields).status for fields in ((by_field,), (), (nobody,), (by_field,))] == [
        200,
        403,
        403,
        200,
    ]
    assert connect(stack, server, source="127.0.0.2").get("/", by_field).status == 403


def test_the_client_that_the_field_names_is_logged(stack: ExitStack, root: Path, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    settings = {"trusted_proxies": ["127.0.0.1"]}
    with background(root, server=settings, log={"access": True, "access_file": str(log)}) as server:
        client = connect(stack, server)
        for name in ("192.0.2.1", "2001:db8::1", "unknown"):
            assert client.get("/", f"X-Forwarded-For: {name}").status == 200
    assert [line.split()[0] for line in log.read_text().splitlines()] == ["192.0.2.1", "2001:db8::1", "127.0.0.1"]
