"""What a benchmark found: its runs, their medians, and the JSON file that tables and charts are made from."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Column:
    """One figure of a result: its key in a run, how it is headed, and with how many decimals it is shown."""

    key: str
    label: str
    digits: int = 0


@dataclass(frozen=True)
class Chart:
    """Which figures of a result are drawn, on which scale, of which cases (of all where none is named), and in how
    many columns side by side."""

    keys: tuple[str, ...]
    logarithmic: bool = False
    cases: tuple[str, ...] = ()
    columns: int = 1


@dataclass(frozen=True)
class Plot:
    """A figure that is drawn over the numbers that the names of the cases are (``10KiB`` is 10); cases that have none
    are left out, and those beyond ``most``. With ``times``, the figure is multiplied by the number and by that."""

    key: str
    title: str
    most: float | None = None
    times: float | None = None
    logarithmic: bool = False


@dataclass(frozen=True)
class Plots:
    """The plots of a result, and what their horizontal axis is."""

    across: str
    plots: tuple[Plot, ...]


@dataclass(frozen=True)
class Measure:
    """The figure that counts in a case, and the servers to the best of which it is compared (``ratio``)."""

    key: str
    baselines: tuple[str, ...]
    lower: bool = False
    """Whether less of it is better."""


@dataclass
class Run:
    """One server in one case of one round.

    A run with faults is reported, and counts in no median. Warnings are about figures that count all the same.
    ``unable`` says why a server cannot take part in a case at all, which is no fault.
    """

    round: int
    case: str
    server: str
    figures: dict[str, float] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    unable: str = ""


@dataclass
class Result:
    """A benchmark's result: everything that its table and its chart are made from."""

    name: str
    title: str
    columns: tuple[Column, ...]
    chart: Chart
    cases: dict[str, str]
    servers: dict[str, str]
    settings: dict[str, Any]
    machine: dict[str, Any]
    absent: list[str] = field(default_factory=list)
    """Titles of the servers that are not installed."""
    overview: dict[str, Measure] = field(default_factory=dict)
    """What counts in a case, for those that are compared in one table."""
    plots: Plots | None = None
    runs: list[Run] = field(default_factory=list)

    def summary(self) -> dict[str, dict[str, dict[str, dict[str, float]]]]:
        """Per case, server and figure: median, least and greatest of the valid runs."""
        return {
            case: {server: self.spread(case, server) for server in self.servers if self.spread(case, server)}
            for case in self.cases
        }

    def spread(self, case: str, server: str) -> dict[str, dict[str, float]]:
        """Per figure of one server in one case: median, least and greatest of the valid runs."""
        valid = [r.figures for r in self.runs if (r.case, r.server) == (case, server) and not r.faults]
        keys = [column.key for column in self.columns if any(column.key in figures for figures in valid)]
        return {key: spread([figures[key] for figures in valid if key in figures]) for key in keys}

    def write(self, folder: Path) -> Path:
        """Write the result as NAME.json."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.name}.json"
        path.write_text(json.dumps({**asdict(self), "summary": self.summary()}, indent=1) + "\n")
        return path


def spread(values: Sequence[float]) -> dict[str, float]:
    """The median of the values, the least and the greatest of them, and how many they are."""
    median = statistics.median(values)
    return {"median": median, "min": min(values), "max": max(values), "rounds": len(values)}


def ratios(result: Result) -> None:
    """Give each valid run its ``ratio``: the figure that counts, over that of the round's best valid baseline."""
    valid = [run for run in result.runs if run.figures and not run.faults and run.case in result.overview]
    for run in valid:
        measure = result.overview[run.case]
        best = min if measure.lower else max
        turn = [r for r in valid if (r.round, r.case) == (run.round, run.case) and r.server in measure.baselines]
        if turn:
            run.figures["ratio"] = run.figures[measure.key] / best(r.figures[measure.key] for r in turn)


def shown(figure: Mapping[str, float], digits: int) -> str:
    """A median, with the least and the greatest where there was more than one round."""
    median, least, most = (f"{figure[key]:,.{digits}f}" for key in ("median", "min", "max"))
    return median if figure["rounds"] == 1 else f"{median} ({least} to {most})"


def report(run: Run, columns: Sequence[Column]) -> None:
    """Print one run as one line."""
    parts = [f"{c.label} {run.figures[c.key]:,.{c.digits}f}" for c in columns if c.key in run.figures]
    notes = f"  INVALID: {'; '.join(run.faults)}" if run.faults else ""
    notes += f"  warning: {'; '.join(run.warnings)}" if run.warnings else ""
    notes += f"cannot take part: {run.unable}" if run.unable else ""
    print(f"round {run.round}  {run.case:<12} {run.server:<18} {', '.join(parts)}{notes}", flush=True)


def finish(result: Result, folder: Path) -> int:
    """Print the summary, write the result, and return the exit status: 1 when a run was invalid."""
    for case, servers in result.summary().items():
        print(f"\n{result.cases[case]}: median (least to greatest)")
        for server, figures in servers.items():
            for c in result.columns:
                if c.key in figures:
                    print(f"  {server:<18} {c.label:<28} {shown(figures[c.key], c.digits)}")
    print(f"\nwritten: {result.write(folder)}")
    return int(any(run.faults for run in result.runs))
