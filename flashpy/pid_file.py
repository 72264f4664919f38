"""The file that tells the number of the first process: for service managers and scripts. Standard library only."""

import contextlib
import os
import stat

from flashpy.errors import StartError


def write(path: str) -> None:
    """Write this process's number: who reads the file finds the whole number, or what was there before.

    Raises:
        StartError: it cannot be written there.
    """
    beside = ""
    try:
        if not _is_free_for_us(path):
            raise StartError(f"The PID file {path} is no regular file; name another (server.pid_file).")
        name = os.path.join(os.path.dirname(path), f".flashpy-pid-{os.urandom(8).hex()}")
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        beside = name
        with open(fd, "w", encoding="ascii") as file:
            file.write(f"{os.getpid()}\n")
            os.fchmod(fd, 0o644)
        os.replace(beside, path)
    except OSError as error:
        if beside:
            with contextlib.suppress(OSError):
                os.unlink(beside)
        raise StartError(f"The PID file {path} cannot be written: {error.strerror}.") from None


def _is_free_for_us(path: str) -> bool:
    """Whether a regular file is there, or none; root could replace devices too."""
    try:
        return stat.S_ISREG(os.stat(path, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return True


def remove(path: str) -> None:
    """Remove the file if it still tells of this process; a successor's stays."""
    try:
        with open(path, encoding="ascii") as file:
            if file.read(32).strip() == str(os.getpid()):
                os.unlink(path)
    except (OSError, ValueError):
        pass  # it is not there, or not ours
