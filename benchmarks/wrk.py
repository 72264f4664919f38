"""One run of the load generator wrk, pinned to the core of the load, and what it measured."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks import load

LUA = Path(__file__).resolve().parent / "lua"
MARK, PREPARED = "report: ", "prepared: "


@dataclass(frozen=True)
class Load:
    """How wrk is to load a server."""

    connections: int = 64
    threads: int = 1
    headers: tuple[str, ...] = ()
    script: str = "report.lua"
    """A file of ``lua/``; it ends by printing the report line that this module reads."""
    arguments: tuple[str, ...] = ()
    """Words for the script."""
    patience: int = 2
    """Seconds after which a missing answer is an error."""


STEADY = Load()
"""64 connections that are kept."""


@dataclass(frozen=True)
class Outcome:
    """What one run of wrk measured. Latencies are in milliseconds."""

    requests: int
    seconds: float
    octets: int
    p50: float
    p99: float
    errors: dict[str, int]
    cpu_seconds: float = 0.0
    """CPU seconds of wrk itself, without what its script used before the load began."""

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds

    def faults(self, least: float, most: float = math.inf) -> list[str]:
        """Why the run does not count, if so; ``least`` and ``most`` bound the bytes of all answers together.

        wrk counts only statuses from 400 on as errors; answers of a wrong kind are noticed by their size.
        """
        found = [f"{number} {kind} errors" for kind, number in self.errors.items() if number]
        if not self.requests:
            found.append("no request was answered")
        elif not least <= self.octets <= most:
            found.append(f"{self.octets} bytes in {self.requests} answers, not {least:.0f} to {most:.0f}")
        return found


def run(url: str, seconds: float, how: Load) -> Outcome:
    """Load the URL for so many seconds, a whole number."""
    command = [
        "wrk", f"-t{how.threads}", f"-c{how.connections}", f"-d{seconds:.0f}s", "--timeout", f"{how.patience}s",
        "-s", str(LUA / how.script), *header_options(how.headers), url, *how.arguments,
    ]  # fmt: skip
    output, used = load.run(command, seconds + 30)
    before = [float(line.removeprefix(PREPARED)) for line in output.splitlines() if line.startswith(PREPARED)]
    return replace(parse(output), cpu_seconds=used - max(before, default=0.0))


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
