"""``flashpy simulate``, as it is run."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.running import PATIENCE, REPOSITORY, clean_environment

NASA = REPOSITORY / "benchmarks" / "traces" / "nasa-1995-08-01.csv.gz"


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """``flashpy simulate ARGUMENTS``."""
    command = [sys.executable, "-m", "flashpy", "simulate", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE, env=clean_environment(), check=False
    )


def test_lard_beside_balancing_on_a_real_log() -> None:
    """Twice the throughput at least, where a node's memory holds a part of the set; in JSON."""
    done = run("--log", NASA, "--cache", "4M", "--nodes", "16", "--policy", "wrr, lard-r", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["trace"] == NASA.name and found["told"]["requests"] == 30_293
    assert found["cache_bytes"] == 4 * 2**20
    wrr, lard = found["outcomes"]
    assert (wrr["policy"], lard["policy"]) == ("wrr", "lard-r")
    for phase in ("cold", "warm"):
        assert lard[phase]["throughput"] > 2 * wrr[phase]["throughput"]
        assert lard[phase]["miss_ratio"] < wrr[phase]["miss_ratio"]


def test_a_table_for_people(tmp_path: Path) -> None:
    """Of a log of flashpy's own; both with cold and with warm caches."""
    log = tmp_path / "access.log.gz"
    line = '127.0.0.1 - - [23/Nov/2026:10:00:00 +0000] "GET /a HTTP/1.1" 200 8192 "-" "-"\n'
    log.write_bytes(gzip.compress(line.encode() * 1_000))
    done = run("--log", log, "--nodes", "1", "--policy", "lard")
    assert done.returncode == 0, done.stderr
    title, *rest = done.stdout.splitlines()
    assert title.startswith("Cold caches, access.log.gz: 1,000 requests for 1 files of 8.0 KiB;")
    row = rest[-1].split()
    assert row[:2] == ["lard", "1"] and row[3:5] == ["0.0", "%"]
    assert 1_065 < float(row[2].replace(",", "")) < 1_085


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--log", "/nowhere"], "The log /nowhere cannot be read: No such file or directory."),
        (["--log", "empty"], "has no request for a file that was answered with it."),
        (["--log", "broken.gz"], "broken.gz cannot be read: "),
        (["--policy", "lard,best"], "There is no policy 'best'; there are rr, wrr,"),
        (["--nodes", "1,0"], "'0' is no number of nodes; write some from 1 to 10,000, such as 1,4."),
        (["--mapping", "0"], "A memory of 0 bytes holds nothing"),
        (["--cache", "some"], "'some' is no size; write a number of bytes, or one such as 512M."),
        (
            ["--requests", "100", "--nodes", "2"],
            "A trace of 100 requests is too short: 89 are at the 2 nodes at a time",
        ),
    ],
)
def test_what_cannot_be_simulated(arguments: list[str], said: str, tmp_path: Path) -> None:
    """One sentence each, and the exit code of bad usage."""
    (tmp_path / "empty").write_bytes(b"nonsense\n")
    (tmp_path / "broken.gz").write_bytes(gzip.compress(b"/a\n" * 100)[:-9])
    done = run(*(str(tmp_path / word) if word in ("empty", "broken.gz") else word for word in arguments))
    assert done.returncode == 2
    assert said in done.stderr and "Traceback" not in done.stderr
