"""The access log from the event loop to the file: real log helpers, real files and pipes."""

import asyncio
import os
import re
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from flashpy.errors import StartError
from flashpy.event import accesslog
from flashpy.event.accesslog import AccessLog, packets
from flashpy.event.logsource import LocalLog
from flashpy.event.programs import Child, LocalStarter, spawn
from flashpy.job.logwriter import LONGEST_PACKET
from flashpy.log.combined import combined
from flashpy.log.record import Record
from flashpy.loghelper import LogHelper, producer_link
from tests.log.making import record
from tests.running import PATIENCE, children_of, title_of


def made(path: Path | str) -> AccessLog:
    return AccessLog(LocalLog(str(path), LocalStarter()), combined)


async def written(path: Path, *records: Record) -> list[bytes]:
    """The lines of the log after these records have been given to it."""
    log = made(path)
    await log.start()
    for one in records:
        log.add(one)
    await log.close(PATIENCE)
    return path.read_bytes().splitlines()


async def until(what: str, true: Callable[[], object]) -> None:
    """Wait until something is true, while the loop runs."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        await asyncio.sleep(0.01)


def log_helpers() -> set[int]:
    """Our children that write logs."""
    return {pid for pid in children_of(os.getpid()) if title_of(pid).startswith("flashpy: log helper")}


def numbers_in(data: bytes) -> list[int]:
    """The numbers that the lines' requests asked for; all lines must be whole."""
    lines = data.splitlines()
    matches = [
        re.fullmatch(rb'127\.0\.0\.1 - - \[[^]]*\] "GET /(\d+) HTTP/1\.1" 200 12 "-" "-" 0\.001500', line)
        for line in lines
    ]
    assert all(matches), next(line for line, match in zip(lines, matches, strict=True) if not match)
    return [int(match[1]) for match in matches if match]


def numbered(number: int) -> Record:
    return record(target=b"/%d" % number)


async def test_every_line_is_there_after_closing_in_order(tmp_path: Path) -> None:
    await written(tmp_path / "log", *map(numbered, range(10_001)))
    assert numbers_in((tmp_path / "log").read_bytes()) == list(range(10_001))
    assert not log_helpers()


async def test_lines_are_written_while_the_log_is_open(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = made(path)
    await log.start()
    for number in range(1, 4):  # again after it has waited
        log.add(record())
        await until("the line is there", lambda: path.read_bytes().count(b"\n") == number)  # noqa: B023
    await log.close(PATIENCE)
    assert path.read_bytes().count(b"\n") == 3


async def test_what_is_in_the_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"before\n")
    lines = await written(path, record())
    assert lines[0] == b"before" and len(lines) == 2


