"""The screen of ``flashpy top``, drawn with rich."""

import os

from rich import box
from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table as RichTable
from rich.text import Text

from flashpy.admin.view import View
from flashpy.cli.figures import ago, count, percent, seconds, size, sparkline
from flashpy.cli.tables import Table, state_of, tables_of

WIDE = 110
"""Columns of a terminal on which two wide tables have room beside each other."""
_STYLE = {"serving": "bold green"}


def screen(view: View, room: os.terminal_size) -> RenderableType:
    """All that fits on a terminal of this size."""
    title = Text.assemble(
        ("flashpy ", "bold"),
        (view.version, "dim"),
        "  ",
        (state_of(view), _STYLE.get(state_of(view), "bold yellow")),
        (f"  {' '.join(view.addresses)}  up {ago(view.uptime)}   q quits", "dim"),
    )
    charts = _charts(view, room.columns)
    _, statuses, states, caches, helpers, stalls, workers, troubles = map(_drawn, tables_of(view))
    if room.columns < WIDE:
        rows: list[RenderableType] = [caches, helpers, _beside(statuses, states), workers, stalls, troubles]
    else:
        rows = [_beside(caches, statuses, 2), _beside(helpers, states, 2), _beside(workers, troubles, 2), stalls]
    return Group(title, charts, *rows)


def _beside(left: RenderableType, right: RenderableType, ratio: int = 1) -> RenderableType:
    """Two tables; the left one is so many times as wide."""
    grid = RichTable.grid(expand=True, padding=(0, 3))
    grid.add_column(ratio=ratio)
    grid.add_column(ratio=1)
    grid.add_row(left, right)
    return grid


def _charts(view: View, columns: int) -> RenderableType:
    rates, charts = view.rates, view.charts
    each = max(24, columns // 4 - 1) if columns >= WIDE else max(24, columns // 2 - 1)
    wide = each - 4
    figures = (
        ("Requests", f"{count(rates.requests)}/s", f"{percent(rates.hit_rate)} at hand", charts.requests),
        ("Time to answer", seconds(rates.answers.p50), f"p99 {seconds(rates.answers.p99)}", _filled(charts.p99)),
        (
            "Sent",
            f"{size(rates.sent_bytes)}/s",
            f"{size(view.counters.get('sent_bytes', 0))} in all",
            charts.sent_bytes,
        ),
        (
            "Connections",
            count(sum(view.connections.values())),
            f"{count(rates.connections)} new/s",
            _floats(charts.connections),
        ),
    )
    return Columns(
        [
            Panel(
                Group(Text.assemble((big, "bold"), (f"  {note}", "dim")), Text(sparkline(values, wide), "blue")),
                title=name,
                title_align="left",
                box=box.ROUNDED,
                border_style="dim",
                width=each,
            )
            for name, big, note, values in figures
        ]
    )


def _floats(values: list[int]) -> list[float]:
    return [float(value) for value in values]


def _filled(values: list[float | None]) -> list[float]:
    return [value or 0.0 for value in values]


def _drawn(table: Table) -> RenderableType:
    drawn = RichTable(
        title=table.title, title_justify="left", title_style="bold", box=None, expand=True, pad_edge=False
    )
    for number, head in enumerate(table.heads):
        last_text = head == "by"
        drawn.add_column(head, justify="left" if not number or last_text else "right", no_wrap=True, header_style="dim")
    for row in table.rows or [(table.empty or "none", *[""] * (len(table.heads) - 1))]:
        drawn.add_row(*map(Text, row))
    drawn.add_row()
    return drawn
