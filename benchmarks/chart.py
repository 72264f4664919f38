"""Bar charts as SVG text: horizontal bars in groups, with whiskers from the least to the greatest round."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

LABELS, BARS, VALUES = 250, 420, 90
"""Widths in pixels of the server names, of the bars, and of the figures at their ends."""
ROW, GAP, TOP = 18, 10, 34
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #1f2328; }
.title { font-size: 15px; font-weight: 600; }
.group { font-weight: 600; }
.soft { fill: #656d76; }
.grid { stroke: #d0d7de; }
.whisker { stroke: #1f2328; }
.bar { fill: #8c959f; }
.own { fill: #2f6feb; }
.second { opacity: 0.55; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .soft { fill: #9198a1; }
  .grid { stroke: #3d444d; }
  .whisker { stroke: #e6edf3; }
  .bar { fill: #768390; }
  .own { fill: #58a6ff; }
}
"""


@dataclass(frozen=True)
class Bar:
    """A bar: which row it labels, its length with least and greatest, and how it is written at its end."""

    label: str
    median: float
    least: float
    greatest: float
    text: str
    own: bool
    second: bool = False


@dataclass(frozen=True)
class Group:
    """Bars under one heading."""

    title: str
    bars: Sequence[Bar]


@dataclass(frozen=True)
class Scale:
    """From figures to pixels, on a linear scale from 0 or on a logarithmic one of whole decades."""

    low: float
    high: float
    logarithmic: bool

    @classmethod
    def of(cls, values: Sequence[float], logarithmic: bool) -> Scale:
        """A scale that holds the values."""
        if not logarithmic:
            return cls(0.0, max(values) or 1.0, False)
        seen = [value for value in values if value > 0] or [1.0]
        low = 10.0 ** math.floor(math.log10(min(seen)))
        return cls(low, max(10 * low, 10.0 ** math.ceil(math.log10(max(seen)))), True)

    def share(self, value: float) -> float:
        """The place of a figure, from 0 at the beginning of the scale to 1 at its end."""
        if not self.logarithmic:
            return value / self.high
        return math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)

    def x(self, value: float) -> float:
        """The place of a figure in pixels, for a bar."""
        return LABELS + BARS * self.share(value)

    def ticks(self) -> list[float]:
        """The figures at the lines of the grid."""
        if self.logarithmic:
            return [self.low * 10**n for n in range(round(math.log10(self.high / self.low)) + 1)]
        step = 10.0 ** math.floor(math.log10(self.high))
        step = next(s for s in (step / 5, step / 2, step, 2 * step) if self.high / s <= 6)
        return [step * n for n in range(int(self.high / step) + 1)]


def draw(title: str, note: str, groups: Sequence[Group], logarithmic: bool, columns: int = 1) -> str:
    """The chart as a complete SVG document, its groups in so many columns side by side."""
    bars = [bar for group in groups for bar in group.bars]
    scale = Scale.of([value for bar in bars for value in (bar.least, bar.greatest, bar.median)], logarithmic)
    share = math.ceil(len(groups) / columns)
    drawn = [column(groups[first : first + share], scale) for first in range(0, len(groups), share)]
    width, height = LABELS + BARS + VALUES, max(bottom for _, bottom in drawn) + 2 * ROW + GAP
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{len(drawn) * width}" height="{height}" '
        f'viewBox="0 0 {len(drawn) * width} {height}" role="img" aria-label="{escape(title)}">',
        f"<style>{STYLE}</style>",
        f'<text class="title" x="12" y="22">{escape(title)}</text>',
        f'<text class="soft" x="12" y="40">{escape(note)}</text>',
    ]
    for number, (body, _) in enumerate(drawn):
        lines += [f'<g transform="translate({number * width})">', *body, "</g>"]
    return "\n".join([*lines, "</svg>"]) + "\n"


def column(groups: Sequence[Group], scale: Scale) -> tuple[list[str], int]:
    """Groups one below the other: their lines, and where they end in pixels."""
    body: list[str] = []
    y = TOP + 2 * GAP
    for group in groups:
        y += ROW + GAP
        body.append(f'<text class="group" x="12" y="{y - 6}">{escape(group.title)}</text>')
        apart = 4 * any(bar.second for bar in group.bars)
        for bar in group.bars:
            y += apart if bar.label else 0
            body += bar_lines(bar, scale, y)
            y += ROW
    return [*grid_lines(scale, TOP + 2 * GAP, y), *body], y


def grid_lines(scale: Scale, top: int, bottom: int) -> Iterator[str]:
    """The vertical lines with their figures below."""
    for tick in scale.ticks():
        x = scale.x(tick)
        yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom + 4}"/>'
        yield f'<text class="soft" x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{tick:,g}</text>'


def bar_lines(bar: Bar, scale: Scale, y: int) -> Iterator[str]:
    """One bar: its label, the bar, the whisker, the figure."""
    middle = y + ROW / 2
    start, end, reach = LABELS, scale.x(bar.median), scale.x(bar.greatest)
    colour = ("own" if bar.own else "bar") + (" second" if bar.second else "")
    if bar.label:
        yield f'<text x="{start - 8}" y="{middle + 4}" text-anchor="end">{escape(bar.label)}</text>'
    yield f'<rect class="{colour}" x="{start}" y="{y + 2}" width="{max(1, end - start):.1f}" height="{ROW - 4}"/>'
    if bar.greatest > bar.least:
        x = f'x1="{scale.x(bar.least):.1f}" x2="{reach:.1f}"'
        yield f'<line class="whisker" {x} y1="{middle}" y2="{middle}"/>'
    yield f'<text x="{max(end, reach) + 6:.1f}" y="{middle + 4}">{escape(bar.text)}</text>'
