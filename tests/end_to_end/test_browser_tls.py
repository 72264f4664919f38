"""A page with very many parts in a real browser, by TLS."""

from pathlib import Path

import pytest

from tests.end_to_end.chromium import PROGRAM, Chromium
from tests.running import Flashpy
from tests.tls.authority import Authority

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="needs Chromium")

PARTS = 100
LOADED = "window.loaded === {} && document.readyState === 'complete'"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A page that asks for a hundred files: scripts, styles, pictures and texts, small ones and large."""
    site = tmp_path / "site"
    site.mkdir()
    tags = ["<script>window.loaded = 0</script>"]
    for number in range(PARTS):
        match number % 4:
            case 0:
                name, data = f"{number}.js", f"window.loaded++ // {'x' * 500 * number}"
                tags.append(f"<script src='{name}' defer></script>")
            case 1:
                name, data = f"{number}.css", f"p {{ color: rgb({number}, 0, 0) }} /* {'x' * 500 * number} */"
                tags.append(f"<link rel='stylesheet' href='{name}' onload='window.loaded++'>")
            case 2:
                name, long = f"{number}.svg", f"<!-- {'x' * 500 * number} -->"
                data = f"<svg xmlns='http://www.w3.org/2000/svg' width='{number}' height='9'/>{long}"
                tags.append(f"<img src='{name}' onload='window.loaded += this.naturalWidth === {number}'>")
            case _:
                name, data = f"{number}.txt", "x" * 2_000 * number
                tags.append(
                    f"<script>fetch('{name}').then(answer => answer.text())"
                    f".then(text => {{ window.loaded += text.length === {len(data)} }})</script>"
                )
        (site / name).write_text(data)
    (site / "index.html").write_text(f"<!doctype html><title>Parts</title><link rel=icon href=data:,>{''.join(tags)}")
    return site


@pytest.mark.parametrize(("http2", "protocol"), [(True, "h2"), (False, "http/1.1")])
def test_a_page_of_a_hundred_parts(tmp_path: Path, site: Path, http2: bool, protocol: str) -> None:
    """All come, whole and in order, by one connection where it carries several at a time."""
    pair = Authority(tmp_path).issue("server")
    (tmp_path / "flashpy.toml").write_text(
        f"[server]\nhttp2 = {str(http2).lower()}\n[tls]\nbind = ['127.0.0.1:0']\n"
        f"[[tls.certificate]]\nfile = '{pair.file}'\nkey = '{pair.key}'\n[site]\nroot = '{site}'\n"
    )
    with Flashpy("-c", tmp_path / "flashpy.toml") as server, Chromium() as browser:
        (url,) = server.urls
        assert url.startswith("https://")
        browser.call("Security.setIgnoreCertificateErrors", ignore=True)  # it does not know the authority
        assert browser.visit(url + "/").status == 200
        browser.wait(LOADED.format(PARTS))
        parts = browser.of(url)
        assert len(parts) == PARTS + 1
        assert {(part.status, part.protocol) for part in parts} == {(200, protocol)}
        assert (len({part.connection for part in parts}) == 1) == http2
        assert browser.complaints == []
