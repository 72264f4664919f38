"""The cases of the comparison, as a table: what is asked for, how it is measured, and what counts."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import measures, trace, workload, wrk
from benchmarks.measures import Target
from benchmarks.result import Measure, Run
from benchmarks.servers import Server
from benchmarks.tree import write_files
from benchmarks.workload import ZIPF, Ask

NGINX = ("nginx", "nginx-copy")
"""Whom ratios are taken to: the better of nginx's settings in the same round."""
PIPELINE = 16
"""Requests in a batch."""
WRITTEN = 1_704_067_200
"""When all files were last changed, in seconds since the epoch (2024-01-01)."""
KIB, MIB = 1024, 1024 * 1024

PER_CPU_SECOND = Measure("per_cpu_second", NGINX)
PIPELINED = Measure("per_cpu_second", (*NGINX, "lighttpd", "h2o"))
CPU_PER_GIB = Measure("cpu_per_gib", NGINX, lower=True)
P99 = Measure("p99_ms", NGINX, lower=True)

Files = list[tuple[str, int]]
"""Paths, and sizes in bytes."""

HOT: Files = [("/1KiB.html", KIB), ("/10KiB.html", 10 * KIB), ("/100KiB.html", 100 * KIB), ("/1MiB.html", MIB)]
KIB_1, KIB_10, KIB_100, MIB_1 = HOT
LARGE = ("/100MiB.bin", 100 * MIB)
TRACED = "/images/NASA-logosmall.gif"
"""A file of the trace, for which a server is asked when it starts."""

SIZES: Files = [(f"/{kib}KiB.bin", kib * KIB) for kib in (0, 1, 2, 5, 10, 20, 50, 100, 150, 200)]
"""What one cached file is measured with, from nothing to 200 KiB (Flash, section 6.1)."""

SITES: dict[str, Callable[[], Files]] = {
    "hot": lambda: HOT,
    "sizes": lambda: SIZES,
    "large": lambda: [LARGE],
    "zipf": lambda: ZIPF.files,
    "trace": lambda: list(trace.kept()[1].items()),
}
"""The directories that are served, by the files in them."""


@dataclass(frozen=True)
class Case:
    """One case. ``file`` (path and size) is asked for, unless there is a list of requests; it is also what a server
    must answer at its start. ``counts`` is none where nothing is compared to nginx."""

    name: str
    title: str
    site: str
    file: tuple[str, int]
    method: Callable[[Run, Server, Target], None] = measures.requests
    counts: Measure | None = PER_CPU_SECOND
    load: wrk.Load = wrk.STEADY
    asks: Callable[[], list[Ask]] | None = None

    def target(self, seconds: float, scratch: Path) -> Target:
        """What the method measures, for so many seconds."""
        return Target(*self.file, seconds, scratch, self.load, self.asks)


REPLAY = wrk.Load(script="replay.lua")
UNIQUE = wrk.Load(script="unique.lua")
BATCHES = wrk.Load(script="pipelined.lua", arguments=(str(PIPELINE),))
CLOSING = wrk.Load(headers=("Connection: close",))
FEW = wrk.Load(connections=4, patience=20)

CASES = {
    case.name: case
    for case in (
        Case("1KiB", "a hot file of 1 KiB", "hot", KIB_1),
        Case("10KiB", "a hot file of 10 KiB", "hot", KIB_10),
        Case("100KiB", "a hot file of 100 KiB", "hot", KIB_100),
        Case("1MiB", "a hot file of 1 MiB", "hot", MIB_1),
        Case("zipf", "2,000 files, short heads", "zipf", ZIPF.files[0], load=REPLAY, asks=workload.short),
        Case("browsers", "2,000 files, 500 browser heads", "zipf", ZIPF.files[0], load=REPLAY,
             asks=workload.browsers),
        Case("unique", "2,000 files, browser heads, none of which repeats", "zipf", ZIPF.files[0], load=UNIQUE,
             asks=workload.browsers),
        Case("new", "a new connection for each request, 1 KiB", "hot", KIB_1, load=CLOSING),
        Case("pipelined", f"{PIPELINE} requests at once, 1 KiB", "hot", KIB_1, counts=PIPELINED, load=BATCHES),
        Case("304", "304 to a file of 1 KiB", "hot", KIB_1, measures.revalidations),
        Case("large", "downloads of 100 MiB, 4 connections", "large", LARGE, measures.downloads, CPU_PER_GIB, FEW),
        Case("trace", "a day of a real server's log", "trace", (TRACED, trace.size_of(TRACED)), load=REPLAY,
             asks=workload.replay),
        Case("latency", "1 KiB at half of each server's own most requests/s", "hot", KIB_1, measures.open_loop, P99),
        Case("idle", f"start, and {measures.IDLE:,} idle connections", "hot", KIB_1, measures.idle, None),
    )
}  # fmt: skip


def make_sites(folder: Path, cases: Iterable[Case]) -> dict[str, Path]:
    """Write the directories that the cases need; return where they are. Content and dates are always the same."""
    folder.chmod(0o755)
    roots = {case.site: folder / case.site for case in cases}
    for site, root in roots.items():
        write_files(root, SITES[site]())
        for place in root.rglob("*"):
            os.utime(place, (WRITTEN, WRITTEN))
    return roots
