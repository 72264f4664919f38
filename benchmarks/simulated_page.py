"""The page and the plots of a simulated cluster's result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks import plot
from benchmarks.plot import Line, Panel, Point

Json = Mapping[str, Any]
PHASES = {"cold": "cold caches", "warm": "warm caches"}
PLOTTED = {"throughput": "requests a second", "miss_ratio": "misses, %", "idle": "idle, %", "delay": "mean delay, ms"}
"""The figures of the paper's plots, with their titles."""
FACTORS = {"miss_ratio": 100, "idle": 100, "delay": 1000}
COLUMNS = {
    "throughput": ("requests/s", 1, 0),
    "miss_ratio": ("misses %", 100, 2),
    "coalesced_ratio": ("coalesced %", 100, 2),
    "idle": ("idle %", 100, 1),
    "cpu": ("CPU %", 100, 1),
    "disk": ("disk %", 100, 1),
    "delay": ("delay ms", 1000, 1),
    "delay_p99": ("p99 ms", 1000, 0),
    "affinity": ("foreseen %", 100, 1),
}
"""The figures of the tables: what they are called, what they are multiplied by, digits behind the point."""


def markdown(found: Json) -> str:
    """The whole page."""
    said = found["simulated"]
    told = said["told"]
    covering = ", ".join(f"{size / 2**20:,.0f}" for size in told["covering"])
    lines = [
        f"# {found['title']}",
        "",
        f"By `flashpy simulate`; {told['requests']:,} requests for {told['targets']:,} files of "
        f"{told['bytes'] / 2**20:,.0f} MiB. 97, 98 and 99 % of them are for {covering} MiB.",
        "Idle: the part of the time in which a node's load is below 40 % of T_low, in the mean of the nodes.",
        "Written by `benchmarks/render.py`.",
    ]
    if has_plots(found):
        lines += ["", f"![plots]({found['name']}-plots.svg)"]
    for phase, title in PHASES.items():
        lines += table(said["outcomes"], phase, title)
    return "\n".join([*lines, "", f"Revision {found['revision']}, {found['date']}."]) + "\n"


def table(outcomes: list[Json], phase: str, title: str) -> Iterator[str]:
    """All figures of a phase."""
    yield f"\n## With {title}\n"
    yield f"| policy | nodes | {' | '.join(label for label, _, _ in COLUMNS.values())} |"
    yield f"|---|---:|{'---:|' * len(COLUMNS)}"
    for outcome in outcomes:
        cells = (
            "-" if outcome[phase][key] is None else f"{factor * outcome[phase][key]:,.{digits}f}"
            for key, (_, factor, digits) in COLUMNS.items()
        )
        yield f"| {outcome['policy']} | {outcome['nodes']:,} | {' | '.join(cells)} |"


def has_plots(found: Json) -> bool:
    """Whether there are several numbers of nodes."""
    return len({outcome["nodes"] for outcome in found["simulated"]["outcomes"]}) > 1


def plots(found: Json) -> str:
    """By figure a panel for cold and one for warm caches, over the number of nodes."""
    panels = [
        Panel(f"{label}, {title}", "nodes", list(lines(found["simulated"]["outcomes"], phase, key)))
        for key, label in PLOTTED.items()
        for phase, title in PHASES.items()
    ]
    return plot.draw(found["title"], "in simulation", panels)


def lines(outcomes: list[Json], phase: str, key: str) -> Iterator[Line]:
    """One for each policy, as many as there are colours."""
    for policy in list(dict.fromkeys(outcome["policy"] for outcome in outcomes))[: plot.COLOURS]:
        values = [
            (outcome["nodes"], FACTORS.get(key, 1) * outcome[phase][key])
            for outcome in outcomes
            if outcome["policy"] == policy
        ]
        yield Line(policy, [Point(nodes, value, value, value) for nodes, value in values])
