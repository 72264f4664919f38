"""The Landlock sandbox (landlock(7)): a process gives up rights to files and to the network, for good.

Landlock judges the opening of a file, not what is open: descriptors that the process has, or is sent (SCM_RIGHTS),
stay good. It judges neither stat(2) nor readlink(2) nor O_PATH. A rule belongs to a directory's inode, not to its
path. By raw system calls, because the C library has none of them. Standard library only: helpers import it.
"""

import ctypes
import errno
import os
import stat
import struct
from collections.abc import Sequence
from typing import NamedTuple

_SYS_CREATE_RULESET, _SYS_ADD_RULE, _SYS_RESTRICT_SELF = 444, 445, 446
_CREATE_RULESET_VERSION = 1
_RULE_PATH_BENEATH = 1
_PR_SET_NO_NEW_PRIVS = 38

_RULESET = struct.Struct("=QQQ")  # struct landlock_ruleset_attr: an older kernel takes its zeros for what they are
_PATH_BENEATH = struct.Struct("=Qi")  # struct landlock_path_beneath_attr, which is packed
_WRITE_FILE, _READ_FILE, _READ_DIR, _REMOVE_FILE, _MAKE_REG = 1 << 1, 1 << 2, 1 << 3, 1 << 5, 1 << 8
_READ = _READ_FILE | _READ_DIR
_WRITE = _WRITE_FILE | _REMOVE_FILE | _MAKE_REG  # a rename within a directory takes no more
_OF_FILES = _READ_FILE | _WRITE_FILE


class _Step(NamedTuple):
    """What a version of the interface (ABI) has brought: rights to files and to the network, scopes; in words."""

    abi: int
    files: int
    network: int
    scopes: int
    words: str


_STEPS = (
    _Step(1, (1 << 13) - 1, 0, 0, "files"),
    _Step(2, 1 << 13, 0, 0, "links between directories"),
    _Step(3, 1 << 14, 0, 0, "truncation"),
    _Step(4, 0, 1 << 0 | 1 << 1, 0, "TCP (bind and connect)"),
    _Step(5, 1 << 15, 0, 0, "ioctl on devices"),
    _Step(6, 0, 0, 1 << 0 | 1 << 1, "abstract Unix sockets and signals"),
)
"""From linux/landlock.h."""

_NOT_THERE = frozenset({errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM})
"""Not in this kernel, not switched on at boot, or refused by the filter of a container (seccomp(2))."""
_SHORT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def abi() -> int:
    """The version of the interface that the kernel has; 0 where there is none."""
    try:
        return _call(_SYS_CREATE_RULESET, None, 0, _CREATE_RULESET_VERSION)
    except OSError as error:
        if error.errno in _NOT_THERE:
            return 0
        raise


def describe(number: int) -> str:
    """One sentence for people on what the version of ``abi`` or ``restrict`` confines."""
    if not number:
        return "Landlock is not there: the kernel is older than 5.13 or runs without it, or a container forbids it."
    return f"Landlock (ABI {number}) confines " + ", ".join(step.words for step in _steps(number)) + "."


def restrict(readable: Sequence[bytes | str] = (), writable: Sequence[bytes | str] = ()) -> int:
    """From now on let the calling thread read what is at or beneath these paths, make, write, rename and remove
    regular files where they are ``writable``, and open nothing else: no other writing or creating, no executing, no TCP
    port bound or connected to, as far as the kernel's version goes.

    This cannot be undone, and holds for all children and threads that come later, but not for threads that exist
    already (landlock_restrict_self(2)): call it before there are any. A path that leads nowhere is left out. It also
    sets no_new_privs (prctl(2)), without which only a privileged process may do so.

    Returns the version in force; 0 where there is no Landlock, and then nothing is restricted.

    Raises:
        OSError: descriptors or memory are short, or there are too many domains above each other (E2BIG).
    """
    number = abi()
    if not number:
        return 0
    steps = _steps(number)
    handled = _RULESET.pack(*(sum(bits) for bits in zip(*((s.files, s.network, s.scopes) for s in steps), strict=True)))
    ruleset = _call(_SYS_CREATE_RULESET, handled, len(handled), 0)
    try:
        for path in readable:
            _allow(ruleset, path, _READ)
        for path in writable:
            _allow(ruleset, path, _READ | _WRITE)
        _forgo_privileges()
        _call(_SYS_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)
    return number


def _steps(number: int) -> list[_Step]:
    return [step for step in _STEPS if step.abi <= number]


def _allow(ruleset: int, path: bytes | str, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in _SHORT:
            raise
        return  # a right to what cannot be reached is of no use
    try:
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            rights &= _OF_FILES
        _call(_SYS_ADD_RULE, ruleset, _RULE_PATH_BENEATH, _PATH_BENEATH.pack(rights, place), 0)
    finally:
        os.close(place)


def _forgo_privileges() -> None:
    """No program that is executed gives rights that this process does not have (set-user-ID)."""
    zero = ctypes.c_ulong(0)
    if _libc.prctl(_PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), zero, zero, zero):
        _fail()


def _call(number: int, *arguments: int | bytes | None) -> int:
    """A system call's result; integers are passed in their full width."""
    wide = [ctypes.c_long(argument) if isinstance(argument, int) else argument for argument in arguments]
    result: int = _libc.syscall(ctypes.c_long(number), *wide)
    if result < 0:
        _fail()
    return result


def _fail() -> None:
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number))
