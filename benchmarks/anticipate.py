"""Anticipatory scheduling on a model of a disk with a head: what waiting for the next request of a stream is worth.

Streams read files from end to end, each asking for its next window a think time after it has got one: so at the moment
when the disk becomes idle, only others' requests wait ("deceptive idleness"). First come, first served turns the head
each time; the anticipatory policy (flashpy.dispatch.anticipation) may wait. With read-ahead the next window is asked
for while one is being sent, as flashpy does: then there is nothing to wait for, and it is enough to keep the requests
of a stream together, some in a row. Time is the model's, not the machine's.
"""

from __future__ import annotations

import heapq
import math
import random
import sys
from dataclasses import dataclass, field

from benchmarks import harness, result
from benchmarks.result import Chart, Column, Result, Run
from benchmarks.servers import Choice
from flashpy.dispatch.anticipation import Anticipation

CYLINDERS = 10_000
TRANSFER = 20e6
"""Bytes per second."""
ROTATION = 0.0083
"""Seconds of a revolution (7,200 per minute)."""
SEEK = (0.0008, 0.00012)
"""A seek over d cylinders takes a + b * sqrt(d) seconds."""
WINDOW = 128 * 1024
THINK_MS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
POLICIES = ("first come", "anticipatory", "first come, read-ahead", "kept together, read-ahead")
SECONDS = 60.0
STREAMS = 4
SEED = 2001


@dataclass
class Disk:
    """A head that must be moved to where the data are; what follows what was read last needs no move."""

    random: random.Random = field(default_factory=lambda: random.Random(SEED))
    cylinder: int = 0
    next: tuple[int, int] = (-1, 0)

    def read(self, stream: int, window: int, place: int) -> float:
        """Seconds that a window of a stream takes, whose file begins at a cylinder."""
        moved = 0.0
        if self.next != (stream, window):
            a, b = SEEK
            moved = a + b * math.sqrt(abs(place - self.cylinder)) + self.random.uniform(0, ROTATION)
        self.cylinder, self.next = place, (stream, window + 1)
        return moved + WINDOW / TRANSFER


def simulate(policy: str, think: float, seconds: float = SECONDS) -> float:
    """Bytes per second that all streams get together, in MB."""
    draw = random.Random(SEED)
    places = [draw.randrange(CYLINDERS) for _ in range(STREAMS)]
    disk, anticipation = Disk(), Anticipation()
    ahead, together = "read-ahead" in policy, not policy.startswith("first come")
    coming: list[tuple[float, int, int]] = [(0.0, stream, 0) for stream in range(STREAMS)]
    heapq.heapify(coming)
    queue: list[tuple[int, int]] = []
    now, done = 0.0, 0
    while now < seconds:
        while coming and coming[0][0] <= now:
            when, stream, window = heapq.heappop(coming)
            anticipation.asked(stream, when)
            queue.append((stream, window))
        if not queue:
            now = coming[0][0]
            continue
        mine = next((job for job in queue if job[0] == anticipation.favourite), None) if together else None
        if together and mine is None and (wait := anticipation.wait(now)):
            now = min(now + wait, coming[0][0] if coming else now + wait)
            continue
        job = mine or queue[0]
        queue.remove(job)
        stream, window = job
        took = disk.read(stream, window, places[stream])
        if ahead:  # the next is asked for when this one begins to be sent, that is at once
            queue.append((stream, window + 1))
        now += took
        done += WINDOW
        anticipation.done(stream, took, now, ahead)
        if not ahead:
            heapq.heappush(coming, (now + draw.expovariate(1 / think) if think else now, stream, window + 1))
    return done / now / 1e6


def main() -> int:
    """Run the simulation from the command line."""
    parser = harness.parser(__doc__ or "", "", rounds=1, seconds=SECONDS)
    options = parser.parse_args()
    found = Result(
        name="anticipation",
        title="Anticipatory scheduling on a model of a disk: MB/s of all streams together",
        columns=(Column("mb_per_second", "MB/s of the model", 1),),
        chart=Chart(("mb_per_second",), columns=2),
        cases={f"{think:g}": f"think time {think:g} ms in the mean" for think in THINK_MS},
        servers={policy: policy for policy in POLICIES},
        settings={
            "streams": STREAMS,
            "window KiB": WINDOW >> 10,
            "seconds of the model": options.seconds,
            "seed": SEED,
        },
        machine=harness.machine([], Choice(options.python)),
    )
    for think in THINK_MS:
        for policy in POLICIES:
            figures = {"mb_per_second": simulate(policy, think / 1000, options.seconds)}
            found.runs.append(Run(1, f"{think:g}", policy, figures))
    return result.finish(found, options.results)


if __name__ == "__main__":
    sys.exit(harness.guarded(main))
