"""Line plots as SVG text: figures over a size or a number, one line for each server, in panels of two columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from benchmarks.chart import STYLE, Scale

WIDTH, HEIGHT = 330, 210
"""Of the area in which a panel's lines are, in pixels."""
LEFT, ABOVE, BELOW = 78, 34, 48
"""Room for the figures of the vertical axis, for the panel's title, and for the horizontal axis."""
COLUMNS, TOP, ENTRY = 2, 50, 18
"""Panels side by side; where the legend begins, and the height of its entries."""
COLOURS = 8
PLOT_STYLE = """
.line { fill: none; stroke-width: 1.6; }
.c0 { stroke: #1f5fd6; fill: #1f5fd6; stroke-width: 2.6; }
.c1 { stroke: #0a8f5b; fill: #0a8f5b; }
.c2 { stroke: #b0399f; fill: #b0399f; }
.c3 { stroke: #d1790f; fill: #d1790f; }
.c4 { stroke: #57606a; fill: #57606a; }
.c5 { stroke: #c0392b; fill: #c0392b; }
.c6 { stroke: #16808f; fill: #16808f; }
.c7 { stroke: #7d6608; fill: #7d6608; }
.line.c4, .line.c5, .line.c6, .line.c7 { stroke-dasharray: 6 3; }
.line.c0, .line.c1, .line.c2, .line.c3, .line.c4, .line.c5, .line.c6, .line.c7 { fill: none; }
.spread { stroke-width: 1; opacity: 0.6; }
@media (prefers-color-scheme: dark) {
  .c0 { stroke: #6ba4ff; fill: #6ba4ff; }
  .c1 { stroke: #3fc98e; fill: #3fc98e; }
  .c2 { stroke: #e283d5; fill: #e283d5; }
  .c3 { stroke: #f0a44b; fill: #f0a44b; }
  .c4 { stroke: #9198a1; fill: #9198a1; }
  .c5 { stroke: #f2796b; fill: #f2796b; }
  .c6 { stroke: #56c2d1; fill: #56c2d1; }
  .c7 { stroke: #d6bd4a; fill: #d6bd4a; }
}
"""


@dataclass(frozen=True)
class Point:
    """A median over its place on the horizontal axis, with the least and the greatest of the rounds."""

    x: float
    median: float
    least: float
    greatest: float


@dataclass(frozen=True)
class Line:
    """The points of one server in one panel; servers of the same name have the same colour in all panels."""

    name: str
    points: Sequence[Point]


@dataclass(frozen=True)
class Panel:
    """Lines over one horizontal axis."""

    title: str
    across: str
    lines: Sequence[Line]
    logarithmic: bool = False


def draw(title: str, note: str, panels: Sequence[Panel]) -> str:
    """The panels as a complete SVG document, with one legend for all."""
    names = list(dict.fromkeys(line.name for panel in panels for line in panel.lines))
    rows = -(-len(names) // 3)
    top = TOP + rows * ENTRY
    across, down = LEFT + WIDTH + 24, ABOVE + HEIGHT + BELOW
    width, height = COLUMNS * across + 12, top + -(-len(panels) // COLUMNS) * down
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">',
        f"<style>{STYLE}{PLOT_STYLE}</style>",
        f'<text class="title" x="12" y="22">{escape(title)}</text>',
        f'<text class="soft" x="12" y="40">{escape(note)}</text>',
        *legend(names, width),
    ]
    for number, panel in enumerate(panels):
        place = f"translate({number % COLUMNS * across + LEFT} {top + number // COLUMNS * down + ABOVE})"
        lines += [f'<g transform="{place}">', *panel_lines(panel, names), "</g>"]
    return "\n".join([*lines, "</svg>"]) + "\n"


def legend(names: Sequence[str], width: int) -> Iterator[str]:
    """What each line stands for, three to a row."""
    for number, name in enumerate(names):
        x, y = 12 + number % 3 * (width // 3), TOP + number // 3 * ENTRY + 8
        yield f'<line class="line c{number % COLOURS}" x1="{x}" x2="{x + 26}" y1="{y}" y2="{y}"/>'
        yield f'<text x="{x + 32}" y="{y + 4}">{escape(name)}</text>'


def panel_lines(panel: Panel, names: Sequence[str]) -> Iterator[str]:
    """One panel: its title, its axes, its lines."""
    points = [point for line in panel.lines for point in line.points]
    x_axis = Scale.of([point.x for point in points], False)
    y_axis = Scale.of([value for p in points for value in (p.least, p.median, p.greatest)], panel.logarithmic)
    yield f'<text class="group" x="{8 - LEFT + 4}" y="-14">{escape(panel.title)}</text>'
    for tick in y_axis.ticks():
        y = HEIGHT * (1 - y_axis.share(tick))
        yield f'<line class="grid" x1="0" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text class="soft" x="-8" y="{y + 4:.1f}" text-anchor="end">{tick:,g}</text>'
    for tick in x_axis.ticks():
        x = WIDTH * x_axis.share(tick)
        yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{HEIGHT}" y2="{HEIGHT + 4}"/>'
        yield f'<text class="soft" x="{x:.1f}" y="{HEIGHT + 17}" text-anchor="middle">{tick:,g}</text>'
    yield f'<text class="soft" x="{WIDTH / 2}" y="{HEIGHT + 33}" text-anchor="middle">{escape(panel.across)}</text>'
    for line in reversed(panel.lines):  # the first is drawn last, over all others
        yield from one_line(line, names.index(line.name) % COLOURS, x_axis, y_axis)


def one_line(line: Line, colour: int, x_axis: Scale, y_axis: Scale) -> Iterator[str]:
    """A line through the medians, a dot for each, and from the least to the greatest a thin line."""
    places = [(WIDTH * x_axis.share(p.x), HEIGHT * (1 - y_axis.share(p.median)), p) for p in line.points]
    yield f'<polyline class="line c{colour}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y, _ in places)}"/>'
    for x, y, point in places:
        low, high = (HEIGHT * (1 - y_axis.share(value)) for value in (point.least, point.greatest))
        yield f'<line class="c{colour} spread" x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}"/>'
        yield f'<circle class="c{colour}" cx="{x:.1f}" cy="{y:.1f}" r="2"/>'
