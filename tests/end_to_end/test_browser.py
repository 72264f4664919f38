"""Real sites in a real browser: a single-page application, as bundlers make them, and a tree of documentation."""

import shutil
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.chromium import PROGRAM, Chromium
from tests.running import Flashpy

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="needs Chromium")

APPLICATION = Path(__file__).parent / "application"
DOCUMENTATION = Path("/usr/share/doc/python3-doc/html")
SCRIPTS = Path("/usr/share/javascript")
SETTINGS = """
[site]
root = "site"
fallback = "/index.html"
encode = ["br", "zstd", "gzip"]
clean_urls = true
"""
HEADING = "document.querySelector('h1')?.textContent"
YEAR = "public, max-age=31536000, immutable"
SECONDS = 120


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """The application, with something to hear, served; its address."""
    shutil.copytree(APPLICATION, tmp_path / "site")
    script = tmp_path / "site" / "assets" / "index-DN4QxEGA.js"
    script.write_text(script.read_text() + "// as large as scripts are\n" * 2_000)
    with wave.open(str(tmp_path / "site" / "tone.wav"), "wb") as tone:
        tone.setparams((1, 2, 22_050, 0, "NONE", ""))
        tone.writeframes(bytes(2 * 22_050 * SECONDS))
    (tmp_path / "flashpy.toml").write_text(SETTINGS)
    with Flashpy("-c", tmp_path / "flashpy.toml", "--port", "0") as server:
        yield server.urls[0].rstrip("/")


def test_an_application_is_loaded(site: str) -> None:
    """Page, script, style sheet and picture come, text in brotli; what has a hash in its name may be kept for a year.
    On the next visit the page alone is asked for."""
    with Chromium() as browser:
        assert browser.visit(site + "/").status == 200
        browser.wait(f"{HEADING} === 'Home'")
        browser.wait("document.querySelector('img').naturalWidth === 64")
        assert browser.run("getComputedStyle(document.querySelector('h1')).color") == "rgb(1, 2, 3)"
        (script,) = browser.of("/assets/index-DN4QxEGA.js")
        assert (script.fields["content-encoding"], script.fields["cache-control"]) == ("br", YEAR)
        assert "immutable" not in browser.received[0].fields.get("cache-control", "")
        assert {answer.status for answer in browser.received} == {200}
        first = len(browser.received)
        browser.visit(site + "/users/7")
        again = [answer for answer in browser.received[first:] if "/assets/" in answer.url]
        assert again and all(answer.cached for answer in again)
        assert browser.complaints == []


def test_its_pages_are_reached_by_links_and_by_their_addresses(site: str) -> None:
    """By a link, by which a part of the script is loaded; by the address of a page that is no file; by going back."""
    with Chromium() as browser:
        browser.visit(site + "/")
        browser.run("document.querySelector('a[href=\"/statistics\"]').click()")
        browser.wait(f"{HEADING} === 'Statistics'")
        assert [answer.status for answer in browser.of("/assets/statistics-DOYP9uCB.js")] == [200]
        assert browser.visit(site + "/users/7").status == 200
        browser.wait(f"{HEADING} === 'User 7'")
        assert browser.visit(site + "/statistics").status == 200
        browser.wait(f"{HEADING} === 'Statistics'")
        browser.run("history.back()")
        browser.wait(f"{HEADING} === 'User 7'")
        assert browser.complaints == []


def test_an_asset_that_is_missing_is_not_found(site: str) -> None:
    """Not the page in its place, which would be no script."""
    with Chromium() as browser:
        browser.visit(site + "/")
        assert browser.run("fetch('/assets/index-DN4QxEGB.js').then(answer => answer.status)") == 404
        assert (
            browser.run("import('/assets/index-DN4QxEGB.js').then(() => 'loaded', error => error.name)") == "TypeError"
        )
        assert browser.visit(site + "/missing.png").status == 404
        assert all("404" in complaint for complaint in browser.complaints)


def test_clean_addresses(site: str) -> None:
    """A page without its suffix; and with it, it leads there."""
    with Chromium() as browser:
        assert browser.visit(site + "/about").status == 200
        assert browser.run(HEADING) == "About"
        browser.visit(site + "/about.html")
        assert browser.run("location.pathname") == "/about"
        assert [answer.status for answer in browser.of("/about.html")] == [301]
        assert browser.complaints == []


def test_media_are_sought_through(site: str) -> None:
    """To seek, the browser asks for a range from there on."""
    with Chromium() as browser:
        browser.visit(site + "/media")
        browser.wait("document.querySelector('audio').readyState >= 1")
        assert browser.run("document.querySelector('audio').duration") == SECONDS
        browser.run(
            "new Promise(sought => { const tone = document.querySelector('audio');"
            f" tone.onseeked = sought; tone.currentTime = {SECONDS - 10}; }}).then(() => null)"
        )
        first, *later = browser.of("/tone.wav")
        assert (first.status, first.fields["accept-ranges"]) == (206, "bytes")
        begin = int(later[-1].fields["content-range"].removeprefix("bytes ").partition("-")[0])
        assert later[-1].status == 206 and begin > 2 * 22_050 * (SECONDS - 30)
        assert browser.complaints == []


@pytest.mark.skipif(not DOCUMENTATION.exists(), reason="needs Debian's python3-doc")
def test_a_tree_of_documentation(tmp_path: Path) -> None:
    """Debian's documentation of Python, whose scripts are links that lead out of it: pages, anchors and the search."""
    settings = f'[site]\nroot = "{DOCUMENTATION}"\nallowed_roots = ["{SCRIPTS}"]\nencode = ["br", "gzip"]\n'
    (tmp_path / "flashpy.toml").write_text(settings)
    with Flashpy("-c", tmp_path / "flashpy.toml", "--port", "0") as server, Chromium() as browser:
        url = server.urls[0].rstrip("/")
        assert browser.visit(url + "/").status == 200
        assert browser.run("document.title").endswith("Documentation")
        for page in ("library/asyncio.html", "tutorial/index.html", "whatsnew/3.11.html", "genindex.html"):
            assert browser.visit(f"{url}/{page}").status == 200
        browser.visit(url + "/library/socket.html#socket.socket.sendmsg")
        assert browser.run("scrollY") > 0
        browser.visit(url + "/search.html?q=sendmsg")
        browser.wait("document.querySelectorAll('#search-results li').length > 0")
        assert browser.run("typeof jQuery") == "function"
        assert browser.of("underscore.js")[0].fields["content-encoding"] == "br"
        assert {answer.status for answer in browser.received} == {200}
        assert browser.complaints == []
