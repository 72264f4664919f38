"""Names with a content hash: those that bundlers write, and those that only look a little like it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashpy.routing.content_hash import has_content_hash

HASHED = """
app.3f9a1c2b.js index-BfXk29Qa.css main.3f9a1c2b.chunk.js main.3f9a1c2b.js.map 2.3f9a1c2b.chunk.css
runtime~main.3f9a1c2b.js logo.5d5d9eef.svg vendors~app.3f9a1c2b4d5e6f708192.js src-Cl6CiemE.js index.DxY1-2aQ.css
4bd1b696-182b6b13bdad92e3.js styles.a1b2c3d4e5f6.css main-5QHEYB3V.js inter-latin-5a3c9f1e.woff2 book-a0b12cfe.js
application-0e9f2a4c5b6d7e8f901a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f70.js highlight-493f70e1.css
open-sans-v17-all-charsets-600-486c6759.woff2 mark-09e88c2c.min.js useAuth-C3_x1aZk.js photo.3f9a1c2b.webp
logo_3f9a1c2b.png media.B7kQ2_xZ.mp4 style.3f9a1c2b.css.map worker-Dk3fP9aQ.mjs index-BVsJjDYC.js index-DUnbxcH0.js
app-xK29BfQa.js
"""

PLAIN = """
jquery-3.7.1.min.js report-20240131.pdf IMG_20230401.jpg bootstrap.bundle.js index-download.html index.3f9a1c2b.html
index-BfXk29Qa.htm app.js app.min.js 3f9a1c2b.js .3f9a1c2b.js app.3f9a1c2.js app.deadbeef.js app.12345678.js
app.facade01.js photo-2024013a.jpg report.3f9a1c2b.pdf data.3f9a1c2b.json page.3f9a1c2b index-download.js
photo-Download.jpg Lato-SemiBold.woff2 Roboto-DemiBold.ttf ui-ComboBox.js trait.OsStrExt.js struct.Utf8Char.js
book-Chapter2.png slides-Part2of3.png lib-Base64Fn.js app-v2Final3.js lib-v2-Beta3.js lib-1-Beta-2.js
trip-DSCN2345.jpg img-DSC02345.jpg app-DOWNLOAD.js three.module.js vue.esm-browser.prod.js react-dom.production.min.js
user-507f1f77bcf86cd799439011.jpg 3f9a1c2b-12a4-4abc-9def-1f3a5b7c9d0e.jpg a-3f9a1c2b-12a4-4abc-9def-1f3a5b7c9d0e.png
es2015-polyfills.js material-icons.css sha256sum.js app-.js -3f9a1c2b.js app..3f9a1c2b.js index-3F9A1C2B.css README
service-worker.js sw.js favicon-32x32.png apple-touch-icon-180x180.png leaflet-src.js d3.v7.min.js d3-v7-12-Zz.js
react-DataGrid.js ui-DropDown.js lib-CSSStyle.js lib-DOMUtils.js api-Build2v3.js ab-Cyrl-BAx.js select2-4.1.0-rc.0.css
lodash-4.17.21.js angular-ui-router.js locale-zh-Hans-CN.js map-2024-Q1.png
"""


@pytest.mark.parametrize("name", HASHED.split())
def test_what_bundlers_write(name: str) -> None:
    """webpack, Vite, Rollup, esbuild, Parcel, Astro, Next.js, Rails, Django, mdBook."""
    assert has_content_hash(name.encode())


@pytest.mark.parametrize("name", PLAIN.split())
def test_what_may_change(name: str) -> None:
    """Versions, dates, words, numbers, identifiers, and pages in any case."""
    assert not has_content_hash(name.encode())


@given(st.text("0123456789abcdef", min_size=8, max_size=64), st.sampled_from([".", "-", "_", "~"]))
def test_hexadecimal_hashes(token: str, separator: str) -> None:
    """Those in which letters and figures are mixed; never the ones that are all of one kind."""
    found = has_content_hash(f"app{separator}{token}.js".encode())
    if token.isdigit() or token.isalpha():
        assert not found
    assert has_content_hash(f"app{separator}{token}.html".encode()) is False


@given(st.binary(max_size=40))
def test_any_name_has_an_answer(name: bytes) -> None:
    """File names are bytes; and none that is a page has a hash."""
    has_content_hash(name)
    assert not has_content_hash(name + b".html")


@pytest.mark.timeout(20)
@pytest.mark.parametrize("part", [b".min", b"-", b".js", b"a-", b"-aB3", b".a", b"0a-"])
def test_no_name_makes_it_slow(part: bytes) -> None:
    """Names come from clients."""
    assert not has_content_hash(part * 2_000 + b"!.js!")
    assert not has_content_hash(part * 2_000 + b"!.js")
