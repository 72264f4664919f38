"""Password files as Apache's htpasswd(1) writes them: ``user:hash``, a line each.

bcrypt is what is wanted. ``$apr1$`` (MD5, a thousand rounds) is read with a warning: files have it, and a guess costs
next to nothing. What is weaker still is refused when the file is read, not when somebody logs in.
"""

import re
from collections.abc import Mapping
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path

from flashpy.errors import ConfigError

MOST_COST = 15
"""bcrypt's cost up to which a hash is accepted: each one more doubles the time, and this takes over a second."""

_BCRYPT = re.compile(rb"(\$2[aby]\$(\d\d)\$)[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}")
_APR1 = re.compile(rb"(\$apr1\$[./A-Za-z0-9]{1,8}\$)[./A-Za-z0-9]{22}")
_OTHERS = (
    (re.compile(rb"\{SHA\}.*"), "SHA-1 without a salt"),
    (re.compile(rb"\{SSHA\}.*"), "SHA-1"),
    (re.compile(rb"\$1\$.*"), "crypt's MD5"),
    (re.compile(rb"\$[56]\$.*"), "crypt's SHA-2"),
    (re.compile(rb"\$2x\$.*"), "a faulty bcrypt ($2x$)"),
    (re.compile(rb"[./A-Za-z0-9]{13}"), "crypt's DES, or not hashed at all"),
)
_UNUSED = b"$2b$12$" + b"." * 53


class Users:
    """Who is in a password file: users and hashes. ``warnings`` are sentences."""

    __slots__ = ("_key", "_models", "hashes", "warnings")

    def __init__(self, hashes: Mapping[bytes, bytes], warnings: tuple[str, ...] = ()) -> None:
        self.hashes = hashes
        self.warnings = warnings
        self._models = tuple(hashes.values()) or (_UNUSED,)
        self._key = blake2b(b"\n".join(self._models)).digest()  # not to be guessed from outside, equal in all workers

    def hash_of(self, user: bytes) -> bytes:
        """The hash to verify a password against. A user who is not there gets one that no password has, of the kind
        and cost of some user who is: so the time that it takes does not tell who is there. Who that is depends on the
        name alone, so that asking twice tells nothing either."""
        known = self.hashes.get(user)
        if known is not None:
            return known
        number = int.from_bytes(blake2b(user, key=self._key, digest_size=8).digest(), "big")
        model = self._models[number % len(self._models)]
        match = _BCRYPT.fullmatch(model) or _APR1.fullmatch(model)
        assert match is not None
        return match[1] + b"." * (len(model) - len(match[1]))


def read(path: Path) -> Users:
    """The users of a file.

    Raises:
        ConfigError: it cannot be read, a line of it cannot be used, or the package bcrypt is missing.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}.") from None
    users = parse(text, str(path))
    if find_spec("bcrypt") is None and any(_BCRYPT.fullmatch(known) for known in users.hashes.values()):
        raise ConfigError(f"{path}: its passwords need the package bcrypt: pip install 'flashpy-server[auth]'.")
    return users


def parse(text: bytes, name: str) -> Users:
    """The users of a file's text; ``name`` is for what is said of it.

    Empty lines and those that begin with "#" are passed over, as is what follows a second colon (a comment, as nginx
    has it).

    Raises:
        ConfigError: says which line and which user cannot be used, and why.
    """
    hashes: dict[bytes, bytes] = {}
    lines: dict[bytes, int] = {}
    weak: list[tuple[int, bytes]] = []
    for number, line in enumerate(text.split(b"\n"), 1):
        line = line.strip(b" \t\r")
        if not line or line.startswith(b"#"):
            continue
        place = f"{name}, line {number}"
        user, colon, rest = line.partition(b":")
        known = rest.partition(b":")[0]
        if not colon or not user:
            raise ConfigError(f"{place}: is not of the form user:hash; let htpasswd(1) write it.")
        if user in hashes:
            raise ConfigError(f"{place}: user {_shown(user)} is in line {lines[user]} already; remove one.")
        fault = _fault(known)
        if fault:
            raise ConfigError(f"{place}: the password of {_shown(user)} {fault}; set it again with `htpasswd -B`.")
        if _APR1.fullmatch(known):
            weak.append((number, user))
        hashes[user], lines[user] = known, number
    return Users(hashes, _warnings(weak, len(hashes), name))


def _fault(known: bytes) -> str:
    """What is wrong with a hash, or nothing."""
    match = _BCRYPT.fullmatch(known)
    if match:
        cost = int(match[2])
        if cost < 4:
            return f"has bcrypt's cost {cost}, and the least is 4"
        return f"has bcrypt's cost {cost}, which takes too long (at most {MOST_COST})" if cost > MOST_COST else ""
    if _APR1.fullmatch(known):
        return ""
    for form, title in _OTHERS:
        if form.fullmatch(known):
            return f"is stored as {title}, which is not read"
    return "is no bcrypt hash, or not a whole one"


def _warnings(weak: list[tuple[int, bytes]], users: int, name: str) -> tuple[str, ...]:
    if not weak:
        return ()
    number, user = weak[0]
    return (
        f"{name}, line {number}: the password of {_shown(user)} is stored as MD5 ($apr1$), which is guessed fast"
        f" ({len(weak)} of {users} users); set it again with `htpasswd -B`.",
    )


def _shown(user: bytes) -> str:
    return repr(user.decode("utf-8", "backslashreplace"))
