"""The units for systemd: what systemd itself says of them, and a server under what they forbid."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from flashpy import config
from tests.running import PATIENCE, REPOSITORY, Flashpy

CONF = REPOSITORY / "conf"
WORST_EXPOSURE = 20
"""In tenths, as ``systemd-analyze security`` counts it: below 2 is little."""

with_analyze = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="it takes systemd-analyze")


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units, with a program that exists."""
    for path in CONF.glob("flashpy.s*"):
        text = path.read_text()
        (tmp_path / path.name).write_text(text.replace("/usr/local/bin/flashpy", shutil.which("true") or "/bin/true"))
    return tmp_path


def analyze(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["systemd-analyze", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env={**os.environ, "SYSTEMD_COLORS": "0", "SYSTEMD_EMOJI": "0"},
    )


def values(name: str) -> list[str]:
    """What the service sets a key to, in order."""
    return re.findall(rf"(?m)^{name}=(.*)$", (CONF / "flashpy.service").read_text())


@with_analyze
@pytest.mark.parametrize("unit", ["flashpy.service", "flashpy.socket"])
def test_systemd_understands_the_units(units: Path, unit: str) -> None:
    done = analyze("verify", "--man=no", units / unit)
    version = int(analyze("--version").stdout.split()[1])
    new = ["notify-reload"] if version < 253 else []
    new += ["cachestat"] if version < 255 else []
    said = [line for line in done.stderr.splitlines() if not any(word in line for word in new)]
    assert (done.returncode, said) == (0, [])


@with_analyze
def test_little_is_exposed(units: Path) -> None:
    done = analyze("security", "--offline=yes", f"--threshold={WORST_EXPOSURE}", units / "flashpy.service")
    print(done.stdout.splitlines()[-1])
    assert done.returncode == 0, done.stdout


def test_the_service_waits_for_as_long_as_the_server_does() -> None:
    (stop,) = values("TimeoutStopSec")
    assert float(stop.removesuffix("s")) > config.Config().server.timeout_graceful_shutdown


def ask_a_little(server: Flashpy) -> None:
    """One request of each kind."""
    with server.client() as client:
        assert client.get("/small").body == b"small"
        assert len(client.get("/large").body) == 2**20
        assert client.get("/large", "Range: bytes=5-9").status == 206
        assert client.get("/none").status == 404


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A small file and a large one."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "small").write_text("small")
    (tmp_path / "site" / "large").write_bytes(bytes(2**20))
    return tmp_path / "site"


@with_analyze
@pytest.mark.skipif(shutil.which("strace") is None, reason="it takes strace")
def test_the_system_calls_of_a_server_are_allowed(site: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    shell = f'exec strace -f -qq -e signal=none -o {trace} "$@"'
    with Flashpy(site, "--port", "0", "--access-log", shell=shell) as server:
        ask_a_little(server)
        os.kill(int(trace.read_text().split(maxsplit=1)[0]), signal.SIGTERM)
        assert server.wait() == 0
    text = trace.read_text().replace("syscall_0x1c3(", "cachestat(")  # which older versions of strace do not know
    called = set(re.findall(r"(?m)^\d+ +(\w+)\(", text))
    assert {"openat2", "execve", "accept4", "sendto"} <= called
    assert called - allowed() == set()


def allowed() -> set[str]:
    """The system calls that the service may make (SystemCallFilter in systemd.exec(5))."""
    sets: dict[str, list[str]] = {}
    for line in analyze("syscall-filter").stdout.splitlines():
        if line.startswith("@"):
            members = sets.setdefault(line.strip(), [])
        elif line.startswith("    ") and not line.strip().startswith("#"):
            members.append(line.strip())

    def expand(name: str) -> set[str]:
        return set().union(*map(expand, sets[name])) if name in sets else {name}

    calls: set[str] = set()
    for value in values("SystemCallFilter"):
        names = set().union(*map(expand, value.lstrip("~").split()))
        calls = calls - names if value.startswith("~") else calls | names
    return calls


REFUSE_EXECUTABLE_MEMORY = """
import ctypes, os, sys
if ctypes.CDLL(None).prctl(65, 1, 0, 0, 0):  # PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN: Linux 6.3
    sys.exit(77)
os.execvp(sys.argv[1], sys.argv[1:])
"""


def test_no_memory_need_be_writable_and_executable(site: Path) -> None:
    probe = [sys.executable, "-c", REFUSE_EXECUTABLE_MEMORY, "true"]
    if subprocess.run(probe, timeout=PATIENCE).returncode == 77:
        pytest.skip("this kernel cannot refuse memory that is writable and executable (PR_SET_MDWE)")
    shell = f"exec {sys.executable} -c '{REFUSE_EXECUTABLE_MEMORY}' \"$@\""
    with Flashpy(site, "--port", "0", shell=shell) as server:
        ask_a_little(server)
        assert server.end() == 0
