"""The driver of MP and MT: one connection at a time, from accept to close, waiting for each read and write.

Time-outs are the kernel's (SO_RCVTIMEO and SO_SNDTIMEO, socket(7)), so that a request costs the same two system calls
as in the event loop. What several threads share is used under one lock, which nobody holds while he waits.
"""

import logging
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Sequence
from typing import NoReturn

from flashpy.arch.inline import do
from flashpy.buffers import Aggregate, Lazy, Piece, Slice, length_of
from flashpy.event.sockets import client_of
from flashpy.http.fields import http_date
from flashpy.http.http1 import Http1, Http1Shared
from flashpy.http.request import Request, faulty
from flashpy.http.response import Response
from flashpy.http.wire import Sendable, Tails
from flashpy.job.kinds import Job, Runner
from flashpy.log.forms import renderer
from flashpy.log.record import Cache, Record
from flashpy.metrics import Metrics
from flashpy.now import Now
from flashpy.settings import Config
from flashpy.site.sites import answering

_log = logging.getLogger("flashpy.connection")

RECEIVE = 16 * 1024
"""Bytes taken from the socket at once."""
CHUNK = 512 * 1024
"""Bytes given to the kernel at once: after each, the client's rate is looked at."""
LINGER_SECONDS = 5.0
"""How long a client may go on sending after its last answer (nginx's lingering_timeout)."""
PAUSE = 0.1
"""Seconds without accepting when descriptors have run out."""


class TimedOut(OSError):
    """The client takes too long."""


class Common:
    """What all drivers of one process share: the site with its caches, the clock, the log; and the lock around them.

    ``make_runner`` gets the lock: it is held when the runner is called. ``log`` is the descriptor of the access log.
    """

    def __init__(
        self,
        config: Config,
        metrics: Metrics,
        make_runner: Callable[[threading.Lock], Runner],
        listeners: Sequence[socket.socket],
        log: int | None,
    ) -> None:
        self.limits = config.limits
        self.metrics = metrics
        self.lock = threading.Lock()
        self.now = Now(time.monotonic(), time.time())
        self.tails = Tails(http_date(self.now.wall))
        self.http1 = Http1Shared(config.limits, self.tails, config.cache.file_bytes)
        self.site = answering(config, make_runner(self.lock), self.now)
        self.listeners = {sock.fileno(): sock for sock in listeners}
        self.stopping = False
        self._log = log
        self._render = renderer(config.log.access_format, os.environ)
        self._wake = os.eventfd(0, os.EFD_CLOEXEC)

    def touch(self) -> float:
        """Set the clock, as who holds the lock must before he uses anything; the monotonic time."""
        now = self.now
        now.monotonic = time.monotonic()
        wall = time.time()
        if int(wall) != int(now.wall):
            now.wall = wall
            self.tails.set(http_date(wall))
        return now.monotonic

    def record(self, record: Record) -> None:
        """Write a line of the access log at once; lines of several writers do not mix (O_APPEND)."""
        if self._log is not None:
            try:
                os.write(self._log, self._render([record]))
            except OSError as error:
                _log.error("The access log cannot be written: %s", error)

    def wait_for_connections(self) -> select.epoll:
        """What a driver waits on: each new connection wakes one of all who wait (EPOLLEXCLUSIVE), the end all."""
        poll = select.epoll()
        for fd in self.listeners:
            poll.register(fd, select.EPOLLIN | select.EPOLLEXCLUSIVE)
        poll.register(self._wake, select.EPOLLIN)
        return poll

    def stop(self) -> None:
        """Let all drivers end when they have answered what they have."""
        self.stopping = True
        os.eventfd_write(self._wake, 1)

    def close(self) -> None:
        """Let go of what is the system's, when no driver is left."""
        os.close(self._wake)


class Driver:
    """Accepts and serves one connection after another."""

    def __init__(self, common: Common) -> None:
        self._common = common
        self._conversation: Conversation | None = None

    def run(self, tell: Callable[[bool], None] = lambda busy: None) -> None:
        """Serve until the common ``stop``; ``tell`` is called when a connection begins (True) or has ended."""
        common = self._common
        with common.wait_for_connections() as poll:
            while not common.stopping:
                for fd, _ in poll.poll():
                    if fd in common.listeners and not common.stopping:
                        self._accept(common.listeners[fd], tell)

    def _accept(self, listener: socket.socket, tell: Callable[[bool], None]) -> None:
        common = self._common
        try:
            sock, address = listener.accept()
        except BlockingIOError:  # another was quicker
            return
        except OSError as error:
            with common.lock:
                common.metrics.descriptors_exhausted += 1
            _log.warning("Accepting pauses for %d ms: %s.", PAUSE * 1000, error.strerror)
            time.sleep(PAUSE)
            return
        client = client_of(address)
        tell(True)
        with sock:
            self._conversation = Conversation(common, sock, client)
            if common.stopping:  # whoever said so may have looked before there was a conversation
                self.interrupt()
            self._conversation.run()
            self._conversation = None
        tell(False)

    @property
    def busy(self) -> bool:
        """Whether there is a connection."""
        return self._conversation is not None

    def interrupt(self) -> None:
        """Let the connection end after the request that is under way; from another thread, or a signal handler."""
        conversation = self._conversation
        if conversation is not None:
            conversation.shut_down(socket.SHUT_RD)

    def cut_off(self) -> None:
        """End the connection now."""
        conversation = self._conversation
        if conversation is not None:
            conversation.shut_down(socket.SHUT_RDWR)


