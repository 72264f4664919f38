"""``flashpy simulate``: what a cluster would do with the requests of a log, by policy and number of nodes."""

import csv
import gc
import gzip
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import click
import msgspec

from flashpy.cli.figures import count, percent, seconds, size
from flashpy.cli.sizes import size_in
from flashpy.cli.tables import Table, as_text
from flashpy.cluster.policy import POLICIES, Parameters
from flashpy.cluster.simulator import Figures, Outcome, Setting, Simulation
from flashpy.cluster.simulator_costs import COSTS
from flashpy.cluster.simulator_node import CACHES
from flashpy.cluster.simulator_traces import SHAPES, Trace, coverage, logged, made_up

MOST_NODES = 10_000
T = TypeVar("T")


class Told(msgspec.Struct):
    """What is told of a trace. ``covering``: bytes of the files that 97, 98 and 99 % of the requests are for."""

    requests: int
    targets: int
    bytes: int
    covering: list[int]


class Found(msgspec.Struct):
    """What ``--json`` prints."""

    trace: str
    told: Told
    costs: str
    replacement: str
    cache_bytes: int
    replays: int
    outcomes: list[Outcome]


def _listed(read: Callable[[str], T]) -> Callable[[click.Context, click.Parameter, str], list[T]]:
    def callback(context: click.Context, parameter: click.Parameter, value: str) -> list[T]:
        return [read(word.strip()) for word in value.split(",")]

    return callback


def _policy(word: str) -> str:
    if word not in POLICIES:
        raise click.BadParameter(f"There is no policy {word!r}; there are {', '.join(POLICIES)}.")
    return word


def _nodes(word: str) -> int:
    if not word.isdecimal() or not 1 <= int(word) <= MOST_NODES:
        raise click.BadParameter(f"{word!r} is no number of nodes; write some from 1 to {MOST_NODES:,}, such as 1,4.")
    return int(word)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--log",
    type=click.Path(path_type=Path),
    help="Access log (combined or JSON), or a table with path and bytes (CSV); .gz is unpacked.",
)
@click.option("--shape", type=click.Choice(list(SHAPES)), default="rice", show_default=True, help="Without a log.")
@click.option("--requests", type=click.IntRange(1), default=100_000, show_default=True, help="Of a shape, so many.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of a shape, which.")
@click.option(
    "--policy",
    "policies",
    callback=_listed(_policy),
    default="wrr,chbl,lard,lard-r",
    show_default=True,
    help=f"Of {', '.join(POLICIES)}.",
)
@click.option("--nodes", callback=_listed(_nodes), default="1,2,4,8,16", show_default=True, help="Numbers of nodes.")
@click.option(
    "--cache",
    callback=lambda context, parameter, value: size_in(value),
    default="32M",
    show_default=True,
    help="Memory of a node for files.",
)
@click.option(
    "--replacement", type=click.Choice(list(CACHES)), default="gds", show_default=True, help="In that memory."
)
@click.option("--costs", type=click.Choice(list(COSTS)), default="paper", show_default=True, help="Of a node's work.")
@click.option(
    "--mapping",
    callback=lambda context, parameter, value: size_in(value),
    default="64M",
    show_default=True,
    help="Memory of the front-end for who has what; a target takes about 420 bytes.",
)
@click.option("--replays", type=click.IntRange(1), default=1, show_default=True, help="To warm the caches up.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def simulate(
    log: Path | None,
    shape: str,
    requests: int,
    seed: int,
    policies: list[str],
    nodes: list[int],
    cache: int,
    replacement: str,
    costs: str,
    mapping: int,
    replays: int,
    as_json: bool,
) -> None:
    """Simulate a cluster: throughput, misses, idleness and delay, by policy and number of nodes.

    The machines are those of the LARD paper (Pai et al., ASPLOS 1998) or of today. The requests are those of a log, or
    are made up in the shape of one. They are replayed: once with cold caches, and then with warm ones.
    """
    gc.disable()  # nothing is made in circles, and there are millions of things that it would look at
    trace = _from_log(log) if log is not None else made_up(SHAPES[shape], requests, seed)
    if not trace.requests:
        raise click.UsageError(f"{log} has no request for a file that was answered with it.")
    if not cache or not mapping:
        raise click.UsageError("A memory of 0 bytes holds nothing; give --cache and --mapping some.")
    parameters = Parameters(mapping_bytes=mapping)
    settings = [
        Setting(policy, number, COSTS[costs], cache, replacement, replays=replays, parameters=parameters)
        for policy in policies
        for number in nodes
    ]
    told = Told(len(trace.requests), len(trace.targets), sum(trace.sizes), coverage(trace.sizes, trace.counts()))
    name = log.name if log is not None else shape
    found = Found(name, told, costs, replacement, cache, replays, list(_outcomes(settings, trace)))
    click.echo(msgspec.json.encode(found).decode() if as_json else _in_words(found))


def _from_log(path: Path) -> Trace:
    try:
        with closing(gzip.open(path) if path.suffix == ".gz" else path.open("rb")) as lines:
            return logged(lines)
    except (OSError, EOFError, zlib.error, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise click.UsageError(f"The log {path} cannot be read: {reason}.") from error


def _outcomes(settings: Iterable[Setting], trace: Trace) -> Iterator[Outcome]:
    total = sum((1 + setting.replays) * len(trace.requests) for setting in settings)
    with click.progressbar(length=total, label="Simulating", file=sys.stderr) as bar:
        for setting in settings:
            try:
                yield Simulation(setting, trace, bar.update).run()
            except ValueError as error:
                raise click.UsageError(str(error)) from error


def _in_words(found: Found) -> str:
    told = found.told
    covering = ", ".join(map(size, told.covering))
    title = (
        f"{found.trace}: {count(told.requests)} requests for {count(told.targets)} files of {size(told.bytes)}; "
        f"97, 98 and 99 % of them for {covering}. Memory of a node: {size(found.cache_bytes)} ({found.replacement}). "
        f"Costs: {found.costs}"
    )
    cold = _table(f"Cold caches, {title}", [(outcome, outcome.cold) for outcome in found.outcomes])
    warm = _table("Warm caches", [(outcome, outcome.warm) for outcome in found.outcomes])
    return as_text([cold, warm])


def _table(title: str, rows: list[tuple[Outcome, Figures]]) -> Table:
    return Table(
        title,
        (
            "policy",
            "nodes",
            "requests/s",
            "misses",
            "coalesced",
            "idle",
            "processor",
            "disk",
            "delay",
            "p99",
            "foreseen",
        ),
        [
            (
                *(outcome.policy, count(outcome.nodes), count(figures.throughput), percent(figures.miss_ratio)),
                *(percent(figures.coalesced_ratio), percent(figures.idle), percent(figures.cpu)),
                *(percent(figures.disk), seconds(figures.delay), seconds(figures.delay_p99)),
                percent(figures.affinity),
            )
            for outcome, figures in rows
        ],
    )
