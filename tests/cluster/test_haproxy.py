"""``flashpy lard-haproxy`` with HAProxy really running in front of real nodes."""

import re
import shutil
import socket
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.running import PATIENCE, Client, Flashpy, eventually, free_ports

PROGRAM = shutil.which("haproxy")
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="HAProxy is not installed (Debian: haproxy)")

HOSTILE = [
    "/a;b",
    "/;show info",
    "/a%0aset table nodes key 1 data.server_id 1",
    '/quo"te',
    "/back\\slash\\",
    "/'x'",
    "/%00",
]
"""Targets that would be commands, ends of lines or quotes, if they came onto a command line."""
LARGE = 50_000_000


class Rig:
    """Two nodes, HAProxy in front of them, and the driver."""

    def __init__(self, stack: ExitStack, place: Path, *options: str) -> None:
        self._stack = stack
        self.place = place
        self.nodes = {f"node{number}": self._node(number) for number in (1, 2)}
        self.port, log = free_ports(2)
        self.admin = str(place / "admin.sock")
        # Over UDP, for one path of the two; the other is in test_over_a_unix_socket.
        self.options = ["--socket", self.admin, "--log", f"127.0.0.1:{log}"]
        self.write_config()
        self.haproxy = self._haproxy()
        self.driver = stack.enter_context(Flashpy("lard-haproxy", *self.options, *options))
        self.await_driver()

    def _node(self, number: int) -> Flashpy:
        root = self.place / f"root{number}"
        (root / "many").mkdir(parents=True)
        (root / "who").write_text(f"node{number}")
        for other in range(20):
            (root / "many" / str(other)).write_text(f"node{number}")
        with (root / "large").open("wb") as file:
            file.truncate(LARGE)
        for name in ("a;b", ";show info", 'quo"te', "back\\slash\\", "'x'"):
            (root / name).write_text(f"node{number}")
        (root / "a\nset table nodes key 1 data.server_id 1").write_text(f"node{number}")
        return self._stack.enter_context(Flashpy(root, "--port", "0", "--no-access-log"))

    def write_config(self) -> None:
        """As the command prints it, and with quick checks of the nodes."""
        addresses = [f"127.0.0.1:{node.port}" for node in self.nodes.values()]
        listen = f"127.0.0.1:{self.port}"
        with Flashpy("lard-haproxy", "--print-config", "--listen", listen, *self.options, *addresses) as printing:
            assert printing.process.wait(PATIENCE) == 0
            text = printing.stdout
        self.config = self.place / "haproxy.cfg"
        self.config.write_text(text.replace(" check\n", " check inter 100ms\n"))

    def _haproxy(self) -> "subprocess.Popen[bytes]":
        assert PROGRAM is not None
        process = subprocess.Popen([PROGRAM, "-db", "-f", self.config])
        self._stack.callback(process.wait, PATIENCE)
        self._stack.callback(process.kill)
        eventually("HAProxy listens", lambda: self._listens(process))
        return process

    def _listens(self, process: "subprocess.Popen[bytes]") -> bool:
        assert process.poll() is None, "HAProxy has ended"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def await_driver(self) -> None:
        """Wait until the driver has spoken with this process of HAProxy."""
        eventually("the driver drives", lambda: f"process {self.haproxy.pid}." in self.driver.stderr)

    def restart_haproxy(self) -> None:
        """Kill it and start it again, with an empty table."""
        self.haproxy.kill()
        self.haproxy.wait(PATIENCE)
        self.haproxy = self._haproxy()

    def get(self, target: str = "/who") -> str:
        """Who answers."""
        with Client(("127.0.0.1", self.port)) as client:
            client.send(f"GET {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n".encode())
            answer = client.answer()
            return answer.body.decode() if answer.status == 200 else str(answer.status)

    def say(self, command: str) -> str:
        """What HAProxy answers to a command."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(PATIENCE)
            sock.connect(self.admin)
            sock.sendall(f"{command}\n".encode())
            return b"".join(iter(lambda: sock.recv(65536), b"")).decode()

    def table(self) -> dict[int, str]:
        """The nodes of all targets in the table."""
        found = re.findall(r"key=(\d+) .*server_id=(\d+)", self.say("show table nodes"))
        return {int(key): f"node{number}" for key, number in found}


@pytest.fixture
def place(stack: ExitStack) -> Path:
    """A directory of a short name: a path of a socket has 108 bytes at most, with what HAProxy appends to it."""
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lard-")))


def test_a_target_is_in_the_table_as_it_was_served(stack: ExitStack, place: Path) -> None:
    """And goes there from then on."""
    rig = Rig(stack, place)
    who = rig.get()
    eventually("the target is in the table", lambda: list(rig.table().values()) == [who])
    assert {rig.get() for _ in range(10)} == {who}
    rig.say(f"clear table nodes;set table nodes key {next(iter(rig.table()))} data.server_id {3 - int(who[-1])}")
    assert rig.get() != who, "the table decides, under the number that the driver has given"


def test_a_target_moves_from_a_node_that_has_too_much_to_do(stack: ExitStack, place: Path) -> None:
    """LARD's rule, by the loads of HAProxy's statistics."""
    rig = Rig(stack, place, "--t-low", "1", "--t-high", "1")
    who = rig.get()
    eventually("the target is in the table", lambda: list(rig.table().values()) == [who])
    other = next(name for name in rig.nodes if name != who)
    rig.say(f"disable server nodes/{other}")
    for _ in range(3):  # answers that nobody takes
        client = stack.enter_context(Client(("127.0.0.1", rig.port), receive_buffer=4096))
        client.ask("/large")
        assert client.head().status == 200
    rig.say(f"enable server nodes/{other}")
    eventually("the target has moved", lambda: rig.get() == other)


def test_targets_that_look_like_commands(stack: ExitStack, place: Path) -> None:
    """Each has an entry of its own; nothing else has happened."""
    rig = Rig(stack, place)
    served = [rig.get(target.replace(" ", "%20")) for target in HOSTILE[:-1]]
    assert set(served) <= set(rig.nodes)
    assert rig.get(HOSTILE[-1]) in ("400", "404")
    eventually("all are in the table", lambda: len(rig.table()) == len(served))
    assert sorted(rig.table().values()) == sorted(served)
    assert [rig.get(target.replace(" ", "%20")) for target in HOSTILE[:-1]] == served
    assert "refused" not in rig.driver.stderr and "not answer" not in rig.driver.stderr


def test_haproxy_is_restarted(stack: ExitStack, place: Path) -> None:
    """It gets all entries again."""
    rig = Rig(stack, place)
    served = {f"/many/{number}": rig.get(f"/many/{number}") for number in range(20)}
    eventually("all are in the table", lambda: len(rig.table()) == len(served))
    before = rig.table()
    rig.restart_haproxy()
    rig.await_driver()
    eventually("all are in the table again", lambda: rig.table() == before)
    assert {target: rig.get(target) for target in served} == served


def test_a_node_is_killed(stack: ExitStack, place: Path) -> None:
    """Its targets get the other one."""
    rig = Rig(stack, place)
    served = {f"/many/{number}": rig.get(f"/many/{number}") for number in range(20)}
    assert set(served.values()) == set(rig.nodes)
    eventually("all are in the table", lambda: len(rig.table()) == len(served))
    rig.nodes["node1"].process.kill()
    rig.nodes["node1"].process.wait(PATIENCE)
    eventually("HAProxy knows", lambda: re.search(r"^nodes,node1,.*,DOWN", rig.say("show stat"), re.MULTILINE))

    def all_go_there() -> bool:
        assert {rig.get(target) for target in served} <= {"node2", "503"}
        return set(rig.table().values()) == {"node2"}

    eventually("the table has the other one", all_go_there)


def test_over_a_unix_socket(stack: ExitStack, place: Path) -> None:
    """The log may come that way too; the socket's name goes at the end."""
    port, node = free_ports(2)
    options = ["--socket", str(place / "admin.sock"), "--log", f"unix:{place}/log.sock"]
    driver = stack.enter_context(Flashpy("lard-haproxy", *options))
    eventually("it waits for HAProxy", lambda: f"HAProxy does not answer at {place}/admin.sock" in driver.stderr)
    with Flashpy("lard-haproxy", "--print-config", "--listen", f"127.0.0.1:{port}", *options, f"127.0.0.1:{node}") as p:
        assert p.process.wait(PATIENCE) == 0
        (place / "haproxy.cfg").write_text(p.stdout)
    assert PROGRAM is not None
    process = subprocess.Popen([PROGRAM, "-db", "-f", place / "haproxy.cfg"], stderr=subprocess.DEVNULL)
    stack.callback(process.wait, PATIENCE)
    stack.callback(process.kill)
    eventually("it has found HAProxy", lambda: f"Driving HAProxy, process {process.pid}." in driver.stderr)
    assert (place / "log.sock").is_socket()
    assert driver.stderr.count("does not answer") == 1
    driver.process.terminate()
    assert driver.process.wait(PATIENCE) == 0
    assert not (place / "log.sock").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--print-config"], "Name the nodes"),
        (["--print-config", "node"], "'node' is no node; write host:port."),
        (["127.0.0.1:80"], "HAProxy itself says which nodes it has"),
        (["--log", "x"], "'x' is no address"),
        (["--log", ":80"], "':80' is no address that HAProxy logs to"),
        (["--log", "unix:@x"], "is no address that HAProxy logs to"),
        (["--backend", "a;b"], "'a;b' is no name of a backend."),
        (["--log", "unix:/nowhere/x"], "The log's socket /nowhere/x cannot be bound: No such file or directory."),
    ],
)
def test_what_cannot_be(words: list[str], said: str) -> None:
    """One sentence."""
    with Flashpy("lard-haproxy", *words) as command:
        assert command.process.wait(PATIENCE) in (1, 2)
        assert said in command.stderr and "Traceback" not in command.stderr
