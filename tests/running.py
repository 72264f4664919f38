"""A flashpy in a process of its own, and a plain client: for tests over real processes and sockets.

Every wait here is bounded by ``PATIENCE``, which is far above what any step takes: it is reached by faults only.
"""

import itertools
import os
import random
import re
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, NamedTuple, Self

REPOSITORY = Path(__file__).resolve().parent.parent
PATIENCE = 20.0


def eventually(what: str, true: Callable[[], object]) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.01)


def clean_environment(**more: str) -> dict[str, str]:
    """The environment without what flashpy reads, with this source tree to import from."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FLASHPY") and name != "PORT"}
    return {**kept, "PYTHONPATH": str(REPOSITORY), **more}


def children_of(pid: int) -> set[int]:
    """The processes whose parent this is, the dead and not yet reaped ones included."""
    found = set()
    for entry in os.listdir("/proc"):
        if entry.isdigit() and _stat(int(entry))[1:2] == [str(pid)]:
            found.add(int(entry))
    return found


def descendants_of(pid: int) -> set[int]:
    """Children, their children and so on."""
    found = children_of(pid)
    return found.union(*(descendants_of(child) for child in found))


@contextmanager
def no_descriptors_for(*pids: int) -> Iterator[None]:
    """While the block runs, these processes can open nothing more."""
    before = {}
    for pid in pids:
        taken = {int(name) for name in os.listdir(f"/proc/{pid}/fd")}
        free = next(number for number in itertools.count() if number not in taken)
        before[pid] = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (free, before[pid][1]))
    try:
        yield
    finally:
        for pid, limits in before.items():
            resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)


def is_alive(pid: int) -> bool:
    """Whether a process exists and is not merely waiting to be reaped."""
    return _stat(pid)[:1] not in ([], ["Z"], ["X"])


def is_stopped(pid: int) -> bool:
    """Whether a process has come to a stop after SIGSTOP; until then it may go on with what it was about."""
    return _stat(pid)[:1] == ["T"]


def title_of(pid: int) -> str:
    """What ``ps`` shows."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; none if there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def free_ports(count: int = 1) -> list[int]:
    """TCP ports of 127.0.0.1 that are free now, and that the kernel gives to nobody who asks for any port: so they stay
    free while the test's server ends and starts again."""
    lowest_of_any = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(10_000, lowest_of_any)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if port not in found:
                found.append(port)
    return found


class Flashpy:
    """``python -m flashpy ARGUMENTS``, started at once and ended with the ``with`` block at the latest."""

    def __init__(
        self,
        *arguments: str | Path,
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        shell: str = "",
        fds: Iterable[int] = (),
        python: str = sys.executable,
    ) -> None:
        command = [python, "-W", "error::ResourceWarning", "-m", "flashpy", *map(str, arguments)]
        if shell:  # what a shell does before or with it, such as 'ulimit -n 64; exec "$@"'
            command = ["sh", "-c", shell, "sh", *command]
        self._out = tempfile.TemporaryFile()  # noqa: SIM115
        self._err = tempfile.TemporaryFile()  # noqa: SIM115
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=self._out,
            stderr=self._err,
            env=clean_environment(**(environment or {})),
            cwd=cwd,
            pass_fds=tuple(fds),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE)
        if kind is not None:
            print(self.stderr)
        self._out.close()
        self._err.close()

    @property
    def pid(self) -> int:
        """The supervisor's process."""
        return self.process.pid

    def workers(self) -> set[int]:
        """Its worker processes, once they serve."""
        assert self.urls
        return {pid for pid in children_of(self.pid) if title_of(pid).startswith("flashpy: worker")}

    @property
    def worker(self) -> int:
        """Its only worker process."""
        (pid,) = self.workers()
        return pid

    @property
    def stdout(self) -> str:
        """What it has printed so far."""
        return _content(self._out)

    @property
    def stderr(self) -> str:
        """What it has logged so far."""
        return _content(self._err)

    @property
    def urls(self) -> list[str]:
        """Where it says that it serves; waits until it does."""

        def serves() -> bool:
            assert self.process.poll() is None, f"ended with {self.process.returncode}: {self.stderr}"
            return "Serving" in self.stderr and self.stderr.endswith("\n")

        eventually("the server serves", serves)
        return re.findall(r"(?:https?://|unix:)\S+", self.stderr.split("Serving", 1)[1].splitlines()[0])

    @property
    def port(self) -> int:
        """The first of its ports."""
        return int(self.urls[0].rpartition(":")[2])

    def client(self) -> "Client":
        """A new connection to its first address."""
        return Client(("127.0.0.1", self.port))

    def get(self, target: str = "/") -> "Answer":
        """One request on a connection of its own."""
        with self.client() as client:
            return client.get(target)

    def helpers(self) -> set[int]:
        """Its disk helpers (the children of its fork servers)."""
        return {pid for pid in descendants_of(self.pid) if title_of(pid).startswith("flashpy: disk helper")}

    def tell(self, number: signal.Signals) -> None:
        """Send a signal to the server's process."""
        self.process.send_signal(number)

    def wait(self) -> int:
        """Wait for the end; the exit code."""
        return self.process.wait(PATIENCE)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end, once it serves; the exit code."""
        assert self.urls
        self.tell(number)
        return self.wait()


def _content(file: IO[bytes]) -> str:
    size = os.fstat(file.fileno()).st_size
    return os.pread(file.fileno(), size, 0).decode(errors="replace")


POISONED = """
import os, socket, sys
sys.path.append(sys.argv[1])
from flashpy.job.perform import perform
from flashpy.job.programs import fork_server

