"""``flashpy warm``: brings files into the caches before anybody asks for them."""

import os
import queue
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import IO, NamedTuple

import click

from flashpy.access.attempts import Attempts
from flashpy.cli.asking import Asking, Place, in_words, place_of
from flashpy.cli.sizes import size_in
from flashpy.config import Config, load
from flashpy.errors import StartError
from flashpy.http.target import quote_path
from flashpy.log.reading import wanted
from flashpy.memory import memory_limit
from flashpy.settings import SiteSection
from flashpy.site.plan import plan

MOST = 1_000_000
"""Addresses of a log that are counted; those that come first later are left out."""
MISFITS = 100
"""Files in a row that do not fit into the budget, after which it counts as used up."""
NICE = 10
"""How nice (nice(2)) it is to the server and its helpers."""
_CODINGS = "gzip, deflate, br, zstd"  # as browsers send it: so the coding gets warm that they are sent


class Wish(NamedTuple):
    """A target to ask for, of the site with this host."""

    target: str
    host: str


class Got(NamedTuple):
    """What came of a wish: its status (0: it was left out for want of room), and how many bytes."""

    status: int
    size: int


def _bytes(context: click.Context, parameter: click.Parameter, value: str | None) -> int:
    return memory_limit() // 2 if value is None else size_in(value)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-c", "--config", "file", type=click.Path(path_type=Path), required=True, help="Configuration file of the server."
)
@click.option(
    "--from",
    "log",
    type=click.File("rb"),
    metavar="LOG",
    help="Access log (combined or JSON), or a list of paths; - is standard input.  [default: all files, small first]",
)
@click.option(
    "--budget", callback=_bytes, metavar="BYTES", help="How much to read, such as 2G.  [default: half the memory]"
)
@click.option("--url", metavar="URL", help="Where the server is.  [default: the first address of the configuration]")
@click.option("--rate", type=click.FloatRange(1), default=500, show_default=True, help="Requests a second at most.")
@click.option("--connections", type=click.IntRange(1, 64), default=2, show_default=True, help="Requests at a time.")
def warm(file: Path, log: IO[bytes] | None, budget: int, url: str | None, rate: float, connections: int) -> None:
    """Ask a running server for files, so that they are in its caches and in memory.

    With an access log: those that were asked for most often first, and of equals the latest. What clients have in their
    own caches (304) counts too.
    """
    config = load(file)
    place = place_of(config, url)
    wishes = hottest(log, _host(config.site)) if log is not None else smallest(config, budget)
    with suppress(OSError):
        os.nice(NICE)
    began = time.monotonic()
    found: Counter[int] = Counter()
    size = 0
    with click.progressbar(length=len(wishes), label="Warming", file=sys.stderr) as bar:
        for got in ask(place, wishes, budget, rate, connections):
            found[got.status] += 1
            size += got.size
            bar.update(1)
    click.echo(_summary(found, size, len(wishes), time.monotonic() - began))


def hottest(lines: Iterable[bytes], host: str) -> list[Wish]:
    """What was asked for, the most frequent first, of equals the latest."""
    counts: Counter[bytes] = Counter()
    last: dict[bytes, int] = {}
    for number, line in enumerate(lines):
        target = wanted(line)
        if target is not None and (target in counts or len(counts) < MOST):
            counts[target] += 1
            last[target] = number
    ranked = sorted(counts, key=lambda target: (-counts[target], -last[target]))
    return [Wish(target.decode("latin-1"), host) for target in ranked]


def smallest(config: Config, budget: int) -> list[Wish]:
    """All files of all sites that fit into the budget together, the smallest first."""
    found = [(size, Wish(target, _host(site))) for site in config.all_sites for size, target in _files(site)]
    found.sort()
    wishes = []
    for size, wish in found:
        budget -= size
        if budget < 0:
            break
        wishes.append(wish)
    return wishes


def _files(site: SiteSection) -> Iterator[tuple[int, str]]:
    """The sizes and targets of what a site serves."""
    hidden = plan(site, Attempts()).hidden
    places = [(b"", site.root), *((mount.path.rstrip("/").encode(), mount.root) for mount in site.mount)]
    for prefix, root in places:
        top = os.fsencode(os.path.abspath(root))
        for directory, _, names in os.walk(top):
            for name in names:
                path = prefix + os.path.join(directory, name)[len(top.rstrip(b"/")) :]
                with suppress(OSError):
                    if not hidden(path):
                        yield os.stat(os.path.join(directory, name)).st_size, quote_path(path).decode()


def _host(site: SiteSection) -> str:
    """A host that means a site; of a wildcard any name beneath it."""
    host = next(iter(site.hosts), "*")
    return "localhost" if host == "*" else host.replace("*.", "www.", 1)


def ask(place: Place, wishes: Iterable[Wish], budget: int, rate: float, connections: int) -> Iterator[Got]:
    """Ask for all, on so many connections, until the budget is used up.

    Raises:
        StartError: the server cannot be reached.
    """
    asker = _Asker(place, wishes, budget, connections / rate)
    threads = [threading.Thread(target=asker.run, daemon=True) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for _ in threads:
        while (got := asker.results.get()) is not None:
            yield got
    if asker.failure:
        raise StartError(f"The server at {in_words(place)} cannot be asked: {asker.failure}.")


class _Asker:
    """What the threads share."""

    def __init__(self, place: Place, wishes: Iterable[Wish], budget: int, pause: float) -> None:
        self._place = place
        self._wishes = iter(wishes)
        self._left = budget
        self._pause = pause
        self._misfits = 0
        self._lock = threading.Lock()
        self.results: queue.SimpleQueue[Got | None] = queue.SimpleQueue()  # None: a thread has ended
        self.failure = ""

    def run(self) -> None:
        """Ask for one after the other."""
        connection = Asking(self._place)
        try:
            while (wish := self._next()) is not None:
                until = time.monotonic() + self._pause
                self.results.put(self._get(connection, wish))
                time.sleep(max(0.0, until - time.monotonic()))
        except (OSError, HTTPException) as error:
            self.failure = str(error) or type(error).__name__
        finally:
            connection.close()
            self.results.put(None)

    def _next(self) -> Wish | None:
        with self._lock:
            if self.failure or self._misfits >= MISFITS:
                return None
            return next(self._wishes, None)

    def _get(self, connection: Asking, wish: Wish) -> Got:
        try:
            connection.putrequest("GET", wish.target, skip_host=True, skip_accept_encoding=True)
        except (HTTPException, UnicodeError):  # a target that cannot be sent
            connection.close()
            return Got(400, 0)
        connection.putheader("Host", wish.host)
        connection.putheader("Accept-Encoding", _CODINGS)
        connection.endheaders()
        response = connection.getresponse()
        size = response.length or 0
        if not self._take(size):
            connection.close()  # what is on the way is thrown away
            return Got(0, 0)
        while response.read(2**18):
            pass
        return Got(response.status, size if response.status == 200 else 0)

    def _take(self, size: int) -> bool:
        with self._lock:
            fits = size <= self._left
            self._left -= size if fits else 0
            self._misfits = 0 if fits else self._misfits + 1
            return fits


def _summary(found: Counter[int], size: int, wished: int, seconds: float) -> str:
    parts = [f"{found[200]} files warm, {size:,} bytes, in {seconds:.1f} s"]
    parts += [f"{count} answered {status}" for status, count in sorted(found.items()) if status not in (0, 200)]
    if left := wished - found.total() + found[0]:
        parts.append(f"{left} did not fit into the budget")
    return "; ".join(parts) + "."
