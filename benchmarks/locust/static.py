"""Visitors of a static site.

Each user asks for the files of one tree, some far more often than others (Zipf's law), and now and then asks
again for something it has had already, as a browser with a cache does. Every answer is checked; what is wrong
with one shows in Locust's table of failures.

    locust -f benchmarks/locust/static.py --host http://127.0.0.1:8000 --tree docs/site
"""

from __future__ import annotations

import os
import random
from argparse import ArgumentTypeError
from collections import Counter, deque
from collections.abc import Callable, Iterator
from itertools import accumulate
from pathlib import Path, PurePosixPath
from typing import ClassVar, NamedTuple, TypeVar
from urllib.parse import quote

from locust import FastHttpUser, events, task
from locust.argument_parser import LocustArgumentParser
from locust.contrib.fasthttp import ResponseContextManager
from locust.env import Environment
from locust.event import EventHook
from locust.exception import ResponseError, StopTest

Handler = TypeVar("Handler", bound=Callable[..., None])

SITE = Path(__file__).resolve().parents[2] / "docs" / "site"
ROWS = 8  # of the summary table that are named after a suffix
REMEMBERED = 64  # answers that a user keeps for its conditional requests

# Locust's client decodes a coded body, and its length could then no longer be held against Content-Length.
PLAIN = {"Accept-Encoding": "identity"}


def walk(tree: Path) -> Iterator[str]:
    """The URL paths of the files in `tree`.

    Hidden files are not for visitors, and where a symbolic link leads is for the server to decide: both are
    left out.
    """
    for folder, folders, files in os.walk(tree):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        relative = os.path.relpath(folder, tree)
        base = "/" if relative == "." else f"/{quote(os.fsencode(relative))}/"
        for name in sorted(files):
            if name.startswith(".") or not os.path.isfile(path := os.path.join(folder, name)):
                continue
            if os.path.islink(path):
                continue
            yield base + quote(os.fsencode(name))
            if name == "index.html":
                yield base


def kind(path: str) -> str:
    return "*/" if path.endswith("/") else f"*{PurePosixPath(path).suffix.lower()}"


class Site:
    """The paths of a tree by popularity: the k-th is drawn in proportion to 1 / k ** exponent."""

    def __init__(self, paths: list[str], exponent: float, seed: int) -> None:
        self.paths = paths
        random.Random(seed).shuffle(self.paths)
        self.cumulative = list(accumulate(rank**-exponent for rank in range(1, len(paths) + 1)))
        self.kinds = {name for name, _ in Counter(map(kind, paths)).most_common(ROWS)}

    def draw(self) -> str:
        return random.choices(self.paths, cum_weights=self.cumulative)[0]

    def row(self, path: str) -> str:
        """Where `path` is counted in the summary table."""
        return name if (name := kind(path)) in self.kinds else "other"


class Answer(NamedTuple):
    path: str
    etag: str


def field(response: ResponseContextManager, name: str) -> str | None:
    value = response.headers.get(name) if response.headers is not None else None
    return value if isinstance(value, str) else None


def entity(etag: str | None) -> str:
    """If-None-Match compares weakly (RFC 9110, 13.1.2)."""
    return (etag or "").removeprefix("W/")


def check(response: ResponseContextManager, validator: str | None = None) -> None:
    """Raise what is wrong with an answer; `validator` is the entity tag that was sent along."""
    status, body, length = response.status_code, response.content or b"", field(response, "content-length")
    if status == 0:
        return  # there was no answer, and Locust itself reports the reason
    if status == 304 and validator is not None:
        if body:
            raise ResponseError(f"304 with a body of {len(body)} bytes")
        return
    if status != 200:
        raise ResponseError(f"status {status}")
    if validator is not None and entity(field(response, "etag")) == entity(validator):
        raise ResponseError("200 although the entity tag matched")
    if length != str(len(body)):
        raise ResponseError(f"Content-Length {length or 'missing'}, body of {len(body)} bytes")


class Visitor(FastHttpUser):
    site: ClassVar[Site]
    conditional: ClassVar[float]
    think_time: ClassVar[float]

    def on_start(self) -> None:
        self.answers: deque[Answer] = deque(maxlen=REMEMBERED)

    def wait_time(self) -> float:
        return random.expovariate(1 / self.think_time) if self.think_time else 0.0

    @task
    def visit(self) -> None:
        if self.answers and random.random() < self.conditional:
            self.ask_again(random.choice(self.answers))
        else:
            self.ask(self.site.draw())

    def ask(self, path: str) -> None:
        with self.client.get(
            path, name=self.site.row(path), headers=PLAIN, allow_redirects=False, catch_response=True
        ) as response:
            check(response)
            if etag := field(response, "etag"):
                self.answers.append(Answer(path, etag))

    def ask_again(self, answer: Answer) -> None:
        with self.client.get(
            answer.path,
            name="If-None-Match",
            headers=PLAIN | {"If-None-Match": answer.etag},
            allow_redirects=False,
            catch_response=True,
        ) as response:
            check(response, answer.etag)


def within(low: float, high: float = float("inf")) -> Callable[[str], float]:
    def number(text: str) -> float:
        if not low <= (value := float(text)) <= high:
            raise ArgumentTypeError(f"{text} is not between {low:g} and {high:g}")
        return value

    return number


def listener(hook: EventHook) -> Callable[[Handler], Handler]:
    """`hook.add_listener`, with the annotations that it lacks."""
    return hook.add_listener


@listener(events.init_command_line_parser)
def add_options(parser: LocustArgumentParser) -> None:
    parser.add_argument(
        "--tree",
        default=str(SITE),
        metavar="DIR",
        include_in_web_ui=False,
        help="the directory that the server serves (default: the example site, docs/site)",
    )
    parser.add_argument(
        "--zipf",
        type=within(0),
        default=0.8,
        metavar="S",
        help="exponent of the popularity; 0 asks for all alike",
    )
    parser.add_argument("--seed", type=int, default=1, help="settles which files are the popular ones")
    parser.add_argument(
        "--think-time",
        type=within(0),
        default=0.0,
        metavar="SECONDS",
        help="mean pause of a user between two requests (exponentially distributed)",
    )
    parser.add_argument(
        "--conditional",
        type=within(0, 1),
        default=0.1,
        metavar="FRACTION",
        help="how many of the requests ask again, with If-None-Match, for what the user has had before",
    )


@listener(events.test_start)
def read_tree(environment: Environment, **_: object) -> None:
    options = environment.parsed_options
    assert options is not None
    paths = list(walk(Path(options.tree)))
    if not paths:
        environment.process_exit_code = 2
        raise StopTest(f"there is no file to ask for in {options.tree}")
    Visitor.site = Site(paths, options.zipf, options.seed)
    Visitor.conditional = options.conditional
    Visitor.think_time = options.think_time