def swallow(job):
    if job.path == b"/poison":
        os._exit(1)
    return perform(job)

fork_server(socket.socket(fileno=int(sys.argv[2])), lambda: swallow, "disk helper")
"""


def poisoned_helper(place: Path) -> Path:
    """The program of a disk helper that dies of one path, /poison, as one would of a fault in it."""
    program = place / "poisoned.py"
    program.write_text(POISONED)
    return program


class Answer(NamedTuple):
    """An answer as it came."""

    status: int
    fields: dict[str, str]
    body: bytes


class Client:
    """A blocking connection that says just what it is told to."""

    def __init__(self, address: tuple[str, int] | str, receive_buffer: int = 0, source: str = "") -> None:
        self.sock = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
        self.sock.settimeout(PATIENCE)
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source:
            self.sock.bind((source, 0))
        self._ahead = b""
        try:
            self.sock.connect(address)
        except BaseException:
            self.sock.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket."""
        self.sock.close()

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.sock.sendall(data)

    def ask(self, target: str = "/", *fields: str, method: str = "GET") -> None:
        """Send a request."""
        lines = [f"{method} {target} HTTP/1.1", "Host: test", *fields, "", ""]
        self.send("\r\n".join(lines).encode())

    def get(self, target: str = "/", *fields: str) -> Answer:
        """Send a request and take its answer."""
        self.ask(target, *fields)
        return self.answer()

    def answer(self) -> Answer:
        """The next answer."""
        answer = self.head()
        length = int(answer.fields.get("content-length", "0"))
        return answer._replace(body=self.read(length))

    def head(self) -> Answer:
        """The next answer's head; its body is still to be read."""
        while b"\r\n\r\n" not in self._ahead:
            self._receive()
        head, _, self._ahead = self._ahead.partition(b"\r\n\r\n")
        line, *rest = head.decode("latin-1").split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in rest)}
        return Answer(int(line.split(" ")[1]), fields, b"")

    def read(self, length: int) -> bytes:
        """So many bytes of a body."""
        pieces, missing = [], length
        while missing > len(self._ahead):
            pieces.append(self._ahead)
            missing -= len(self._ahead)
            self._ahead = b""
            self._receive()
        pieces.append(self._ahead[:missing])
        self._ahead = self._ahead[missing:]
        return b"".join(pieces)

    def rest(self) -> bytes:
        """All that comes until the server closes, by FIN or by RST."""
        pieces = [self._ahead]
        self._ahead = b""
        try:
            while piece := self.sock.recv(1 << 20):
                pieces.append(piece)
        except ConnectionResetError:
            pass
        return b"".join(pieces)

    def _receive(self) -> None:
        data = self.sock.recv(1 << 20)
        if not data:
            raise EOFError(f"the server closed after {self._ahead[:200]!r}")
        self._ahead += data
