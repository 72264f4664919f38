"""A site over a real directory, whose jobs are done on the spot, and whose clock the tests turn."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from flashpy.buffers import Aggregate, Lazy, Slice
from flashpy.http.http1 import Http1
from flashpy.http.request import Request
from flashpy.http.response import Response
from flashpy.job.kinds import Job, Result, always
from flashpy.job.perform import perform
from flashpy.now import Now
from flashpy.resource.answer import Answer, Pending
from flashpy.settings import Config
from flashpy.site.sites import answering
from tests.http.making import shared

WALL = 1_700_000_000.0
OLD = 1_600_000_000
"""The modification time of the files: long enough ago for their Last-Modified to be strong."""
CLIENT = "127.0.0.1"
HTML = "text/html,application/xhtml+xml,*/*;q=0.8"
"""What browsers accept when they go to a page."""
TOM = "Basic dG9tOnNlY3JldA=="  # tom:secret
TOMS_HASH = "$2b$04$kXiG6LTwrFo883V4hlVDE.cYTcrBObLZIe7fhEKhIC0U0Nh3wVVPW"


class Seen(NamedTuple):
    """What a client sees of an answer; ``fields`` by names in lower case, those of one name joined."""

    status: int
    fields: dict[str, str]
    body: bytes


class Runner:
    """A job.kinds.Runner that does jobs on the spot, and can bend their results."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.bend: Callable[[Result], Result] = lambda result: result

    def run(self, job: Job, done: Callable[[Result], None], wanted: Callable[[], bool] = always) -> None:
        """Do a job now."""
        self.jobs.append(job)
        done(self.bend(perform(job)._replace(job=job)))


class Serving:
    """The sites of a configuration, which is given as its tables."""

    def __init__(self, root: Path, site: dict[str, Any], more: dict[str, Any]) -> None:
        self.root = root
        self.now = Now(1000.0, WALL)
        self.runner = Runner()
        self.config = msgspec.convert({"site": {"root": str(root), **site}, **more}, Config)
        self.answers = answering(self.config, self.runner, self.now)
        self.wires = shared()

    def write(self, name: str, data: bytes | str = b"", seconds: int = OLD) -> Path:
        """Put a file into the site; what is in it says where it is, unless that is given."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((data.encode() if isinstance(data, str) else data) or name.encode())
        os.utime(path, (seconds, seconds))
        return path

    def later(self, seconds: float) -> None:
        """Turn the clock."""
        self.now.monotonic += seconds
        self.now.wall += seconds

    def request(self, target: str, *fields: str, method: str = "GET", host: str = "test") -> Request:
        """A request, as the wire of a connection gives it out: what repeats is one and the same."""
        text = "\r\n".join([f"{method} {target} HTTP/1.1", f"Host: {host}", *fields, "", ""])
        (found,) = Http1(self.wires).receive(text.encode())
        return found

    def ask(self, target: str, *fields: str, method: str = "GET", host: str = "test", client: str = CLIENT) -> Seen:
        """Ask, and have the jobs done that the answer takes; not a loop of them."""
        request = self.request(target, *fields, method=method, host=host)
        answer: Answer = self.answers.answer(request, client)
        results: list[Result] = []
        for _ in range(8):
            if isinstance(answer, Response):
                return self._seen(request, answer)
            assert isinstance(answer, Pending)
            self.runner.run(answer.job, results.append)
            answer = answer.go_on(results.pop())
        raise AssertionError(f"a loop of jobs: {self.runner.jobs[-8:]}")

    def status(self, target: str, *fields: str, **more: Any) -> int:
        """The status of an answer."""
        return self.ask(target, *fields, **more).status

    def _seen(self, request: Request, response: Response) -> Seen:
        fields: dict[str, str] = {}
        for name, value in response.head.fields:
            key = name.decode().lower()
            fields[key] = f"{fields[key]}, {value.decode()}" if key in fields else value.decode()
        body = self._whole(response.body)
        if request.method == b"HEAD" or response.head.status in (204, 304):
            assert body == b""
        else:
            assert int(fields["content-length"]) == len(body)
        return Seen(response.head.status, fields, body)

    def _whole(self, body: Aggregate) -> bytes:
        parts: list[bytes] = []
        pieces = list(body)
        while pieces:
            piece = pieces.pop(0)
            if isinstance(piece, Lazy):
                made = piece.make()
                if isinstance(made, Job):
                    made = piece.make(perform(made)._replace(job=made))
                assert made is not None and not isinstance(made, Job)
                pieces[:0] = made
            elif isinstance(piece, Slice):
                parts.append(os.pread(piece.file.fd, piece.length, piece.offset))
            else:
                parts.append(piece)
        return b"".join(parts)
