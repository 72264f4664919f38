"""The log helper, as whoever starts it knows it (flashpy.loghelper): real processes, files and full disks."""

import fcntl
import os
import select
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from flashpy.event.programs import Child, spawn
from flashpy.loghelper import LogHelper, Report, left_on, open_log, producer_link
from tests.running import PATIENCE, eventually, title_of


@pytest.fixture
def child() -> Iterator[Child]:
    started = spawn("log")
    yield started
    started.control.close()
    started.reap()


@pytest.fixture
def helper(child: Child) -> LogHelper:
    return LogHelper(child.control)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(place)], capture_output=True)
    if done.returncode:
        pytest.skip(f"a file system cannot be mounted here: {done.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def write_to(helper: LogHelper, path: Path) -> None:
    fd = open_log(str(path))
    helper.write_to(fd)
    os.close(fd)


def producer(helper: LogHelper) -> socket.socket:
    """A new one; its packets may wait."""
    ours, theirs = producer_link()
    helper.add_producer(theirs.fileno())
    theirs.close()
    ours.settimeout(PATIENCE)
    return ours


def end(child: Child, helper: LogHelper) -> list[Report]:
    """Let it end by itself, with what it reports until then."""
    helper.finish()
    assert child.process.wait(PATIENCE) == 0
    reports = helper.reports()
    assert helper.gone
    return reports


def test_it_writes_all_that_producers_sent_and_ends(child: Child, helper: LogHelper, tmp_path: Path) -> None:
    """It outlives their ends, the end of the link and the signals that reach everybody at the end."""
    path = tmp_path / "log"
    write_to(helper, path)
    producers = [producer(helper) for _ in range(3)]
    eventually("it has a title", lambda: title_of(child.pid) == f"flashpy: log helper of {os.getpid()}")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        child.process.send_signal(number)

    def produce(one: socket.socket, name: str) -> None:
        for number in range(300):
            one.send(b"".join(b"%s %d\n" % (name.encode(), 10 * number + part) for part in range(10)))
        one.close()

    threads = [threading.Thread(target=produce, args=(one, name)) for one, name in zip(producers, "abc", strict=True)]
    for thread in threads:
        thread.start()
    helper.finish()
    for thread in threads:
        thread.join(PATIENCE)
    assert end(child, helper) == []
    lines = path.read_text().splitlines()
    assert len(lines) == 9_000
    for name in "abc":
        assert [line for line in lines if line[0] == name] == [f"{name} {number}" for number in range(3_000)]


def test_a_renamed_file_is_left_for_a_new_one(child: Child, helper: LogHelper, tmp_path: Path) -> None:
    """As when logs are rotated: no line is lost or torn between them, and none comes twice."""
    path, old = tmp_path / "log", tmp_path / "log.1"
    write_to(helper, path)
    with producer(helper) as link:
        for number in range(1_000):
            if number == 500:
                eventually("it has begun", lambda: path.stat().st_size)
                path.rename(old)
                write_to(helper, path)
            link.send(b"%d\n" % number)
    assert end(child, helper) == []
    before, after = old.read_text().splitlines(), path.read_text().splitlines()
    assert [int(line) for line in before + after] == list(range(1_000))
    assert before and after


def test_a_full_disk_costs_lines_but_no_whole_ones_after_it(child: Child, helper: LogHelper, small_disk: Path) -> None:
    path, ballast = small_disk / "log", small_disk / "ballast"
    ballast.write_bytes(b"x" * 32_768)
    write_to(helper, path)
    sent, dropped = 0, 0
    with producer(helper) as link:

        def send() -> None:
            nonlocal sent
            link.send(b"".join(b"line %06d of them\n" % (sent + number) for number in range(100)))
            sent += 100

        reports: list[Report] = []
        while not reports:
            send()
            reports = helper.reports()
        assert {report.error for report in reports} == {28}  # ENOSPC
        ballast.unlink()
        send()
    reports += end(child, helper)
    dropped = sum(report.lines for report in reports)
    lines = path.read_bytes().split(b"\n")
    assert lines.pop() == b""
    whole = [line for line in lines if len(line) == len(b"line 000000 of them")]
    torn = [line for line in lines if line not in whole]
    assert len(torn) <= 1 and all(b"line 000000 of them".startswith(line[:5]) for line in torn)
    assert len(whole) + dropped == sent
    assert whole[-100:] == [b"line %06d of them" % number for number in range(sent - 100, sent)]


def test_a_torn_line_is_ended_before_the_next(child: Child, helper: LogHelper, tmp_path: Path) -> None:
    """A limit on the size of files cuts a write short, as a full disk does."""
    import resource

    path = tmp_path / "log"
    eventually("it has a title", lambda: title_of(child.pid).startswith("flashpy: log helper"))
    resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (10, resource.RLIM_INFINITY))
    write_to(helper, path)
    with producer(helper) as link:
        link.send(b"first\nsecond\nthird\n")
        eventually("it reports", lambda: (report := helper.reports()) and report == [Report(2, 27)])  # EFBIG
        resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        link.send(b"fourth\n")
    assert end(child, helper) == []
    assert path.read_bytes() == b"first\nseco\nfourth\n"


