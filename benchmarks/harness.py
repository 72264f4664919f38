"""What every benchmark shares: its command line, the order of its turns, the machine block, how it ends."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from benchmarks.kinds import KINDS, Kind
from benchmarks.servers import LOAD_CORE, REPOSITORY, SERVER_CORE, Choice, ServerFailedError

RESULTS = REPOSITORY / "benchmarks" / "results"
LIBRARIES = ("uvloop", "httptools")
"""Installed packages that flashpy's figures depend on, as its interpreter sees them."""


ABSENT = "-"
"""What stands for the version of something that is not installed."""


class UnavailableError(RuntimeError):
    """The benchmark cannot be run on this machine; the message says why in one sentence."""


def turns(rounds: int, cases: Sequence[str], kinds: Sequence[Kind]) -> Iterator[tuple[int, str, Kind]]:
    """Whose turn it is: servers alternate within each case of a round; each round begins with another."""
    for number in range(rounds):
        first = number % len(kinds)
        for case in cases:
            for kind in (*kinds[first:], *kinds[:first]):
                yield number + 1, case, kind


def output_of(command: Sequence[str]) -> str:
    """The first line that a command prints on either stream, or a dash where it cannot be run or fails."""
    try:
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=30, check=False)
    except OSError:
        return ABSENT
    if done.returncode:
        return ABSENT
    return next(iter((done.stdout + done.stderr).splitlines()), ABSENT).strip()


def cpu_model() -> str:
    """The processor's name."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def interpreter(python: str) -> str:
    """The version of the interpreter that runs flashpy, and of the packages that matter to it."""
    program = (
        "import platform, importlib.metadata as m; "
        f"print(platform.python_version(), *(p + ' ' + m.version(p) for p in {LIBRARIES}), sep=', ')"
    )
    return output_of([python, "-c", program])


def machine(kinds: Iterable[Kind], choice: Choice) -> dict[str, Any]:
    """The machine block: what the figures were taken on, and with which versions."""
    versions = {kind.name: [part.format(**choice.words()) for part in kind.version] for kind in kinds}
    return {
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "memory_mib": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20,
        "kernel": f"{platform.system()} {platform.release()}",
        "python": interpreter(choice.python),
        "revision": output_of(["git", "rev-parse", "--short", "HEAD"]),
        "load_average_at_start": os.getloadavg()[0],
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "versions": {name: output_of(command) for name, command in versions.items()},
    }


def parser(description: str, servers: str, rounds: int, seconds: float) -> argparse.ArgumentParser:
    """A command line with the options that every benchmark has."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--servers", default=servers, help=f"comma-separated, of: {', '.join(KINDS)}")
    options.add_argument("--rounds", type=int, default=rounds)
    options.add_argument("--seconds", type=float, default=seconds, help="length of one measurement")
    options.add_argument("--python", default=sys.executable, help="the interpreter that runs flashpy")
    options.add_argument("--compiled-python", default=Choice.compiled_python, help="one with flashpy's compiled wheel")
    options.add_argument("--peers-python", default=sys.executable, help="the interpreter that has the Python peers")
    options.add_argument("--config", type=Path, help="a configuration file for flashpy")
    options.add_argument("--results", type=Path, default=RESULTS, help="where to write the JSON file")
    return options


def chosen(options: argparse.Namespace) -> tuple[list[Kind], Choice]:
    """The servers that the command line names, and how flashpy is to be run."""
    names = options.servers.split(",")
    if unknown := [name for name in names if name not in KINDS]:
        raise UnavailableError(f"There is no server called {unknown[0]}; known are {', '.join(KINDS)}.")
    config = options.config.resolve() if options.config else None
    return [KINDS[name] for name in names], Choice(
        options.python, config, options.peers_python, options.compiled_python
    )


def need(*programs: str) -> None:
    """Insist on the cores and on the programs that the benchmark uses."""
    if not {SERVER_CORE, LOAD_CORE} <= os.sched_getaffinity(0):
        raise UnavailableError("The benchmark needs two cores, one for the server and one for the load.")
    for program in ("taskset", *programs):
        if not shutil.which(program):
            raise UnavailableError(f"The program {program} is not installed.")


def interrupt(number: int, frame: FrameType | None) -> None:
    """End the benchmark in order: the first signal unwinds it, later ones do not disturb the cleaning up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def guarded(main: Callable[[], int]) -> int:
    """Run a benchmark's main function; say in one sentence what ended it, if something did."""
    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, interrupt)
    try:
        return main()
    except UnavailableError as error:
        print(error, file=sys.stderr)
        return 2
    except ServerFailedError as error:
        print(f"stopped: {error}", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
