"""A supervised server for tests: its configuration, its load, and who takes over from it."""

import os
import random
import signal
import socket
import threading
from contextlib import ExitStack
from pathlib import Path

from tests.running import Client, Flashpy, eventually, is_alive


def write(file: Path, generation: int = 1, server: str = "") -> Path:
    """Write a configuration whose answers say which one it is."""
    new = file.with_suffix(".new")
    new.write_text(
        f'[server]\nbind = ["127.0.0.1:{port_of(file)}"]\n{server}\n[site]\nroot = "site"\n'
        f'headers = {{ "X-Generation" = "{generation}" }}\n'
    )
    new.replace(file)  # in one step: who reads it meanwhile finds one or the other
    return file


def port_of(file: Path) -> int:
    """A port that stays the same for a file, and is free: none of those that clients get."""
    note = file.with_suffix(".port")
    while not note.exists():
        port = random.randrange(20_000, 32_000)
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        note.write_text(str(port))
    return int(note.read_text())


def start(stack: ExitStack, file: Path, *options: str) -> Flashpy:
    """A server that serves."""
    server = stack.enter_context(Flashpy("-c", file, *options))
    assert server.urls
    return server


def connect(stack: ExitStack, file: Path) -> Client:
    """A connection until the test ends."""
    return stack.enter_context(Client(("127.0.0.1", port_of(file))))


def generation_of(client: Client) -> int:
    """Which configuration answers."""
    answer = client.get()
    assert answer.status == 200
    return int(answer.fields["x-generation"])


def reload(server: Flashpy, file: Path, generation: int, server_keys: str = "") -> None:
    """Change the configuration, and wait until it is in force."""
    before = server.stderr.count("is in force")
    write(file, generation, server_keys)
    server.tell(signal.SIGHUP)
    eventually("it is in force", lambda: server.stderr.count("is in force") > before)


class Load:
    """Requests from several connections, as fast as they go, in threads; whatever is not answered properly is kept."""

    def __init__(self, stack: ExitStack, file: Path, connections: int = 4, keep_alive: bool = True) -> None:
        self.answered = 0
        self.failures: list[str] = []
        self.generations: set[int] = set()
        self._file = file
        self._keep_alive = keep_alive
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(connections)]
        for thread in self._threads:
            thread.start()
        stack.callback(self.stop)

    def stop(self) -> None:
        """Ask no more."""
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        try:
            while not self._stopped.is_set():
                with Client(("127.0.0.1", port_of(self._file))) as client:
                    while not self._stopped.is_set():
                        self.generations.add(generation_of(client))
                        self.answered += 1
                        if not self._keep_alive:
                            break
        except (OSError, EOFError, AssertionError) as error:
            self.failures.append(repr(error))


def new_supervisor(stack: ExitStack, server: Flashpy) -> set[int]:
    """The supervisor that has taken over from a server, ended with the test at the latest."""
    found = {
        int(line.rpartition("process ")[2].rstrip(").")) for line in server.stderr.splitlines() if "takes over" in line
    }

    def end() -> None:
        for pid in found:
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)

    stack.callback(end)
    return found