@pytest.mark.parametrize(("left", "ended"), [(b"", b""), (b"whole\n", b""), (b"whole\nto", b"\n")])
def test_a_line_that_a_predecessor_has_torn_is_ended(
    child: Child, helper: LogHelper, tmp_path: Path, left: bytes, ended: bytes
) -> None:
    path = tmp_path / "log"
    path.write_bytes(left)
    write_to(helper, path)
    with producer(helper) as link:
        link.send(b"next\n")
    assert end(child, helper) == []
    assert path.read_bytes() == left + ended + b"next\n"


def test_a_line_that_another_is_about_to_finish_is_left_to_it(child: Child, helper: LogHelper, tmp_path: Path) -> None:
    path = tmp_path / "log"
    stop = threading.Event()

    def write_bit_by_bit() -> None:
        with open(path, "ab", buffering=0) as file:
            while not stop.wait(0.001):
                file.write(b"x")
            file.write(b"\n")

    path.touch()
    other = threading.Thread(target=write_bit_by_bit)
    other.start()
    eventually("there is something", lambda: path.stat().st_size > 0)
    write_to(helper, path)
    with producer(helper) as link:
        link.send(b"next\n")
        eventually("it is written", lambda: b"next\n" in path.read_bytes())
        assert b"\nnext" not in path.read_bytes()
    stop.set()
    other.join()
    assert end(child, helper) == []


def test_a_log_that_is_a_pipe(child: Child, helper: LogHelper, tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    write_to(helper, path)
    with producer(helper) as link:
        link.send(b"next\n")
        eventually("it is written", lambda: select.select((reading,), (), (), 0)[0] != [])
    assert os.read(reading, 100) == b"next\n"
    os.close(reading)
    assert end(child, helper) == []


@pytest.mark.parametrize(("mode", "access"), [(0o600, os.O_RDWR), (0o200, os.O_WRONLY)])
def test_how_a_log_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, access: int) -> None:
    monkeypatch.chdir(tmp_path)
    Path("log").touch()
    Path("log").chmod(mode)
    user = os.geteuid()
    if user == 0:
        tmp_path.chmod(0o711)
        os.chown("log", 65534, -1)
        os.seteuid(65534)
    try:
        fd = open_log("log")
    finally:
        os.seteuid(user)
    assert fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == access
    os.close(fd)


def test_a_log_whose_directory_is_removed_is_written_on(child: Child, helper: LogHelper, tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    path = tmp_path / "logs" / "log"
    write_to(helper, path)
    with producer(helper) as link, open(path, "rb") as file:
        link.send(b"before\n")
        eventually("it is written", lambda: file.read() == b"before\n")
        path.unlink()
        path.parent.rmdir()
        link.send(b"after\n")
        eventually("it is written", lambda: file.read() == b"after\n")
    assert end(child, helper) == []


def test_nobody_is_waited_for_who_reads_no_reports(child: Child, helper: LogHelper) -> None:
    helper.write_to(os.open("/dev/full", os.O_WRONLY))
    with producer(helper) as link:
        for _ in range(1_000):
            link.send(b"lost\n")
        child.control.close()
    assert child.process.wait(PATIENCE) == 0


def test_what_is_left_on_a_link_is_counted() -> None:
    ours, theirs = producer_link()
    with ours, theirs:
        ours.send(b"a\nb\n")
        ours.send(b"c\n")
        assert (left_on(theirs), left_on(theirs)) == (3, 0)
