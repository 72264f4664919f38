"""What ``flashpy top`` tells, as tables: for a screen, or as text."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from flashpy.admin.view import ClusterView, View
from flashpy.cli.figures import ago, count, percent, seconds, size
from flashpy.report import NodeState

_TROUBLES = (
    *("connections_refused", "connections_shed", "requests_limited", "handshakes_failed", "timeouts"),
    *("jobs_late", "jobs_refused", "helper_deaths", "descriptors_exhausted"),
    *("mispredictions", "truncated", "faults"),
)


class Table(NamedTuple):
    """A title, the heads of columns, and rows of as many texts; ``empty`` is said where there is no row."""

    title: str
    heads: Sequence[str]
    rows: list[Sequence[str]]
    empty: str = ""


def state_of(view: View) -> str:
    """Whether it serves, in a few words."""
    if view.phase != "running":
        return "draining"
    return "serving" if view.serving == view.wanted else f"{view.serving} of {view.wanted} workers serve"


def tables_of(view: View) -> list[Table]:
    """All of them, the most important first."""
    rates = view.rates
    return [
        Table(
            f"flashpy {view.version}, {state_of(view)}, up {ago(view.uptime)}, at {' '.join(view.addresses)}",
            ("", "now"),
            [
                ("requests a second", count(rates.requests)),
                ("at hand", percent(rates.hit_rate)),
                ("time to answer, p50", seconds(rates.answers.p50)),
                ("time to answer, p99", seconds(rates.answers.p99)),
                ("after a job, p50", seconds(rates.waits.p50)),
                ("sent a second", size(rates.sent_bytes)),
                ("windows resident", percent(view.residency)),
            ],
        ),
        Table("Answers", ("status", "count"), [(str(code), count(many)) for code, many in view.statuses.items()]),
        Table("Connections", ("state", "open"), [(state, count(many)) for state, many in view.connections.items()]),
        Table(
            "Caches",
            ("cache", "found", "entries", "bytes", "of", "evicted"),
            [
                (
                    *(cache.name, percent(cache.hit_rate), count(cache.state.entries), size(cache.state.bytes)),
                    *(size(cache.state.most_bytes) if cache.state.most_bytes else "-", count(cache.state.evictions)),
                )
                for cache in view.caches
            ],
        ),
        Table(
            "Helpers: "
            + ", ".join(f"{name} {pool.busy} of {pool.helpers} at work" for name, pool in view.pools.items()),
            ("device", "jobs/s", "at work", "waiting", "mean wait", "mean work", "longest wait"),
            [
                (
                    *(device.name, count(device.jobs), f"{device.state.working} of {device.state.helpers}"),
                    *(count(device.state.queued), seconds(device.wait), seconds(device.service)),
                    seconds(device.state.longest_wait),
                )
                for device in view.devices
            ],
            "no job has been needed",
        ),
        Table(
            "Worst stalls of the event loop",
            ("held for", "when", "by"),
            [(seconds(stall.seconds), f"{ago(stall.ago)} ago", visible(stall.cause)) for stall in view.stalls.worst],
            "none of 2 ms and more",
        ),
        Table(
            "Workers",
            ("worker", "process", "stage", "requests/s", "connections", "processor"),
            [
                (
                    *(str(worker.number), str(worker.pid), worker.stage, count(worker.requests_per_second)),
                    *(count(worker.connections), percent(worker.cpu)),
                )
                for worker in view.workers
            ],
        ),
        *([_nodes(view.cluster)] if view.cluster is not None else []),
        Table(
            "Troubles",
            ("what", "count"),
            [(name.replace("_", " "), count(many)) for name in _TROUBLES if (many := view.counters.get(name, 0))],
            "none",
        ),
    ]


def _nodes(cluster: ClusterView) -> Table:
    return Table(
        "Nodes",
        ("node", "standing", "load", "targets", "handed/s", "relayed/s", "fetched/s", "predicted"),
        [
            (
                *(node.name, _standing(node.state), count(node.state.load), count(node.state.targets)),
                *(count(node.handed), count(node.relayed), count(node.fetched), percent(node.predicted)),
            )
            for node in cluster.nodes
        ],
    )


def _standing(node: NodeState) -> str:
    return f"warming {node.loaded}/{node.share}" if node.standing == "warming" else node.standing


def visible(text: str) -> str:
    """A text with a client's words in it, without what a terminal would take for orders."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def as_text(tables: Iterable[Table]) -> str:
    """The tables, in columns."""
    return "\n\n".join(map(_as_text, tables))


def _as_text(table: Table) -> str:
    if not table.rows:
        return f"{table.title}: {table.empty or 'none'}"
    rows = [tuple(table.heads), *map(tuple, table.rows)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            [row[0].ljust(widths[0]), *(text.rjust(width) for text, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]
    return "\n".join([table.title, *(f"  {line.rstrip()}" for line in lines if line.strip())])
