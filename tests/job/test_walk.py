"""Walks through real directories."""

import os
import socket
from pathlib import Path

import pytest

from flashpy.job.entries import TREE_BEGIN, tree_entry, tree_length
from flashpy.job.kinds import Outcome, Result, Walk
from flashpy.job.perform import perform
from flashpy.job.tar import END, length
from tests.children import NOBODY, in_child, needs_root, open_directory


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory with some of everything, and things beside it."""
    site = tmp_path / "site"
    (site / "b" / "deep" / "er").mkdir(parents=True)
    (site / "a").mkdir()
    for name in ("z.txt", "b/1", "b/deep/er/2", "a/3", ".secret", "b/.secret"):
        (site / name).write_bytes(name.encode())
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_bytes(b"outside")
    return site


def job(root: Path, path: str = "/", *allowed: Path, **more: object) -> Walk:
    """The walk through a directory beneath a root."""
    return Walk(tuple(map(os.fsencode, (root, *allowed))), os.fsencode(path), b"top")._replace(**more)  # type: ignore[arg-type]


def names(result: Result) -> list[str]:
    """What was found; the length must be that of its archive."""
    assert result.outcome is Outcome.WALKED and result.file is not None
    found, position, size = [], TREE_BEGIN, len(END)
    while (step := tree_entry(result.file, position)) is not None:
        entry, position = step
        found.append(os.fsdecode(entry.name) + "/" * entry.is_directory)
        size += length(b"top", entry)
    assert tree_length(result.file) == size
    return found


def test_all_that_is_there(root: Path) -> None:
    """Files of a directory before its directories, and each directory before what is in it."""
    assert names(perform(job(root))) == ["/", "z.txt", "a/", "a/3", "b/", "b/1", "b/deep/", "b/deep/er/", "b/deep/er/2"]
    assert names(perform(job(root, "/b/"))) == ["/", "1", "deep/", "deep/er/", "deep/er/2"]


def test_what_is_hidden(root: Path) -> None:
    """Names with a dot, and what an expression matches, with all that is in it."""
    assert {"b/.secret", ".secret"} <= set(names(perform(job(root, dotfiles=True))))
    assert names(perform(job(root, hide=(rb"/b/deep", rb".*\.txt")))) == ["/", "a/", "a/3", "b/", "b/1"]
    assert names(perform(job(root, "/b/", hide=(rb"/b/deep",)))) == ["/", "1"]


def test_links(root: Path) -> None:
    """Followed where they would be served; those that lead up, or outside, or nowhere, are not."""
    links = {
        "in": "z.txt", "dir": "a", "absolute": f"{root}/b/deep", "up": "..", "self": ".", "b/loop": "../b",
        "out": "../outside", "file": "../outside/file", "no": "nowhere",
    }  # fmt: skip
    for name, target in links.items():
        (root / name).symlink_to(target)
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.fspath(root / "socket"))
        found = names(perform(job(root)))
    assert found == [
        *("/", "in", "z.txt", "a/", "a/3", "absolute/", "absolute/er/", "absolute/er/2"),
        *("b/", "b/1", "b/deep/", "b/deep/er/", "b/deep/er/2", "dir/", "dir/3"),
    ]
    allowed = names(perform(job(root, "/", root.parent / "outside")))
    assert set(allowed) - set(found) == {"out/", "out/file", "file"}


def test_bounds(root: Path) -> None:
    """Of entries, and of bytes in the archive."""
    whole = perform(job(root))
    assert whole.file is not None
    assert perform(job(root, most_bytes=tree_length(whole.file))).outcome is Outcome.WALKED
    assert perform(job(root, most_bytes=tree_length(whole.file) - 1)).outcome is Outcome.TOO_LARGE
    assert perform(job(root, most_entries=10)).outcome is Outcome.WALKED  # the two that are hidden count
    assert perform(job(root, most_entries=9)).outcome is Outcome.TOO_LARGE
    (root / "big").touch()
    os.truncate(root / "big", 2**40)
    assert perform(job(root)).outcome is Outcome.TOO_LARGE


def test_very_deep(tmp_path: Path) -> None:
    """As deep as a path can name; what is beneath that cannot be served either."""
    fd = os.open(tmp_path, os.O_RDONLY)
    for _ in range(30):
        os.mkdir("d" * 200, dir_fd=fd)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
        os.close(os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
    os.close(fd)
    found = names(perform(job(tmp_path)))
    assert 15 < len([name for name in found if name.endswith("f")]) < 25


@pytest.mark.parametrize("path", ["/no/", "/z.txt/", "/../outside/"])
def test_what_is_no_directory_of_the_site(root: Path, path: str) -> None:
    """Missing."""
    assert perform(job(root, path)).outcome is Outcome.MISSING


@needs_root
def test_what_may_not_be_read_is_left_out() -> None:
    """Files and directories; if it is the very directory, the answer is that."""
    with open_directory() as place:
        for name in ("shut", "open"):
            (place / name).mkdir()
            (place / name / "file").write_bytes(b"x")
        (place / "open" / "private").write_bytes(b"x")
        (place / "open" / "private").chmod(0)
        (place / "shut").chmod(0o311)
        assert in_child(lambda: names(perform(job(place))), NOBODY) == ["/", "open/", "open/file"]
        assert in_child(lambda: perform(job(place, "/shut/")).outcome, NOBODY) is Outcome.FORBIDDEN


def test_no_descriptor_is_left_behind(root: Path) -> None:
    """Whatever the outcome."""
    before = len(os.listdir("/proc/self/fd"))
    for path, most in (("/", 10_000), ("/no/", 10_000), ("/", 3)):
        perform(job(root, path, most_entries=most))
    assert len(os.listdir("/proc/self/fd")) == before
