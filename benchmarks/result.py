"""What a benchmark found: its runs, their medians, and the JSON file that tables and charts are made from."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.servers import KINDS


@dataclass(frozen=True)
class Column:
    """One figure of a result: its key in a run, how it is headed, and with how many decimals it is shown."""

    key: str
    label: str
    digits: int = 0


@dataclass(frozen=True)
class Chart:
    """Which figures of a result are drawn, and on which scale."""

    keys: tuple[str, ...]
    logarithmic: bool = False


@dataclass
class Run:
    """One server in one case of one round. A run with faults is reported, and counts in no median."""

    round: int
    case: str
    server: str
    figures: dict[str, float] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


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


def ratios(runs: Iterable[Run], key: str) -> None:
    """Give each valid run ``key_ratio``: its figure over that of its round's best valid baseline."""
    valid = [run for run in runs if not run.faults]
    for run in valid:
        peers = [r for r in valid if (r.round, r.case) == (run.round, run.case) and KINDS[r.server].baseline]
        if peers:
            run.figures[f"{key}_ratio"] = run.figures[key] / max(peer.figures[key] for peer in peers)


def shown(figure: Mapping[str, float], digits: int) -> str:
    """A median, with the least and the greatest where there was more than one round."""
    median, least, most = (f"{figure[key]:,.{digits}f}" for key in ("median", "min", "max"))
    return median if figure["rounds"] == 1 else f"{median} ({least} to {most})"


def report(run: Run, columns: Sequence[Column]) -> None:
    """Print one run as one line."""
    parts = [f"{c.label} {run.figures[c.key]:,.{c.digits}f}" for c in columns if c.key in run.figures]
    faults = f"  INVALID: {'; '.join(run.faults)}" if run.faults else ""
    print(f"round {run.round}  {run.case:<12} {run.server:<15} {', '.join(parts)}{faults}", flush=True)


def finish(result: Result, folder: Path) -> int:
    """Print the summary, write the result, and return the exit status: 1 when a run was invalid."""
    for case, servers in result.summary().items():
        print(f"\n{result.cases[case]}: median (least to greatest)")
        for server, figures in servers.items():
            for c in result.columns:
                if c.key in figures:
                    print(f"  {server:<15} {c.label:<28} {shown(figures[c.key], c.digits)}")
    print(f"\nwritten: {result.write(folder)}")
    return int(any(run.faults for run in result.runs))
