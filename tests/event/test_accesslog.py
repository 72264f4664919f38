"""The access log's writer, with real files."""

import asyncio
import logging
import re
import sys
import time
from pathlib import Path

import pytest

from flashpy.errors import StartError
from flashpy.event import accesslog
from flashpy.event.accesslog import AccessLog
from flashpy.http.request import Block, Request, RequestLine
from flashpy.log import Record, combined
from tests.running import PATIENCE

LINE = re.compile(
    rb'(\S+) - - \[(\d\d/[A-Z][a-z]{2}/\d{4}(?::\d\d){3} \+0000)\] "(.*)" (\d{3}) (\d+) "(.*)" "(.*)" (\d+\.\d{6})'
)


def record(target: bytes = b"/", method: bytes = b"GET", referer: bytes = b"", user_agent: bytes = b"") -> Record:
    fields = {b"referer": referer, b"user-agent": user_agent}
    request = Request(RequestLine(method, target, b"/", b"", 1), Block(fields, True, True, False))
    return "127.0.0.1", 1795363200.9, request, 200, 12, 0.0015


async def written(path: Path, *records: Record) -> list[bytes]:
    """The lines of the log after these records have been given to it."""
    log = AccessLog(str(path))
    await log.start()
    for one in records:
        log.add(one)
    await log.close()
    return path.read_bytes().splitlines()


async def test_a_line_is_in_combined_format_with_the_time_taken(tmp_path: Path) -> None:
    (line,) = await written(tmp_path / "log", record(b"/a?b", referer=b"http://here/", user_agent=b"curl/8"))
    assert line == (
        b'127.0.0.1 - - [22/Nov/2026:16:00:00 +0000] "GET /a?b HTTP/1.1" 200 12 "http://here/" "curl/8" 0.001500'
    )


async def test_what_is_absent_is_a_dash(tmp_path: Path) -> None:
    (line,) = await written(tmp_path / "log", record(b"", method=b""))
    assert b'"- - HTTP/1.1" 200 12 "-" "-"' in line


@pytest.mark.parametrize(
    "evil", [b'" 200 0 "', b"\n127.0.0.1 - -", b"\r", b"\x1b[31m", b"\x7f", b"\\", b"\xc3\xa9", b"\0"]
)
async def test_a_client_can_end_neither_a_field_nor_a_line(tmp_path: Path, evil: bytes) -> None:
    lines = await written(tmp_path / "log", record(b"/" + evil, evil, evil, evil), record(b"/next"))
    assert len(lines) == 2
    match = LINE.fullmatch(lines[0])
    assert match is not None
    for field in (match[3], match[6], match[7]):
        assert re.fullmatch(rb"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\x[0-9A-F]{2})*", field)
        assert b"".join(b"\\x%02X" % byte for byte in evil[:1]) in field


async def test_every_line_is_there_after_closing_in_order(tmp_path: Path) -> None:
    count = 1_001
    lines = await written(tmp_path / "log", *(record(b"/%d" % number) for number in range(count)))
    assert [re.findall(rb"GET /(\d+) ", line)[0] for line in lines] == [b"%d" % number for number in range(count)]


async def test_lines_are_written_while_the_log_is_open(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = AccessLog(str(path))
    await log.start()
    for number in range(1, 4):  # again after it has waited
        log.add(record())
        deadline = time.monotonic() + PATIENCE
        while path.read_bytes().count(b"\n") < number:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
    await log.close()
    assert path.read_bytes().count(b"\n") == 3


async def test_what_is_in_the_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"before\n")
    lines = await written(path, record())
    assert lines[0] == b"before" and len(lines) == 2


async def test_the_path_dash_is_standard_output(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    log = AccessLog("-")
    await log.start()
    log.add(record(b"/seen"))
    await log.close()
    out, err = capfdbinary.readouterr()
    assert out.count(b"\n") == 1 and b"GET /seen " in out
    assert err == b""


async def test_without_standard_output_it_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(StartError, match="no standard output"):
        await AccessLog("-").start()


async def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none" / "log"):
        log = AccessLog(str(path))
        with pytest.raises(StartError, match=r"^The access log .* cannot be opened: .*\.$"):
            await log.start()
        await log.close()


async def test_more_than_can_wait_is_dropped_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(accesslog, "BATCH", 5)
    monkeypatch.setattr(accesslog, "ROOM", len(combined(record(b"/%d" % number) for number in range(10))))
    lines = await written(tmp_path / "log", *(record(b"/%d" % number) for number in range(15)))
    assert len(lines) == 10 and b"/9 " in lines[-1]
    (said,) = caplog.messages
    assert said.startswith("5 lines of the access log are missing")


async def test_a_full_disk_is_reported_and_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    log = AccessLog("/dev/full")
    await log.start()
    with caplog.at_level(logging.WARNING):
        log.add(record())
        log.add(record())
        await log.close()
    failed, missing = caplog.messages
    assert "cannot be written" in failed and "No space left" in failed
    assert missing.startswith("2 lines of the access log are missing")
