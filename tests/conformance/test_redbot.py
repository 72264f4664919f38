"""REDbot, a linter of HTTP resources, over what flashpy serves: no error, and no warning that is not explained."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flashpy.server import background
from tests.conformance.cases.tree import build
from tests.running import clean_environment

pytest.importorskip("redbot", reason="REDbot is not installed (pip install redbot)")

NOTES = Path(__file__).with_name("redbot_notes.py")
TARGETS = {
    "/page.html": 200,
    "/style.css": 200,
    "/picture.png": 200,
    "/large.bin": 200,
    "/sub/": 200,
    "/sub": 301,
    "/none.txt": 404,
    "/script.js": 200,
}
"""A page, a style sheet, a picture, a large file, a directory with and without its slash, what is not there, and a
script with coded siblings; and the status of each."""

SMALL = {"/page.html", "/style.css", "/picture.png", "/sub/"}
EXPLAINED = {
    "RANGE_CL_FULL": SMALL,  # it asks for 97 octets, and the file has fewer: the part is the whole
}
UNCONTROLLED = {
    "FRESHNESS_HEURISTIC": set(
        TARGETS
    ),  # no Cache-Control is set: how long caches may keep a file is the site's to say
    **EXPLAINED,
}
"""Warnings, and for which targets they are right."""


@pytest.fixture(scope="module", params=["", "max-age=3600"])
def control(request: pytest.FixtureRequest) -> str:
    """The Cache-Control of the site."""
    value: str = request.param
    return value


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory, control: str) -> Iterator[str]:
    """Where the tree of the conformance table is served."""
    headers = {"Cache-Control": control} if control else {}
    site = {"precompressed": ["br", "gzip"], "headers": headers}
    with background(build(tmp_path_factory.mktemp("redbot")), site=site) as server:
        yield server.url.rstrip("/")


@pytest.mark.parametrize("target", TARGETS)
def test_redbot_finds_nothing_wrong(url: str, control: str, target: str) -> None:
    """Its further requests for ranges, codings and validators are answered to its liking too."""
    command = [sys.executable, str(NOTES), url + target]
    done = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["status"] == TARGETS[target]
    explained = EXPLAINED if control else UNCONTROLLED
    wrong = {
        (note["level"], note["name"], note["summary"])
        for note in found["notes"]
        if note["level"] == "bad" or (note["level"] == "warning" and target not in explained.get(note["name"], ()))
    }
    assert wrong == set()
    if target == "/script.js":
        assert "CONNEG_GZIP_GOOD" in {note["name"] for note in found["notes"]}
