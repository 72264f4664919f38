"""What systemd is told, at the receiving end of a real socket."""

import logging
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flashpy import notify
from tests.running import PATIENCE, Flashpy


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The service manager's socket, in ``NOTIFY_SOCKET``."""
    name = f"{tmp_path}/notify" if request.param == "path" else f"@flashpy-test-notify-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(name.replace("@", "\0"))
        sock.settimeout(PATIENCE)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        yield sock


def heard(manager: socket.socket) -> list[str]:
    """The next message's lines."""
    return manager.recv(65536).decode().split("\n")


def test_the_messages(manager: socket.socket) -> None:
    notify.ready()
    assert heard(manager) == ["READY=1"]
    notify.ready("Serving.")
    assert heard(manager) == ["READY=1", "STATUS=Serving."]
    notify.stopping()
    assert heard(manager) == ["STOPPING=1"]
    notify.status("one\ntwo\r\nthree")
    assert heard(manager) == ["STATUS=one two three"]
    notify.watchdog()
    assert heard(manager) == ["WATCHDOG=1"]
    notify.main_pid(17)
    assert heard(manager) == ["MAINPID=17"]


def test_reloading_tells_its_time(manager: socket.socket) -> None:
    before = time.monotonic_ns() // 1000
    notify.reloading()
    what, when = heard(manager)
    assert what == "RELOADING=1"
    assert when.startswith("MONOTONIC_USEC=")
    assert before <= int(when.partition("=")[2]) <= time.monotonic_ns() // 1000


def test_nobody_is_told_where_nobody_asks(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for name in (None, ""):
        monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
        if name is not None:
            monkeypatch.setenv("NOTIFY_SOCKET", name)
        notify.ready()
    assert caplog.text == ""


@pytest.mark.parametrize("name", ["/none/notify", "@flashpy-nobody", "vsock:2:1234", "/" + "x" * 200])
def test_a_manager_that_does_not_hear(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("NOTIFY_SOCKET", name)
    notify.ready()
    assert f"The service manager at {name} was not told READY=1: " in caplog.text


def test_a_manager_whose_queue_is_full(
    manager: socket.socket, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(notify, "PATIENCE", 0.01)
    while not caplog.text:
        notify.watchdog()
    assert "was not told WATCHDOG=1" in caplog.text


@pytest.mark.parametrize(
    ("variables", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "3000000"}, 1.5),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}, 1.5),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "-5"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_how_often_to_say_that_one_is_alive(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], seconds: float | None
) -> None:
    for name in ("WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert notify.watchdog_interval() == seconds


def test_what_a_server_tells(manager: socket.socket, tmp_path: Path) -> None:
    with Flashpy(tmp_path, "--port", "0", environment={"WATCHDOG_USEC": "20000"}) as server:
        assert heard(manager) == ["READY=1", f"STATUS=Serving {tmp_path} at {server.urls[0]}"]
        for _ in range(3):
            assert heard(manager) == ["WATCHDOG=1"]
        assert server.end() == 0
        said = heard(manager)
        while said == ["WATCHDOG=1"]:
            said = heard(manager)
        assert said == ["STOPPING=1"]
