"""Hosts that can be cut from each other: network namespaces (ip-netns(8)) at the ports of two switches.

What goes over a port that is down vanishes, and nobody is told: neither by RST nor by ICMP.
"""

import ctypes
import itertools
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import IO

SITE, ETCD = "site", "etcd"
"""The switches: one for requests, and one for etcd, as docs/cluster.md wants it."""

_SUBNETS = {SITE: "10.77.0", ETCD: "10.77.1"}
_CLONE_NEWNET = 0x40000000  # sched.h; os.setns is there from Python 3.12 on
_libc = ctypes.CDLL(None, use_errno=True)
_numbers = itertools.count()


class Host:
    """A namespace with an address at each switch, and a loopback of its own."""

    def __init__(self, name: str, namespace: str, number: int) -> None:
        self.name = name
        self.namespace = namespace
        self.addresses = {switch: f"{subnet}.{number}" for switch, subnet in _SUBNETS.items()}

    @property
    def command(self) -> Sequence[str]:
        """What runs a program there; it becomes that program, so its process is the same."""
        return ("ip", "netns", "exec", self.namespace)

    @property
    def shell(self) -> str:
        """The same for a shell (tests.running.Flashpy)."""
        return f'exec {" ".join(self.command)} "$@"'

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Sockets that this thread makes meanwhile are this host's, and stay so (setns(2))."""
        with open("/proc/thread-self/ns/net") as home, open(f"/run/netns/{self.namespace}") as there:
            _enter(there)
            try:
                yield
            finally:
                _enter(home)


class Network:
    """The switches and the hosts; ``close`` takes all away, with the processes that are left."""

    def __init__(self) -> None:
        """
        Raises:
            subprocess.CalledProcessError: this is not permitted, or the kernel does not know how.
        """
        self._prefix = f"flashpy-{os.getpid()}-{next(_numbers)}"
        self._switches = self._namespace("switches")
        self._hosts: list[Host] = []
        try:
            for switch in _SUBNETS:
                _ip(self._switches, f"link add {switch} type bridge", f"link set {switch} up")
        except BaseException:
            self.close()
            raise

    def host(self, name: str) -> Host:
        """Another host, at both switches."""
        host = Host(name, self._namespace(name), len(self._hosts) + 1)
        self._hosts.append(host)
        _ip(host.namespace, "link set lo up")
        for switch, address in host.addresses.items():
            port = f"{name}.{switch}"
            _ip(self._switches, f"link add {port} type veth peer name {switch} netns {host.namespace}")
            _ip(self._switches, f"link set {port} master {switch} up")
            _ip(host.namespace, f"address add {address}/24 dev {switch}", f"link set {switch} up")
        return host

    def cut(self, host: Host, switch: str = SITE) -> None:
        """Take a host from a switch."""
        _ip(self._switches, f"link set {host.name}.{switch} down")

    def join(self, host: Host, switch: str = SITE) -> None:
        """Put it back."""
        _ip(self._switches, f"link set {host.name}.{switch} up")

    def close(self) -> None:
        """At the end, whatever has happened before."""
        for namespace in (*(host.namespace for host in self._hosts), self._switches):
            found = subprocess.run(("ip", "netns", "pids", namespace), capture_output=True, check=False)
            for pid in found.stdout.split():
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            subprocess.run(("ip", "netns", "delete", namespace), capture_output=True, check=False)

    def _namespace(self, name: str) -> str:
        namespace = f"{self._prefix}-{name}"
        _run("ip", "netns", "add", namespace)
        return namespace


def _ip(namespace: str, *commands: str) -> None:
    for command in commands:
        _run("ip", "-n", namespace, *command.split())


def _run(*command: str) -> None:
    subprocess.run(command, capture_output=True, check=True, text=True)


def _enter(namespace: IO[str]) -> None:
    if _libc.setns(namespace.fileno(), _CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
