"""Tables (Markdown) and charts (SVG) from the JSON files of ``results/``: no figure is written by hand."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks import conformance_page, plot, simulated_page
from benchmarks.chart import Bar, Group, draw
from benchmarks.harness import RESULTS
from benchmarks.plot import Line, Panel, Point
from benchmarks.result import shown

Json = Mapping[str, Any]


def drawn(found: Json) -> list[str]:
    """The cases that have figures."""
    return [case for case, servers in found["summary"].items() if servers]


def charted(found: Json) -> list[str]:
    """The cases with figures that the chart shows."""
    wanted = found["chart"]["cases"] or found["cases"]
    return [case for case in drawn(found) if case in wanted]


def figure(found: Json, case: str, server: str, column: Json) -> str:
    """One cell of a table: the median, and the least and the greatest in parentheses."""
    value = found["summary"][case][server].get(column["key"])
    return shown(value, column["digits"]) if value else ""


def table(found: Json, case: str) -> Iterator[str]:
    """The table of one case; columns without any figure are left out."""
    servers = found["summary"][case]
    columns = [c for c in found["columns"] if any(c["key"] in figures for figures in servers.values())]
    yield f"\n## {found['cases'][case][:1].upper()}{found['cases'][case][1:]}\n"
    yield f"| server | {' | '.join(column['label'] for column in columns)} |"
    yield f"|---|{'---:|' * len(columns)}"
    for server in servers:
        cells = (figure(found, case, server, column) for column in columns)
        yield f"| {found['servers'][server]} | {' | '.join(cells)} |"


def overview(found: Json) -> Iterator[str]:
    """One table of all cases that are compared: by case and server the ratio, with least and greatest."""
    if not found["overview"]:
        return
    labels = {column["key"]: column["label"] for column in found["columns"]}
    yield "\n## Overview\n"
    yield "What counts in a case, as a multiple of the best of the servers named, in the same round."
    yield f"\n| case | what counts | best of | {' | '.join(found['servers'])} |"
    yield f"|---|---|---|{'---:|' * len(found['servers'])}"
    for case, measure in found["overview"].items():
        what = labels[measure["key"]] + (", less is better" if measure["lower"] else "")
        cells = (ratio(found["summary"][case].get(server, {})) for server in found["servers"])
        yield f"| {found['cases'][case]} | {what} | {', '.join(measure['baselines'])} | {' | '.join(cells)} |"


def ratio(figures: Json) -> str:
    """One cell of the overview."""
    if "ratio" not in figures:
        return "-"
    median, least, most = (f"{figures['ratio'][key]:.2f}" for key in ("median", "min", "max"))
    return median if figures["ratio"]["rounds"] == 1 else f"{median} [{least}-{most}]"


def absent(found: Json) -> Iterator[str]:
    """The servers that were not there."""
    if found["absent"]:
        yield f"\nAbsent, because not installed: {'; '.join(found['absent'])}."


def machine(found: Json) -> Iterator[str]:
    """What the figures were taken on, with which settings and versions."""
    said = found["machine"]
    yield "\n## Machine and settings\n"
    yield f"- {said['cpu']}, {said['cores']} cores, {said['memory_mib']:,} MiB, {said['kernel']}"
    yield f"- Python {said['python']}"
    yield f"- revision {said['revision']}, {said['date']}"
    yield f"- load average at the start {said['load_average_at_start']:.2f}"
    yield f"- {'; '.join(f'{key}: {value}' for key, value in found['settings'].items())}"
    for server, version in said["versions"].items():
        yield f"- {found['servers'][server]}: {version}"


def invalid(found: Json) -> Iterator[str]:
    """The runs that do not count, and why."""
    faulty = [run for run in found["runs"] if run["faults"]]
    if faulty:
        yield "\n## Runs that do not count\n"
    for run in faulty:
        reasons = "; ".join(run["faults"]).replace("\n", " ")
        yield f"- round {run['round']}, {run['case']}, {found['servers'][run['server']]}: {reasons}"


def warnings(found: Json) -> Iterator[str]:
    """By case and server, the rounds that count with a warning, and the first of their warnings."""
    warned: dict[tuple[str, str], list[Json]] = {}
    for run in found["runs"]:
        if run["warnings"]:
            warned.setdefault((run["case"], run["server"]), []).append(run)
    if warned:
        yield "\n## Warnings\n"
    for (case, server), runs in warned.items():
        rounds = "round" if len(runs) == 1 else "rounds"
        yield f"- {case}, {found['servers'][server]}: {'; '.join(runs[0]['warnings'])} ({len(runs)} {rounds})"


def unable(found: Json) -> Iterator[str]:
    """Which servers cannot take part in which cases, and why."""
    reasons = {(run["case"], run["server"]): run["unable"] for run in found["runs"] if run["unable"]}
    if reasons:
        yield "\n## Servers that cannot take part\n"
    for (case, server), reason in reasons.items():
        yield f"- {case}, {found['servers'][server]}: {reason}"


def markdown(found: Json) -> str:
    """The whole page of one result."""
    lines = [
        f"# {found['title']}",
        "",
        "Medians; in parentheses least and greatest of the rounds. Written by `benchmarks/render.py`.",
    ]
    if charted(found):
        lines += ["", f"![chart]({found['name']}.svg)"]
    if found.get("plots"):
        lines += ["", f"![plots]({found['name']}-plots.svg)"]
    lines += [*absent(found), *overview(found)]
    for case in drawn(found):
        lines += table(found, case)
    return "\n".join([*lines, *invalid(found), *warnings(found), *unable(found), *machine(found)]) + "\n"


def bars(found: Json, case: str) -> Iterator[Bar]:
    """The bars of one case: for each server one per figure of the chart, the first of them labelled."""
    digits = {column["key"]: column["digits"] for column in found["columns"]}
    for server, figures in found["summary"][case].items():
        keys = [key for key in found["chart"]["keys"] if key in figures]
        for number, key in enumerate(keys):
            value = figures[key]
            yield Bar(
                label="" if number else found["servers"][server],
                median=value["median"],
                least=value["min"],
                greatest=value["max"],
                text=f"{value['median']:,.{digits[key]}f}",
                own=server.startswith("flashpy"),
                second=bool(number),
            )


def svg(found: Json) -> str:
    """The chart of one result."""
    labels = {column["key"]: column["label"] for column in found["columns"]}
    names = [labels[key] for key in found["chart"]["keys"]]
    scale = ", logarithmic scale" if found["chart"]["logarithmic"] else ""
    note = f"{' and (paler) '.join(names)}{scale}: median, least to greatest"
    groups = [Group(found["cases"][case], list(bars(found, case))) for case in charted(found)]
    return draw(found["title"], note, groups, found["chart"]["logarithmic"], found["chart"]["columns"])


def numbered(found: Json) -> dict[str, float]:
    """The cases whose names are a number and perhaps its unit, in the order of the numbers."""
    numbers = {case: re.fullmatch(r"(\d+)[A-Za-z]*", case) for case in drawn(found)}
    return dict(
        sorted(((case, float(number[1])) for case, number in numbers.items() if number), key=lambda item: item[1])
    )


def points(found: Json, wanted: Json, server: str) -> Iterator[Point]:
    """The points of one server in one plot."""
    for case, number in numbered(found).items():
        value = found["summary"][case].get(server, {}).get(wanted["key"])
        if value and (wanted["most"] is None or number <= wanted["most"]):
            factor = 1.0 if wanted["times"] is None else wanted["times"] * number
            yield Point(number, *(factor * value[key] for key in ("median", "min", "max")))


def plots(found: Json) -> str:
    """The line plots of one result."""
    panels = []
    for wanted in found["plots"]["plots"]:
        lines = [Line(title, list(points(found, wanted, server))) for server, title in found["servers"].items()]
        across = found["plots"]["across"]
        if any(line.points for line in lines):
            panels.append(
                Panel(wanted["title"], across, [line for line in lines if line.points], wanted["logarithmic"])
            )
    title = found["title"].partition(":")[0]  # what follows is about the ratios of the bars
    return plot.draw(title, "median, least to greatest", panels)


def render(path: Path) -> None:
    """Write NAME.md, NAME.svg and, where there is something to plot, NAME-plots.svg beside NAME.json."""
    found: Json = json.loads(path.read_text())
    if "found" in found:  # no figures, but what was found of each case
        path.with_suffix(".md").write_text(conformance_page.markdown(found, machine(found)))
        print(f"rendered {path.stem}")
        return
    if "simulated" in found:
        path.with_suffix(".md").write_text(simulated_page.markdown(found))
        if simulated_page.has_plots(found):
            path.with_name(f"{path.stem}-plots.svg").write_text(simulated_page.plots(found))
        print(f"rendered {path.stem}")
        return
    path.with_suffix(".md").write_text(markdown(found))
    if charted(found):
        path.with_suffix(".svg").write_text(svg(found))
    if found.get("plots"):
        path.with_name(f"{path.stem}-plots.svg").write_text(plots(found))
    print(f"rendered {path.stem}")


def main() -> int:
    """Render every result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=RESULTS, help="the folder of the JSON files")
    for path in sorted(parser.parse_args().results.glob("*.json")):
        render(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
