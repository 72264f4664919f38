"""Coded siblings: which files get them, and what becomes of those that there are."""

import gzip
import os
import random
from pathlib import Path

import brotli
import pytest

from flashpy import siblings
from flashpy.siblings import End, Task, find, make
from tests.children import NOBODY, in_child, needs_root, open_directory

TEXT = b"the quick brown fox jumps over the lazy dog, " * 100
NOISE = random.Random(1).randbytes(5000)


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A file that gets smaller."""
    path = tmp_path / "page.html"
    path.write_bytes(TEXT)
    return path


def task(path: Path, coding: bytes = b"br") -> Task:
    """A sibling to be made."""
    return Task(path, coding, path.stat().st_size)


def test_which_files(tmp_path: Path) -> None:
    """Of a kind that gets smaller, large enough, served, and beneath the directory; never siblings themselves."""
    outside = tmp_path / "outside"
    root = tmp_path / "site"
    for path in (
        *("a.html", "b.css.br", "b.css.gz", "c.png", ".htpasswd.txt", "sub/d.js", ".git/e.txt", ".well-known/f.txt"),
        "small.txt",
    ):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(TEXT if path != "small.txt" else b"x")
    outside.mkdir()
    (outside / "secret.txt").write_bytes(TEXT)
    (root / "out.txt").symlink_to(outside / "secret.txt")
    (root / "outdir").symlink_to(outside)
    (root / "in.txt").symlink_to("a.html")
    (root / "loop.txt").symlink_to("loop.txt")
    os.mkfifo(root / "fifo.txt")
    (root / "dir.html").mkdir()
    found = {os.fspath(path.relative_to(root)): size for path, size in find(root, 2)}
    assert found == dict.fromkeys(("a.html", "in.txt", "sub/d.js", ".well-known/f.txt"), len(TEXT))
    assert "small.txt" in {path.name for path, _ in find(root, 1)}


def test_a_root_that_is_a_link(tmp_path: Path, page: Path) -> None:
    link = tmp_path.parent / f"{tmp_path.name}-link"
    link.symlink_to(tmp_path)
    assert [path for path, _ in find(link, 1)] == [link / "page.html"]


def test_it_has_the_files_time_and_mode(page: Path) -> None:
    os.utime(page, ns=(10**18 + 1, 10**18 + 7))
    page.chmod(0o740)
    outcome = make(task(page))
    sibling = page.with_name("page.html.br")
    assert (outcome.end, outcome.size) == (End.WRITTEN, sibling.stat().st_size)
    assert brotli.decompress(sibling.read_bytes()) == TEXT
    assert sibling.stat().st_mtime_ns == 10**18 + 7
    assert sibling.stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in page.parent.iterdir()) == ["page.html", "page.html.br"]


def test_what_is_current_is_left(page: Path) -> None:
    assert make(task(page)).end is End.WRITTEN
    sibling = page.with_name("page.html.br")
    before = sibling.stat()
    assert make(task(page)).end is End.CURRENT
    assert sibling.stat().st_ino == before.st_ino
    os.utime(page, ns=(1, 1))
    assert make(task(page)).end is End.WRITTEN
    assert sibling.stat().st_ino != before.st_ino


def test_what_grows_has_none_and_an_old_one_goes(page: Path) -> None:
    """It would be served in place of the new version."""
    assert make(task(page, b"gzip")).end is End.WRITTEN
    page.write_bytes(NOISE)
    os.utime(page, ns=(1, 1))
    assert make(task(page, b"gzip")).end is End.GROWN
    assert [path.name for path in page.parent.iterdir()] == ["page.html"]


def test_a_link_in_its_place_is_replaced_and_not_followed(page: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"untouched")
    page.with_name("page.html.br").symlink_to(other)
    assert make(task(page)).end is End.WRITTEN
    assert other.read_bytes() == b"untouched"
    assert not page.with_name("page.html.br").is_symlink()


def test_a_file_that_changes_meanwhile(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is left behind, and the old sibling stays until the next time."""
    read = os.pread

    def reading(fd: int, length: int, position: int) -> bytes:
        os.utime(page, ns=(1, 1))
        return read(fd, length, position)

    monkeypatch.setattr(os, "pread", reading)
    outcome = make(task(page))
    assert (outcome.end, outcome.why) == (End.FAILED, "it has changed meanwhile")
    assert [path.name for path in page.parent.iterdir()] == ["page.html"]


def test_what_cannot_be_done_is_said(page: Path) -> None:
    page.with_name("page.html.br").mkdir()
    assert make(task(page)).why == "Is a directory"
    gone = task(page, b"gzip")
    page.unlink()
    assert make(gone).why == "No such file or directory"
    assert [path.name for path in gone.path.parent.iterdir()] == ["page.html.br"]


@needs_root
def test_the_owner_is_the_files(page: Path) -> None:
    """Or the server, which may read the file, could not read its sibling, and would answer 403."""
    os.chown(page, NOBODY, NOBODY)
    page.chmod(0o600)
    assert make(task(page)).end is End.WRITTEN
    found = page.with_name("page.html.br").stat()
    assert (found.st_uid, found.st_gid) == (NOBODY, NOBODY)


@needs_root
def test_who_may_not_give_files_away_keeps_them() -> None:
    with open_directory() as directory:
        directory.chmod(0o777)
        page = directory / "page.html"
        page.write_bytes(TEXT)
        assert in_child(lambda: make(task(page)).end.name, user=NOBODY) == "WRITTEN"
        assert page.with_name("page.html.br").stat().st_uid == NOBODY


def test_zopfli_is_gzip_and_smaller(page: Path) -> None:
    pytest.importorskip("zopfli")
    page.write_bytes(b" ".join(b"%d" % random.Random(seed).randrange(1000) for seed in range(5000)))
    plain = make(task(page, b"gzip"))
    page.with_name("page.html.gz").unlink()
    small = make(task(page, b"gzip")._replace(zopfli=True))
    assert small.size < plain.size
    assert gzip.decompress(page.with_name("page.html.gz").read_bytes()) == page.read_bytes()


def test_a_large_file_is_not_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes through in windows; what has grown beyond the file is not finished."""
    path = tmp_path / "noise.txt"
    path.write_bytes(random.Random(2).randbytes(2**21))
    monkeypatch.setitem(siblings.LEVELS, b"br", 1)
    assert make(task(path)).end is End.GROWN
