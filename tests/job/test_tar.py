"""Headers of tar archives, read by Python's tarfile and by GNU tar."""

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashpy.job.entries import Entry
from flashpy.job.tar import BLOCK, END, header, length, padding

PARTS = st.binary(min_size=1, max_size=90).filter(
    lambda name: not set(b"/\0") & set(name) and name not in (b".", b"..")
)
NAMES = st.lists(PARTS, min_size=1, max_size=4).map(b"/".join)
TIMES = st.integers(-(2**63), 2**63 - 1)
ENTRIES = st.builds(Entry, NAMES, st.booleans(), st.integers(0, 2000), TIMES)
LARGE = st.builds(Entry, NAMES, st.just(False), st.integers(0, 2**63 - 1), TIMES)


def archive(top: bytes, entries: list[Entry]) -> bytes:
    """An archive whose files are full of their sizes' last digit."""
    parts = []
    for entry in entries:
        content = b"" if entry.is_directory else b"%d" % (entry.size % 10) * entry.size
        part = header(top, entry) + content + padding(len(content))
        assert len(part) == length(top, entry)
        parts.append(part)
    return b"".join(parts) + END


@given(PARTS, st.lists(ENTRIES, max_size=5))
def test_tarfile_reads_it(top: bytes, entries: list[Entry]) -> None:
    """Names, kinds, sizes, times and contents, whatever they are."""
    data = archive(top, entries)
    assert len(data) % BLOCK == 0
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        found = tar.getmembers()
        assert [os.fsencode(member.name) for member in found] == [top + b"/" + entry.name for entry in entries]
        for member, entry in zip(found, entries, strict=True):
            assert member.isdir() is entry.is_directory and member.isreg() is not entry.is_directory
            assert member.mtime == entry.mtime_ns // 10**9
            assert (member.mode, member.uid, member.gid) == (0o755 if entry.is_directory else 0o644, 0, 0)
            if not entry.is_directory:
                content = tar.extractfile(member)
                assert content is not None
                assert content.read() == b"%d" % (entry.size % 10) * entry.size


@given(PARTS, LARGE)
def test_large_sizes(top: bytes, entry: Entry) -> None:
    """Above 8 GiB too."""
    member = tarfile.TarFile(fileobj=io.BytesIO(header(top, entry) + END)).next()
    assert member is not None and member.size == entry.size
    assert length(top, entry) == len(header(top, entry)) + -(-entry.size // BLOCK) * BLOCK


@pytest.mark.parametrize(
    ("entry", "blocks"),
    [
        (Entry(b"a" * 96, False, 8**11 - 1, 0), 1),
        (Entry(b"a" * 97, False, 0, 0), 3),
        (Entry(b"a" * 95, True, 0, 0), 1),
        (Entry(b"a" * 96, True, 0, 0), 3),
        (Entry("é".encode(), False, 0, 0), 3),
        (Entry(b"a", False, 8**11, 0), 3),
        (Entry(b"a", False, 0, -1), 3),
        (Entry(b"a" * 4000, False, 0, 0), 10),
    ],
)
def test_extended_headers_are_for_what_does_not_fit(entry: Entry, blocks: int) -> None:
    """All else takes one block."""
    assert len(header(b"top", entry)) == blocks * BLOCK


@given(st.integers(1, 2000))
def test_a_record_counts_its_own_length(size: int) -> None:
    """In as many digits as it takes."""
    data = header(b"top", Entry(b"x" * size + b"\xc3\xa9", False, 0, 0))[BLOCK:]
    number, _, rest = data.partition(b" ")
    assert data[: int(number)].endswith(b"\xc3\xa9\n") and rest.startswith(b"path=top/")


def test_gnu_tar_reads_it(tmp_path: Path) -> None:
    """And writes what was meant; it only has to say that times before 1970 are old, and that it does not know the
    keyword of POSIX for names that are not UTF-8."""
    entries = [
        Entry(b"", True, 0, 1_600_000_000 * 10**9),
        Entry(b"plain", False, 700, 1_600_000_001 * 10**9),
        Entry("Überblick/".encode() + b"d" * 150, True, 0, 0),
        Entry("Überblick/".encode() + b"d" * 150 + b"/\xff\n\x01", False, 3, -5 * 10**9),
        Entry(b"empty", False, 0, 10**18),
    ]
    (tmp_path / "a.tar").write_bytes(archive(b"top", entries))
    done = subprocess.run(
        ["tar", "--warning=no-timestamp", "--warning=no-unknown-keyword", "-C", tmp_path, "-xf", tmp_path / "a.tar"],
        capture_output=True,
        timeout=30,
        check=True,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )
    assert done.stderr == b""
    for entry in entries:
        found = os.stat(os.fsencode(tmp_path) + b"/top/" + entry.name)
        if not entry.is_directory:
            assert (found.st_size, found.st_mtime) == (entry.size, entry.mtime_ns / 10**9)


def test_a_file_above_8_gib(tmp_path: Path) -> None:
    """GNU tar finds the member behind it, in an archive with holes."""
    big = Entry(b"big", False, 9 * 2**30 + 1, 0)
    with (tmp_path / "big.tar").open("wb") as file:
        file.write(header(b"top", big))
        file.seek(big.size + len(padding(big.size)), os.SEEK_CUR)
        file.write(header(b"top", Entry(b"after", False, 0, 0)) + END)
    done = subprocess.run(
        ["tar", "--seek", "-tvf", tmp_path / "big.tar"], capture_output=True, text=True, timeout=50, check=True
    )
    assert done.stderr == ""
    assert [line.split()[2] for line in done.stdout.splitlines()] == ["9663676417", "0"]
