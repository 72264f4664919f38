"""Server-Timing: what an answer has waited for, over real servers."""

import os
import re
from pathlib import Path

import pytest

from tests.running import Client, Flashpy

FORM = re.compile(r'queue;dur=(\d+\.\d{3}), helper;dur=(\d+\.\d{3}), residency;dur=(\d+\.\d{3});desc="(\w+)"')


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A small file, a large one, and the configuration."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "small").write_text("small")
    (tmp_path / "site" / "large").write_bytes(os.urandom(300_000))
    (tmp_path / "flashpy.toml").write_text(
        '[server]\nserver_timing = true\n[site]\nroot = "site"\n[cache]\nvalid = 60\n'
    )
    return tmp_path


def timing(client: Client, target: str, *fields: str) -> tuple[float, float, float, str]:
    """What the answer to a request says of queue, helper and residency."""
    value = client.get(target, *fields).fields["server-timing"]
    match = FORM.fullmatch(value)
    assert match, value
    return float(match[1]), float(match[2]), float(match[3]), match[4]


@pytest.mark.parametrize("architecture", ["amped", "sped"])
def test_what_is_cached_has_waited_for_nothing(site: Path, architecture: str) -> None:
    with (
        Flashpy("-c", site / "flashpy.toml", "--port", "0", "--architecture", architecture) as server,
        server.client() as client,
    ):
        _, helper, _, place = timing(client, "/small")
        assert helper > 0 and place == "memory"
        assert timing(client, "/small") == (0, 0, 0, "memory")
        assert timing(client, "/small", "Range: bytes=1-2") == (0, 0, 0, "memory")
        assert timing(client, "/missing")[1] > 0


def test_a_window_that_is_not_known_to_be_resident_is_loaded_first(site: Path) -> None:
    """Of a device of which nothing is known yet; then it is."""
    with Flashpy("-c", site / "flashpy.toml", "--port", "0") as server, server.client() as client:
        _, helper, waited, place = timing(client, "/large")
        assert (helper > 0, waited > 0, place) == (True, True, "loaded")
        assert timing(client, "/large") == (0, 0, 0, "resident")
        assert client.get("/large").body == (site / "site" / "large").read_bytes()


def test_nothing_is_said_unless_it_is_wanted(site: Path) -> None:
    with Flashpy(site / "site", "--port", "0") as server:
        assert "server-timing" not in server.get("/small").fields
