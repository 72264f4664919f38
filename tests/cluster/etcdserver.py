"""etcd really running, on loopback ports or at a host of its own, with its data in a directory of the test."""

import asyncio
import base64
import http.client
import json
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import aetcd

from tests.cluster.network import ETCD, Host
from tests.running import PATIENCE, eventually, free_ports

PROGRAM = shutil.which("etcd")
MISSING = "etcd is not installed (Debian: etcd-server)"


class EtcdServer:
    """One etcd, that can be killed and started again with the data that it had."""

    def __init__(self, folder: Path, host: Host | None = None) -> None:
        """``host``: where it runs, if not here."""
        assert PROGRAM is not None
        self.port, peer = free_ports(2)
        self.folder = folder
        self._address = host.addresses[ETCD] if host is not None else "127.0.0.1"
        self._entered: Callable[[], AbstractContextManager[None]] = host.entered if host is not None else nullcontext
        own, others = f"http://{self._address}:{self.port}", f"http://127.0.0.1:{peer}"
        # Leases are as long as one and a half election time-outs at least.
        self._command = [
            *(host.command if host is not None else ()),
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
        return f"{self._address}:{self.port}"

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

    def entries(self) -> set[str]:
        """The names of all entries, by its interface for JSON."""
        connection = http.client.HTTPConnection(self._address, self.port, timeout=PATIENCE)
        everything = {"key": "AA==", "range_end": "AA==", "keys_only": True}  # from the byte 0 on, in Base64
        try:
            with self._entered():
                connection.connect()
            connection.request("POST", "/v3/kv/range", json.dumps(everything))
            found = json.loads(connection.getresponse().read()).get("kvs", ())
        finally:
            connection.close()
        return {base64.b64decode(entry["key"]).decode() for entry in found}

    def _listens(self) -> bool:
        assert self._process is not None and self._process.poll() is None, "etcd has ended"
        with self._entered(), socket.socket() as probe:
            return probe.connect_ex((self._address, self.port)) == 0
