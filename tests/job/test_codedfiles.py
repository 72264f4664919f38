"""Coded forms in a directory: what is found again, what is not, and how much there is."""

import errno
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flashpy.job.codedfiles import CodedFiles, EntryName, why_unfit
from flashpy.job.encode import SMALL, CodedForm
from flashpy.job.kinds import Identity, Outcome, Result
from tests.running import REPOSITORY

LARGE = 10**9


@pytest.fixture
def place(tmp_path: Path) -> Path:
    directory = tmp_path / "coded"
    directory.mkdir(mode=0o700)
    return directory


def files_in(place: Path, budget: int = 2**30) -> CodedFiles:
    return CodedFiles(os.fsencode(place), budget)


def name(number: int = 0) -> str:
    """A name of an entry."""
    made = EntryName(b"br5-1")
    made.add(b"%d" % number)
    return str(made)


def result(body: bytes) -> Result:
    """That of a coding."""
    coded = CodedForm()
    coded.add(body)
    small, file = coded.finish()
    return Result(Outcome.ENCODED, Identity(1, 2, len(body), 3, 4), file, small, name=b"br5-1")


def body_of(coded: CodedForm | None) -> bytes | None:
    """What has been found."""
    if coded is None:
        return None
    small, file = coded.finish()
    if file is not None:
        return os.pread(file.fd, LARGE, 0)
    return small


def find(files: CodedFiles, number: int = 0, below: int = LARGE) -> bytes | None:
    return body_of(files.find(name(number), below))


def names(place: Path) -> set[str]:
    return set(os.listdir(place))


