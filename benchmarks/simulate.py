"""The experiments of the LARD paper (Pai et al., ASPLOS 1998, section 4) in simulation, by ``flashpy simulate``.

NASA's log with small memories, a trace in the shape of Rice's, and a thousand nodes of today. The figures are those of
a model: no machine that this runs on has a part in them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.harness import RESULTS, output_of
from benchmarks.trace import LOG

POLICIES = "lard-r,lard,lard-a,lard-p,chbl,lb-gc,hash,wrr,p2c,rr"
NODES = "1,2,4,6,8,10,12,14,16"


@dataclass(frozen=True)
class Experiment:
    """What is simulated, under which title."""

    title: str
    arguments: tuple[str, ...]
    policies: str = POLICIES
    nodes: str = NODES


EXPERIMENTS = {
    **{
        f"simulate-nasa-{size}": Experiment(
            f"NASA's log, {size} MB for files in each node, machines of the LARD paper",
            ("--log", str(LOG), "--cache", f"{size}M"),
        )
        for size in (2, 4, 8)
    },
    "simulate-nasa-8-warmer": Experiment(
        "NASA's log, 8 MB for files in each node, eight replays before it counts as warm",
        ("--log", str(LOG), "--cache", "8M", "--replays", "8"),
        "lard-r,lard-a,chbl,wrr",
    ),
    "simulate-rice": Experiment(
        "A trace in the shape of Rice's, 32 MB for files in each node, machines of the LARD paper",
        # A prime: where nodes take turns, each would get the very same requests again otherwise.
        ("--shape", "rice", "--requests", "199999", "--cache", "32M"),
        nodes="1,2,4,8,12,16",
    ),
    "simulate-modern": Experiment(
        "100 GiB of a million files, 256 MiB for files in each node, machines of today",
        ("--shape", "large", "--requests", "3247950", "--cache", "256M", "--costs", "modern", "--mapping", "512M"),
        "lard-r,chbl,wrr",
        "1000",
    ),
}


def simulated(experiment: Experiment) -> dict[str, Any]:
    """What ``flashpy simulate`` finds."""
    command = [sys.executable, "-m", "flashpy", "simulate", "--json", *experiment.arguments]
    command += ["--policy", experiment.policies, "--nodes", experiment.nodes]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout, parse_float=lambda text: float(f"{float(text):.5g}"))
    return found


def main() -> int:
    """Run the experiments from the command line."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--experiments", default=",".join(EXPERIMENTS), help="comma-separated")
    options.add_argument("--results", type=Path, default=RESULTS, help="where to write the JSON files")
    given = options.parse_args()
    for name in given.experiments.split(","):
        if name not in EXPERIMENTS:
            options.error(f"there is no experiment {name!r}; there are {', '.join(EXPERIMENTS)}")
        experiment = EXPERIMENTS[name]
        result = {
            "name": name,
            "title": experiment.title,
            "revision": output_of(["git", "rev-parse", "--short", "HEAD"]),
            "date": time.strftime("%Y-%m-%d", time.gmtime()),
            "simulated": simulated(experiment),
        }
        (given.results / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
        print(f"wrote {name}.json; python -m benchmarks.render makes the page of it")
    return 0


if __name__ == "__main__":
    sys.exit(main())
