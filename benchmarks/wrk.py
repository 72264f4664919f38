"""One run of the load generator wrk, pinned to the core of the load, and what it measured."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.servers import LOAD_CORE, ServerFailedError

LUA = Path(__file__).resolve().parent / "lua"
MARK = "report: "


@dataclass(frozen=True)
class Load:
    """How wrk is to load a server."""

    connections: int = 64
    threads: int = 1
    headers: tuple[str, ...] = ()
    script: str = "report.lua"
    """A file of ``lua/``; it ends by printing the report line that this module reads."""


@dataclass(frozen=True)
class Outcome:
    """What one run of wrk measured. Latencies are in milliseconds."""

    requests: int
    seconds: float
    octets: int
    p50: float
    p99: float
    errors: dict[str, int]

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds

    def faults(self, size: int) -> list[str]:
        """Why the run does not count, if so; ``size`` is the least number of bytes that an answer can have.

        wrk counts only statuses from 400 on as errors; answers that are too short are noticed here.
        """
        found = [f"{number} {kind} errors" for kind, number in self.errors.items() if number]
        if not self.requests:
            found.append("no request was answered")
        elif self.octets < self.requests * size:
            found.append(f"answers of {self.octets / self.requests:.0f} bytes, less than {size}")
        return found


def run(url: str, seconds: float, load: Load) -> Outcome:
    """Load the URL for so many seconds."""
    command = [
        "taskset", "-c", str(LOAD_CORE), "wrk", f"-t{load.threads}", f"-c{load.connections}",
        f"-d{seconds:g}s", "-s", str(LUA / load.script), *header_options(load.headers), url,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30, check=False)
    if done.returncode:
        raise ServerFailedError(f"wrk failed: {done.stderr.strip() or done.stdout.strip()}")
    return parse(done.stdout)


def header_options(headers: Sequence[str]) -> list[str]:
    """The options that add the headers."""
    return [part for header in headers for part in ("-H", header)]


def parse(output: str) -> Outcome:
    """Read the report line that the script wrote."""
    line = next(line for line in output.splitlines() if line.startswith(MARK))
    said: dict[str, Any] = json.loads(line.removeprefix(MARK))
    return Outcome(
        said["requests"], said["microseconds"] / 1e6, said["bytes"], said["p50"] / 1e3, said["p99"] / 1e3,
        said["errors"],
    )  # fmt: skip
