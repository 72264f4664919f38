"""HTTP/2 with clients that others wrote."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import Flashpy

DATA = bytes(range(256)) * 4_000


@pytest.fixture
def flashpy(tmp_path: Path) -> Iterator[Flashpy]:
    """A server from the command line, two workers."""
    (tmp_path / "data.bin").write_bytes(DATA)
    (tmp_path / "small").write_bytes(DATA[:1_000])
    config = tmp_path / "flashpy.toml"
    config.write_text("[server]\nhttp2 = true\nworkers = 2\nbind = ['127.0.0.1:0']\n[site]\nroot = '.'\n")
    with Flashpy("-c", config) as flashpy:
        yield flashpy
        assert flashpy.end() == 0


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_curl(flashpy: Flashpy, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{flashpy.port}"
    command = ["curl", "-sS", "--noproxy", "*", "--http2-prior-knowledge", "-w", "%{http_version} %{http_code} "]
    said = []
    for path in ("/data.bin", "/nothing"):  # curl 7.88 cannot ask twice on one connection of prior knowledge
        asked = [*command, "-o", str(tmp_path / "got" / path[1:]), "--create-dirs", url + path]
        said.append(subprocess.run(asked, check=True, timeout=30, capture_output=True, text=True).stdout)
    assert said == ["2 200 ", "2 404 "]
    assert (tmp_path / "got" / "data.bin").read_bytes() == DATA


@pytest.mark.skipif(shutil.which("h2load") is None, reason="needs h2load (Debian: nghttp2-client)")
def test_h2load(flashpy: Flashpy) -> None:
    command = ["h2load", "-n", "20000", "-c", "50", "-m", "32", f"http://127.0.0.1:{flashpy.port}/small"]
    done = subprocess.run(command, check=True, timeout=50, capture_output=True, text=True)
    assert "20000 succeeded, 0 failed, 0 errored, 0 timeout" in done.stdout
