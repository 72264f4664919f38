"""TLS over real sockets: handshakes, certificates by name, requests and bodies, and clients that do not mean well."""

import asyncio
import os
import re
import select
import socket
import ssl
import subprocess
import threading
import time
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from flashpy.server import Background, Server, background, configure
from tests.running import PATIENCE, Client, eventually
from tests.tls.authority import Authority, Pair, TlsClient, plain

BIG = 5 * 2**20 + 12_345
"""Several windows, turns and sockets' buffers, and no whole number of records."""
ARCHITECTURES = ["amped", "sped"]


def serve(stack: ExitStack, root: Path, *pairs: Pair, limits: Any = None, **tls: Any) -> Background:
    """A server by TLS until the test ends, which then does not wait for its clients."""
    section = {
        "bind": ["127.0.0.1:0"],
        "certificate": [{"file": str(file), "key": str(key)} for file, key in pairs],
        **tls,
    }
    server = {"timeout_graceful_shutdown": 0.0, "bind": []} | section.pop("server", {})
    return stack.enter_context(background(root, tls=section, server=server, limits=limits or {}))


def address_of(server: Background) -> tuple[str, int]:
    return "127.0.0.1", int(server.url.rpartition(":")[2])


def connect(stack: ExitStack, server: Background, context: ssl.SSLContext, **how: Any) -> TlsClient:
    """A connection until the test ends."""
    return stack.enter_context(TlsClient(address_of(server), context, **how))


# Handshakes


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("kind", ["RSA", "ECDSA"])
@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_requests_by_each_version(
    stack: ExitStack, root: Path, authority: Authority, version: str, kind: str, architecture: str
) -> None:
    server = serve(stack, root, authority.issue("one", kind=kind), server={"architecture": architecture})
    assert re.fullmatch(r"https://127\.0\.0\.1:\d+", server.url)
    client = connect(stack, server, authority.context(version))
    assert client.sock.version() == f"TLSv{version}"
    assert "GCM" in str(client.sock.cipher()) or "CHACHA20" in str(client.sock.cipher())
    for _ in range(3):
        answer = client.get()
        assert (answer.status, answer.body) == (200, b"hello")
    assert client.get("/none").status == 404
    metrics = server.metrics()
    assert (metrics["handshakes"], metrics["handshakes_failed"], metrics["requests"]) == (1, 0, 4)


def test_versions_that_are_not_wanted(stack: ExitStack, root: Path, authority: Authority) -> None:
    server = serve(stack, root, authority.issue("one"), min_version="1.3")
    with pytest.raises(ssl.SSLError):
        connect(stack, server, authority.context("1.2"))
    eventually("it is counted", lambda: server.metrics()["handshakes_failed"] == 1)
    assert connect(stack, server, authority.context()).get().status == 200


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_old_versions_and_weak_ciphers_are_refused(stack: ExitStack, root: Path, authority: Authority) -> None:
    server = serve(stack, root, authority.issue("one", kind="RSA"))
    for version, ciphers in (("1.1", "ALL:@SECLEVEL=0"), ("1.2", "AES128-SHA"), ("1.2", "ECDHE-RSA-AES128-SHA")):
        context = authority.context(version)
        context.set_ciphers(ciphers)
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            connect(stack, server, context)


def test_the_protocol_is_agreed_upon(stack: ExitStack, root: Path, authority: Authority) -> None:
    server = serve(stack, root, authority.issue("one"))
    for offered, agreed in ((("h2", "http/1.1"), "http/1.1"), (("http/1.1",), "http/1.1"), ((), None), (("x",), None)):
        client = connect(stack, server, authority.context(alpn=offered))
        assert client.sock.selected_alpn_protocol() == agreed
        assert client.get().status == 200


