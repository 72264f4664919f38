"""The fixture ``flashpy_server``, in a pytest of its own."""

import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

from tests.running import PATIENCE, REPOSITORY, clean_environment

TESTS = """
import urllib.request

def test_serves_the_temporary_directory(flashpy_server, tmp_path):
    (tmp_path / "a.txt").write_text("a")
    with urllib.request.urlopen(flashpy_server.url + "/a.txt") as answer:
        assert answer.read() == b"a"

def test_serves_the_directory_of_this_test_only(flashpy_server, tmp_path):
    assert flashpy_server.config.site.root == str(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert flashpy_server.metrics()["requests"] == 0
"""


def run_pytest(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """pytest in a directory, all warnings being errors, with the plugin as the entry point or by its name."""
    installed = any(point.name == "flashpy" for point in entry_points(group="pytest11"))
    plugin = [] if installed else ["-p", "flashpy.pytest_plugin"]
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-W",
            "error",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:asyncio",
            *plugin,
            *arguments,
        ],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
        env=clean_environment(),
    )


def test_the_fixture_serves(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TESTS)
    done = run_pytest(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_the_fixture_is_listed_with_its_purpose(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, "--fixtures")
    assert "flashpy_server" in done.stdout
    assert "A flashpy that serves ``tmp_path``" in done.stdout


def test_the_plugin_costs_nothing_where_it_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("import sys\n\ndef test_it():\n    assert 'uvloop' not in sys.modules\n")
    done = run_pytest(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_entry_point_names_the_plugin() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"flashpy": "flashpy.pytest_plugin"}
