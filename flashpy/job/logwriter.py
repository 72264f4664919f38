"""What the log helper does all its life: it writes the access log's lines, which others hand to it.

It opens nothing. Over its control link (Unix SOCK_SEQPACKET) it is given descriptors, each beside a message of one byte
(SCM_RIGHTS, unix(7)): files to write to, and the reading ends of producers' links (SOCK_SEQPACKET too), of which each
packet is some whole lines. Over the same link it reports what it could not write. It ends when the control link and
all producers have ended and everything that they sent is written. It may be kept by a write for as long as a disk or a
reader likes: nobody waits for it.
"""

import os
import select
import signal
import socket
import struct
import time
from typing import NoReturn

from flashpy.job.programs import descriptors_in, yield_to_others
from flashpy.landlock import restrict
from flashpy.process import set_title

WRITE_TO = b"w"
"""With a descriptor: the file to write to from now on. A regular file must be open for appending (O_APPEND), and for
reading if a line that somebody has left unfinished, killed in the middle of it, is to be ended first."""
PRODUCER = b"p"
"""With a descriptor: the reading end of another producer's link."""
REPORT = struct.Struct("=Qi")
"""From the helper: how many lines it has dropped since its last report, and the errno of the last reason."""

LONGEST_PACKET = 128 * 1024
"""Bytes of a packet at most: what the kernel takes for a socket whose buffer is of the default size (212992)."""

_TOGETHER = 2**20  # bytes taken from one producer before others have their turn
_QUIET = 1.0  # seconds between two reports
_A_MOMENT = 0.02  # seconds; whoever writes to the file as well has finished its write, or goes on with it
_CMSG_ROOM = socket.CMSG_SPACE(struct.calcsize("i"))
_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def write_log(control: socket.socket, confined: bool = False) -> NoReturn:
    """The log helper's program, ``confined`` by Landlock: it opens nothing, but is given what it writes to. Signals are
    ignored, as other helpers do it (job.programs.fork_server): the lines of the last requests are still to come when
    they arrive."""
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    set_title(f"flashpy: log helper of {os.getppid()}")
    yield_to_others()
    if confined:
        restrict()
    LogWriter(control).run()
    os._exit(0)


class LogWriter:
    """Takes lines from producers and writes them to the file of the moment."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._commanded = True  # there may be more commands
        self._producers: dict[int, socket.socket] = {}
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)
        self._file: int | None = None
        self._torn = False  # the file's last line was written in part
        self._dropped = 0  # and not yet reported
        self._why = 0
        self._silent_until = 0.0

    def run(self) -> None:
        """Go on until nobody can hand over any more."""
        while self._commanded and self._file is None:
            self._obey()
        while self._commanded or self._producers:
            lines: list[bytes] = []
            for fd, _ in self._poll.poll(self._wait()):
                if fd == self._control.fileno():
                    self._obey()
                else:
                    self._take(self._producers[fd], lines)
            if lines:
                self._write(b"".join(lines))
            if self._dropped and time.monotonic() >= self._silent_until:
                self._report()
        if self._dropped:
            self._report()

    def _wait(self) -> float | None:
        """Milliseconds until there is something to report; None while there is not."""
        return max(0.0, self._silent_until - time.monotonic()) * 1000 + 1 if self._dropped else None

    def _obey(self) -> None:
        """Take one command."""
        try:
            message, ancillary, _, _ = self._control.recvmsg(1, _CMSG_ROOM, socket.MSG_CMSG_CLOEXEC)
        except ConnectionResetError:
            message, ancillary = b"", []
        fds = descriptors_in(ancillary)
        if not message:
            self._poll.unregister(self._control)
            self._commanded = False
        elif not fds:
            pass  # our table is full: who sent a producer finds its link closed, and a file stays what it was
        elif message == PRODUCER:
            self._producers[fds[0]] = socket.socket(fileno=fds[0])
            self._poll.register(fds[0], select.POLLIN)
        else:
            if self._file is not None:
                os.close(self._file)
            self._file, self._torn = fds[0], _ends_torn(fds[0])

    def _take(self, producer: socket.socket, lines: list[bytes]) -> None:
        """Take the packets that have come."""
        size = 0
        while size < _TOGETHER:
            try:
                packet = producer.recv(LONGEST_PACKET, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except ConnectionResetError:
                packet = b""
            if not packet:
                self._poll.unregister(producer)
                del self._producers[producer.fileno()]
                producer.close()
                return
            lines.append(packet)
            size += len(packet)

    def _write(self, lines: bytes) -> None:
        """Write whole lines, in as few writes as it takes; what cannot be written is dropped."""
        assert self._file is not None
        rest = memoryview(b"\n" + lines if self._torn else lines)
        while rest:
            try:
                written = os.write(self._file, rest)
            except BlockingIOError:  # a pipe or a terminal that somebody else has made non-blocking
                select.select((), (self._file,), ())
                continue
            except OSError as error:
                self._dropped += bytes(rest).count(b"\n") - (rest.nbytes > len(lines))
                self._why = error.errno or 0
                return
            self._torn = rest[written - 1] != ord("\n")
            rest = rest[written:]

    def _report(self) -> None:
        """Say what was dropped, unless that would mean to wait."""
        self._silent_until = time.monotonic() + _QUIET
        try:
            self._control.send(REPORT.pack(self._dropped, self._why), socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            pass  # nobody wants to know any more
        self._dropped = 0


def _ends_torn(file: int) -> bool:
    """Whether a file ends within a line; not while another still writes that line (an older server, that is being
    upgraded)."""
    before = _last_byte(file)
    if before is None:
        return False
    time.sleep(_A_MOMENT)
    return _last_byte(file) == before


def _last_byte(file: int) -> tuple[int, bytes] | None:
    """The size and last byte of a file which ends within a line; None of any other, and where it cannot be known."""
    try:
        size = os.fstat(file).st_size
        last = os.pread(file, 1, size - 1) if size else b""
    except OSError:
        return None
    return (size, last) if last not in (b"", b"\n") else None
