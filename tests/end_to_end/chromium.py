"""Headless Chromium, driven over its DevTools protocol on a pair of pipes (--remote-debugging-pipe)."""

import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from types import TracebackType
from typing import Any, NamedTuple, Self

from tests.running import PATIENCE

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_FLAGS = (
    *("--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--no-first-run", "--disable-gpu"),
    *("--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--no-proxy-server", "--mute-audio", "--autoplay-policy=no-user-gesture-required"),
)
_ENTER = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, 10) for fd in sys.argv[1:3]]
os.dup2(ends[0], 3)
os.dup2(ends[1], 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""Chromium reads from descriptor 3 and writes to 4."""

Message = dict[str, Any]


class Received(NamedTuple):
    """An answer that the page has got. ``cached``: the browser had it already; ``protocol``: how it came, as ALPN
    names it; ``connection``: which of the browser's connections brought it."""

    url: str
    status: int
    fields: dict[str, str]
    cached: bool
    protocol: str
    connection: int


class Chromium:
    """A browser with one page, for the ``with`` block.

    ``received`` are the answers that the page has got, ``complaints`` the errors and warnings of its console.
    """

    def __init__(self) -> None:
        assert PROGRAM is not None
        self.received: list[Received] = []
        self.complaints: list[str] = []
        self._idle: set[str] = set()  # loads of the page that are over, with all that they have asked for
        self._from_memory: set[str] = set()  # requests that the browser has answered by what it remembers
        self._number = 0
        self._ahead = b""
        self._session = ""
        self._profile = tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True)
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        ends = theirs_in, theirs_out
        command = [PROGRAM, *_FLAGS, f"--user-data-dir={self._profile.name}"]
        self._process = subprocess.Popen(
            [sys.executable, "-c", _ENTER, *map(str, ends), *command],
            pass_fds=ends,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for end in ends:
            os.close(end)

    def __enter__(self) -> Self:
        page = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call("Page.setLifecycleEventsEnabled", enabled=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._out)  # by which it ends
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._in)
        self._profile.cleanup()
        if kind is not None:
            print(*self.received, *self.complaints, sep="\n")

    def call(self, method: str, **parameters: object) -> Message:
        """Call a method of the protocol, and wait for what it gives back."""
        self._number += 1
        number = self._number
        message: Message = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + PATIENCE
        while (said := self._next(deadline)).get("id") != number:
            self._note(said)
        assert "error" not in said, f"{method}: {said['error']}"
        result: Message = said["result"]
        return result

    def visit(self, url: str) -> Received:
        """Load a page and all that it asks for; the answer to the page itself, after its redirects."""
        load = self.call("Page.navigate", url=url)
        assert "errorText" not in load, f"{url}: {load['errorText']}"
        self._until_idle(load["loaderId"])
        address = self.run("location.href.split('#')[0]")
        return next(answer for answer in reversed(self.received) if answer.url == address)

    def run(self, expression: str) -> Any:
        """The value of an expression in the page; what it promises is waited for."""
        said = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in said, f"{expression}: {said['exceptionDetails']}"
        return said["result"].get("value")

    def wait(self, expression: str) -> None:
        """Wait until an expression is true in the page."""
        deadline = time.monotonic() + PATIENCE
        while not self.run(expression):
            assert time.monotonic() < deadline, f"waited in vain until {expression}"
            time.sleep(0.02)

    def of(self, part: str) -> list[Received]:
        """The answers whose URL has something in it."""
        return [answer for answer in self.received if part in answer.url]

    def _until_idle(self, load: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while load not in self._idle:
            self._note(self._next(deadline))

    def _next(self, deadline: float) -> Message:
        """The next message of the browser."""
        while b"\0" not in self._ahead:
            left = max(0.0, deadline - time.monotonic())
            assert select.select([self._in], [], [], left)[0], "waited in vain for Chromium"
            data = os.read(self._in, 1 << 20)
            assert data, "Chromium has ended"
            self._ahead += data
        first, _, self._ahead = self._ahead.partition(b"\0")
        message: Message = json.loads(first)
        return message

    def _note(self, message: Message) -> None:
        """Keep what an event says."""
        said = message.get("params", {})
        match message.get("method"):
            case "Network.responseReceived" | "Network.requestWillBeSent":
                if answer := said.get("response") or said.get("redirectResponse"):
                    fields = {name.lower(): value for name, value in answer["headers"].items()}
                    cached = answer["fromDiskCache"] or said["requestId"] in self._from_memory
                    way = answer["protocol"], answer["connectionId"]
                    self.received.append(Received(answer["url"], answer["status"], fields, cached, *way))
            case "Network.requestServedFromCache":
                self._from_memory.add(said["requestId"])
            case "Page.lifecycleEvent" if said["name"] == "networkIdle":
                self._idle.add(said["loaderId"])
            case "Runtime.consoleAPICalled" if said["type"] in ("error", "warning", "assert"):
                self.complaints.append(" ".join(str(value.get("value")) for value in said["args"]))
            case "Runtime.exceptionThrown":
                self.complaints.append(said["exceptionDetails"]["text"])
            case "Log.entryAdded" if said["entry"]["level"] in ("error", "warning"):
                self.complaints.append(f"{said['entry']['text']} ({said['entry'].get('url', '')})")
            case "Network.loadingFailed" if not said.get("canceled"):
                self.complaints.append(f"{said['type']}: {said['errorText']}")
