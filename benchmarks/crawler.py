"""A crawler that reads everything once, beside clients that ask for what fits into memory.

The machine and the files are those of the data sets (benchmarks.dataset). 64 clients replay a set of 64 MiB; after a
while one more client fetches all files there are (some 330 MB), one after the other. If what it leaves in memory drives
out what the others ask for, they have to wait for the disk: their rate says so, beside the crawler and after it.
"""

from __future__ import annotations

import http.client
import sys
import tempfile
import threading
from pathlib import Path

from benchmarks import confine, disk, harness, result, trace, workload, wrk
from benchmarks.dataset import CLIENTS, COPIES, WARM_UP, Copies, Plan, asks
from benchmarks.kinds import Kind
from benchmarks.peers import prepare_process
from benchmarks.result import Chart, Column, Result, Run
from benchmarks.servers import Server, ServerFailedError, running
from benchmarks.stall import throttled
from benchmarks.workload import SEED

SET = 64
"""MiB of the set that the clients ask for: half of the memory."""
SERVERS = "flashpy,ways-read,ways-dontneed,nginx,nginx-aio"
CASES = {
    "before": "the clients by themselves",
    "beside": "beside the crawler",
    "after": "right after the crawler has stopped",
}
COLUMNS = (
    Column("rate", "requests/s"),
    Column("ratio", "to the same server before", 2),
    Column("p99_ms", "p99 ms", 1),
    Column("crawled_mb", "MB crawled", 0),
)


class Crawler:
    """Fetches all files in the order of their names, on one connection, until it is told to stop."""

    def __init__(self, server: Server) -> None:
        self.octets = 0
        self._server = server
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Crawler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        client = http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=60)
        for copy in range(COPIES):
            for name in sorted(trace.kept()[1]):
                if self._stopped.is_set():
                    return
                client.request("GET", f"/{copy}{name}".removesuffix("index.html"))
                self.octets += len(client.getresponse().read())


def turn(number: int, kind: Kind, plan: Plan) -> list[Run]:
    """One server's turn: a cold tree, a warm-up, and three measurements in a row."""
    runs = {case: Run(number, case, kind.name) for case in CASES}
    wanted = asks(SET)
    hot = (wanted[0].path, wanted[0].size)
    with disk.mounted(plan.device, plan.place) as root, confine.confined() as groups:
        try:
            with running(kind, root, hot, plan.choice, confine.entering(groups)) as server:
                messages = workload.write(wanted, server, plan.scratch / "messages")
                load = wrk.Load(CLIENTS, script="replay.lua", arguments=(str(messages.file),), patience=30)

                def measure(case: str, seconds: float) -> None:
                    outcome = wrk.run(server.url(hot[0]), seconds, load)
                    runs[case].figures |= {"rate": outcome.rate, "p99_ms": outcome.p99}

                wrk.run(server.url(hot[0]), WARM_UP, load)
                with throttled(groups, plan.device):
                    measure("before", plan.seconds / 3)
                    with Crawler(server) as crawler:
                        measure("beside", plan.seconds)
                    runs["beside"].figures["crawled_mb"] = crawler.octets / 1e6
                    measure("after", plan.seconds / 3)
        except (ServerFailedError, OSError, http.client.HTTPException) as error:
            runs["beside"].faults.append(str(error))
    for run in runs.values():
        if run.figures and runs["before"].figures:
            run.figures["ratio"] = run.figures["rate"] / runs["before"].figures["rate"]
    return [run for run in runs.values() if run.figures or run.faults]


def main() -> int:
    """Run the benchmark from the command line."""
    parser = harness.parser(__doc__ or "", SERVERS, rounds=5, seconds=12)
    parser.add_argument("--scratch", type=Path, help="where to keep the image from one run to the next")
    options = parser.parse_args()
    confine.need_root("The crawler is")
    harness.need("wrk", *disk.PROGRAMS)
    kinds, choice = harness.chosen(options)
    prepare_process()
    found = Result(
        name="crawler",
        title="A crawler beside clients whose files fit into memory",
        columns=COLUMNS,
        chart=Chart(("rate",)),
        cases=CASES,
        servers={kind.name: kind.title for kind in kinds},
        settings={
            "rounds": options.rounds,
            "seconds beside the crawler": options.seconds,
            "warm-up seconds": WARM_UP,
            "set of the clients, MiB": SET,
            "clients": CLIENTS,
            "memory MiB": confine.MEMORY >> 20,
            "disk MB/s": confine.READ_BYTES / 1e6,
            "disk reads/s": confine.READS,
            "seed": SEED,
        },
        machine=harness.machine(kinds, choice),
    )
    with tempfile.TemporaryDirectory(prefix="benchmark-crawler-") as temporary:
        scratch: Path = options.scratch or Path(temporary)
        scratch.mkdir(parents=True, exist_ok=True)
        with disk.attached(disk.image_of(Copies(), scratch)) as device:
            plan = Plan(choice, options.seconds, device, scratch / "mounted", Path(temporary), True)
            for number, _, kind in harness.turns(options.rounds, ["beside"], kinds):
                for run in turn(number, kind, plan):
                    found.runs.append(run)
                    result.report(run, COLUMNS)
    return result.finish(found, options.results)


if __name__ == "__main__":
    sys.exit(harness.guarded(main))
