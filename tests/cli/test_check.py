"""``flashpy check``, end to end."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.running import PATIENCE, clean_environment


def check(file: Path, *arguments: str) -> tuple[int, str, list[str]]:
    """``flashpy check``: its exit code, and what it says."""
    command = [sys.executable, "-m", "flashpy", "check", "-c", str(file), *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE, env=clean_environment(), check=False
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr.splitlines()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "flashpy.toml"


def test_a_warning_does_not_fail_unless_it_is_strict(file: Path) -> None:
    file.write_text('[site]\nencode = ["br", "br"]\n')
    said = f'{file}, line 2: site.encode: "br" is in it 2 times; once is enough.'
    assert check(file) == (0, f"{file}: good.\n", [f"flashpy: warning: {said}"])
    assert check(file, "--strict") == (2, "", [f"flashpy: {said}"])


def test_all_that_is_missing_is_named(file: Path, tmp_path: Path) -> None:
    file.write_text('[site]\nfallback = "/app.html"\n[[site.mount]]\npath = "/docs"\nroot = "docs"\n')
    assert check(file) == (
        2,
        "",
        [
            f"flashpy: {file}, line 5: site.mount[0].root: there is no directory {tmp_path}/docs.",
            f"flashpy: {file}, line 2: site.fallback: there is no file {tmp_path}/app.html.",
        ],
    )


def test_what_cannot_be_compiled_is_named(file: Path) -> None:
    file.write_text('[site.cors]\norigins = ["*"]\ncredentials = true\n')
    code, _, said = check(file)
    assert code == 2
    assert len(said) == 1
    assert "site.cors: With credentials each origin must be named" in said[0]
