"""Clients that others wrote: what they make of the answers."""

import shutil
import subprocess
from pathlib import Path

import httpx2
import pytest

from flashpy.server import Background

DATA = bytes(range(256)) * 2_000


def test_a_client_library(flashpy_server: Background, tmp_path: Path) -> None:
    """Redirect, conditional request, range and error on one pooled connection."""
    (tmp_path / "data.bin").write_bytes(DATA)
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "index.html").write_text("<p>h\u00e9llo")
    with httpx2.Client(base_url=flashpy_server.url, trust_env=False) as client:
        whole = client.get("/data.bin")
        assert (whole.status_code, whole.content) == (200, DATA)
        again = client.get("/data.bin", headers={"If-None-Match": whole.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        part = client.get("/data.bin", headers={"Range": "bytes=-256", "If-Range": whole.headers["etag"]})
        assert (part.status_code, part.content) == (206, DATA[-256:])
        assert client.head("/data.bin").headers["content-length"] == str(len(DATA))
        page = client.get("/pages", follow_redirects=True)
        assert (page.url.path, page.text) == ("/pages/", "<p>h\u00e9llo")
        assert client.post("/data.bin", content=b"x").status_code == 405
    assert flashpy_server.metrics()["connections_accepted"] == 1


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_a_download_that_is_resumed(flashpy_server: Background, tmp_path: Path) -> None:
    """``curl -C -`` asks for what it lacks."""
    (tmp_path / "data.bin").write_bytes(DATA)
    partial = tmp_path / "partial"
    partial.write_bytes(DATA[:100_000])
    command = ["curl", "-sS", "--noproxy", "*", "-C", "-", "-o", str(partial), flashpy_server.url + "/data.bin"]
    subprocess.run(command, check=True, timeout=30)
    assert partial.read_bytes() == DATA
