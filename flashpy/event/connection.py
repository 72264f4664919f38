"""One connection: it feeds bytes to its wire, takes requests to the site, and answers to its output.

All that happens to a connection goes through it: each layer is called from here and returns here, nobody calls
sideways. Its callbacks are the barrier for exceptions: one that escaped a reader callback would repeat without end.
"""

import errno
import logging
import os
import socket
import time
from collections.abc import Callable
from functools import partial

from flashpy.buffers import Endless, Lazy, Piece, Slice
from flashpy.event.deadlines import State
from flashpy.event.output import Output, Progress
from flashpy.event.service import HTTP2, Service
from flashpy.histogram import TICKS, Histogram
from flashpy.http.http1 import Http1
from flashpy.http.request import Request, faulty
from flashpy.http.response import Response
from flashpy.http.wire import Wire
from flashpy.job.kinds import Job, Load, Outcome, Result
from flashpy.log.record import Cache
from flashpy.metrics import STALL_BOUNDS
from flashpy.resource.answer import Answer, Pending
from flashpy.site.sites import Answering

_log = logging.getLogger("flashpy.connection")
_monotonic = time.monotonic
_IDLE, _NEW = State.IDLE, State.NEW
_HIT = Cache.HIT
_SHORT, _SHORTER = Histogram.SHORT, len(Histogram.SHORT)

RECEIVE = 16 * 1024
"""Bytes taken from the socket at once."""
STALL = STALL_BOUNDS[0]
_GONE = frozenset(
    {errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.EHOSTDOWN, errno.ENETUNREACH, errno.ENETDOWN, errno.ENETRESET}
    | {errno.EPROTO, errno.ENOPROTOOPT, errno.ENOTCONN}
)
"""What a socket says, besides what is a ConnectionError, when its client cannot be reached any more (tcp(7))."""


def _name_of(piece: Piece | memoryview | None) -> str:
    """A file's name, for people who wonder what took so long."""
    if not isinstance(piece, Slice):
        return "from memory"
    try:
        return os.readlink(f"/proc/self/fd/{piece.file.fd}")
    except OSError:
        return "a file"


def recall_nothing(head: bytes) -> Request | None:
    """What a connection recalls while it drains, so that its wire sees each request and can say which is the last; and
    one that speaks HTTP/2."""
    return None


