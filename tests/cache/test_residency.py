"""The residency test on real file systems: what it says of files that are, and are not, in memory."""

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashpy.buffers import Descriptor
from flashpy.cache.residency import (
    FIRST_LOAD,
    TESTED,
    WINDOW,
    Means,
    Residency,
    cached_pages,
    load_window_of,
    readable_now,
    window_of,
)

SIZE = 3 * WINDOW // 2


def file_in(directory: Path, name: str = "file") -> Descriptor:
    """A file of one and a half windows, written out to its disk."""
    path = directory / name
    path.write_bytes(os.urandom(SIZE))
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    return Descriptor(fd, os.fstat(fd).st_dev)


def evict(file: Descriptor) -> None:
    """Drop the file's pages from memory."""
    os.posix_fadvise(file.fd, 0, 0, os.POSIX_FADV_DONTNEED)


def load(file: Descriptor, offset: int, length: int) -> None:
    """What a helper does."""
    os.pread(file.fd, length, offset)


def learned(residency: Residency, file: Descriptor, now: float = 0.0) -> str:
    """Load the file's first window, and see which means the device has."""
    load(file, 0, WINDOW)
    residency.loaded(file, 0, WINDOW, now)
    return residency.means()[file.device]


@pytest.fixture
def on_disk(tmp_path: Path) -> Path:
    """A directory on a file system that knows RWF_NOWAIT, as ext4, xfs and btrfs do."""
    file = file_in(tmp_path, "probe")
    try:
        readable_now(file.fd, 0)
    except OSError:
        pytest.skip("the temporary directory is on a file system without RWF_NOWAIT (overlayfs, tmpfs)")
    return tmp_path


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Mounts a file system below the temporary directory."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount")
    places: list[Path] = []

    def mount(*arguments: str) -> Path:
        place = tmp_path / f"mount{len(places)}"
        place.mkdir()
        result = subprocess.run(["mount", *arguments, str(place)], capture_output=True, text=True, check=False)
        if result.returncode:
            pytest.skip(f"cannot mount here: {result.stderr.strip()}")
        places.append(place)
        return place

    yield mount
    for place in places:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_windows_lie_on_a_grid() -> None:
    assert window_of(0, 10 * WINDOW) == WINDOW
    assert window_of(WINDOW - 1, 10) == 1
    assert window_of(WINDOW, 10) == 10


@given(st.integers(1, 10 * WINDOW))
def test_what_is_loaded_grows_to_a_window_and_never_crosses_one(size: int) -> None:
    """From the beginning on: each load begins where the last ended, all together are the file."""
    offset, loads = 0, []
    while offset < size:
        length = load_window_of(offset, size - offset)
        assert 0 < length <= window_of(offset, size - offset)
        loads.append(length)
        offset += length
    assert offset == size
    assert loads[0] == min(size, FIRST_LOAD)
    assert loads[:-1] == sorted(loads[:-1])


@given(st.integers(0, 10 * WINDOW), st.integers(1, 3 * WINDOW))
def test_a_load_in_the_middle_ends_on_the_grid_or_with_the_file(offset: int, left: int) -> None:
    length = load_window_of(offset, left)
    assert 0 < length <= min(left, WINDOW)
    assert length == left or (offset + length) % FIRST_LOAD == 0


def test_an_unknown_device_is_not_trusted(on_disk: Path) -> None:
    file = file_in(on_disk)
    load(file, 0, SIZE)
    assert not Residency(1.0).resident(file, 0, WINDOW, 0.0)


def test_tells_what_is_in_memory_from_what_is_not(on_disk: Path) -> None:
    file, residency = file_in(on_disk), Residency(1.0)
    means = learned(residency, file)
    assert means in (Means.PROBES.name.lower(), Means.PROBES_AND_CACHESTAT.name.lower())
    load(file, 0, SIZE)
    assert residency.resident(file, 0, WINDOW, 0.0)
    assert residency.resident(file, WINDOW, SIZE - WINDOW, 0.0)
    evict(file)
    assert not residency.resident(file, 0, WINDOW, 2 * TESTED)