class Conversation:
    """One connection, from its first request to its last answer."""

    def __init__(self, common: Common, sock: socket.socket, client: str) -> None:
        self._common = common
        self._sock = sock
        self._client = client
        self._wire = Http1(common.http1)
        self._patience = 0.0  # seconds that the kernel waits for the client to send
        self._began = time.monotonic()  # when the request began to arrive that is not complete, or the connection
        self._missed: list[Request] = []  # requests whose answers took a job, and are still to be sent
        self._idle = False  # it has had an answer, and nothing has come since
        self._sent = 0  # bytes given to the kernel, ever
        self._rate_mark = (self._began, 0)

    def shut_down(self, how: int) -> None:
        """Shut the socket down beneath whoever reads or writes it."""
        try:
            self._sock.shutdown(how)
        except OSError:
            pass  # it is gone already

    def run(self) -> None:
        """Answer requests until the connection ends, for whatever reason."""
        common = self._common
        with common.lock:
            common.metrics.connections_accepted += 1
        try:
            _set_timeout(self._sock, socket.SO_SNDTIMEO, common.limits.timeout_send)
            while (data := self._receive()) and self._take(data):
                pass
        except TimedOut:
            with common.lock:
                common.metrics.timeouts += 1
        except OSError:
            pass  # the client has gone
        except Exception:
            self._fail()

    # Receiving

    def _receive(self) -> bytes:
        """What has come; empty at the end.

        Raises:
            TimedOut: nothing, for as long as the limits allow. A client in the middle of a request is told so.
        """
        limits = self._common.limits
        wait = limits.timeout_keep_alive if self._idle else self._began + limits.timeout_head - time.monotonic()
        if wait != self._patience:
            self._patience = wait = max(wait, 0.001)
            _set_timeout(self._sock, socket.SO_RCVTIMEO, wait)
        try:
            return self._sock.recv(RECEIVE)
        except BlockingIOError:
            if self._wire.partial:
                self._refuse(408)
            raise TimedOut from None

    def _take(self, data: bytes) -> bool:
        """Answer what has come. Whether the connection goes on."""
        common, wire = self._common, self._wire
        with common.lock:
            began = common.touch()
            if common.stopping:
                wire.shut()
            request = None if wire.partial or common.stopping else common.http1.heads.recall(data)
            if request is not None:
                common.metrics.requests += 1
                response = self._response(request)
                last = response.close or not request.keep_alive
                whole = common.http1.at_once(request, response, last)
                pieces = (whole,) if whole is not None else common.http1.pieces(request, response, last)
        if request is None:
            return self._take_by_wire(data, began)
        self._send(pieces, ((request, response),), began)
        self._idle = True
        return not last

    def _take_by_wire(self, data: bytes, began: float) -> bool:
        common, wire = self._common, self._wire
        while True:
            with common.lock:
                requests = wire.receive(data)
                common.metrics.requests += len(requests)
                for request in requests:
                    wire.respond(request, self._response(request))
            while (sendable := self._pull()) is not None:
                self._send(*sendable, began)
            if wire.closing:
                if wire.unread or wire.held:
                    self._linger()
                return False
            if not wire.held:
                break
            data = b""  # there is more of what had come before
        if not wire.partial:
            self._idle = True
        elif self._idle or requests:
            self._idle, self._began = False, began
        return True

    def _pull(self) -> Sendable | None:
        with self._common.lock:
            return self._wire.pull()

    def _response(self, request: Request) -> Response:
        """The answer; a job that it takes is done here and now, without the lock."""
        common = self._common
        outcome = common.site.answer(request, self._client)
        while not isinstance(outcome, Response):
            common.lock.release()
            try:
                result = do(outcome.job)
            finally:
                common.lock.acquire()
            common.metrics.jobs += 1
            common.touch()
            outcome = outcome.go_on(result)
            if isinstance(outcome, Response):
                self._missed.append(request)
        return outcome

    # Sending

    def _send(self, pieces: Sequence[Piece], answered: Sequence[tuple[Request, Response]], began: float) -> None:
        """Send answers, and log them with what was sent of their bodies."""
        end = self._sent + length_of(pieces)
        try:
            self._send_pieces(pieces)
        finally:
            for request, response in answered:
                self._record(request, response, max(0, response.length - (end - self._sent)), began)

    def _send_pieces(self, pieces: Sequence[Piece]) -> None:
        """Bytes up to the next piece of another kind in one system call, slices by sendfile(2)."""
        self._rate_mark = time.monotonic(), self._sent
        parts: list[bytes] = []
        left = list(reversed(pieces))
        while left:
            piece = left.pop()
            if isinstance(piece, bytes):
                parts.append(piece)
                continue
            self._send_bytes(parts, socket.MSG_MORE)
            parts.clear()
            if isinstance(piece, Slice):
                self._send_slice(piece)
            else:
                left += reversed(self._made(piece))
        self._send_bytes(parts, 0)

    def _made(self, piece: Lazy) -> Aggregate:
        """What stands in the place of a piece whose turn has come."""
        made = piece.make()
        while isinstance(made, Job):
            made = piece.make(do(made))
        if made is None:
            self._break_off("What was to be sent to %s has changed meanwhile; the connection is closed.")
        aggregate: Aggregate = made
        return aggregate

    def _break_off(self, why: str) -> NoReturn:
        with self._common.lock:
            self._common.metrics.truncated += 1
        _log.warning(why, self._client)
        raise ConnectionAbortedError

    def _send_bytes(self, parts: list[bytes], flags: int) -> None:
        if not parts:
            return
        if len(parts) == 1:
            sent = self._patiently(self._sock.send, parts[0], flags)
        else:
            sent = self._patiently(self._sock.sendmsg, parts, (), flags)
        self._sent += sent
        if sent < length_of(parts):
            rest = memoryview(b"".join(parts))[sent:]
            while rest:
                self._sent += (sent := self._patiently(self._sock.send, rest[:CHUNK], flags))
                rest = rest[sent:]

    def _send_slice(self, piece: Slice) -> None:
        position, left = piece.offset, piece.length
        while left:
            sent = self._patiently(os.sendfile, self._sock.fileno(), piece.file.fd, position, min(left, CHUNK))
            if not sent:
                self._break_off("A file became shorter while it was sent to %s; the connection is closed.")
            position, left = position + sent, left - sent
            self._sent += sent

    def _patiently(self, call: Callable[..., int], *arguments: object) -> int:
        """One call that sends, bounded in time and by the least rate (limits.timeout_send, limits.min_send_rate)."""
        limits = self._common.limits
        try:
            sent = call(*arguments)
        except BlockingIOError:
            raise TimedOut from None
        now = time.monotonic()
        since, before = self._rate_mark
        if now - since >= limits.timeout_send:
            if self._sent + sent - before < limits.min_send_rate * (now - since):
                raise TimedOut
            self._rate_mark = now, self._sent + sent
        return sent

    def _record(self, request: Request, response: Response, sent: int, began: float) -> None:
        cache = Cache.HIT
        if request in self._missed:
            self._missed.remove(request)
            cache = Cache.MISS
        seconds = time.monotonic() - began
        self._common.record((self._client, time.time(), request, response.head, sent, seconds, cache))

    # Ending

    def _refuse(self, status: int) -> None:
        """The last answer, to a request that did not become one."""
        common = self._common
        with common.lock:
            common.touch()
            response = common.site.failure(faulty(status), status)
            pieces = response.head.http1 + common.tails.close, *response.body
        self._send_pieces(pieces)
        self._linger()

    def _linger(self) -> None:
        """Say that no more will come, and read until the client has closed too (RFC 9112, 9.6)."""
        self._sock.shutdown(socket.SHUT_WR)
        deadline = time.monotonic() + LINGER_SECONDS
        while (left := deadline - time.monotonic()) > 0:
            _set_timeout(self._sock, socket.SO_RCVTIMEO, left)
            try:
                if not self._sock.recv(RECEIVE):
                    return
            except BlockingIOError:
                return

    def _fail(self) -> None:
        """The barrier: log the exception, and answer 500 if nothing of an answer has been sent."""
        common = self._common
        _log.exception("An exception reached a connection of %s.", self._client)
        with common.lock:
            common.metrics.faults += 1
        if not self._sent:
            try:
                self._refuse(500)
            except OSError:
                pass


def _set_timeout(sock: socket.socket, option: int, seconds: float) -> None:
    """How long the kernel waits in a call on a blocking socket; then it gives EAGAIN."""
    whole = int(seconds)
    sock.setsockopt(socket.SOL_SOCKET, option, struct.pack("@ll", whole, int((seconds - whole) * 1e6)))


def share(budget: int, among: int) -> int:
    """One's part of a budget; of what there is, everybody gets something."""
    return max(1, budget // among) if budget else 0
