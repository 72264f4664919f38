"""``flashpy compress``: writes coded siblings of files (``site.precompressed``)."""

import os
import signal
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import click

from flashpy import libraries
from flashpy.http.coding import LEAST, SUFFIXES
from flashpy.siblings import End, Outcome, Task, find, make

_NAMES = [coding.decode() for coding in SUFFIXES]
_AHEAD = 4  # tasks that wait in each process's queue: an interrupt leaves the others


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--coding", "codings", multiple=True, type=click.Choice(_NAMES), help="Only this one; repeatable.  [default: all]"
)
@click.option("--min-size", type=click.IntRange(0), default=LEAST, show_default=True, help="Bytes of a file at least.")
@click.option("-j", "--jobs", type=click.IntRange(1), help="Processes at work.  [default: the number of processors]")
@click.option("--zopfli", is_flag=True, help="Make gzip smaller still by zopfli, which takes very long.")
def compress(directory: Path, codings: tuple[str, ...], min_size: int, jobs: int | None, zopfli: bool) -> None:
    """Write .br, .zst and .gz siblings of the files in DIRECTORY that get smaller by it.

    What is up to date is skipped. The server finds the siblings with site.precompressed = ["br", "zstd", "gzip"].
    """
    chosen = _available(codings)
    if zopfli and find_spec("zopfli") is None:
        raise click.UsageError("zopfli is not installed; pip install 'flashpy-server[zopfli]' does it.")
    tasks = [
        Task(path, coding, size, zopfli and coding == b"gzip")
        for path, size in find(directory, min_size)
        for coding in chosen
    ]
    tasks.sort(key=lambda task: -task.size)  # the longest first: so none of them is left to one process at the end
    ends, before, after = Counter[End](), 0, 0
    bar = click.progressbar(length=sum(task.size for task in tasks), label="Compressing", file=sys.stderr)
    with bar:
        for outcome in _all(tasks, jobs or len(os.sched_getaffinity(0))):
            bar.update(outcome.task.size)
            ends[outcome.end] += 1
            if outcome.end is End.WRITTEN:
                before, after = before + outcome.task.size, after + outcome.size
            elif outcome.end is End.FAILED:
                click.echo(f"{click.format_filename(outcome.task.sibling)}: {outcome.why}.", err=True)
    click.echo(_summary(ends, before, after))
    if ends[End.FAILED]:
        raise click.ClickException(f"{ends[End.FAILED]} siblings could not be written.")


def _available(names: Iterable[str]) -> list[bytes]:
    """The codings that are asked for; of all there are, those that can be made."""
    there = libraries.codings()
    asked = [name.encode() for name in names]
    if missing := [coding.decode() for coding in asked or SUFFIXES if coding not in there]:
        sentence = f"No library for {' and '.join(missing)} is installed; pip install 'flashpy-server[coding]' does it."
        if asked:
            raise click.UsageError(sentence)
        click.echo(sentence, err=True)
    return [coding for coding in asked or SUFFIXES if coding in there]


def _all(tasks: Iterable[Task], jobs: int) -> Iterator[Outcome]:
    """Do all tasks in so many processes; their outcomes as they come. An interrupt ends it after those at work."""
    ignore = partial(signal.signal, signal.SIGINT, signal.SIG_IGN)
    with ProcessPoolExecutor(jobs, initializer=ignore) as pool:
        working: set[Future[Outcome]] = set()
        try:
            for task in tasks:
                working.add(pool.submit(make, task))
                if len(working) >= jobs * _AHEAD:
                    done, working = wait(working, return_when=FIRST_COMPLETED)
                    yield from (future.result() for future in done)
            while working:
                done, working = wait(working, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        except BrokenProcessPool:
            raise click.ClickException("A process was killed, perhaps for want of memory; try fewer --jobs.") from None
        finally:
            pool.shutdown(cancel_futures=True)


def _summary(ends: Counter[End], before: int, after: int) -> str:
    written = f"{ends[End.WRITTEN]} siblings written"
    if before:
        written += f" ({before:,} bytes became {after:,}, {100 * after / before:.0f} %)"
    rest = {"up to date": End.CURRENT, "would not be smaller": End.GROWN, "failed": End.FAILED}
    return ", ".join([written, *(f"{ends[end]} {words}" for words, end in rest.items() if ends[end])]) + "."