async def test_the_path_dash_is_standard_output(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    log = made("-")
    await log.start()
    log.add(record(target=b"/seen"))
    await log.close(PATIENCE)
    out, err = capfdbinary.readouterr()
    assert out.count(b"\n") == 1 and b"GET /seen " in out
    assert err == b""
    os.fstat(1)  # it is not ours to close


async def test_without_standard_output_it_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    log = made("-")
    with pytest.raises(StartError, match="no standard output"):
        await log.start()
    await log.close(PATIENCE)


async def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none" / "log"):
        log = made(path)
        with pytest.raises(StartError, match=r"^The access log .* cannot be opened: .*\.$"):
            await log.start()
        await log.close(PATIENCE)


async def test_a_full_disk_is_reported_and_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    log = made("/dev/full")
    await log.start()
    log.add(record())
    await until("it is reported", lambda: caplog.messages)
    log.add(record())
    log.add(record())
    await log.close(PATIENCE)
    assert caplog.messages == [
        "1 lines of the access log are missing: No space left on device.",
        "2 lines of the access log are missing: No space left on device.",
    ]


async def test_a_helper_that_is_killed_is_replaced_and_hardly_a_line_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "log"
    log = made(path)
    await log.start()
    count = 0
    killed: set[int] = set()
    while len(killed) < 3:
        for _ in range(500):
            log.add(numbered(count))
            count += 1
        await asyncio.sleep(0.01)
        for pid in log_helpers() - killed:
            os.kill(pid, signal.SIGKILL)
            killed.add(pid)
    log.add(numbered(count))  # which none of those had in its hand when it was killed
    await log.close(PATIENCE)
    lines = path.read_bytes().splitlines(keepends=True)
    whole = [line for line in lines if line.endswith(b" 0.001500\n")]
    assert len(whole) >= len(lines) - 3  # in the middle of a line, at worst
    found = numbers_in(b"".join(whole))
    assert found == sorted(set(found)) and found[-1] == count
    assert len(found) > count // 2
    assert set(caplog.messages) == {"The log helper died; starting another."}
    assert not log_helpers()


async def test_a_helper_that_is_killed_at_the_end_is_replaced_for_what_is_left(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = made(path)
    await log.start()
    await until("the helper is there", log_helpers)
    (helper,) = log_helpers()
    os.kill(helper, signal.SIGSTOP)
    for number in range(1_000):
        log.add(numbered(number))
    os.kill(helper, signal.SIGKILL)
    await until("it is gone", lambda: helper not in log_helpers())
    await log.close(PATIENCE)
    assert numbers_in(path.read_bytes()) == list(range(1_000))


async def test_a_stuck_reader_costs_bounded_memory_and_drops_are_counted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(accesslog, "ROOM", 10 * accesslog.PACKET)
    reading, writing = os.pipe()
    log = made(f"/dev/fd/{writing}")
    await log.start()
    os.close(writing)
    for number in range(50_000):
        log.add(numbered(number))
        assert sum(map(len, log._waiting)) <= accesslog.ROOM
        if number % 100 == 0:
            await asyncio.sleep(0)
    assert re.fullmatch(r"\d+ lines of the access log are missing: the log helper does not take .*", caplog.messages[0])
    began = time.monotonic()
    await log.close(0.5)
    assert time.monotonic() - began < PATIENCE / 2
    assert "The log helper does not get its lines written; it is ended, and they are missing." in caplog.messages
    assert not log_helpers()
    os.set_blocking(reading, False)
    got = os.read(reading, 2**20).count(b"\n")
    counted = sum(int(match[1]) for match in map(re.compile(r"(\d+) lines").match, caplog.messages) if match)
    # What the helper had in its hand is known to nobody.
    assert 50_000 - 2 * 2**20 // 70 < got + counted <= 50_000
    os.close(reading)


async def test_a_slow_reader_gets_all_that_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)  # as somebody else may have done to a standard output
    log = made(f"/dev/fd/{writing}")
    await log.start()
    os.close(writing)
    for number in range(20_000):
        log.add(numbered(number))
    loop = asyncio.get_running_loop()
    read: list[bytes] = []

    def take() -> None:
        while data := os.read(reading, 65_536):
            read.append(data)

    taking = loop.run_in_executor(None, take)
    await log.close(PATIENCE)
    await taking
    os.close(reading)
    assert numbers_in(b"".join(read)) == list(range(20_000))


class Unkept:
    """A source that keeps nothing: its links break when the helper that it asks for each dies."""

    def __init__(self, file: int) -> None:
        self.file = file
        self.children: list[Child] = []

    async def link(self) -> socket.socket:
        child = spawn("log")
        self.children.append(child)
        helper = LogHelper(child.control)
        helper.write_to(self.file)
        ours, theirs = producer_link()
        helper.add_producer(theirs.fileno())
        theirs.close()
        return ours

    async def close(self, timeout: float) -> None:
        for child in self.children:
            child.control.close()
            child.reap()


async def test_a_link_that_breaks_is_replaced(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "log"
    with open(path, "ab") as file:
        source = Unkept(file.fileno())
        log = AccessLog(source, combined)
        await log.start()
        log.add(numbered(0))
        await until("the first line is there", path.read_bytes)
        source.children[0].process.kill()
        source.children[0].process.wait()
        for number in range(1, 2_001):
            log.add(numbered(number))
        await until("there is another link", lambda: len(source.children) == 2)
        log.add(numbered(2_001))
        await log.close(PATIENCE)
    assert numbers_in(path.read_bytes()) == list(range(2_002))  # what it did not get rid of was kept
    assert caplog.messages == ["The log helper ended; what it had not yet written is missing."]


async def test_a_line_that_is_too_long_is_dropped_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    long, longer = (record(fields={b"user-agent": b"a" * size}) for size in (LONGEST_PACKET - 1_000, LONGEST_PACKET))
    lines = await written(tmp_path / "log", numbered(1), long, numbered(2), longer, numbered(3))
    assert len(lines) == 4 and len(lines[1]) > LONGEST_PACKET - 1_000
    assert caplog.messages == ["1 lines of the access log are missing: it is too long."]


def test_packets_are_whole_lines_and_all_of_them() -> None:
    lines = [b"%d" % number * (number % 700) + b"\n" for number in range(5_000)]
    lines[100:100] = [b"x" * 100_000 + b"\n", b"y" * 65_535 + b"\n", b"z" * 65_536 + b"\n"]
    found = packets(b"".join(lines))
    assert b"".join(found) == b"".join(lines)
    assert all(packet.endswith(b"\n") for packet in found)
    assert all(len(packet) <= accesslog.PACKET or packet.count(b"\n") == 1 for packet in found)
    assert packets(b"") == []
