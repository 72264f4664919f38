"""Load generators that are programs: run on the core of the load, with what they printed and the CPU they used."""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Sequence

from benchmarks.servers import LOAD_CORE, ServerFailedError


def run(command: Sequence[str], patience: float) -> tuple[str, float]:
    """Run a load generator for at most ``patience`` seconds; return its output, and its CPU seconds."""
    before = cpu_of_children()
    pinned = ["taskset", "-c", str(LOAD_CORE), *command]
    try:
        done = subprocess.run(pinned, capture_output=True, text=True, timeout=patience, check=False)
    except subprocess.TimeoutExpired as error:
        raise ServerFailedError(f"{command[0]} did not end within {patience:g} s") from error
    if done.returncode:
        raise ServerFailedError(f"{command[0]} failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout, cpu_of_children() - before


def cpu_of_children() -> float:
    """CPU seconds of all processes that this one has started and that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
