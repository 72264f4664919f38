"""Listening Unix sockets: their names, their modes, and what is left of earlier ones."""

import contextlib
import errno
import os
import socket
import stat

from flashpy.errors import StartError


class _UnixListener(socket.socket):
    """A listening Unix socket of our own: its name goes when the process that owns it closes it."""

    path = ""
    owner = 0

    def close(self) -> None:
        if self.path and self.owner == os.getpid():
            # Before the socket: who comes after us finds no name, and so takes none that is then removed.
            with contextlib.suppress(OSError):
                os.unlink(self.path)
        self.path = ""
        super().close()


def listen_unix(path: str, backlog: int, mode: int | None, kind: int = socket.SOCK_STREAM) -> socket.socket:
    """A listening socket at a path, or at an abstract name (which begins with NUL and has no mode).

    Raises:
        StartError: it cannot be bound.
    """
    sock = _UnixListener(socket.AF_UNIX, kind)
    try:
        if path.startswith("\0"):
            sock.bind(path)
        else:
            _remove_stale(path, kind)
            sock.bind(path)
            sock.path, sock.owner = os.path.abspath(path), os.getpid()
            if mode is not None:
                _set_mode(path, mode)
        sock.listen(backlog)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        why = "it is in use already" if error.errno == errno.EADDRINUSE else error.strerror or str(error)
        raise StartError(f"The socket {path.replace(chr(0), '@')} cannot be bound: {why}.") from None
    return sock


def disown(sock: socket.socket) -> None:
    """A listening socket lives on in another program: closing it here leaves its name, if it has one."""
    if isinstance(sock, _UnixListener):
        sock.owner = 0


def own(number: int) -> socket.socket:
    """A listening Unix socket that another program has disowned for us."""
    sock = _UnixListener(fileno=number)
    name = os.fsdecode(sock.getsockname())
    if not name.startswith("\0"):
        sock.path, sock.owner = os.path.abspath(name), os.getpid()
    return sock


def _set_mode(path: str, mode: int) -> None:
    """Give a socket that is not listening yet its mode: so nobody could connect before. The umask, which would do it in
    one step, belongs to all threads; and a name that was exchanged meanwhile must not lead to another file."""
    fd = os.open(path, os.O_PATH | os.O_NOFOLLOW)
    try:
        if not stat.S_ISSOCK(os.fstat(fd).st_mode):
            raise OSError(errno.ENOTSOCK, "another file has taken its name")
        os.chmod(f"/proc/self/fd/{fd}", mode)
    finally:
        os.close(fd)


def _remove_stale(path: str, kind: int) -> None:
    """Remove a socket that nobody listens to any more; anything else stays."""
    try:
        if not stat.S_ISSOCK(os.stat(path, follow_symlinks=False).st_mode):
            return
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, kind) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
        except BlockingIOError:
            pass  # somebody listens, and has more to accept than there is room for
