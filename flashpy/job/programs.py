"""What a helper process does all its life, and the fork server from which helpers come.

A helper serves one job at a time from its pipe and ends when the pipe does. Helpers are forked from a fork server: a
small process that was started before the first request and holds no file of the site. So a helper costs little memory
of its own (the rest is shared copy-on-write), starts in about a millisecond with no disk read, and the server itself
never forks, which would stall its loop.
"""

import array
import errno
import gc
import os
import signal
import socket
import struct
from collections.abc import Callable
from typing import NoReturn

from flashpy.job.framing import BadMessage, decode_job, encode_result
from flashpy.job.kinds import Job, Outcome, Result
from flashpy.process import set_title

BORN = struct.Struct("=ii")
"""The fork server's answer: the process id of a new helper, or -1 and an errno. The pipe's end travels beside it."""

_JOB_ROOM = 256 * 1024
_PIPE_ROOM = 512 * 1024
_CMSG_ROOM = socket.CMSG_SPACE(4 * struct.calcsize("i"))


_BEGUN = struct.Struct("=i")  # a helper's first word to its fork server: an errno, or 0 if it can work
_BEGIN_SECONDS = 10.0

NICE = 5
"""How nice (nice(2)) a helper is to the loop, if it mostly waits for disks."""

Perform = Callable[[Job], Result]
After = Callable[[], Result | None]


def _nothing() -> None:
    """There is nothing to do after a job."""


def fork_server(
    control: socket.socket, begin: Callable[[], Perform], name: str, niceness: int = NICE, after: After = _nothing
) -> NoReturn:
    """Fork a helper for each byte that arrives on ``control``, until it is closed.

    ``begin`` is called in each helper, and gives what carries out its jobs; a helper that cannot begin (OSError), or
    not in time because a disk is dead, is not born. ``after`` is what a helper does when it has answered a job, and may
    give what else it has to say. ``name`` is what ``ps`` shows. SIGINT and SIGTERM are ignored: an
    interrupt at the terminal reaches the whole process group, a service manager's SIGTERM the whole service, and it is
    for the server to decide what they mean: helpers are needed until it has drained, and end with their pipes.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps
    server = os.getppid()
    set_title(f"flashpy: fork server of {server}")
    yield_to_others(niceness)
    gc.collect()
    gc.freeze()
    try:
        while control.recv(1):
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _PIPE_ROOM)
            try:
                pid = os.fork()
            except OSError as error:
                control.send(BORN.pack(-1, error.errno or errno.EAGAIN))
            else:
                if pid == 0:
                    control.close()
                    ours.close()
                    set_title(f"flashpy: {name} of {server}")
                    _live(theirs, begin, after)
                theirs.close()
                _report(control, pid, ours)
            ours.close()
            theirs.close()
    except (BrokenPipeError, ConnectionResetError):
        pass  # the server has gone without waiting for a birth
    os._exit(0)


def _live(pipe: socket.socket, begin: Callable[[], Perform], after: After) -> NoReturn:
    """A helper's life."""
    try:
        perform = begin()
    except OSError as error:
        pipe.send(_BEGUN.pack(error.errno or errno.EIO))
        os._exit(1)
    pipe.send(_BEGUN.pack(0))
    serve(pipe, perform, after)


def _report(control: socket.socket, pid: int, ours: socket.socket) -> None:
    """Tell the server of a birth once the helper can work: so no job waits with one that waits for a dead disk."""
    ours.settimeout(_BEGIN_SECONDS)
    try:
        word = ours.recv(_BEGUN.size)
        (number,) = _BEGUN.unpack(word) if word else (errno.ECHILD,)  # nothing: it has been killed
    except TimeoutError:
        os.kill(pid, signal.SIGKILL)
        number = errno.ETIMEDOUT
    if number:
        control.send(BORN.pack(-1, number))
    else:
        send_with(control, [BORN.pack(pid, 0)], [ours.fileno()])


def yield_to_others(niceness: int = NICE) -> None:
    """Let the server's loop run first where it and its helpers share a core: a helper that is woken by a job does not
    push the loop aside (SCHED_BATCH, sched(7)), and the loop gets the greater share."""
    try:
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        os.nice(niceness)
    except OSError:
        pass  # forbidden here: it goes without


def serve(pipe: socket.socket, perform: Perform, after: After = _nothing) -> NoReturn:
    """Answer jobs until the other end of the pipe is closed, or a job has shown that the helper is of no more use."""
    try:
        while True:
            message, ancillary, _, _ = pipe.recvmsg(_JOB_ROOM, _CMSG_ROOM, socket.MSG_CMSG_CLOEXEC)
            if not message:
                break
            try:
                result = perform(decode_job(message, descriptors_in(ancillary)))
            except BadMessage:  # a descriptor that did not fit into our table is missing
                result = Result(Outcome.NO_DESCRIPTORS, error=errno.EMFILE)
            _reply(pipe, result)
            if result.outcome is Outcome.STALE:
                break
            del result
            if (remark := after()) is not None:
                _reply(pipe, remark)
    except (BrokenPipeError, ConnectionResetError):
        pass
    finally:
        os._exit(0)


def _reply(pipe: socket.socket, result: Result) -> None:
    pieces, fds = encode_result(result)
    try:
        send_with(pipe, pieces, fds)
    except OSError as error:
        if error.errno in (errno.EMSGSIZE, errno.ENOBUFS) and result.body:
            _reply(pipe, result._replace(body=None))  # a descriptor serves as well
        elif error.errno == errno.ETOOMANYREFS:
            _reply(pipe, Result(Outcome.NO_DESCRIPTORS, error=errno.EMFILE))
        else:
            raise


def send_with(pipe: socket.socket, pieces: list[bytes], fds: list[int]) -> None:
    """Send one message with descriptors beside it (SCM_RIGHTS, unix(7))."""
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    pipe.sendmsg(pieces, ancillary)


def descriptors_in(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    """The descriptors that came beside a message."""
    fds = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
    return fds.tolist()
