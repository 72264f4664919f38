"""What the watching helper does all its life: it waits for changes beneath the roots, and tells the server of them.

Over its link (Unix SOCK_SEQPACKET) it sends ``WATCHING`` when it has begun, ``STYLES`` when only style sheets have
changed, ``PAGE`` when anything else has, and, if it cannot go on, ``TROUBLE`` and why. It ends when the other end is
closed.
"""

import os
import signal
import socket
from collections.abc import Iterable, Sequence
from typing import NoReturn

from flashpy.job.programs import yield_to_others
from flashpy.landlock import restrict
from flashpy.process import set_title

WATCHING, STYLES, PAGE, TROUBLE = b"watching", b"styles", b"page", b"!"

_SETTLED = 50  # milliseconds without a change: whoever writes several files has written them
_LONGEST = 500  # milliseconds that changes are gathered at most
_LOOK = 200  # milliseconds between two looks at the link and at where the roots lead
_Marks = list[tuple[int, int] | None]


def watch(control: socket.socket, roots: Sequence[str], confined: bool = False) -> NoReturn:
    """The program; ``confined`` by Landlock it may read beneath the roots only. Signals are left to the server, as
    other helpers do it (job.programs.fork_server)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    set_title(f"flashpy: watching helper of {os.getppid()}")
    yield_to_others()
    control.setblocking(False)
    try:
        _watch(control, roots, confined)
    except (BrokenPipeError, ConnectionResetError):
        pass
    except Exception as error:  # the library's own, and what it makes of the system's: too few inotify watches
        _tell(control, TROUBLE + str(error).encode())
    os._exit(0)


def _watch(control: socket.socket, roots: Sequence[str], confined: bool) -> None:
    import platform  # noqa: F401  # by watchfiles too, but when nothing can be opened any more

    import watchfiles

    there = [root for root in roots if os.path.isdir(root)]
    before = _marks(there)
    if confined:
        restrict(there)
    changes = watchfiles.watch(
        *there,
        debounce=_LONGEST,
        step=_SETTLED,
        rust_timeout=_LOOK,
        yield_on_timeout=True,
        ignore_permission_denied=True,
    )
    for number, found in enumerate(changes):
        if not number:
            _tell(control, WATCHING)
        if found:
            _tell(control, kind_of(path for _, path in found))
        if _marks(there) != before:  # a deployment: what is watched is not what is served any more
            _tell(control, PAGE)
            return
        if _is_over(control):
            return


def kind_of(paths: Iterable[str]) -> bytes:
    """What the changes mean for a page that is shown."""
    return STYLES if all(path.endswith(".css") for path in paths) else PAGE


def _marks(roots: Iterable[str]) -> _Marks:
    """Which directories the roots are."""
    found: _Marks = []
    for root in roots:
        try:
            status = os.stat(root)
            found.append((status.st_dev, status.st_ino))
        except OSError:
            found.append(None)
    return found


def _tell(control: socket.socket, message: bytes) -> None:
    try:
        control.send(message)
    except BlockingIOError:
        pass  # so many are on the way already that one of them will do


def _is_over(control: socket.socket) -> bool:
    """Whether the server has closed its end; it says nothing else."""
    try:
        return not control.recv(1)
    except BlockingIOError:
        return False
