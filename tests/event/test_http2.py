"""HTTP/2 over sockets: files in the windows that a client opens, files that are cold, what is made while it is sent,
the log, the end, and who floods."""

import contextlib
import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from flashpy.http.http2 import PREFACE
from flashpy.http.http2frames import Kind, frame
from flashpy.server import Background, background
from tests.http2peer import SETTINGS, Http2Client, Peer, headers
from tests.running import Client, Flashpy, eventually

LARGE = os.urandom(1_500_000)
CALM = 11


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Background]:
    """A server of a small file and a large one, which is not in memory (where the file system can let go of it)."""
    (tmp_path / "index.html").write_text("<p>Hello")
    with (tmp_path / "large").open("wb") as file:
        file.write(LARGE)
        file.flush()
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    with background(tmp_path, server={"http2": True}, site={"listing": True, "listing_archive": True}) as server:
        yield server
        assert server.metrics()["faults"] == 0


def address(server: Background) -> tuple[str, int]:
    """Where it listens."""
    return "127.0.0.1", int(server.url.rpartition(":")[2])


@pytest.mark.parametrize("window", [1_000, 65_535, 2**24])
def test_a_large_file_through_the_clients_windows(server: Background, window: int) -> None:
    with Http2Client(address(server), window) as client:
        assert client.get("/large").body == LARGE
        assert server.metrics()["loads"] >= 1


def test_while_one_waits_for_its_window_others_are_answered(server: Background) -> None:
    with Http2Client(address(server), window=1_000, automatic=False) as client:
        stuck = client.ask("/large")
        while sum(map(len, client.got[stuck][1])) < 1_000:
            client.step()
        assert client.get("/").body == b"<p>Hello"
        assert stuck not in client.ended


def test_what_http1_answers(server: Background) -> None:
    with Http2Client(address(server)) as client:
        whole = client.get("/large", method="HEAD")
        assert (whole.status, whole.fields["content-length"], whole.body) == (200, str(len(LARGE)), b"")
        assert client.get("/large", ("range", "bytes=5-9")).body == LARGE[5:10]
        parts = client.get("/large", ("range", "bytes=0-1,100000-100001"))
        assert parts.status == 206
        assert LARGE[100_000:100_002] in parts.body
        assert client.get("/large", ("if-none-match", whole.fields["etag"])).status == 304
        assert client.get("/nothing").status == 404
        assert client.get("/", method="POST").status == 405