def test_a_window_that_was_found_resident_is_not_asked_for_again_at_once(on_disk: Path) -> None:
    """The test costs as much as the sending of a small window; while a file is hot it is taken now and then."""
    file, residency = file_in(on_disk), Residency(1.0)
    learned(residency, file)
    load(file, 0, SIZE)
    assert residency.resident(file, 0, 1_000, 10.0)
    evict(file)
    assert residency.resident(file, 0, 1_000, 10.0 + TESTED / 2)  # nobody has looked
    assert not residency.resident(file, 0, 1_001, 10.0 + TESTED / 2)  # more than was found
    assert not residency.resident(file, 0, 1_000, 10.0 + TESTED)


def test_reads_without_waiting_or_not_at_all(on_disk: Path) -> None:
    file, residency = file_in(on_disk), Residency(1.0)
    assert residency.read_now(file, 0, 10) is None  # the means are not known yet
    learned(residency, file)
    data = residency.read_now(file, 5, 100)
    assert data is not None
    assert bytes(data) == os.pread(file.fd, 100, 5)
    evict(file)
    data = residency.read_now(file, 0, 100)
    assert data is not None
    assert len(data) == 0


def test_a_device_is_busy_for_a_while_after_a_load(on_disk: Path) -> None:
    file, residency = file_in(on_disk), Residency(1.0)
    assert not residency.busy(file, 100.0)
    learned(residency, file, 100.0)
    assert residency.busy(file, 100.5)
    assert not residency.busy(file, 110.0)


@pytest.mark.parametrize("kind", ["tmpfs", "overlay"])
def test_remembers_loads_where_nothing_tells(mounted: Callable[..., Path], tmp_path: Path, kind: str) -> None:
    if kind == "tmpfs":
        place = mounted("-t", "tmpfs", "none")
    else:
        upper = mounted("-t", "tmpfs", "none")  # overlayfs does not take every file system as its upper layer
        for name in ("lower", "upper", "work"):
            (upper / name).mkdir()
        place = mounted(
            "-t", "overlay", "-o", f"lowerdir={upper}/lower,upperdir={upper}/upper,workdir={upper}/work", "none"
        )
    file, residency = file_in(place), Residency(1.0)
    assert learned(residency, file, 10.0) == "memory"
    assert residency.resident(file, 0, WINDOW, 10.5)
    assert residency.resident(file, 1000, 10, 10.5)
    assert not residency.resident(file, WINDOW, 10, 10.5)  # another window
    assert not residency.resident(file, 0, WINDOW, 11.5)  # forgotten
    assert residency.read_now(file, 0, 10) is None


def test_an_unprivileged_process_can_tell_too(on_disk: Path) -> None:
    """cachestat(2) gives EPERM for another user's file, even on a descriptor that its owner opened."""
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    script = textwrap.dedent("""
        import os, sys, time
        from flashpy.buffers import Descriptor
        from flashpy.cache.residency import WINDOW, Residency, cached_pages
        fd = os.open(sys.argv[1], os.O_RDONLY)
        os.setgid(65534)
        os.setuid(65534)
        file, residency = Descriptor(fd, os.fstat(fd).st_dev), Residency(1.0)
        try:
            cached_pages(fd, 0, 1)
        except OSError as error:
            print(error.errno)
        os.pread(fd, WINDOW, 0)
        residency.loaded(file, 0, WINDOW, 0.0)
        print(residency.resident(file, 0, WINDOW, 0.0))
        for now in range(1, 100):  # a page that somebody looks at just now stays
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            if not (resident := residency.resident(file, 0, WINDOW, float(now))):
                break
            time.sleep(0.01)
        print(resident)
    """)
    file_in(on_disk)
    result = subprocess.run(
        [sys.executable, "-c", script, str(on_disk / "file")], capture_output=True, text=True, check=False, timeout=30
    )
    assert result.stderr == ""
    assert result.stdout.split()[-2:] == ["True", "False"]


def test_cachestat_counts_pages(on_disk: Path) -> None:
    file = file_in(on_disk)
    try:
        cached_pages(file.fd, 0, 1)
    except OSError as error:
        pytest.skip(f"this kernel has no cachestat: {error}")
    evict(file)
    deadline = time.monotonic() + 5
    while cached_pages(file.fd, 0, SIZE) and time.monotonic() < deadline:
        evict(file)  # pages on a per-CPU list are let go a moment later
    assert cached_pages(file.fd, 0, SIZE) == 0
    load(file, 0, SIZE)
    assert cached_pages(file.fd, 0, SIZE) == SIZE // 4096
