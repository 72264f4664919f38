"""etcd really running, on loopback ports, with its data in a directory of the test."""

import asyncio
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import aetcd

from tests.running import PATIENCE, eventually, free_ports

PROGRAM = shutil.which("etcd")
MISSING = "etcd is not installed (Debian: etcd-server)"


class EtcdServer:
    """One etcd, that can be killed and started again with the data that it had."""

    def __init__(self, folder: Path) -> None:
        assert PROGRAM is not None
        self.port, peer = free_ports(2)
        self.folder = folder
        own, others = f"http://127.0.0.1:{self.port}", f"http://127.0.0.1:{peer}"
        # Leases are as long as one and a half election time-outs at least.
        self._command = [
            *(PROGRAM, "--data-dir", str(folder), "--log-level", "error"),
            *("--election-timeout", "500", "--heartbeat-interval", "50"),
            *("--listen-client-urls", own, "--advertise-client-urls", own),
            *("--listen-peer-urls", others, "--initial-advertise-peer-urls", others),
            *("--initial-cluster", f"default={others}"),
        ]
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def endpoint(self) -> str:
        """Where clients find it."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually("etcd listens", self._listens)

    def end(self, number: int = signal.SIGKILL) -> None:
        """End it by a signal."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(PATIENCE)
            self._process = None

    def stop(self) -> None:
        """Let it neither work nor end."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it work again."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def client(self) -> aetcd.Client:
        """A client of the test's own."""
        return aetcd.Client("127.0.0.1", self.port, timeout=10)

    def put(self, key: bytes, value: bytes) -> None:
        """Write an entry, for tests without a loop."""

        async def put() -> None:
            async with self.client() as client:
                await client.put(key, value)

        asyncio.run(put())

    def _listens(self) -> bool:
        assert self._process is not None and self._process.poll() is None, "etcd has ended"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0
