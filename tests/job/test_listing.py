"""Listings of real directories."""

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashpy.job import listing as listing_module
from flashpy.job.entries import Entry, Listing, pack, unpack
from flashpy.job.kinds import List, Outcome, Sort
from flashpy.job.perform import perform
from flashpy.job.places import identity_of
from tests.children import NOBODY, in_child, needs_root, open_directory

REPOSITORY = Path(__file__).resolve().parents[2]
OLD = 1_600_000_000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory with some of everything, and things beside it that are not of the site."""
    site = tmp_path / "site"
    for name in ("b-dir", "A-dir", "a/b"):
        (site / name).mkdir(parents=True)
    for index, (name, size) in enumerate({"c.txt": 30, "B.txt": 10, "a.txt": 20, ".secret": 1}.items()):
        (site / name).write_bytes(b"x" * size)
        os.utime(site / name, (OLD + index, OLD + index))
    (site / "a" / "b" / "deep").write_bytes(b"deep")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_bytes(b"outside")
    return site


@pytest.fixture(params=["openat2", "no-openat2"])
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With openat2(2), and without it."""
    if request.param == "no-openat2":
        monkeypatch.setattr("flashpy.job.places._SYS_OPENAT2", 9999)
    return str(request.param)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bound that is reached with a handful."""
    monkeypatch.setattr(listing_module, "MOST_SORTED", 20)


def job(root: Path, path: str = "/", *allowed: Path, **more: object) -> List:
    """The listing of a directory beneath a root."""
    return List(tuple(map(os.fsencode, (root, *allowed))), os.fsencode(path))._replace(**more)  # type: ignore[arg-type]


def listed(job: List) -> Listing:
    """What a job finds, which must be a directory."""
    result = perform(job)
    assert result.outcome is Outcome.LISTED and result.file is not None
    assert result.identity is not None
    return unpack(result.file)


def names(job: List) -> list[str]:
    """The names on the page, directories with a slash."""
    return [os.fsdecode(entry.name) + "/" * entry.is_directory for entry in listed(job).entries]


# What is listed


def test_files_and_directories(root: Path) -> None:
    """Directories first, then names whatever their case; of files the size and the time."""
    page = listed(job(root))
    assert [entry.name for entry in page.entries] == [b"a", b"A-dir", b"b-dir", b"a.txt", b"B.txt", b"c.txt"]
    assert page.entries[3:] == (
        Entry(b"a.txt", False, 20, (OLD + 2) * 10**9),
        Entry(b"B.txt", False, 10, (OLD + 1) * 10**9),
        Entry(b"c.txt", False, 30, OLD * 10**9),
    )
    assert page[1:] == (1, 1, 6, Sort.NAME, False, True)
    assert perform(job(root)).identity == identity_of(root.stat())


@pytest.mark.parametrize(
    ("sort", "descending", "files"),
    [
        (Sort.NAME, False, ["a.txt", "B.txt", "c.txt"]),
        (Sort.NAME, True, ["c.txt", "B.txt", "a.txt"]),
        (Sort.SIZE, False, ["B.txt", "a.txt", "c.txt"]),
        (Sort.SIZE, True, ["c.txt", "a.txt", "B.txt"]),
        (Sort.TIME, False, ["c.txt", "B.txt", "a.txt"]),
        (Sort.TIME, True, ["a.txt", "B.txt", "c.txt"]),
    ],
)
def test_sorting(root: Path, sort: Sort, descending: bool, files: list[str]) -> None:
    """By name, size or time, up or down; directories are first in any case."""
    found = names(job(root, sort=sort, descending=descending))
    assert found[3:] == files
    assert set(found[:3]) == {"a/", "A-dir/", "b-dir/"}


def test_equal_sizes_are_sorted_by_name(tmp_path: Path) -> None:
    """Up or down: so pages are the same each time."""
    for name in ("c", "a", "B"):
        (tmp_path / name).write_bytes(b"")
    for descending in (False, True):
        assert names(job(tmp_path, sort=Sort.SIZE, descending=descending)) == ["a", "B", "c"]


@pytest.mark.usefixtures("kernel")
def test_a_directory_below(root: Path) -> None:
    """With all its names, however deep."""
    assert names(job(root, "/a/")) == ["b/"]
    assert names(job(root, "/a/b/")) == ["deep"]
    assert names(job(root, "/b-dir/")) == []


def test_any_name(tmp_path: Path) -> None:
    """Names are bytes: all that a file system takes."""
    odd = [b"\xff\xfe", b"new\nline", b" ", b"\\", b"a%20b", b"<b>", "\u202ename".encode(), b"x" * 255, b"-", b"~"]
    for name in odd:
        (tmp_path / os.fsdecode(name)).write_bytes(b"")
    assert {entry.name for entry in listed(job(tmp_path)).entries} == set(odd)


def test_hidden_names(root: Path) -> None:
    """Only where they are asked for."""
    assert ".secret" not in names(job(root))
    assert ".secret" in names(job(root, dotfiles=True))


def test_hide(root: Path) -> None:
    """Expressions over the whole path."""
    hide = (rb".*\.txt", rb"/a", rb"/a/b/de")
    assert names(job(root, hide=hide)) == ["A-dir/", "b-dir/"]
    assert names(job(root, "/a/", hide=hide)) == ["b/"]
    assert names(job(root, "/a/b/", hide=hide)) == ["deep"]
    assert names(job(root, "/a/b/", hide=(rb"/a/.*",))) == []


def test_search(tmp_path: Path) -> None:
    """For what is in the name, whatever the case."""
    for name in ("Straße", "STRASSE", "Über", "über", "other", "c.*d"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / os.fsdecode(b"\xffname")).write_bytes(b"")
    assert set(names(job(tmp_path, search="ÜBER".encode()))) == {"Über", "über"}
    assert set(names(job(tmp_path, search=b"strasse"))) == {"Straße", "STRASSE"}
    assert names(job(tmp_path, search=b".*")) == ["c.*d"]
    assert names(job(tmp_path, search=b"\xff")) == [os.fsdecode(b"\xffname")]
    assert listed(job(tmp_path, search=b"nothing")) == Listing((), 1, 1, 0, Sort.NAME, False, True)


# What is not


@pytest.mark.usefixtures("kernel")
def test_what_cannot_be_served_is_left_out(root: Path) -> None:
    """FIFOs, sockets, devices, and links that lead to them, outside the root or nowhere."""
    links = {
        "in": "c.txt", "in-dir": "a", "absolute": f"{root}/a/b",
        "out": "../outside/file", "out-dir": "../outside", "passwd": "/etc/passwd", "up": "..", "no": "nowhere",
        "loop": "loop", "fifo-link": "fifo", "null": "/dev/null", "magic": "/proc/self/cwd",
    }  # fmt: skip
    for name, target in links.items():
        (root / name).symlink_to(target)
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.fspath(root / "socket"))
        found = names(job(root))
        assert found == ["a/", "A-dir/", "absolute/", "b-dir/", "in-dir/", "a.txt", "B.txt", "c.txt", "in"]
        allowed = names(job(root, "/", root.parent / "outside"))
        assert set(allowed) - set(found) == {"out", "out-dir/"}
    (entry,) = (entry for entry in listed(job(root)).entries if entry.name == b"in")
    assert (entry.size, entry.mtime_ns) == (30, OLD * 10**9)


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize(
    "path", ["/no/", "/c.txt/", "/../", "/../outside/", "/out/", "/fifo/", "/a\0/", "/" + "x" * 300 + "/"]
)
def test_what_is_no_directory_of_the_site(root: Path, path: str) -> None:
    """Missing, as for a translation."""
    (root / "out").symlink_to("../outside")
    os.mkfifo(root / "fifo")
    assert perform(job(root, path)).outcome is Outcome.MISSING


def test_a_root_that_is_gone(tmp_path: Path) -> None:
    """The site's directory may vanish while the server runs."""
    assert perform(job(tmp_path / "no")).outcome is Outcome.MISSING


