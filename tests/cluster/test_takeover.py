"""Two fronts as processes: one listens, the other stands by without a socket and takes over."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.cluster.etcdserver import EtcdServer, free_ports
from tests.running import PATIENCE, REPOSITORY, clean_environment, eventually


@contextmanager
def front(etcd: EtcdServer, port: int, name: str) -> Iterator["subprocess.Popen[bytes]"]:
    """One of the two."""
    command = [sys.executable, "-m", "tests.cluster.standby", etcd.endpoint, str(port), name]
    process = subprocess.Popen(command, cwd=REPOSITORY, env=clean_environment(), stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait(PATIENCE)


def greeting(port: int) -> str:
    """Which of them listens; empty if none does."""
    with socket.socket() as sock:
        sock.settimeout(PATIENCE)
        try:
            sock.connect(("127.0.0.1", port))
            return sock.recv(100).decode()
        except OSError:
            return ""


@pytest.fixture
def port() -> int:
    """Where the active one listens."""
    return free_ports(1)[0]


def test_the_next_takes_over_from_one_that_was_killed(etcd: EtcdServer, port: int, stack: ExitStack) -> None:
    """When the lease of the first has ended."""
    first = stack.enter_context(front(etcd, port, "first"))
    eventually("the first listens", lambda: greeting(port) == "first")
    stack.enter_context(front(etcd, port, "second"))
    first.kill()
    eventually("the second listens", lambda: greeting(port) == "second")


def test_etcd_and_the_active_front_are_killed(etcd: EtcdServer, port: int, stack: ExitStack) -> None:
    """Nobody takes over until etcd is there again; then it does."""
    first = stack.enter_context(front(etcd, port, "first"))
    eventually("the first listens", lambda: greeting(port) == "first")
    second = stack.enter_context(front(etcd, port, "second"))
    etcd.end()
    assert greeting(port) == "first"
    os.kill(first.pid, signal.SIGKILL)
    assert second.poll() is None
    etcd.start()
    eventually("the second listens", lambda: greeting(port) == "second")
