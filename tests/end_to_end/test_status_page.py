"""The status page in a real browser, while the server has something to do."""

import re
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.end_to_end.chromium import PROGRAM, Chromium
from tests.running import Flashpy, eventually
from tests.supervisor.supervised import Load, write

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="needs Chromium")

UPDATES = "Number(document.documentElement.dataset.updates || 0)"
TEXT = "document.getElementById('{}').textContent"


@pytest.fixture
def page(stack: ExitStack, tmp_path: Path) -> str:
    """The address of the page of a server under load."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("hello")
    file = write(tmp_path / "flashpy.toml", server="workers = 2")
    server = stack.enter_context(Flashpy("-c", file, "--admin", "127.0.0.1:0"))
    assert server.urls
    load = Load(stack, file, connections=2)
    eventually("there is load", lambda: load.answered > 100)
    address = re.search(r"Status and metrics are at (http\S+)", server.stderr)
    assert address is not None
    return f"{address[1]}/-/status"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_shows_how_it_goes_and_updates_itself(page: str, scheme: str) -> None:
    """With nothing but what the server itself has, and no complaint of the browser."""
    with Chromium() as browser:
        browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        browser.visit(page)
        browser.wait(f"{UPDATES} > 2 && {TEXT.format('requests')} !== '0'")
        assert browser.run(TEXT.format("state")) == "Serving"
        assert browser.run("document.querySelectorAll('#workers tbody tr').length") == 2
        assert browser.run("document.querySelectorAll('#caches tbody tr').length") == 5
        assert browser.run("document.querySelector('#requests-chart .line').getAttribute('d').length") > 10
        first = browser.run("document.querySelector('#statuses dd:last-child').textContent")
        browser.wait(f"document.querySelector('#statuses dd:last-child').textContent !== {first!r}")
        dark = browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(18, 21, 26)"
        assert dark == (scheme == "dark")
        assert browser.complaints == []
        assert {answer.url.split("/-/")[0] for answer in browser.received} == {page.split("/-/")[0]}


@pytest.mark.parametrize("width", [360, 390, 768, 1280])
def test_it_fits_where_it_is_shown(page: str, width: int) -> None:
    """On a telephone, too."""
    with Chromium() as browser:
        browser.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 500
        )
        browser.visit(page)
        browser.wait(f"{UPDATES} > 1")
        assert browser.run("document.documentElement.scrollWidth") <= width


def test_it_says_when_there_is_no_answer_any_more(stack: ExitStack, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("hello")
    server = stack.enter_context(Flashpy(tmp_path, "--port", "0", "--admin", "127.0.0.2:0"))
    assert server.urls
    address = re.search(r"Status and metrics are at (http\S+)", server.stderr)
    assert address is not None
    with Chromium() as browser:
        browser.visit(f"{address[1]}/-/status")
        browser.wait(f"{TEXT.format('state')} === 'Serving'")
        assert server.end() == 0
        browser.wait(f"{TEXT.format('state')} === 'No answer'")


def test_what_clients_say_is_text(stack: ExitStack, tmp_path: Path) -> None:
    """The cause of a stall has a path in it, which may look like markup."""
    name = "<img src=x onerror=alert(1)>"
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("hello")
    server = stack.enter_context(Flashpy(tmp_path / "site", "--port", "0", "--admin", "127.0.0.2:0"))
    assert server.urls
    address = re.search(r"Status and metrics are at (http\S+)", server.stderr)
    assert address is not None
    with Chromium() as browser:
        browser.visit(f"{address[1]}/-/status")
        browser.wait(f"{UPDATES} > 0")
        shown = browser.run(
            "fetch('/-/status.json').then((answer) => answer.json()).then((view) => {"
            f"view.stalls.worst = [{{seconds: 0.5, cause: {name!r}, ago: 3}}];"
            "window.fetch = () => Promise.resolve({ok: true, json: () => Promise.resolve(view)});"
            "return true; })"
        )
        assert shown
        browser.wait(f"document.querySelector('#stalls td:nth-child(2)')?.textContent === {name!r}")
        assert browser.run("document.querySelectorAll('#stalls img').length") == 0
        assert browser.complaints == []
