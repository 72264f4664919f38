"""Development reload: what browsers are told when a file changes, and what they do."""

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.running import PATIENCE, Client, Flashpy, clean_environment, descendants_of, eventually, is_alive, title_of

TAG = b'<script src="/-/reload.js" async></script>'
PAGE = (
    "<!DOCTYPE html><html><head><link rel=stylesheet href=/style.css></head><body><p>x<img src=/{0}.png></body></html>"
)
STYLE = "p {{ background: url(/{0}.png) }}"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A page with a style sheet, each of which wants a picture that is not there: so the log tells which is shown."""
    root = tmp_path / "site"
    root.mkdir()
    (root / "index.html").write_text(PAGE.format("page-1"))
    (root / "style.css").write_text(STYLE.format("style-1"))
    return root


@pytest.fixture
def start(stack: ExitStack) -> Callable[..., Flashpy]:
    """Start servers that watch, which are ended with the test."""

    def start(*arguments: str | Path) -> Flashpy:
        return stack.enter_context(Flashpy(*arguments, "--reload", "--port", "0", "--access-log"))

    return start


@contextmanager
def listening(server: Flashpy) -> Iterator[Client]:
    """A client that listens, and has been told so."""
    with server.client() as client:
        client.ask("/-/reload", "Accept: text/event-stream")
        head = client.head()
        assert head.status == 200
        assert head.fields["content-type"] == "text/event-stream"
        assert head.fields["connection"] == "close"
        assert "content-length" not in head.fields
        assert told(client) == b"retry: 500"
        yield client


def told(client: Client) -> bytes:
    """The next event, or comment."""
    event = b""
    while not event.endswith(b"\n\n"):
        event += client.read(1)
    return event[:-2]


def watching(server: Flashpy) -> set[int]:
    """The watching helpers."""
    return {pid for pid in descendants_of(server.pid) if title_of(pid).startswith("flashpy: watching helper")}


def change(path: Path, text: str) -> None:
    """Write a file anew, as editors do: beside it, and in its place."""
    beside = path.with_name(path.name + "~")
    beside.write_text(text)
    beside.rename(path)


# What is said


def test_a_change_is_told_to_all_who_listen(root: Path, start: Callable[..., Flashpy]) -> None:
    """Of style sheets only, that they are; of anything else, that the page is another."""
    server = start(root)
    with listening(server) as one, listening(server) as two:
        (root / "style.css").write_text("p {}")
        assert [told(one), told(two)] == [b"data: styles"] * 2
        change(root / "index.html", "new")
        assert [told(one), told(two)] == [b"data: page"] * 2
        assert server.get().body.startswith(b"new")
        assert server.end() == 0  # nobody waits for those who listen
        assert one.rest() == b""
    assert '"GET /-/reload HTTP/1.1" 200' in server.stdout
    assert "rror" not in server.stderr


def test_what_is_new_is_served_as_soon_as_it_is_told(root: Path, start: Callable[..., Flashpy]) -> None:
    server = start(root)
    with listening(server) as client, server.client() as reader:
        for number in range(5):
            change(root / "index.html", f"page {number}")
            assert told(client) == b"data: page"
            assert reader.get("/").body.startswith(f"page {number}".encode())


def test_a_directory_that_is_new_is_watched_too(root: Path, start: Callable[..., Flashpy]) -> None:
    with listening(start(root)) as client:
        (root / "sub").mkdir()
        assert told(client) == b"data: page"
        (root / "sub" / "style.css").write_text("")
        assert told(client) == b"data: styles"


def test_another_release_is_told_and_watched(tmp_path: Path, start: Callable[..., Flashpy]) -> None:
    """The root is a link, which comes to lead to another directory."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "index.html").write_text(name)
    (tmp_path / "current").symlink_to("one")
    server = start(tmp_path / "current")
    with listening(server) as client:
        before = watching(server)
        (tmp_path / "next").symlink_to("two")
        (tmp_path / "next").rename(tmp_path / "current")
        assert told(client) == b"data: page"
        assert server.get().body.startswith(b"two")
        assert told(client) == b"data: page"  # another helper watches; what has changed meanwhile, nobody has seen
        assert not watching(server) & before
        (tmp_path / "two" / "style.css").write_text("")
        assert told(client) == b"data: styles"


def test_a_watching_helper_that_dies_is_replaced(root: Path, start: Callable[..., Flashpy]) -> None:
    server = start(root)
    assert server.urls
    (pid,) = watching(server)
    (title,) = (title_of(pid),)
    assert title.startswith("flashpy: watching helper of")
    subprocess.run(["kill", "-KILL", str(pid)], check=True)
    eventually("there is another", lambda: watching(server) - {pid})
    (other,) = watching(server) - {pid}
    assert server.end() == 0
    eventually("it ends with the server", lambda: not is_alive(other))


def test_too_many_who_listen_are_turned_away(root: Path, start: Callable[..., Flashpy], stack: ExitStack) -> None:
    """And those who have gone make room."""
    server = start(root)
    clients = [stack.enter_context(listening(server)) for _ in range(64)]
    assert server.get("/-/reload").status == 503
    clients.pop().close()
    with ExitStack() as inner:
        eventually("there is room again", lambda: _listens(inner.enter_context(server.client())))
    assert server.get("/style.css").status == 200


