"""Handing over to a new program, as nginx does it: the new supervisor is started by the old one with the listening
sockets, takes over, and the old one ends when it has answered what was under way.

What the new program inherits stands in an environment variable. Over a link it says that it serves; then it gets the
connections that are between two requests.
"""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from typing import NamedTuple

from flashpy.errors import StartError
from flashpy.supervisor.messages import Link, Ready, Taken

VARIABLE = "FLASHPY_INHERITED"
"""Descriptors: ``{"link": N, "sockets": {ADDRESS: [N, ...], ...}}``."""
_STARTED_IN = os.environ.get("PWD") or os.getcwd()
"""Where the program was started: by name, because the directory may have been replaced since (a deploy)."""

Sockets = Mapping[str, list[socket.socket]]


class Inherited(NamedTuple):
    """What a supervisor that takes over has got from the one before."""

    link: Link[Taken]
    sockets: dict[str, list[socket.socket]]


class NewProgram(NamedTuple):
    """The supervisor that is to take over."""

    process: subprocess.Popen[bytes]
    link: Link[Ready]


def start_anew(sockets: Sockets) -> NewProgram:
    """Start this program once more, as it was started, with the listening sockets.

    Raises:
        StartError: it cannot be run.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    numbers = {address: [sock.fileno() for sock in group] for address, group in sockets.items()}
    environment = os.environ | {VARIABLE: json.dumps({"link": theirs.fileno(), "sockets": numbers})}
    passed = [theirs.fileno(), *(number for group in numbers.values() for number in group)]
    command = [sys.executable, *sys.orig_argv[1:]]
    try:
        directory = _STARTED_IN if os.path.isdir(_STARTED_IN) else None
        process = subprocess.Popen(command, env=environment, pass_fds=passed, cwd=directory)
    except OSError as error:
        ours.close()
        raise StartError(f"The new program {command[0]} cannot be run: {error.strerror}.") from None
    finally:
        theirs.close()
    return NewProgram(process, Link(ours, Ready))


def inherited() -> Inherited | None:
    """What the supervisor before has left to this one; None if this is the first. The variable is taken away, because
    it is nobody else's."""
    text = os.environ.pop(VARIABLE, None)
    if text is None:
        return None
    said = json.loads(text)
    groups = {address: [_socket(number) for number in numbers] for address, numbers in said["sockets"].items()}
    return Inherited(Link(_socket(said["link"]), Taken), groups)


def _socket(number: int) -> socket.socket:
    sock = socket.socket(fileno=number)
    sock.set_inheritable(False)
    return sock