class Connection:
    """A client's connection, from accept to close."""

    __slots__ = (
        "_ahead",
        "_answered",
        "_began",
        "_ended",
        "_fd",
        "_held",
        "_not_hit",
        "_output",
        "_rate_since",
        "_rate_taken",
        "_reading",
        "_recall",
        "_recv",
        "_service",
        "_since",
        "_site",
        "_sock",
        "_stays",
        "_touched",
        "_wanted",
        "_wire_made",
        "_writing",
        "client",
        "state",
    )

    def __init__(
        self,
        service: Service,
        sock: socket.SocketType,
        client: str,
        output: type[Output] = Output,
        site: Answering | None = None,
        stays: bool = False,
    ) -> None:
        """``site`` is the service's if it is not given. One that ``stays`` is given to no successor, who would not know
        what is special about it."""
        now = service.now.monotonic
        self._service = service
        self._sock = sock
        self._fd = sock.fileno()
        self._recv = sock.recv
        self._recall: Callable[[bytes], Request | None] = service.http1.heads.recall
        self._wire_made: Wire | None = None
        self._site = service.site if site is None else site
        self._stays = stays
        self._output = output(sock, service.residency, service.now, service.metrics)
        self._answered: list[tuple[Request, Response]] = []  # in the output, not yet sent whole; kept for the log
        self._began: list[tuple[Request, float]] | None = [] if service.log else None  # when the requests arrived
        self._not_hit: list[tuple[Request, Cache]] = []  # requests that wait for a helper, or have; kept for the log
        self._wanted: Slice | Lazy | None = None  # what is next: a window that is being loaded, or what is being made
        self._ahead: Slice | None = None  # the window behind that, if it is being loaded ahead of its turn
        self._held = False  # what the wire holds will have its turn
        self._ended = False  # the client sends no more
        self._writing = False  # registered for writing
        self._touched = now
        self._since = 0.0  # when the request came whose answer has waited for a job and has not begun to leave; or 0
        self._rate_since = 0.0  # when the sending began that is to be judged; between, minus the seconds it has lasted
        self._rate_taken = 0  # what the client had taken by then
        self.client = client
        self.state = State.NEW
        self._reading = False

    def start(self, state: State) -> None:
        """Read what has come already, and only then register: a connection for one request may be over by then, and
        registering costs more than reading. Where nothing has come, it is in this state."""
        self._readable()
        if self.state is State.NEW:
            self._enter(state)
        if self.state is not State.CLOSED and not self._ended and not (self._wire_made and self._wire_made.held):
            self._go_on_reading()

    def __repr__(self) -> str:
        return f"<Connection {self.client} {self.state.name} {self._wire_made!r}>"

    @property
    def _wire(self) -> Wire:
        """Made when there is something that takes more than the short way: many a connection never needs it."""
        if self._wire_made is None:
            fresh = self.state is not _IDLE and not self._stays and HTTP2 in self._service.wires
            self._wire_made = Http1(self._service.http1, fresh)
        return self._wire_made

    @property
    def touched(self) -> float:
        """When something came from the client, or was taken by it, last."""
        return self._touched

    @property
    def _is_multiplexed(self) -> bool:
        return self._wire_made is not None and self._wire_made.multiplexed

    def speak(self, protocol: str) -> None:
        """Go on with another protocol, of those in ``Service.wires``: the client has chosen it."""
        self._wire_made = wire = self._service.wires[protocol](self)
        if wire.multiplexed:
            self._recall = recall_nothing

    def go_on(self, step: Callable[[], None]) -> None:
        """Something has come that its wire has waited for: tell the wire by this step, and send."""
        if self.state is not State.CLOSED:
            self._guarded(step)
            self._guarded(self._flush)

    def _is_open(self) -> bool:
        """Whether jobs for it are still wanted."""
        return self.state is not State.CLOSED

    # Callbacks of the loop, of jobs and of the sweep

    def _readable(self) -> None:
        service = self._service
        service.now.monotonic = began = _monotonic()
        request = None
        at_once = False
        try:
            data = self._recv(RECEIVE)
            state = self.state
            request = self._recall(data) if state is _IDLE or state is _NEW else None
            if request is not None:
                at_once = self._answer_alone(request, began)
            elif data:
                self._receive(data)
            else:
                self._end_of_input()
        except BlockingIOError:
            return
        except OSError as error:
            self._broken(error)
        except Exception:
            self._fail()
        held = _monotonic() - began
        if at_once:
            ticks = int(held * TICKS)
            if ticks < _SHORTER:
                service.metrics.hits.counts[_SHORT[ticks]] += 1
                return
            service.metrics.hits.note(held)
        if held > STALL:
            what = f"answering {os.fsdecode(request.path)}" if request is not None else "receiving"
            service.metrics.stalls.note(began, held, what)

    def _writable(self) -> None:
        service = self._service
        service.now.monotonic = began = _monotonic()
        queue = self._output.queue
        first = queue[0] if queue else None
        self._guarded(self._flush)
        held = _monotonic() - began
        if held > STALL:
            service.metrics.stalls.note(began, held, f"sending {_name_of(first)}")
        if self._ahead is not None:
            self._guarded(partial(self._read_ahead, self._ahead))

    def _resume(self, request: Request, go_on: Callable[[Result], Answer], since: float, result: Result) -> None:
        """A job that a request, which came at ``since``, has waited for is done."""
        if self.state is State.CLOSED:
            return
        self._guarded(partial(self._go_on, request, go_on, since, result))
        self._guarded(self._flush)
        self._note_begun()

    def _note_begun(self) -> None:
        """If an answer that has waited begins to leave now, note how long it took."""
        if self._since and self._wanted is None:
            self._service.metrics.waits.note(_monotonic() - self._since)
            self._since = 0.0

    def _loaded(self, result: Result) -> None:
        """The window that the output waited for has been loaded, or cannot be."""
        window, self._wanted = self._wanted, None
        if self.state is State.CLOSED or not isinstance(window, Slice):
            return
        if result.outcome is not Outcome.LOADED:
            self._guarded(partial(self._not_loaded, result))
            return
        self._guarded(partial(self._output.loaded, window))
        self._guarded(partial(self._read_ahead, window))
        self._guarded(self._flush)
        self._note_begun()

    def _read_ahead(self, window: Slice) -> None:
        """When the sending has come to a window that had to be loaded, have the next one loaded meanwhile."""
        if self._wanted is not None or self.state is State.CLOSED:
            return
        found = self._output.behind(window)
        if found is None:
            return
        self._ahead, resident = found
        if not resident:
            self._service.metrics.loads_ahead += 1
            self._service.runner.run(Load(*self._ahead), partial(self._loaded_ahead, self._ahead), self._is_open)

    def _loaded_ahead(self, window: Slice, result: Result) -> None:
        """If it could not be loaded, whoever sends it will find out."""
        if result.outcome is Outcome.LOADED:
            self._guarded(partial(self._output.loaded_ahead, window))

    def _made(self, result: Result | None) -> None:
        """Go on with the making of the piece that is next: not at once, because what is made of many small files
        without any wait would be one long turn."""
        self._service.loop.call_soon(self._guarded, partial(self._make, result))

    def _make(self, result: Result | None) -> None:
        piece = self._wanted
        if self.state is State.CLOSED or not isinstance(piece, Lazy):
            return
        if isinstance(piece, Endless):
            self._give_away(piece)
            return
        made = piece.make(result)
        if isinstance(made, Job):
            self._service.runner.run(made, self._made, self._is_open)
            return
        self._wanted = None
        if made is None:
            _log.warning("What was to be sent to %s has changed meanwhile; the connection is closed.", self.client)
            self._service.metrics.truncated += 1
            self.close()
            return
        self._output.made(made)
        self._flush()
        self._note_begun()

    def _give_away(self, piece: Endless) -> None:
        """What is left of this connection is another's."""
        self._output.queue.clear()
        if self._answered:
            self._record_answered()
        self._leave()
        piece.take(self._sock, self.client)
        self._service.gone(self)

    def _not_loaded(self, result: Result) -> None:
        """A body cannot be read: answer 503 or 500 if its head is still here, else only the close can say it."""
        if not self._output.withdraw():
            self.close()
            return
        status = 503 if result.outcome in (Outcome.NO_DESCRIPTORS, Outcome.LATE) else 500
        response = self._service.site.failure(faulty(status), status)
        if self._answered:
            self._answered[-1] = (self._answered[-1][0], response)
        self._output.send((response.head.http1 + self._service.http1.tails.close, *response.body))
        self.close()

    def due(self, now: float) -> float:
        """Until when this state may last (see deadlines.Timed)."""
        limits = self._service.limits
        if self.state is State.IDLE:
            return self._touched + limits.timeout_keep_alive
        if self.state is not State.SENDING:
            return 0.0
        seconds = now - self._rate_since
        if seconds >= limits.timeout_send:
            taken = self._output.taken
            if taken - self._rate_taken < max(1, limits.min_send_rate * seconds):
                return 0.0
            self._rate_since, self._rate_taken = now, taken
        return self._rate_since + limits.timeout_send

    def expire(self) -> None:
        """Too late: close, and say so to a client that was in the middle of a request (RFC 9110, 15.5.9)."""
        response = None
        if self.state is State.HEAD and self._wire.partial:
            response = self._service.site.failure(faulty(408), 408)
            self._service.metrics.statuses[408] += 1
        words = self._wire_made.last_words(response) if self._wire_made and not self._output.queue else ()
        if words and self._output.send(words) is Progress.SENT and response is not None:
            self._linger()
        else:
            self.close()

    def drain(self) -> None:
        """Answer what is under way, and then close, or give the connection to the successor if there is one. An idle
        connection is closed, unless a request has just come."""
        self.be_the_last()
        if self._hand_over():
            return
        if self.state in (State.IDLE, State.HEAD):
            self._readable()
        if self._is_multiplexed:
            self._guarded(self._flush)
        if self.state in (State.IDLE, State.HEAD):
            self.close()

    def give_way(self) -> bool:
        """Close in favour of another, unless a request has just come. Whether that has made room."""
        if not self._is_open():
            return False
        touched = self._touched
        if self.state is State.IDLE:
            self._readable()
        if self._touched == touched and self.state is not State.WORKING:
            self.close()
        return not self._is_open()

    def be_the_last(self) -> None:
        """Say with the next answer that it is the last."""
        self._recall = recall_nothing
        if self._stays or self._is_multiplexed or self._service.take_over is None:
            self._wire.shut()

    # Receiving

    def _receive(self, data: bytes) -> None:
        if self.state is State.LINGERING:
            return
        self._touched = now = self._service.now.monotonic
        wire = self._wire
        requests = wire.receive(data)
        if wire.preface:
            self.speak(HTTP2)
            self._receive(wire.preface)
            return
        self._service.metrics.requests += len(requests)
        if self._began is not None:
            self._began.extend([(request, now) for request in requests])
        for request in requests:
            self._answer(request)
        self._flush()
        if wire.held:  # the rest has its turn when these have been answered
            self._pause_reading()

    def _answer_alone(self, request: Request, now: float) -> bool:
        """The short way, for a request that has come now, whole and alone, while nothing else is to be answered: an
        answer that is at hand leaves at once. One that takes a job goes by the wire. Whether it has begun to leave."""
        service = self._service
        metrics = service.metrics
        metrics.requests += 1
        self._touched = now
        outcome = self._site.answer(request, self.client)
        if not isinstance(outcome, Response):
            if self._began is not None:
                self._began.append((request, now))
            self._wire.admit(request)
            self._wait(request, outcome, now)
            self._flush()
            return False
        metrics.statuses[outcome.head.status] += 1
        last = outcome.close or not request.keep_alive
        if (whole := service.http1.at_once(request, outcome, last)) is not None:
            progress = Progress.SENT if self._output.send_whole(whole) else Progress.BLOCKED
        else:
            progress = self._output.send(service.http1.pieces(request, outcome, last))
        if progress is not Progress.SENT:
            if last:
                self._wire.end()
            if self._began is not None:
                self._began.append((request, now))
                self._answered.append((request, outcome))
            self._stopped(progress, True)
            if self._wanted is not None:
                self._since = now
                return False
            return True
        if self._began is not None:
            self._record(request, outcome, outcome.length, now, _HIT)
        if last:
            self.close()
        elif self.state is not _IDLE:
            self._enter(_IDLE)
        return True

    def _end_of_input(self) -> None:
        """The client has closed its side. It may still be waiting for answers."""
        self._ended = True
        self._pause_reading()
        wire = self._wire
        if self.state is State.LINGERING or not (wire.unanswered or self._output.queue or wire.held):
            self.close()

    def _pause_reading(self) -> None:
        if self._reading:
            self._reading = False
            self._service.loop.remove_reader(self._fd)

    # Answering

    def _answer(self, request: Request) -> None:
        outcome = self._site.answer(request, self.client)
        since = self._service.now.monotonic
        if isinstance(outcome, Response):
            metrics = self._service.metrics
            metrics.statuses[outcome.head.status] += 1
            metrics.hits.note(_monotonic() - since)
            self._wire.respond(request, outcome)
        else:
            self._wait(request, outcome, since)

    def _wait(self, request: Request, pending: Pending, since: float) -> None:
        """Have the job done that the answer to a request takes, which came at ``since``."""
        wanted = partial(self._is_awaited, request) if self._wire.multiplexed else self._is_open
        self._service.runner.run(pending.job, partial(self._resume, request, pending.go_on, since), wanted)

    def _is_awaited(self, request: Request) -> bool:
        """Whether a job for this request is still wanted."""
        return self.state is not State.CLOSED and self._wire.awaits(request)

    def _go_on(self, request: Request, go_on: Callable[[Result], Answer], since: float, result: Result) -> None:
        outcome = go_on(result)
        if isinstance(outcome, Response):
            if self._began is not None and self._wire.awaits(request):
                unchanged = result.outcome is Outcome.UNCHANGED
                self._not_hit.append((request, Cache.REVALIDATED if unchanged else Cache.MISS))
            self._service.metrics.statuses[outcome.head.status] += 1
            self._since = since
            self._wire.respond(request, outcome)
        else:
            self._wait(request, outcome, since)

    def _guarded(self, step: Callable[[], None]) -> None:
        """The barrier around a step that no other callback is around."""
        try:
            step()
        except OSError as error:
            self._broken(error)
        except Exception:
            self._fail()

    def _flush(self) -> None:
        """Send what can be sent now, and be in the state that follows from what is left."""
        output, wire = self._output, self._wire
        if self._wanted is not None or self.state is State.CLOSED:
            return
        before = output.sent
        progress = output.push() if output.queue else Progress.SENT
        while progress is Progress.SENT:
            if self._answered:
                self._record_answered()
            sendable = wire.pull()
            if sendable is None:
                self._all_sent()
                return
            pieces, answered = sendable
            if self._began is not None:
                self._answered.extend(answered)
            progress = output.send(pieces) if pieces else Progress.SENT
        self._stopped(progress, output.sent > before)

    def _stopped(self, progress: Progress, moved: bool) -> None:
        """Something is left to send: wait for the socket, or for a helper."""
        service = self._service
        now = service.now.monotonic
        if moved:
            self._touched = now
        if progress is Progress.BROKEN:
            _log.warning("A file became shorter while it was sent to %s; the connection is closed.", self.client)
            self.close()
            return
        if progress is Progress.UNMADE:
            self._set_writing(False)
            self._enter(State.WORKING)
            self._wanted = self._output.unmade
            self._made(None)
            return
        if progress is Progress.ABSENT:
            self._set_writing(False)
            self._enter(State.WORKING)
            self._wanted = window = self._output.wanted
            if self._answered:
                request = self._answered[-1][0]  # an answer that comes from a file leaves alone
                self._cache_of(request)
                self._not_hit.append((request, Cache.MISS))
            service.metrics.loads += 1
            service.runner.run(Load(*window), self._loaded, self._is_open)
            return
        self._set_writing(True)
        if self.state is not State.SENDING:
            self._touched = now
            self._enter(State.SENDING)

    def _all_sent(self) -> None:
        wire = self._wire
        self._ahead = None  # it holds a file open
        if self._writing:
            self._set_writing(False)
        if self.state is State.IDLE and self._reading and wire.quiet and not self._service.draining:
            return
        if wire.closing:
            if (wire.unread or wire.held) and not self._ended:
                self._linger()
            else:
                self.close()
            return
        if wire.held and (wire.multiplexed or not wire.unanswered):
            self._enter(State.WORKING)
            if not self._held:
                self._held = True
                self._service.loop.call_soon(self._take_held)
            return
        if wire.unanswered or (wire.blocked and not self._ended):
            self._enter(State.WORKING if wire.unanswered else State.SENDING)
            if wire.multiplexed and not self._ended:
                self._go_on_reading()
            return
        if self._ended or (self._service.draining and not self._hand_over()):
            self.close()
            return
        if self.state is State.CLOSED:
            return
        if wire.partial:
            if self.state is not State.HEAD:
                self._enter(State.HEAD)
        elif self.state is not State.IDLE:
            self._enter(State.IDLE)
        self._go_on_reading()

    def _go_on_reading(self) -> None:
        if not self._reading:
            self._reading = True
            self._service.loop.add_reader(self._fd, self._readable)

    def _take_held(self) -> None:
        """Go on with what had been received before."""
        self._held = False
        if self.state is not State.CLOSED:
            self._guarded(partial(self._receive, b""))

    def _record_answered(self) -> None:
        """Log the answers that have left whole."""
        while self._answered:
            request, response = self._answered.pop(0)
            self._record(request, response, response.length, self._began_of(request), self._cache_of(request))

    def _began_of(self, request: Request) -> float:
        """When a request arrived; asked once. Of several that share their head, the first is answered first."""
        assert self._began is not None
        for index, (one, began) in enumerate(self._began):
            if one is request:
                del self._began[index]
                return began
        return self._service.now.monotonic

    def _cache_of(self, request: Request) -> Cache:
        """What the caches did for a request; asked once. Of several that share their head, they are asked in turn."""
        for index, (one, cache) in enumerate(self._not_hit):
            if one is request:
                del self._not_hit[index]
                return cache
        return _HIT

    def _record(self, request: Request, response: Response, sent: int, began: float, cache: Cache) -> None:
        service = self._service
        assert service.log is not None
        client = self._client_of(request)
        service.log.add((client, service.now.wall, request, response.head, sent, _monotonic() - began, cache))

    def _client_of(self, request: Request) -> str:
        """Who has made a request, for the log: the client, or whom a trusted proxy names."""
        forwarding = self._service.forwarding
        return self.client if forwarding is None else forwarding.client_of(request, self.client)

    def _set_writing(self, wanted: bool) -> None:
        if wanted is not self._writing:
            self._writing = wanted
            if wanted:
                self._service.loop.add_writer(self._fd, self._writable)
            else:
                self._service.loop.remove_writer(self._fd)

    def _enter(self, state: State) -> None:
        if self.state is not state:
            since = now = self._service.now.monotonic
            if state is State.SENDING:  # it goes on; what helpers took between is not the client's fault
                since = self._rate_since = self._rate_since + now
            elif self.state is State.SENDING:
                self._rate_since -= now
            self._service.deadlines.enter(self, state, since)

    # Ending

    def _linger(self) -> None:
        """Say that no more will come, and read until the client has closed too (RFC 9112, 9.6)."""
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.close()
            return
        self._enter(State.LINGERING)
        self._go_on_reading()

    def _broken(self, error: OSError) -> None:
        """Most often the client has gone; any other error of the system has nothing to do with it."""
        if isinstance(error, ConnectionError) or error.errno in _GONE:
            self.close()
        else:
            self._fail()

    def _fail(self) -> None:
        """The barrier: log the exception, answer 500 unless an answer has left in part, close."""
        self._service.metrics.faults += 1
        _log.exception("An exception reached %r.", self)
        if not self._output.queue:
            self._service.metrics.statuses[500] += 1
            words = self._wire.last_words(self._service.site.failure(faulty(500)))
            try:
                self._sock.send(b"".join(piece for piece in words if isinstance(piece, bytes)))
            except OSError:
                pass
        self.close()

    def close(self) -> None:
        """End the connection; the only place where its socket is closed (readers first, or the loop would abort)."""
        if self.state is State.CLOSED:
            return
        self._leave()
        self._sock.close()
        if self._began is not None:
            self._record_unfinished()
        if self._wire_made is not None and self._wire_made.multiplexed:
            self._wire_made.cut_off()
            self._wire_made = None  # it has a reference to what has one to this connection
        self._service.gone(self)

    def _leave(self) -> None:
        self._pause_reading()
        self._set_writing(False)
        self._service.deadlines.enter(self, State.CLOSED, 0.0)

    def _hand_over(self) -> bool:
        """Give the connection to the successor, if there is one: at once between two requests, later if a request is
        being received or answered. One that stays goes on here, with nothing to press it."""
        service = self._service
        if service.take_over is None or self._is_multiplexed:
            return False
        between = not self._stays and not self._output.queue and (self._wire_made is None or self._wire_made.quiet)
        if between and not self._ended and self.state not in (State.LINGERING, State.CLOSED):
            self._leave()
            service.take_over(self._sock, self.client)
            service.gone(self)
        return True

    def _record_unfinished(self) -> None:
        """Log the answers that were cut off, with what was sent of their bodies as far as it is known."""
        unsent = self._output.unsent
        for request, response in self._answered:
            sent = max(0, response.length - unsent)
            self._record(request, response, sent, self._began_of(request), self._cache_of(request))
        for request, response in self._wire_made.cut_off() if self._wire_made is not None else ():
            self._record(request, response, response.length, self._began_of(request), self._cache_of(request))
