"""``flashpy compress``, end to end."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.running import PATIENCE, Flashpy, clean_environment, eventually

TEXT = b"the quick brown fox jumps over the lazy dog, " * 100


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site of two pages and a picture."""
    root = tmp_path / "site"
    (root / "sub").mkdir(parents=True)
    for name in ("index.html", "sub/page.html", "picture.png"):
        (root / name).write_bytes(TEXT)
    return root


def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """``flashpy compress ARGUMENTS``."""
    command = [sys.executable, "-m", "flashpy", "compress", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE, env=clean_environment(**environment), check=False
    )


def names(root: Path) -> set[str]:
    """All files beneath a directory."""
    return {os.fspath(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_what_it_writes_is_served(site: Path) -> None:
    """With the file's media type, and in the coding that the client prefers."""
    done = run(site)
    assert done.returncode == 0
    assert done.stdout.startswith("6 siblings written (27,000 bytes became ")
    ends = ("", ".br", ".zst", ".gz")
    assert names(site) == {name + end for name in ("index.html", "sub/page.html") for end in ends} | {"picture.png"}
    (site.parent / "flashpy.toml").write_text('[site]\nroot = "site"\nprecompressed = ["br", "zstd", "gzip"]\n')
    with Flashpy("-c", site.parent / "flashpy.toml", "--port", "0") as server, server.client() as client:
        for coding, end in (("br", ".br"), ("zstd", ".zst"), ("gzip", ".gz")):
            answer = client.get("/sub/page.html", f"Accept-Encoding: {coding}")
            assert (answer.fields["content-encoding"], answer.fields["vary"]) == (coding, "Accept-Encoding")
            assert answer.fields["content-type"].startswith("text/html")
            assert answer.body == (site / f"sub/page.html{end}").read_bytes()


def test_a_second_run_has_nothing_to_do(site: Path) -> None:
    run(site)
    before = names(site)
    assert run(site).stdout == "0 siblings written, 6 up to date.\n"
    (site / "index.html").write_bytes(TEXT[1:])
    assert run(site).stdout.endswith(" %), 3 up to date.\n")
    assert names(site) == before


def test_what_is_asked_for(site: Path) -> None:
    """One coding, a least size, a number of processes."""
    (site / "index.html").write_bytes(TEXT * 3)
    done = run(site, "--coding", "gzip", "--min-size", "5000", "-j", "1")
    assert done.returncode == 0
    assert names(site) == {"index.html", "index.html.gz", "sub/page.html", "picture.png"}


def test_an_empty_directory(tmp_path: Path) -> None:
    assert run(tmp_path).stdout == "0 siblings written.\n"


def test_what_fails_is_named_and_the_rest_is_done(site: Path) -> None:
    (site / "index.html.br").mkdir()
    done = run(site)
    assert done.returncode == 1
    assert f"{site}/index.html.br: Is a directory.\n" in done.stderr
    assert done.stdout.startswith("5 siblings written") and done.stdout.endswith(", 1 failed.\n")
    assert "Traceback" not in done.stderr


def test_names_that_are_no_text(site: Path) -> None:
    os.makedirs(os.fsencode(site) + b"/\xff.html.br")
    Path(os.fsdecode(os.fsencode(site) + b"/\xff.html")).write_bytes(TEXT)
    done = run(site)
    assert done.returncode == 1
    assert "\N{REPLACEMENT CHARACTER}.html.br: Is a directory." in done.stderr


@pytest.mark.parametrize("arguments", [["none"], ["--coding", "deflate", "."], ["--jobs", "0", "."], []])
def test_bad_arguments(arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("Usage: ") and "Traceback" not in done.stderr


def test_without_a_library(site: Path, tmp_path: Path) -> None:
    """The others' siblings are written; unless it was asked for by name."""
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['brotli'] = None\n")
    path = os.pathsep.join((str(tmp_path), os.getcwd()))
    done = run(site, PYTHONPATH=path)
    assert "No library for br is installed; pip install 'flashpy-server[coding]' does it." in done.stderr
    assert names(site) >= {"index.html.zst", "index.html.gz"} and "index.html.br" not in names(site)
    assert run(site, "--coding", "br", PYTHONPATH=path).returncode == 2


def test_an_interrupt(site: Path) -> None:
    """What is in place is whole, nothing else is left, and no process stays."""
    text = b" ".join(b"%d" % (number * number * 7919 % 10007) for number in range(20_000))
    for number in range(300):
        (site / f"{number}.txt").write_bytes(text)
    command = [sys.executable, "-m", "flashpy", "compress", str(site), "--coding", "br"]
    with subprocess.Popen(
        command, env=clean_environment(), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, process_group=0
    ) as process:
        eventually("it is at work", lambda: len(names(site)) > 305)
        os.killpg(process.pid, signal.SIGINT)
        _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "Traceback" not in stderr
    assert not any(".flashpy-" in name for name in names(site))
    assert len(names(site)) < 603
