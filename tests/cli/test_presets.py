"""The options that stand for several settings, end to end."""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.running import Answer, Flashpy, eventually


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "site"
    (root / "empty").mkdir(parents=True)
    (root / "index.html").write_text("the application")
    (root / "app.3f9a1c2b.js").write_text("1")
    return root


@pytest.fixture
def start() -> Iterator[Callable[..., Flashpy]]:
    """Start servers on free ports, which are ended with the test."""
    with ExitStack() as stack:

        def start(*arguments: str | Path, **how: object) -> Flashpy:
            return stack.enter_context(Flashpy(*arguments, "--port", "0", **how))  # type: ignore[arg-type]

        yield start


def get(server: Flashpy, target: str, *fields: str) -> Answer:
    """One request on a connection of its own."""
    with server.client() as client:
        return client.get(target, *fields)


def test_spa(root: Path, start: Callable[..., Flashpy]) -> None:
    """A navigation gets the application, a missing asset stays missing."""
    server = start(root, "--spa")
    page = get(server, "/users/7", "Accept: text/html")
    assert (page.status, page.body) == (200, b"the application")
    assert get(server, "/users/7.png", "Accept: text/html").status == 404
    assert get(server, "/users/7", "Accept: image/*").status == 404


def test_listing(root: Path, start: Callable[..., Flashpy]) -> None:
    (root / "empty" / "a file").write_text("")
    listing = get(start(root, "--listing"), "/empty/", "Accept: text/plain")
    assert listing.status == 200
    assert b"a file" in listing.body
    assert get(start(root), "/empty/").status == 404


def test_cors(root: Path, start: Callable[..., Flashpy]) -> None:
    answer = get(start(root, "--cors"), "/", "Origin: https://example.org")
    assert answer.fields["access-control-allow-origin"] == "*"


def test_no_cache(root: Path, start: Callable[..., Flashpy]) -> None:
    """Not even what has a hash in its name is kept."""
    server = start(root, "--no-cache")
    assert get(server, "/").fields["cache-control"] == "no-store"
    assert get(server, "/app.3f9a1c2b.js").fields["cache-control"] == "no-store"


def test_security_headers(root: Path, start: Callable[..., Flashpy]) -> None:
    fields = get(start(root, "--security-headers"), "/").fields
    assert fields["x-content-type-options"] == "nosniff"
    assert "frame-ancestors" in fields["content-security-policy"]
    assert "referrer-policy" in fields


def test_options_come_before_the_file(root: Path, start: Callable[..., Flashpy], tmp_path: Path) -> None:
    """And what a preset does not set stays as it is there; in the environment they are options too."""
    file = tmp_path / "flashpy.toml"
    file.write_text('[site]\nroot = "site"\ncache_control = "max-age=60"\nheaders = { "X-Mine" = "1" }\n')
    server = start("-c", file, "--no-cache", environment={"FLASHPY_CORS": "1"})
    fields = get(server, "/").fields
    assert fields["cache-control"] == "no-store"
    assert fields["x-mine"] == "1"
    assert fields["access-control-allow-origin"] == "*"


def test_options_hold_for_all_sites_of_a_file(root: Path, start: Callable[..., Flashpy], tmp_path: Path) -> None:
    """And do not make a site of the current directory beside them."""
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "index.html").write_text("other")
    file = tmp_path / "flashpy.toml"
    file.write_text(
        '[[sites]]\nhosts = ["a.example"]\nroot = "site"\n[[sites]]\nhosts = ["b.example"]\nroot = "other"\n'
    )
    server = start("-c", file, "--security-headers", cwd=tmp_path)
    for host, body in (("a.example", b"the application"), ("b.example", b"other")):
        with server.client() as client:
            client.send(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            answer = client.answer()
            assert answer.body == body
            assert answer.fields["x-content-type-options"] == "nosniff"
    assert get(server, "/").status == 421


def test_open(root: Path, start: Callable[..., Flashpy], tmp_path: Path) -> None:
    """The browser gets an address that it can reach."""
    browser, shown = tmp_path / "browser", tmp_path / "shown"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {shown}.part && mv {shown}.part {shown}\n')
    browser.chmod(browser.stat().st_mode | stat.S_IXUSR)
    server = start(root, "--open", "--host", "0.0.0.0", environment={"BROWSER": f"{browser} %s"})
    port = server.port
    eventually("the browser is opened", shown.exists)
    assert shown.read_text() == f"http://localhost:{port}"
    assert server.end() == 0


def test_open_where_there_is_no_display(root: Path, start: Callable[..., Flashpy]) -> None:
    """It serves all the same, and says so."""
    hidden = {name: "" for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER") if name in os.environ}
    server = start(root, "--open", environment=hidden)
    assert get(server, "/").status == 200
    eventually("it says why there is no browser", lambda: "there is no display" in server.stderr)