def size_of(place: Path) -> int:
    """What is taken of the disk, in whole pages."""
    return sum(-(-path.lstat().st_size // 4096) * 4096 for path in place.iterdir())


@pytest.mark.parametrize("size", [1, SMALL, SMALL + 1, 3 * 2**20])
def test_what_is_kept_is_found(place: Path, size: int) -> None:
    """By others too; in a file that only who works may read."""
    body = os.urandom(size)
    files_in(place).keep(name(), result(body))
    assert find(files_in(place)) == body
    assert find(files_in(place), 1) is None
    (path,) = place.iterdir()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_name_says_what_makes_the_bytes() -> None:
    """Another content or another encoder is another entry; in how many pieces it comes does not matter."""
    made = {
        (tag, pieces): EntryName(tag) for tag in (b"br5-1", b"br5-2", b"br6-1") for pieces in ((b"ab",), (b"a", b"b"))
    }
    for (_, pieces), one in made.items():
        for piece in pieces:
            one.add(piece)
    assert len({str(one) for one in made.values()}) == 3
    other = EntryName(b"br5-1")
    other.add(b"ac")
    assert str(other) not in {str(one) for one in made.values()}


@pytest.mark.parametrize("size", [100, 2**20])
@pytest.mark.parametrize("harm", ["first", "middle", "last", "shorter", "shortest", "empty", "longer"])
def test_what_is_broken_is_removed(place: Path, size: int, harm: str) -> None:
    files = files_in(place)
    files.keep(name(), result(os.urandom(size)))
    path = place / name()
    content = bytearray(path.read_bytes())
    match harm:
        case "first" | "middle" | "last":
            content[{"first": 0, "middle": size // 2, "last": -1}[harm]] ^= 1
        case "shorter" | "shortest" | "empty":
            del content[{"shorter": -1, "shortest": 20, "empty": 0}[harm] :]
        case "longer":
            content += b"x"
    path.write_bytes(content)
    assert find(files) is None
    assert names(place) == set()
    files.keep(name(), result(b"again"))
    assert find(files) == b"again"


def test_an_entry_under_the_name_of_another_is_none(place: Path) -> None:
    files = files_in(place)
    files.keep(name(1), result(b"one"))
    (place / name(1)).rename(place / name(2))
    assert find(files, 2) is None
    assert names(place) == set()


def test_an_entry_that_is_no_smaller_than_the_file_is_none(place: Path) -> None:
    """Nor is so much read for it."""
    files = files_in(place)
    files.keep(name(), result(b"body"))
    assert find(files, below=5) == b"body"
    with (place / name()).open("ab") as file:
        file.truncate(2**40)
    assert find(files, below=5) is None
    assert names(place) == set()


def _link(path: Path) -> None:
    (path.parent.parent / "secret").write_bytes(b"secret")
    path.symlink_to("../secret")


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path.name)  # the whole path may be too long for one


@pytest.mark.parametrize("make", [_link, os.mkfifo, _socket])
def test_what_is_no_file_is_removed_and_not_followed(
    place: Path, make: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor waited for."""
    monkeypatch.chdir(place)
    make(place / name())
    files = files_in(place)
    assert find(files) is None
    assert names(place) == set()
    if make is _link:
        assert (place.parent / "secret").read_bytes() == b"secret"


@pytest.mark.skipif(os.getuid() != 0, reason="it takes root to give a file away")
def test_a_file_of_somebody_else_is_removed(place: Path) -> None:
    files = files_in(place)
    files.keep(name(), result(b"body"))
    os.chown(place / name(), 1, 1)
    assert find(files) is None
    assert names(place) == set()


def test_other_files_are_left_alone(place: Path) -> None:
    """Whatever somebody has put there: it is neither counted nor removed."""
    strange = {"notes.txt", "a" * 63, "A" * 64, ".new-1", "directory"}
    for one in strange - {"directory"}:
        (place / one).write_bytes(bytes(100_000))
        os.utime(place / one, (1, 1))
    (place / "directory").mkdir()
    (place / name(7)).mkdir()
    files = files_in(place, 40_000)
    for number in range(1, 7):
        files.keep(name(number), result(bytes(8_000)))
        assert find(files, number) == bytes(8_000)
    assert find(files, 7) is None
    assert names(place) >= strange | {name(7), name(6)}
    assert len(names(place)) < len(strange) + 7


def test_the_oldest_go_first(place: Path) -> None:
    """At no time is there more than the budget; what has just been written stays."""
    budget = 160 * 4096
    files = files_in(place, budget)
    for number in range(500):
        files.keep(name(number), result(bytes(4096 - 32)))
        os.utime(place / name(number), (number, number))
        assert size_of(place) <= budget
        assert find(files, number) is not None
        os.utime(place / name(number), (number, number))
    left = {number for number in range(500) if name(number) in names(place)}
    assert left == set(range(min(left), 500))
    assert len(left) >= 140


def test_several_share_a_budget(place: Path) -> None:
    """Each counts again now and then what all have written."""
    budget = 160 * 4096
    several = [files_in(place, budget) for _ in range(4)]
    for number in range(400):
        several[number % 4].keep(name(number), result(bytes(4096 - 32)))
        assert size_of(place) <= budget * 5 // 4


def test_what_others_have_written_is_counted_after_a_while(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = files_in(place, 400_000)
    files.keep(name(0), result(b"first"))
    for number in range(1, 151):
        (place / name(number)).write_bytes(bytes(4000))
    files.keep(name(151), result(b"second"))
    assert size_of(place) > 400_000
    later = time.monotonic() + 1000
    monkeypatch.setattr(time, "monotonic", lambda: later)
    files.keep(name(152), result(b"third"))
    assert size_of(place) <= 400_000
    assert find(files, 152) == b"third"


def test_what_is_larger_than_the_budget_is_not_kept(place: Path) -> None:
    files = files_in(place, 8192)
    files.keep(name(0), result(b"small"))
    files.keep(name(1), result(bytes(8192)))
    assert names(place) == {name(0)}


def test_a_use_is_noted_once_a_minute(place: Path) -> None:
    files = files_in(place)
    files.keep(name(), result(b"body"))
    path = place / name()
    now = time.time()
    for before, noted in ((1000.0, True), (30.0, False), (-1000.0, True)):
        os.utime(path, (now - before, now - before))
        find(files)
        assert (abs(path.stat().st_mtime - (now - before)) > 1) is noted


def test_what_a_killed_writer_has_left_goes_in_time(place: Path) -> None:
    """But not what may still be written."""
    for number, age in enumerate((0, 7200)):
        path = place / f".new-{number:016x}"
        path.write_bytes(b"half")
        os.utime(path, (time.time() - age, time.time() - age))
    files_in(place).keep(name(), result(b"body"))
    assert names(place) == {name(), f".new-{0:016x}"}


def test_a_writer_that_is_killed_leaves_no_entry(place: Path) -> None:
    """A real process, stopped for good in the middle of its writing."""
    script = f"""
import os, signal, sys
sys.path.insert(0, {str(REPOSITORY)!r})
from flashpy.job import codedfiles
from tests.job.test_codedfiles import files_in, name, result
from pathlib import Path
write = codedfiles.write_whole
def write_some(fd, data):
    write(fd, data)
    os.kill(os.getpid(), signal.SIGKILL)
codedfiles.write_whole = write_some
files_in(Path({str(place)!r})).keep(name(), result(bytes(2**20)))
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, timeout=20)
    assert done.returncode == -signal.SIGKILL
    (left,) = place.iterdir()
    assert left.name.startswith(".new-") and left.stat().st_size > 0
    files = files_in(place)
    assert find(files) is None
    files.keep(name(), result(b"body"))
    assert find(files) == b"body"


def test_readers_and_writers_of_one_entry(place: Path) -> None:
    """Several processes at once: who finds it has all of it."""
    script = f"""
import sys
sys.path.insert(0, {str(REPOSITORY)!r})
from tests.job.test_codedfiles import find, files_in, name, result
from pathlib import Path
files, found = files_in(Path({str(place)!r}), 64 * 4096), 0
for turn in range(400):
    number = turn % 40 * (turn % 2)  # every other time the same, which stays; the rest comes and goes
    body = find(files, number)
    assert body in (None, bytes([number]) * 40_000)
    found += body is not None
    files.keep(name(number), result(bytes([number]) * 40_000))
print(found)
"""
    several = [
        subprocess.Popen([sys.executable, "-c", script], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    found = [int(one.communicate(timeout=60)[0]) for one in several]
    assert all(found)
    assert not any(one.returncode for one in several)
    assert not any(one.startswith(".new-") for one in names(place))


@pytest.fixture
def small_disk(place: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    options = f"size=64k,mode=700,uid={os.geteuid()}"
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(place)], capture_output=True)
    if done.returncode:
        pytest.skip(f"a file system cannot be mounted here: {done.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_full_disk(small_disk: Path) -> None:
    """Nothing is left half written, and what is there is still found."""
    files = files_in(small_disk)
    files.keep(name(0), result(b"before"))
    with pytest.raises(OSError) as caught:
        files.keep(name(1), result(os.urandom(100_000)))
    assert caught.value.errno == errno.ENOSPC
    assert names(small_disk) == {name(0)}
    assert find(files, 0) == b"before"


def test_a_directory_that_has_gone(place: Path) -> None:
    files = files_in(place)
    place.rmdir()
    assert find(files) is None
    with pytest.raises(FileNotFoundError):
        files.keep(name(), result(b"body"))


def test_a_directory_that_others_may_write_to(place: Path) -> None:
    """What they put there would be served."""
    assert why_unfit(place.stat(), os.geteuid()) == ""
    assert "belongs to" in why_unfit(place.stat(), os.geteuid() + 1)
    for mode, why in ((0o770, "others"), (0o702, "others"), (0o500, "by its owner"), (0o755, "")):
        place.chmod(mode)
        assert why in why_unfit(place.stat(), os.geteuid())
        if why:
            with pytest.raises(PermissionError):
                files_in(place)
    (place / "file").touch()
    assert "not a directory" in why_unfit((place / "file").stat(), os.geteuid())