@needs_root
def test_a_directory_that_may_not_be_read() -> None:
    """Refused; one that may be read but not entered has no entry that could be served."""
    with open_directory() as place:
        for name, mode in (("shut", 0o311), ("unentered", 0o744), ("open", 0o755)):
            (place / name).mkdir()
            (place / name / "file").write_bytes(b"x")
            (place / name).chmod(mode)
        assert in_child(lambda: perform(job(place, "/shut/")).outcome, NOBODY) is Outcome.FORBIDDEN
        assert in_child(lambda: names(job(place, "/unentered/")), NOBODY) == []
        assert in_child(lambda: names(job(place, "/open/")), NOBODY) == ["file"]


def test_no_descriptor_is_left_behind(root: Path) -> None:
    """Whatever the outcome: a helper lives for long."""
    (root / "in").symlink_to(root / "a")
    (root / "out").symlink_to("/etc")
    before = len(os.listdir("/proc/self/fd"))
    for path in ("/", "/a/", "/no/", "/c.txt/", "/out/", "/in/"):
        perform(job(root, path))
    assert len(os.listdir("/proc/self/fd")) == before


# Pages


@pytest.mark.parametrize("bound", [20, 10_000])
@pytest.mark.parametrize("descending", [False, True])
def test_pages_together_are_the_whole(
    tmp_path: Path, bound: int, descending: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each name once, in one order, whether all are looked at or only those of the page."""
    monkeypatch.setattr(listing_module, "MOST_SORTED", bound)
    for number in range(97):
        (tmp_path / f"{'fF'[number % 2]}ile{number:02d}").write_bytes(b"")
    for number in range(5):
        (tmp_path / f"dir{number}").mkdir()
    pages = [listed(job(tmp_path, page=page, length=10, descending=descending)) for page in range(1, 12)]
    assert {(page.pages, page.total, page.sortable) for page in pages} == {(11, 102, bound > 102)}
    assert [page.page for page in pages] == list(range(1, 12))
    found = [os.fsdecode(entry.name) for page in pages for entry in page.entries]
    directories = sorted((f"dir{number}" for number in range(5)), reverse=descending)
    files = sorted((path.name for path in tmp_path.glob("[fF]*")), key=lambda n: (n.lower(), n), reverse=descending)
    assert found == directories + files
    beyond = listed(job(tmp_path, page=10**6, length=10, descending=descending))
    assert beyond == pages[-1]


@pytest.mark.usefixtures("few")
def test_too_many_to_be_sorted(tmp_path: Path) -> None:
    """By name only, and it says so; a search that finds few enough can be sorted."""
    for number in range(30):
        (tmp_path / f"{number:02d}").write_bytes(b"x" * (30 - number))
    page = listed(job(tmp_path, sort=Sort.SIZE))
    assert (page.sort, page.sortable, page.entries[0].name) == (Sort.NAME, False, b"00")
    page = listed(job(tmp_path, sort=Sort.SIZE, search=b"0"))
    assert (page.sort, page.sortable, page.total) == (Sort.SIZE, True, 12)
    assert page.entries[0].name == b"20"


@pytest.mark.usefixtures("few")
def test_only_the_page_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a directory that has too many entries."""
    for number in range(50):
        (tmp_path / f"{number:02d}").write_bytes(b"")
    looked, real = [], os.stat

    def stat(path: bytes, *, dir_fd: int, follow_symlinks: bool) -> os.stat_result:
        looked.append(path)
        return real(path, dir_fd=dir_fd, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(os, "stat", stat)
    assert len(listed(job(tmp_path, page=3, length=7)).entries) == 7
    assert looked == [b"%02d" % number for number in range(14, 21)]


def test_no_more_names_than_the_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages end where it is reached; the total goes on."""
    monkeypatch.setattr(listing_module, "MOST_SORTED", 10)
    monkeypatch.setattr(listing_module, "MOST_NAMES", 40)
    for number in range(100):
        (tmp_path / f"{number:02d}").write_bytes(b"")
    page = listed(job(tmp_path, page=99, length=15))
    assert (page.page, page.pages, page.total) == (3, 3, 100)
    assert [entry.name for entry in page.entries] == [b"%02d" % number for number in range(30, 40)]


# What changes meanwhile


def test_a_directory_that_changes_meanwhile(tmp_path: Path) -> None:
    """Each listing is of what was there: names that come and go leave nothing half-known."""
    end = threading.Event()
    for number in range(50):
        (tmp_path / f"stays{number:02d}").write_bytes(b"x" * number)

    def change() -> None:
        while not end.is_set():
            for number in range(50):
                (tmp_path / f"goes{number}").write_bytes(b"")
            for number in range(50):
                (tmp_path / f"goes{number}").unlink()

    writer = threading.Thread(target=change)
    writer.start()
    try:
        for _ in range(100):
            page = listed(job(tmp_path, search=b"stays"))
            assert [entry.size for entry in page.entries] == list(range(50))
            page = listed(job(tmp_path, length=1000))
            assert page.total == len(page.entries) >= 50
    finally:
        end.set()
        writer.join()


# A hundred thousand

_ALONE = """
import re, sys
sys.path.insert(0, sys.argv[1])
from flashpy.job.entries import unpack
from flashpy.job.kinds import List
from flashpy.job.perform import perform
def most():
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
job = List((sys.argv[2].encode(),), b"/", length=200)
perform(job._replace(path=b"/no/"))
before = most()
for more in ({"page": 1}, {"search": b"777"}, {"page": 500}):
    page = unpack(perform(job._replace(**more)).file)
    print(page.page, page.pages, page.total, len(page.entries), page.entries[0].name.decode(), most() - before)
"""


def test_a_hundred_thousand_entries(tmp_path: Path) -> None:
    """The first page costs a helper some 3 MiB, the last one, for which all names must be known, some 12."""
    for number in range(100_000):
        os.close(os.open(tmp_path / f"a-name-of-some-length-{number:06d}", os.O_CREAT | os.O_WRONLY))
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _ALONE, REPOSITORY, tmp_path],
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
    )
    first, search, last = (line.split() for line in done.stdout.splitlines())
    assert first[:5] == ["1", "500", "100000", "200", "a-name-of-some-length-000000"]
    assert search[:5] == ["1", "2", "280", "200", "a-name-of-some-length-000777"]
    assert last[:5] == ["500", "500", "100000", "200", "a-name-of-some-length-099800"]
    assert int(first[5]) < 8 * 1024
    assert int(last[5]) < 24 * 1024


# The way to the server

NAMES = st.binary(min_size=1, max_size=255).filter(lambda name: b"/" not in name and b"\0" not in name)
ENTRIES = st.builds(Entry, NAMES, st.booleans(), st.integers(0, 2**63 - 1), st.integers(-(2**63), 2**63 - 1))
COUNTS = st.integers(0, 2**32 - 1)
LISTINGS = st.builds(
    Listing,
    st.lists(ENTRIES, max_size=5).map(tuple),
    *(COUNTS, COUNTS, st.integers(0, 2**63), st.sampled_from(Sort), st.booleans(), st.booleans()),
)


@given(LISTINGS)
def test_packing(listing: Listing) -> None:
    """Whatever is in it comes out of the file."""
    file = pack(listing)
    assert unpack(file) == listing
    assert not os.get_inheritable(file.fd)
