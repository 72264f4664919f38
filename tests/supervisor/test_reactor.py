"""The supervisor's loop: descriptors, timers, signals, children."""

import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from functools import partial

import pytest

from flashpy.supervisor.reactor import Reactor


@pytest.fixture
def reactor() -> Iterator[Reactor]:
    """A reactor, whose signals are given back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGUSR1)}
    reactor = Reactor()
    guard = reactor.later(20.0, reactor.stop)
    yield reactor
    guard.cancel()
    signal.set_wakeup_fd(-1)
    for number, handler in before.items():
        signal.signal(number, handler)
    reactor.close()


def test_timers_in_the_order_of_their_times(reactor: Reactor) -> None:
    called: list[str] = []
    reactor.later(0.02, lambda: called.append("second"))
    reactor.later(0.0, lambda: called.append("first"))
    reactor.later(0.01, lambda: called.append("never")).cancel()
    reactor.later(0.03, reactor.stop)
    reactor.run()
    assert called == ["first", "second"]


def test_a_descriptor_until_it_is_forgotten(reactor: Reactor) -> None:
    one, other = socket.socketpair()
    with one, other:
        got: list[bytes] = []

        def readable() -> None:
            got.append(other.recv(1))
            if len(got) == 2:
                reactor.forget(other.fileno())
                reactor.later(0.01, reactor.stop)

        reactor.watch(other.fileno(), readable)
        one.send(b"abc")
        reactor.run()
        assert got == [b"a", b"b"]


def test_signals(reactor: Reactor) -> None:
    called: list[str] = []
    reactor.on_signal(signal.SIGHUP, lambda: called.append("HUP"))
    reactor.on_signal(signal.SIGUSR1, reactor.stop)
    os.kill(os.getpid(), signal.SIGHUP)
    reactor.later(0.01, lambda: os.kill(os.getpid(), signal.SIGUSR1))
    reactor.run()
    assert called == ["HUP"]


@pytest.mark.parametrize(
    ("program", "status"), [("raise SystemExit(3)", 3), ("import os; os.kill(os.getpid(), 9)", -9)]
)
def test_the_end_of_a_child(reactor: Reactor, program: str, status: int) -> None:
    child = subprocess.Popen([sys.executable, "-c", program])
    ended: list[int] = []

    def end(status: int) -> None:
        child.returncode = status
        ended.append(status)
        reactor.stop()

    reactor.watch_end(child.pid, end)
    reactor.run()
    assert ended == [status]
    with pytest.raises(ChildProcessError):
        os.waitpid(child.pid, 0)  # it has been reaped


def test_what_came_for_a_descriptor_is_not_for_the_next_of_that_number(reactor: Reactor) -> None:
    """Both are readable in one go; the first callback closes the other, and a child's descriptor takes its number."""
    pairs = [socket.socketpair() for _ in range(2)]
    lasting = subprocess.Popen(["sleep", "60"])
    ended: list[int] = []
    called: list[int] = []

    def readable(number: int) -> None:
        called.append(number)
        if len(called) == 1:
            mine, other = pairs[number][1], pairs[1 - number][1]
            reactor.forget(mine.fileno())
            reactor.forget(other.fileno())
            other.close()
            reactor.watch_end(lasting.pid, ended.append)
            reactor.later(0.05, reactor.stop)

    for number, (one, other) in enumerate(pairs):
        reactor.watch(other.fileno(), partial(readable, number))
        one.send(b"x")
    reactor.run()
    assert (len(called), ended) == (1, [])
    lasting.kill()
    lasting.wait()
    for pair in pairs:
        for sock in pair:
            sock.close()


def test_it_goes_on_after_an_exception(reactor: Reactor, caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    reactor.later(0.0, fail)
    reactor.later(0.01, reactor.stop)
    with caplog.at_level(logging.ERROR):
        reactor.run()
    assert "An exception reached the supervisor's loop" in caplog.text
    caplog.clear()