def test_an_archive_is_made_while_it_is_sent(server: Background, tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    for number in range(5):
        (tmp_path / "directory" / str(number)).write_bytes(LARGE[:100_000])
    with Http2Client(address(server)) as client:
        answer = client.get("/directory/?download=tar")
        assert answer.status == 200
        assert answer.body.count(LARGE[:1_000]) == 5


def test_both_protocols_on_one_address(server: Background) -> None:
    with Http2Client(address(server)) as client, Client(address(server)) as other:
        assert other.get("/").body == client.get("/").body
        assert other.get("/").status == client.get("/").status == 200


def test_an_idle_connection_ends_with_a_word(tmp_path: Path) -> None:
    limits = {"timeout_keep_alive": 0.5, "timeout_head": 0.5}
    with background(tmp_path, server={"http2": True}, limits=limits) as server:
        with Http2Client(address(server)) as client:
            client.get("/")
            while client.step():
                pass
            assert client.gone is not None and client.gone.error_code == 0
        with Peer(address(server), PREFACE + SETTINGS + headers(1, flags=4)) as peer:  # its end never comes
            assert peer.until(Kind.GOAWAY).code == 0
            assert list(peer.frames()) == []


def test_who_opens_no_window_is_given_up(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(LARGE)
    limits = {"timeout_send": 0.5}
    with (
        background(tmp_path, server={"http2": True}, limits=limits) as server,
        Http2Client(address(server), window=10, automatic=False) as client,
    ):
        client.ask("/large")
        while client.step():
            pass
        assert client.gone is not None


BURST = (
    PREFACE
    + SETTINGS
    + b"".join(
        headers(number) + frame(Kind.RST_STREAM, (8).to_bytes(4, "big"), number) for number in range(1, 5_000, 2)
    )
)


def test_a_burst_of_resets_beside_a_client_of_http1(server: Background) -> None:
    """The server goes on, and the one who floods is told."""
    with Client(address(server)) as probe:
        for _ in range(5):
            with Peer(address(server), BURST[: 64 * 1024]) as peer:
                for _ in range(20):
                    assert probe.get("/").status == 200
                assert peer.until(Kind.GOAWAY).code == CALM
        assert probe.get("/").status == 200
    eventually("all have gone", lambda: server.metrics()["connections"] == 0)


def test_the_log(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "large").write_bytes(LARGE)
    log = tmp_path / "log"
    logged = {"access": True, "access_file": str(log), "access_format": "json"}
    with (
        background(tmp_path, server={"http2": True}, log=logged) as server,
        Http2Client(address(server), window=1_000, automatic=False) as client,
    ):
        stuck = client.ask("/large")
        client.get("/a")
        client.get("/nothing")
        while sum(map(len, client.got[stuck][1])) < 1_000:  # all that its window lets through
            assert client.step()
        client.h2.reset_stream(stuck)
        client.flush()
        eventually("three lines are written", lambda: log.exists() and log.read_text().count("\n") == 3)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(line["url.path"], line["http.response.status_code"]) for line in lines] == [
        ("/a", 200),
        ("/nothing", 404),
        ("/large", 200),
    ]
    assert {line["network.protocol.version"] for line in lines} == {"2"}
    assert lines[2]["http.response.body.size"] == 1_000


def test_a_confined_worker_says_that_it_ends_and_finishes(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(LARGE)
    config = tmp_path / "flashpy.toml"
    config.write_text("[server]\nhttp2 = true\nbind = ['127.0.0.1:0']\n[site]\nroot = '.'\n")
    with Flashpy("-c", config) as flashpy, Http2Client(("127.0.0.1", flashpy.port), 10_000, False) as client:
        stream = client.ask("/large")
        while sum(map(len, client.got[stream][1])) < 10_000:
            client.step()
        flashpy.tell(signal.SIGTERM)
        while client.gone is None:
            client.step()
        assert (client.gone.error_code, client.gone.last_stream_id) == (0, stream)
        # h2's client lets nothing be said after a GOAWAY: the rest of this is in bytes
        client.sock.sendall(frame(Kind.WINDOW_UPDATE, (2**24).to_bytes(4, "big"), stream))
        client.sock.sendall(frame(Kind.WINDOW_UPDATE, (2**24).to_bytes(4, "big")))
        rest = b""
        with contextlib.suppress(ConnectionResetError):
            while data := client.sock.recv(65_536):
                rest += data
        assert len(rest) > len(LARGE) - 10_000
        client.sock.shutdown(socket.SHUT_RDWR)
        assert flashpy.wait() == 0


def test_connections_stay_where_they_are_when_the_configuration_is_read_again(tmp_path: Path) -> None:
    """HPACK has state: none is given to another process, and each is told to come again."""
    config = tmp_path / "flashpy.toml"
    config.write_text("[server]\nhttp2 = true\nbind = ['127.0.0.1:0']\n[site]\nroot = '.'\nlisting = true\n")
    with Flashpy("-c", config) as flashpy, Http2Client(("127.0.0.1", flashpy.port)) as client:
        assert client.get("/").status == 200
        flashpy.tell(signal.SIGHUP)
        while client.step():
            pass
        assert client.gone is not None and client.gone.error_code == 0
        with Http2Client(("127.0.0.1", flashpy.port)) as again:
            assert again.get("/").status == 200
        assert flashpy.end() == 0


def test_reloading_pages_listen_on_a_stream(tmp_path: Path) -> None:
    pytest.importorskip("watchfiles", reason="needs watchfiles")
    (tmp_path / "index.html").write_text("<p>Hello")
    config = tmp_path / "flashpy.toml"
    config.write_text("[server]\nhttp2 = true\nreload = true\nbind = ['127.0.0.1:0']\n[site]\nroot = '.'\n")
    with Flashpy("-c", config) as flashpy, Http2Client(("127.0.0.1", flashpy.port)) as client:
        stream = client.ask("/-/reload")
        while not client.got[stream][1]:
            assert client.step()
        assert b"/-/reload.js" in client.get("/").body
        (tmp_path / "index.html").write_text("<p>Changed")
        while b"data:" not in b"".join(client.got[stream][1]):
            assert client.step()
        client.h2.reset_stream(stream)
        client.flush()
        assert client.get("/").status == 200
