"""What holds the event loop is noted with its cause: over real sockets, with something slow in the way."""

import time
from pathlib import Path

import pytest

import flashpy
from flashpy.http.request import Request
from flashpy.resource.answer import Answer
from flashpy.resource.files import Files
from flashpy.site.site import Site
from tests.running import Client, eventually

HELD = 0.02


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """One file."""
    (tmp_path / "file").write_text("hello")
    return tmp_path


def test_an_answer_that_takes_long_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = Site.answer

    def slow(self: Site, request: Request, client: str) -> Answer:
        time.sleep(HELD)
        return at_once(self, request, client)

    monkeypatch.setattr(Site, "answer", slow)
    with flashpy.background(root) as server, Client(("127.0.0.1", int(server.url.rpartition(":")[2]))) as client:
        for _ in range(3):
            assert client.get("/file").status == 200
        stalls = server.metrics()["stalls"]
    assert stalls["longest"] >= HELD
    assert stalls["longest_cause"] in ("answering /file", "receiving")
    assert sum(stalls[name] for name in stalls if name.startswith("le_0.0") or name == "longer") >= 3


def test_so_is_what_follows_a_job(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = Files._found

    def slow(self: Files, *arguments: object) -> Answer:
        time.sleep(HELD)
        return at_once(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Files, "_found", slow)
    with flashpy.background(root) as server, Client(("127.0.0.1", int(server.url.rpartition(":")[2]))) as client:
        assert client.get("/file").status == 200
        eventually("it is noted", lambda: server.metrics()["stalls"]["longest"] >= HELD)
        assert server.metrics()["stalls"]["longest_cause"] == "after looking for '/file'"
