"""The server and its helpers: what the main process does not do, and what happens when helpers die."""

import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from flashpy.event import programs
from flashpy.server import background
from tests.conformance.client import Client
from tests.conformance.conftest import address_of
from tests.running import Flashpy, poisoned_helper

KILLS = 50


def get(client: Client, path: bytes) -> tuple[int, bytes]:
    """Status and body."""
    answer = client.ask(b"GET " + path + b" HTTP/1.1\r\nHost: test\r\n\r\n")
    return answer.status, answer.body


def test_no_request_is_lost_when_helpers_are_killed(tmp_path: Path) -> None:
    for number in range(100):
        (tmp_path / f"{number}").write_bytes(b"%d" % number * 1000)
        (tmp_path / f"large{number}").write_bytes(b"%d" % number * 100_000)
    wrong: list[str] = []
    answered = [0]
    stop = threading.Event()

    def ask(address: tuple[str, int], seed: int) -> None:
        number = seed
        with Client(address) as client:
            while not stop.is_set():
                number = (number * 7 + 13) % 100
                for name in (b"/%d" % number, b"/large%d" % number):
                    status, body = get(client, name)
                    if status != 200 or not body.startswith(b"%d" % number):
                        wrong.append(f"{name!r}: {status}")
                answered[0] += 1

    # Nothing is kept, so every request needs a helper.
    cache = {"pathname_entries": 0, "header_entries": 0, "file_entries": 0, "descriptors": 0}
    with background(tmp_path, cache=cache, helpers={"min": 2, "max": 4}) as server:
        threads = [threading.Thread(target=ask, args=(address_of(server), seed)) for seed in range(8)]
        for thread in threads:
            thread.start()
        killed: set[int] = set()
        deadline = time.monotonic() + 40
        while len(killed) < KILLS and time.monotonic() < deadline and not wrong:
            fresh = [pid for pid in server.metrics()["pool"]["pids"] if pid not in killed]
            if fresh:
                os.kill(fresh[0], signal.SIGKILL)
                killed.add(fresh[0])
            time.sleep(0.05)  # two deaths of one job's helpers would be one too many
        before = answered[0]
        while answered[0] < before + 50 and time.monotonic() < deadline + 10 and not wrong:
            time.sleep(0.01)
        stop.set()
        for thread in threads:
            thread.join()
        metrics = server.metrics()
    assert wrong == []
    assert len(killed) == KILLS
    assert metrics["helper_deaths"] == KILLS
    assert metrics["faults"] == 0


def test_a_job_that_kills_two_helpers_is_answered_500(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "helper_program", lambda name: poisoned_helper(tmp_path))
    (tmp_path / "fine").write_bytes(b"fine")
    with background(tmp_path, helpers={"min": 2, "max": 2}) as server:
        before = set(server.metrics()["pool"]["pids"])
        with Client(address_of(server)) as client:
            assert get(client, b"/poison")[0] == 500
            assert get(client, b"/fine") == (200, b"fine")
        assert not before & set(server.metrics()["pool"]["pids"])


@pytest.mark.parametrize("name", ["fifo", "socket", "device"])
def test_what_is_no_file_is_not_opened(tmp_path: Path, name: str) -> None:
    if name == "fifo":
        os.mkfifo(tmp_path / name)
    elif name == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(tmp_path / name))
    else:
        (tmp_path / name).symlink_to("/dev/zero")
    with background(tmp_path) as server, Client(address_of(server)) as client:
        assert get(client, f"/{name}".encode())[0] == 404


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_a_worker_opens_and_reads_no_file_of_the_site(tmp_path: Path) -> None:
    """Under strace: from the first request on no call with a path, and none that reads a file and may wait."""
    site = tmp_path / "site"
    (site / "directory").mkdir(parents=True)
    (site / "small").write_bytes(b"x" * 1_000)
    (site / "large").write_bytes(b"x" * 3_000_000)
    (site / "directory" / "index.html").write_bytes(b"hello")
    configuration = tmp_path / "flashpy.toml"
    configuration.write_text("[cache]\nvalid = 0.02\nnegative_valid = 0.02\n")
    trace = tmp_path / "trace"
    requests = ((b"/small", 200), (b"/large", 200), (b"/directory", 301), (b"/directory/", 200), (b"/none", 404))
    with Flashpy(site, "--port", "0", "-c", configuration) as server:
        address = ("127.0.0.1", server.port)
        strace = subprocess.Popen(
            ["strace", "-qq", "-o", str(trace), "-p", str(server.worker)],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        try:
            with Client(address) as client:
                while strace.poll() is None and not (trace.exists() and b"recvfrom" in trace.read_bytes()):
                    get(client, b"/none")
                if strace.poll() is not None:
                    pytest.skip("strace may not attach to a process here")
                for pause in (0.1, 1.2, 0.0):  # all is looked at again; and the disk has been quiet for a while
                    for path, status in requests:
                        assert get(client, path)[0] == status
                    time.sleep(pause)
        finally:
            strace.send_signal(signal.SIGINT)
            strace.communicate(timeout=10)
    calls = trace.read_text(errors="replace").splitlines()
    # What held the loop, on a busy machine, is told with the name of the file, which procfs has in memory; and if that
    # was long, in the log, with the time of day: localtime(3) looks there.
    names = {call.partition("(")[0] for call in calls if not re.search("/etc/localtime|/proc/self/fd", call)}
    assert {"recvfrom", "sendto", "sendfile", "sendmsg", "recvmsg"} <= names
    with_paths = {
        "open",
        "openat",
        "openat2",
        "stat",
        "lstat",
        "newfstatat",
        "statx",
        "access",
        "faccessat",
        "faccessat2",
    }
    assert not names & (with_paths | {"readlink", "readlinkat", "getdents64", "fstat"})
    assert not names & {"pread64", "readv", "preadv", "mmap2", "readahead", "copy_file_range"}
    reads = [call for call in trace.read_text(errors="replace").splitlines() if call.startswith("preadv2(")]
    assert all("RWF_NOWAIT" in call for call in reads)
