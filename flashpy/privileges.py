"""Giving up the rights of root for those of an ordinary user. Standard library only."""

import grp
import os
import pwd
from typing import NamedTuple

from flashpy.errors import ConfigError, StartError

_IDS = range(2**32 - 1)
"""The last number, -1 as the kernel sees it, means "as it is" (setresuid(2))."""


class Identity(NamedTuple):
    """Whom a process is to be: all of it in numbers, so that no database is asked after the fork."""

    uid: int
    gid: int
    groups: tuple[int, ...]

    @property
    def ours(self) -> bool:
        """Whether this process is that already, with no way back to another."""
        return os.getresuid() == (self.uid,) * 3 and os.getresgid() == (self.gid,) * 3


def resolve(user: str, group: str) -> Identity | None:
    """Whom ``server.user`` and ``server.group`` mean (names or numbers); None: whoever starts the server.

    Raises:
        ConfigError: there is no such user or group, or it is root.
    """
    if not user:
        if group:
            raise ConfigError("server.group: has no meaning without server.user; give that too.")
        return None
    known = _known_user(user)
    uid = known.pw_uid if known else int(user)
    if uid == 0:
        raise ConfigError("server.user: root gives up nothing; name another user, or none to stay root.")
    gid = _gid(group) if group else known.pw_gid if known else None
    if gid is None:
        raise ConfigError(f"server.user: {user} has no entry, so its group is not known; give server.group too.")
    groups = os.getgrouplist(known.pw_name, gid) if known else [gid]
    return Identity(uid, gid, tuple(sorted(set(groups))))


def _known_user(user: str) -> pwd.struct_passwd | None:
    """The entry of a user; None for a number without one."""
    number = _number(user)
    try:
        return pwd.getpwnam(user) if number is None else pwd.getpwuid(number)
    except (KeyError, ValueError):
        if number is None:
            raise ConfigError(f"server.user: there is no user {user!r}.") from None
        return None


def _gid(group: str) -> int:
    number = _number(group)
    if number is not None:
        return number
    try:
        return grp.getgrnam(group).gr_gid
    except (KeyError, ValueError):
        raise ConfigError(f"server.group: there is no group {group!r}.") from None


def _number(text: str) -> int | None:
    """An id that is written as a number and can be one."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 10 and int(text) in _IDS else None


def require_root(identity: Identity) -> None:
    """See that this process can become somebody else.

    Raises:
        StartError: it cannot.
    """
    if os.geteuid() != 0 and not identity.ours:
        raise StartError(
            f"Only root can change to user {identity.uid} and group {identity.gid}; start flashpy as root, or leave "
            "server.user out."
        )


def drop_privileges(identity: Identity) -> None:
    """Become somebody else for good: groups, group, user, and with them all capabilities (capabilities(7)). For a child
    just after its fork, before it has threads or reads anything; one that fails must end. The kernel forgets what
    ``die_with`` has asked for (prctl(2), PR_SET_PDEATHSIG): ask for that afterwards.

    Raises:
        StartError: the rights cannot be given up, or could be had back.
    """
    require_root(identity)
    if os.geteuid() != 0:
        return
    try:
        os.setgroups(identity.groups)
        os.setresgid(identity.gid, identity.gid, identity.gid)
        os.setresuid(identity.uid, identity.uid, identity.uid)
    except OSError as error:
        raise StartError(f"The change to user {identity.uid} is not possible: {error.strerror}.") from None
    if not (identity.ours and set(os.getgroups()) == set(identity.groups) and _is_powerless()):
        raise StartError(
            f"The change to user {identity.uid} has left rights of root; flashpy does not go on with them."
        )


def _is_powerless() -> bool:
    """Whether no capability is left, and root is out of reach."""
    for become in (os.setuid, os.setgid) if os.getgid() else (os.setuid,):
        try:
            become(0)
        except PermissionError:
            continue
        return False
    with open("/proc/self/status", "rb") as file:  # not as text: nothing can be imported for it any more, perhaps
        sets = dict(line.split(b":", 1) for line in file if line.startswith(b"Cap"))
    return all(int(sets[name], 16) == 0 for name in (b"CapPrm", b"CapEff", b"CapAmb"))