def test_the_certificate_for_each_name(stack: ExitStack, root: Path, authority: Authority) -> None:
    pairs = [
        authority.issue("first"),
        authority.issue("exact", "www.example.org"),
        authority.issue("wild", "*.example.org", "example.net", kind="RSA"),
    ]
    server = serve(stack, root, *pairs)
    for asked, first in (
        ("www.example.org", "www.example.org"),
        ("WWW.Example.org", "www.example.org"),
        ("other.example.org", "*.example.org"),
        ("example.net", "*.example.org"),
        ("example.org", "localhost"),
        ("a.b.example.org", "localhost"),
        ("localhost", "localhost"),
    ):
        context = authority.context()
        context.check_hostname = False
        client = connect(stack, server, context, name=asked)
        assert client.names()[0] == first, asked
        assert client.get().status == 200
    assert connect(stack, server, authority.context(), name="127.0.0.1").names()[0] == "localhost"  # no SNI then


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_sessions_are_resumed_whatever_the_name(
    stack: ExitStack, root: Path, authority: Authority, version: str
) -> None:
    server = serve(stack, root, authority.issue("first"), authority.issue("second", "second.example"))
    context = authority.context(version)
    for name in ("localhost", "second.example"):
        first = connect(stack, server, context, name=name)
        assert first.get().status == 200
        again = connect(stack, server, context, name=name, session=first.sock.session)
        assert again.get().status == 200
        assert again.sock.session_reused
    assert server.metrics()["handshakes_resumed"] == 2


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("auth", ["required", "optional"])
def test_certificates_of_clients(
    stack: ExitStack, root: Path, authority: Authority, tmp_path: Path, version: str, auth: str
) -> None:
    stranger = Authority(tmp_path)
    server = serve(stack, root, authority.issue("one"), client_ca=str(authority.file), client_auth=auth)
    known = connect(stack, server, authority.context(version, pair=authority.issue("client", "client.example")))
    assert known.get().status == 200
    unknown = authority.context(version, pair=stranger.issue("stranger", "stranger.example"))
    for context, let_in in ((authority.context(version), auth == "optional"), (unknown, False)):
        try:
            answer = connect(stack, server, context).get()
        except (ssl.SSLError, ConnectionError, EOFError):
            assert not let_in
        else:
            assert let_in and answer.status == 200


def test_a_handshake_that_stalls_is_ended(stack: ExitStack, root: Path, authority: Authority) -> None:
    server = serve(stack, root, authority.issue("one"), limits={"timeout_handshake": 0.2})
    hello = client_hello(authority)
    for sent in (b"", hello[:20], hello):
        with plain(address_of(server)) as client:
            client.sendall(sent)
            while client.recv(65536):
                pass
    eventually("they are counted", lambda: server.metrics()["timeouts"] == 3)
    assert server.metrics()["connections"] == 0


def test_handshakes_that_stall_keep_nobody_out(stack: ExitStack, root: Path, authority: Authority) -> None:
    """Who has most of the connections makes room for another, whatever they are waiting for."""
    server = serve(stack, root, authority.issue("one"), limits={"connections": 4})
    for number in range(4):
        stack.enter_context(socket.create_connection(address_of(server), PATIENCE, ("127.0.0.2", 0)))
        eventually("it is seen", lambda: server.metrics()["connections"] == number + 1)  # noqa: B023
    assert connect(stack, server, authority.context()).get().status == 200
    assert server.metrics()["connections_shed"] == 1