def _listens(client: Client) -> bool:
    client.ask("/-/reload")
    return client.head().status == 200


def test_reading_the_configuration_again_ends_the_streams(
    root: Path, start: Callable[..., Flashpy], tmp_path: Path
) -> None:
    """A browser comes again by itself."""
    file = tmp_path / "flashpy.toml"
    file.write_text('[site]\nroot = "site"\n')
    server = start("-c", file)
    with listening(server) as client:
        server.tell(signal.SIGHUP)
        assert client.rest() == b""
    with listening(server) as client:
        change(root / "index.html", "new")
        assert told(client) == b"data: page"


# What pages get


def test_pages_get_the_script_and_nothing_else_does(root: Path, start: Callable[..., Flashpy]) -> None:
    server = start(root)
    with server.client() as client:
        page = client.get("/", "Accept-Encoding: gzip", 'If-None-Match: "x"', "Range: bytes=0-3")
        assert page.status == 200
        assert page.body == PAGE.format("page-1").encode() + b"\n" + TAG + b"\n"
        assert page.fields["cache-control"] == "no-cache"
        assert not {"etag", "last-modified", "accept-ranges"} & page.fields.keys()
        client.ask("/", method="HEAD")
        assert client.head().fields == page.fields | {"date": page.fields["date"]}
        style = client.get("/style.css")
        assert style.body == STYLE.format("style-1").encode()
        assert style.fields["cache-control"] == "no-cache"
        again = client.get("/style.css", f"If-None-Match: {style.fields['etag']}")
        assert (again.status, again.fields["cache-control"]) == (304, "no-cache")
        assert client.get("/style.css", "Range: bytes=0-3").body == b"p { "
        script = client.get("/-/reload.js")
        assert b"EventSource" in script.body
        client.ask("/-/reload", method="HEAD")
        assert client.head().status == 200


def test_a_large_page_gets_it_too(root: Path, start: Callable[..., Flashpy]) -> None:
    """It is sent from its descriptor, the script from memory."""
    (root / "large.html").write_bytes(b"x" * 1_000_000)
    assert start(root).get("/large.html").body == b"x" * 1_000_000 + b"\n" + TAG + b"\n"


def test_a_client_of_http_1_0_listens(root: Path, start: Callable[..., Flashpy]) -> None:
    """No chunks: the body ends with the connection."""
    with start(root).client() as client:
        client.send(b"GET /-/reload HTTP/1.0\r\n\r\n")
        assert client.head().status == 200
        assert told(client) == b"retry: 500"
        change(root / "index.html", "new")
        assert told(client) == b"data: page"


def test_answers_before_it_leave_first(root: Path, start: Callable[..., Flashpy]) -> None:
    """Requests that came together, the stream the last of them."""
    with start(root).client() as client:
        request = b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n"
        client.send(request % b"/style.css" + request % b"/none" + request % b"/-/reload" + request % b"/")
        assert [client.answer().status, client.answer().status, client.head().status] == [200, 404, 200]
        assert told(client) == b"retry: 500"
        change(root / "index.html", "new")
        assert told(client) == b"data: page"


def test_without_the_option_there_is_nothing_of_it(root: Path) -> None:
    with Flashpy(root, "--port", "0") as server:
        assert TAG not in server.get().body
        assert server.get("/-/reload").status == 404
        assert not watching(server)


@pytest.mark.parametrize("arguments", [["--architecture", "sped"], ["-c", "two.toml"]])
def test_where_it_does_not_work_it_says_so(tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "two.toml").write_text("[server]\nworkers = 2\n")
    command = [sys.executable, "-m", "flashpy", "--reload", *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE, cwd=tmp_path, env=clean_environment(), check=False
    )
    assert done.returncode == 2
    assert re.fullmatch(r"flashpy: .*: server.reload: it takes one worker of the architecture amped\.\n", done.stderr)


# What a browser does


@pytest.fixture
def chromium(tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """Show an address in a browser, until the test ends."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("there is no Chromium here")
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        f"--user-data-dir={tmp_path / 'profile'}",
    ]
    with ExitStack() as stack:

        def show(url: str) -> None:
            quiet = subprocess.DEVNULL
            browser = stack.enter_context(
                subprocess.Popen([program, *options, "--remote-debugging-port=0", url], stdout=quiet, stderr=quiet)
            )
            stack.callback(browser.terminate)

        yield show


def test_a_browser_shows_what_has_changed(
    root: Path, start: Callable[..., Flashpy], chromium: Callable[[str], None]
) -> None:
    """A style sheet is changed in the page, any other file loads the page again."""
    server = start(root)

    def asked(path: str) -> int:
        return server.stdout.count(f'"GET {path}')

    chromium(server.urls[0] + "/")
    eventually("the page is shown, and listens", lambda: asked("/style-1.png") and asked("/-/reload HTTP"))
    pages = asked("/ ")
    change(root / "style.css", STYLE.format("style-2"))
    eventually("the new style is shown", lambda: asked("/style-2.png"))
    assert asked("/ ") == pages
    change(root / "index.html", PAGE.format("page-2"))
    eventually("the new page is shown", lambda: asked("/page-2.png"))
    assert asked("/ ") == pages + 1
