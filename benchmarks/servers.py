"""A server under test: how it is started, asked, and stopped."""

from __future__ import annotations

import grp
import http.client
import os
import pwd
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import process
from benchmarks.kinds import FLASHPY_QUIET, Kind

REPOSITORY = Path(__file__).resolve().parent.parent
PEERS = REPOSITORY / "benchmarks" / "peers"
SERVER_CORE = 0
"""The core that servers are pinned to."""
LOAD_CORE = 1
"""The core that load generators are pinned to."""


class ServerFailedError(RuntimeError):
    """A server did not start or did not answer as it should."""


@dataclass(frozen=True)
class Choice:
    """What the command line says about servers: with which interpreter and configuration flashpy runs, with which one
    that has it compiled, and with which the peers that are Python packages."""

    python: str = sys.executable
    config: Path | None = None
    peers_python: str = sys.executable
    compiled_python: str = str(REPOSITORY / ".venv-compiled" / "bin" / "python")

    def words(self) -> dict[str, str]:
        """The words of commands that follow from the choice."""
        peers_bin = str(Path(self.peers_python).parent)
        return {
            "python": self.python,
            "compiled_python": self.compiled_python,
            "peers_python": self.peers_python,
            "peers_bin": peers_bin,
        }


@dataclass(frozen=True)
class Answer:
    """An answer to a request: its status, its fields by their names in lower case, the length of its body in bytes, and
    whether the server keeps the connection for more."""

    status: int
    fields: Mapping[str, str]
    length: int
    kept: bool


@dataclass(frozen=True)
class Server:
    """A running server, answering on 127.0.0.1:port."""

    kind: Kind
    port: int
    process: subprocess.Popen[bytes]
    log: Path
    startup: float = 0.0
    """Seconds from its start to its first answer."""

    def cpu_seconds(self) -> float:
        """CPU seconds of the server and all its descendants until now."""
        return process.cpu_seconds(self.process.pid)

    def url(self, path: str) -> str:
        """The absolute URL of a path."""
        return f"{self.kind.scheme}://127.0.0.1:{self.port}{path}"

    def alive(self) -> bool:
        """Whether the server's first process still runs."""
        return self.process.poll() is None

    def ask(self, path: str, fields: Mapping[str, str] | None = None, method: str = "GET") -> Answer:
        """Make one request, on a connection of its own."""
        client = self._client()
        try:
            client.request(method, path, headers=dict(fields or {}))
            answer = client.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            kept = not answer.will_close
            return Answer(answer.status, found, len(answer.read()), kept)
        except http.client.HTTPException as error:
            raise ServerFailedError(f"{self.kind.name}: {method} {path} gave no proper answer: {error!r}") from error
        finally:
            client.close()

    def _client(self) -> http.client.HTTPConnection:
        if self.kind.scheme == "http":
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        anybody = ssl._create_unverified_context()
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=10, context=anybody)

    def check(self, path: str, size: int) -> None:
        """Ask for the path once, and insist on status 200 and on a body of ``size`` bytes."""
        answer = self.ask(path)
        if answer.status != 200 or answer.length != size:
            said = f"{answer.status} with {answer.length} bytes, not 200 with {size}"
            raise ServerFailedError(f"{self.kind.name}: GET {path} gave {said}")

    def wait(self, path: str, size: int, patience: float = 20.0) -> None:
        """Wait until the server answers the path properly, at most ``patience`` seconds."""
        deadline = time.monotonic() + patience
        while True:
            if not self.alive():
                print(words := self.last_words(), file=sys.stderr)
                raise ServerFailedError(f"{self.kind.name} ended at its start: {last_line(words)}")
            try:
                return self.check(path, size)
            except OSError as error:
                if time.monotonic() > deadline:
                    raise ServerFailedError(f"{self.kind.name} does not answer: {error}") from error
            time.sleep(0.002)

    def last_words(self) -> str:
        """The end of what the server has written to its standard error stream and to its error log."""
        logs = [self.log, self.log.with_name("error.log")]
        return "\n".join(log.read_text(errors="replace") for log in logs if log.exists())[-1500:].strip()


def last_line(text: str) -> str:
    """What a result says of a failure; the rest has been printed."""
    return text.rpartition("\n")[2]


def free_port() -> int:
    """A TCP port of 127.0.0.1 that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def fill(template: str, words: Mapping[str, str]) -> str:
    """Put the words in place of ``@name@``; a name that is not known is an error."""
    return re.sub(r"@(\w+)@", lambda found: words[found[1]], template)


def words_of(kind: Kind, root: Path, run: Path, choice: Choice) -> dict[str, str]:
    """What the placeholders of the command and of the template stand for in this run."""
    user = pwd.getpwuid(os.geteuid())
    return {
        "port": str(free_port()),
        "root": str(root),
        "run": str(run),
        "config": str(run / "server.conf"),
        "peers": str(PEERS),
        **choice.words(),
        "user": user.pw_name,
        "group": grp.getgrgid(user.pw_gid).gr_name,
        **kind.values,
    }


def command_of(kind: Kind, words: Mapping[str, str], choice: Choice) -> list[str]:
    """The command line, after the rendered configuration has been written for it."""
    if kind.template:
        Path(words["config"]).write_text(fill((PEERS / kind.template).read_text(), words))
    extra = ["-c", str(choice.config)] if choice.config and kind.command is FLASHPY_QUIET else []
    return [part.format(**words) for part in kind.command] + extra


@contextmanager
def running(
    kind: Kind, root: Path, hot: tuple[str, int], choice: Choice, prefix: Sequence[str] = ()
) -> Iterator[Server]:
    """Run a server, pinned to its core, for the time of the block.

    ``hot`` is a path and its size in bytes: the block is entered when the server answers it. ``prefix`` is a
    command that executes the server (in a control group, say).
    """
    with tempfile.TemporaryDirectory(prefix="benchmark-run-") as scratch:
        run = Path(scratch)
        words = words_of(kind, root, run, choice)
        command = [*prefix, "taskset", "-c", str(SERVER_CORE), *command_of(kind, words, choice)]
        environment = os.environ | {name: value.format(**words) for name, value in kind.environment.items()}
        start = time.perf_counter()
        with (run / "stderr").open("wb") as log:
            child = subprocess.Popen(
                command, cwd=REPOSITORY, env=environment, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        server = Server(kind, int(words["port"]), child, run / "stderr")
        try:
            server.wait(*hot)
            yield replace(server, startup=time.perf_counter() - start)
        finally:
            for line in process.end(child):
                print(f"warning: {kind.name}: {line}", file=sys.stderr)