def client_hello(authority: Authority) -> bytes:
    """The first message of a handshake."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = authority.context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


@pytest.mark.parametrize("piece", [1, 5, 100])
def test_a_handshake_in_pieces(stack: ExitStack, root: Path, authority: Authority, piece: int) -> None:
    server = serve(stack, root, authority.issue("one"))
    with plain(address_of(server)) as sock:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = authority.context().wrap_bio(incoming, outgoing, server_hostname="localhost")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        asked = False
        answer = b""
        while b"hello" not in answer:
            try:
                if not asked:
                    client.do_handshake()
                    client.write(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
                    asked = True
                answer += client.read(65536)
            except ssl.SSLWantReadError:
                pass
            data = outgoing.read()
            for at in range(0, len(data), piece):
                sock.sendall(data[at : at + piece])
            if b"hello" not in answer:
                incoming.write(sock.recv(65536))


@pytest.mark.parametrize(
    "sent",
    [
        b"\0" * 100,
        b"\x16\x03\x01\x02\x00" + b"\xff" * 512,
        b"\x16\x03\x01\xff\xff" + b"x" * 65535,
        b"SSH-2.0-OpenSSH_9.2\r\n",
        os.urandom(4096),
    ],
)
def test_what_is_no_handshake(stack: ExitStack, root: Path, authority: Authority, sent: bytes) -> None:
    server = serve(stack, root, authority.issue("one"))
    with plain(address_of(server)) as client:
        client.sendall(sent)
        try:
            while client.recv(65536):
                pass
        except ConnectionResetError:
            pass
    eventually("it is gone", lambda: server.metrics()["connections"] == 0)
    metrics = server.metrics()
    assert (metrics["handshakes_failed"], metrics["faults"], metrics["timeouts"]) == (1, 0, 0)


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_plain_http_is_answered_400_in_clear(stack: ExitStack, root: Path, authority: Authority, method: str) -> None:
    server = serve(stack, root, authority.issue("one"))
    with Client(address_of(server)) as client:
        client.ask("/" + "x" * 8000, method=method)
        answer = client.head()
        assert (answer.status, answer.fields["connection"]) == (400, "close")
        client.rest()
    eventually("it is gone", lambda: server.metrics()["connections"] == 0)


def test_a_client_that_leaves_in_the_middle(stack: ExitStack, root: Path, authority: Authority) -> None:
    server = serve(stack, root, authority.issue("one"))
    for sent in (b"", client_hello(authority)[:50], client_hello(authority)):
        client = plain(address_of(server))
        client.sendall(sent)
        client.close()
    eventually("all are counted", lambda: server.metrics()["connections_accepted"] == 3)
    eventually("all are gone", lambda: server.metrics()["connections"] == 0)
    assert server.metrics()["faults"] == 0


def test_nobody_may_renegotiate(stack: ExitStack, root: Path, authority: Authority) -> None:
    server = serve(stack, root, authority.issue("one"))
    options = ["-tls1_2", "-CAfile", str(authority.file), "-connect", f"127.0.0.1:{address_of(server)[1]}"]
    client = stack.enter_context(_openssl("s_client", *options))
    assert client.stdin is not None and client.stdout is not None
    client.stdin.write(b"R\n")
    client.stdin.flush()
    said = b""
    while piece := client.stdout.read1(65536):
        said += piece
    assert b"no renegotiation" in said


def _openssl(*arguments: str) -> Any:
    return subprocess.Popen(
        ["timeout", str(PATIENCE), "openssl", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def test_many_handshakes_keep_nobody_waiting_for_all_of_them(
    stack: ExitStack, root: Path, authority: Authority
) -> None:
    """64 arrive together, and those who are connected are answered between them."""
    server = serve(stack, root, authority.issue("one", kind="RSA"))
    probe = connect(stack, server, authority.context())
    assert probe.get().status == 200
    hello = client_hello(authority)
    clients = [stack.enter_context(plain(address_of(server))) for _ in range(64)]
    done_at_answers = []
    for client in clients:
        client.sendall(hello)
    for _ in range(20):
        assert probe.get().status == 200
        done_at_answers.append(sum(bool(select.select([client], [], [], 0)[0]) for client in clients))
    for client in clients:
        assert client.recv(1) == b"\x16"  # a ServerHello
    assert done_at_answers[0] < 64


# Requests and answers


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_bodies_of_all_sizes(stack: ExitStack, root: Path, authority: Authority, architecture: str) -> None:
    content = os.urandom(BIG)
    sizes = [0, 1, 16_000, 16_383, 16_384, 16_385, 32_768, 40_000, 100_000, 524_288, 524_289, BIG]
    for size in sizes:
        (root / f"of-{size}").write_bytes(content[:size])
    client = connect(
        stack,
        serve(stack, root, authority.issue("one"), server={"architecture": architecture}),
        authority.context(),
    )
    for size in (*sizes, *sizes):
        assert client.get(f"/of-{size}").body == content[:size], size
        client.ask(f"/of-{size}", method="HEAD")
        assert client.head().fields["content-length"] == str(size)
    ranges = client.get(f"/of-{BIG}", "Range: bytes=10-19,600000-1700000,-7")
    assert ranges.status == 206
    parts = [content[10:20], content[600_000:1_700_001], content[-7:]]
    assert all(part in ranges.body for part in parts)


def test_a_file_that_is_not_in_memory(stack: ExitStack, root: Path, authority: Authority) -> None:
    content = os.urandom(BIG)
    (root / "cold").write_bytes(content)
    server = serve(stack, root, authority.issue("one"))
    client = connect(stack, server, authority.context())
    for _ in range(3):
        with (root / "cold").open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        assert client.get("/cold").body == content
    assert server.metrics()["loads"] > 0


def test_a_file_that_becomes_shorter(stack: ExitStack, root: Path, authority: Authority) -> None:
    (root / "file").write_bytes(b"x" * BIG)
    server = serve(stack, root, authority.issue("one"))
    client = connect(stack, server, authority.context(), receive_buffer=4096)
    client.ask("/file")
    assert client.head().status == 200
    os.truncate(root / "file", 0)
    with pytest.raises((EOFError, ssl.SSLError, ConnectionError)):
        client.read(BIG)
    eventually("it is counted", lambda: server.metrics()["truncated"] == 1)


def test_pipelined_requests(stack: ExitStack, root: Path, authority: Authority) -> None:
    (root / "large").write_bytes(b"x" * 200_000)
    client = connect(stack, serve(stack, root, authority.issue("one")), authority.context())
    wanted = ["/", "/large", "/none"] * 100
    client.send(b"".join(f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode() for path in wanted))
    for path in wanted:
        answer = client.answer()
        assert answer.status == (404 if path == "/none" else 200)


def test_a_request_in_records_of_one_byte(stack: ExitStack, root: Path, authority: Authority) -> None:
    client = connect(stack, serve(stack, root, authority.issue("one")), authority.context())
    for byte in b"GET / HTTP/1.1\r\nHost: test\r\n\r\n":
        client.send(bytes([byte]))
    assert client.answer().body == b"hello"


def test_the_end_is_said(stack: ExitStack, root: Path, authority: Authority) -> None:
    """So that a client can tell it from one who cuts the connection (RFC 8446, 6.1)."""
    (root / "large").write_bytes(b"x" * 1_000_000)
    server = serve(stack, root, authority.issue("one"), limits={"timeout_keep_alive": 0.2})
    for fields, target in ((["Connection: close"], "/"), (["Connection: close"], "/large"), ([], "/")):
        client = connect(stack, server, authority.context())
        assert client.get(target, *fields).status == 200
        assert client.says_end()
    client = connect(stack, server, authority.context())
    client.send(b"nonsense\r\n\r\n")  # after it, the rest of what is sent is read and thrown away
    assert client.answer().status == 400
    assert client.says_end()


def test_the_end_is_said_when_the_server_ends(root: Path, authority: Authority) -> None:
    with ExitStack() as stack:
        server = serve(stack, root, authority.issue("one"))
        client = TlsClient(address_of(server), authority.context())
        assert client.get().status == 200
    with client:
        assert client.says_end()


def test_a_client_that_says_its_end_gets_its_answer(stack: ExitStack, root: Path, authority: Authority) -> None:
    (root / "large").write_bytes(b"x" * BIG)
    server = serve(stack, root, authority.issue("one"))
    sock = stack.enter_context(plain(address_of(server)))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = authority.context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    received = b""
    asking = partial(client.write, b"GET /large HTTP/1.1\r\nHost: test\r\n\r\n")
    for step in (client.do_handshake, asking, client.unwrap):
        while True:
            try:
                step()
                break
            except ssl.SSLWantReadError:
                sock.sendall(outgoing.read())
                if step == client.unwrap:  # it has said so, and does not wait for the answer to that
                    break
                incoming.write(sock.recv(65536))
    while data := sock.recv(65536):
        incoming.write(data)
        with suppress(ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            while piece := client.read(65536):
                received += piece
    assert len(received.partition(b"\r\n\r\n")[2]) == BIG


def test_slow_readers_hold_nobody_up(stack: ExitStack, root: Path, authority: Authority) -> None:
    content = os.urandom(BIG)
    (root / "big").write_bytes(content)
    server = serve(stack, root, authority.issue("one"))
    slow = [connect(stack, server, authority.context(), receive_buffer=4096) for _ in range(8)]
    for client in slow:
        client.ask("/big")
    quick = connect(stack, server, authority.context())
    for _ in range(50):
        assert quick.get().status == 200
    bodies: dict[int, bytes] = {}
    threads = [
        threading.Thread(target=partial(lambda n: bodies.update({n: slow[n].answer().body}), number))
        for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert [bodies[number] == content for number in range(8)] == [True] * 8


def test_a_reader_that_takes_nothing_is_given_up(stack: ExitStack, root: Path, authority: Authority) -> None:
    (root / "big").write_bytes(b"x" * 64 * 2**20)
    server = serve(stack, root, authority.issue("one"), limits={"timeout_send": 0.3})
    client = connect(stack, server, authority.context(), receive_buffer=4096)
    client.ask("/big")
    eventually("it is given up", lambda: server.metrics()["timeouts"] == 1)
    assert server.metrics()["connections"] == 0


def test_what_is_no_record_ends_the_connection(stack: ExitStack, root: Path, authority: Authority) -> None:
    server = serve(stack, root, authority.issue("one"))
    client = connect(stack, server, authority.context())
    assert client.get().status == 200
    socket.socket.send(client.sock, b"GET / HTTP/1.1\r\n\r\n")
    eventually("it is gone", lambda: server.metrics()["connections"] == 0)
    assert server.metrics()["faults"] == 0


def test_new_keys_in_the_middle(stack: ExitStack, root: Path, authority: Authority) -> None:
    """openssl asks for them with "K" (KeyUpdate, RFC 8446, 4.6.3)."""
    server = serve(stack, root, authority.issue("one"))
    address = f"127.0.0.1:{address_of(server)[1]}"
    client = stack.enter_context(_openssl("s_client", "-tls1_3", "-CAfile", str(authority.file), "-connect", address))
    for number in range(1, 4):
        client.stdin.write(b"K\n")
        client.stdin.flush()
        time.sleep(0.1)  # it takes what comes with it for the same line
        client.stdin.write(b"GET / HTTP/1.1\nHost: test\n\n".replace(b"\n", b"\r\n"))
        client.stdin.flush()
        eventually("it is answered", partial(lambda count: server.metrics()["requests"] == count, number))
    client.stdin.close()


def test_a_request_too_many_is_refused(stack: ExitStack, root: Path, authority: Authority) -> None:
    server = serve(stack, root, authority.issue("one"), limits={"connections": 1})
    first = connect(stack, server, authority.context())
    assert first.get().status == 200
    with pytest.raises((ssl.SSLError, ConnectionError)):
        connect(stack, server, authority.context())
    first.close()
    eventually("it is gone", lambda: server.metrics()["connections"] == 0)
    assert connect(stack, server, authority.context()).get().status == 200


# Plain HTTP beside it


def test_plain_addresses_lead_to_https(stack: ExitStack, root: Path, authority: Authority) -> None:
    challenge = root / ".well-known" / "acme-challenge"
    challenge.mkdir(parents=True)
    (challenge / "token").write_text("token")
    server = serve(stack, root, authority.issue("one"), https_redirect=True, server={"bind": ["127.0.0.2:0"]})
    plainly, securely = (int(url.rpartition(":")[2]) for url in server.urls)
    assert [url.partition(":")[0] for url in server.urls] == ["http", "https"]

    def ask(target: str, host: str = "test", method: str = "GET") -> tuple[int, str]:
        with Client(("127.0.0.2", plainly)) as client:
            client.send(f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            answer = client.head()
            return answer.status, answer.fields.get("location", "")

    assert ask("/") == (301, f"https://test:{securely}/")
    assert ask("/a%20b/../c?d=%2F", "test:80") == (301, f"https://test:{securely}/c?d=%2F")
    assert ask("/", "[::1]:80", "POST") == (308, f"https://[::1]:{securely}/")
    assert ask("/", "") == (400, "")
    assert ask("*", method="OPTIONS")[0] == 400
    assert ask("/.well-known/acme-challenge/token")[0] == 200
    assert ask("/.well-known/acme-challenge/../../")[0] == 301
    with Client(("127.0.0.2", plainly)) as client:
        assert client.get("/.well-known/acme-challenge/token").body == b"token"
        assert client.get("/").status == 301
    with TlsClient(("127.0.0.1", securely), authority.context()) as secure:
        assert secure.get().body == b"hello"


def test_who_is_led_to_https_counts_too(stack: ExitStack, root: Path, authority: Authority) -> None:
    """A limit on requests is one on redirects as well, and each request counts once, by whichever way."""
    limits = {"requests_per_second_per_client": 0.001, "burst_per_client": 3}
    server = serve(
        stack, root, authority.issue("one"), limits=limits, https_redirect=True, server={"bind": ["127.0.0.2:0"]}
    )
    plainly, securely = (int(url.rpartition(":")[2]) for url in server.urls)
    with Client(("127.0.0.2", plainly)) as client, TlsClient(("127.0.0.1", securely), authority.context()) as secure:
        asked = [client.get().status, secure.get().status, client.get().status, secure.get().status]
        assert asked == [301, 200, 301, 200]
        assert (client.get().status, secure.get().status) == (429, 429)


def test_nobody_is_led_to_a_stranger(stack: ExitStack, root: Path, authority: Authority) -> None:
    pair = authority.issue("one")
    server = stack.enter_context(
        background(
            root,
            site={"hosts": ["example.org"]},
            tls={
                "bind": ["127.0.0.1:0"],
                "certificate": [{"file": str(pair.file), "key": str(pair.key)}],
                "https_redirect": True,
                "https_port": 443,
            },
            server={"bind": ["127.0.0.2:0"]},
        )
    )
    for host, status, location in (("example.org", 301, "https://example.org/"), ("example.com", 421, "")):
        with Client(("127.0.0.2", int(server.url.rpartition(":")[2]))) as client:
            client.send(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            answer = client.answer()
            assert (answer.status, answer.fields.get("location", "")) == (status, location)


async def test_certificates_are_renewed_in_a_living_server(root: Path, authority: Authority) -> None:
    pair = authority.issue("changing", "localhost", "first.example")
    section = {"bind": ["127.0.0.1:0"], "certificate": [{"file": str(pair.file), "key": str(pair.key)}]}
    async with Server(configure(root, tls=section, server={"bind": []})) as server:
        address = "127.0.0.1", int(server.url.rpartition(":")[2])
        context = authority.context()
        first = await asyncio.to_thread(TlsClient, address, context)
        assert (await asyncio.to_thread(first.get)).status == 200
        authority.issue("changing", "localhost", "second.example")
        await server.renew_certificates()
        second = await asyncio.to_thread(TlsClient, address, context)
        resumed = await asyncio.to_thread(TlsClient, address, context, session=first.sock.session)
        assert [client.names()[1] for client in (first, second)] == ["first.example", "second.example"]
        for client in (first, second, resumed):
            with client:
                assert (await asyncio.to_thread(client.get)).body == b"hello"
                assert bool(client.sock.session_reused) is (client is resumed)
