"""A cluster of real processes: nodes and a front-end over a directory of files."""

import http.client
import json
import socket
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from tests.running import PATIENCE, Answer, Client, Flashpy, eventually

FILES = {f"f{number}.txt": f"file {number}\n".encode() * (number + 1) for number in range(12)}
LARGE = bytes(range(256)) * 12_000
"""More than a socket's buffers have."""


def make_site(place: Path) -> Path:
    """A directory with a few small files and a large one."""
    site = place / "site"
    site.mkdir(exist_ok=True)
    for name, content in FILES.items():
        (site / name).write_bytes(content)
    (site / "large.bin").write_bytes(LARGE)
    (site / "index.html").write_text("<h1>Home</h1>")
    return site


class Cluster:
    """``means`` is how nodes are reached: "passing", "relay", or "both". Ended with the ``with`` block."""

    def __init__(
        self,
        place: Path,
        names: str = "ab",
        means: str = "passing",
        cluster: str = "",
        policy: str = "",
        more: str = "",
        health: str = "",
        node: tuple[str, ...] = (),
    ) -> None:
        """``cluster``, ``policy`` and ``health`` are lines of these sections, ``more`` is further ones;
        ``node`` are further options of each node."""
        self._place = place
        self._means = means
        self._stack = ExitStack()
        self._node_options = node
        self.site = make_site(place)
        self.nodes: dict[str, Flashpy] = {}
        self.names = names
        self.file = place / "cluster.toml"
        server = "" if "[server]" in more else '[server]\nbind = ["127.0.0.1:0"]\n'
        self.file.write_text(
            f'{server}[cluster]\ncontrol = "control.sock"\n{cluster}\n[cluster.policy]\n{policy}\n'
            f"[cluster.health]\ninterval = 0.1\n{health}\n"
            + "".join(f"[[cluster.node]]\n{self._section(name)}\n" for name in names)
            + more
        )

    def _section(self, name: str) -> str:
        lines = [f'name = "{name}"']
        if self._means != "relay":
            lines.append(f'handoff = "{name}.sock"')
        if self._means != "passing":
            lines.append(f'address = "unix:{self._place}/{name}.http"')
        return "\n".join(lines)

    def __enter__(self) -> Self:
        try:
            for name in self.names:
                self.start(name)
            self.front = self._stack.enter_context(Flashpy("front", "-c", self.file))
            assert self.front.urls
            eventually("all nodes are up", lambda: all(self.standing(name) == "up" for name in self.names))
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def start(self, name: str) -> Flashpy:
        """Start a node, the first time or again."""
        options: list[str | Path] = ["node", self.site]
        if self._means != "relay":
            options += ["--listen", self._place / f"{name}.sock"]
        if self._means != "passing":
            options += ["--bind", f"unix:{self._place}/{name}.http"]
        self.nodes[name] = node = self._stack.enter_context(Flashpy(*options, *self._node_options))
        assert node.urls
        return node

    def client(self) -> Client:
        """A new connection to the front-end."""
        return self.front.client()

    def get(self, target: str) -> Answer:
        """One request on a connection of its own."""
        return self.front.get(target)

    def control(self, method: str, target: str) -> tuple[int, bytes]:
        """What the front-end answers at its control socket."""
        return ask_control(self._place / "control.sock", method, target)

    def state(self) -> dict[str, Any]:
        """How the cluster is."""
        status, body = self.control("GET", "/state")
        assert status == 200
        found: dict[str, Any] = json.loads(body)
        return found

    def node(self, name: str) -> dict[str, Any]:
        """How a node is, as the front-end knows it."""
        found: dict[str, Any] = self.state()["nodes"][name]
        return found

    def standing(self, name: str) -> str:
        """What a node is for."""
        return str(self.node(name)["standing"])


class Served(Protocol):
    """What can be asked."""

    def client(self) -> Client:
        """A new connection to it."""
        ...


class Load:
    """Clients that ask again and again, each on one connection for as long as that lasts."""

    def __init__(self, served: Served, clients: int = 8) -> None:
        self._served = served
        self._over = threading.Event()
        self.answered = 0
        self.clients = clients
        self.broken: list[float] = []  # when the connections were begun on which an answer did not come
        self.wrong: list[Answer] = []
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(clients)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, number: int) -> None:
        client, began = None, 0.0
        while not self._over.is_set():
            number += 1
            name = f"f{number % len(FILES)}.txt"
            try:
                if client is None:
                    began = time.monotonic()
                    client = self._served.client()
                answer = client.get(f"/{name}")
                self.answered += 1
                if answer.body != FILES[name]:
                    self.wrong.append(answer)
            except (OSError, EOFError):
                self.broken.append(began)
                if client is not None:
                    client.close()
                client = None
        if client is not None:
            client.close()

    def goes_on(self) -> None:
        """Wait until many more have been answered."""
        enough = self.answered + 200
        eventually("many more are answered", lambda: self.answered >= enough)


def ask_control(path: Path, method: str, target: str) -> tuple[int, bytes]:
    """What a front-end answers at its control socket."""
    connection = http.client.HTTPConnection("localhost", timeout=PATIENCE)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(PATIENCE)
    try:
        connection.sock.connect(str(path))
        connection.request(method, target)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
