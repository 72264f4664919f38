"""Guards: what one table of the configuration demands of a request, and which guard a path has.

A guard asks for a client's network, then for a signature, then for a password: the cheapest first. None of it may be
remembered with a file, for it depends on the client and on the time; what a guard adds to answers does not.

What is judged is the decoded, normalised path (http.target), by which files are found, so each way to write an address
is judged alike. A guard holds for names: where a request is answered with a file of another name (an index, a clean
URL, a fallback, a rewrite), that name is to be judged too (``guards_for`` takes both).
"""

import re
from collections.abc import Collection, Iterable, Sequence
from enum import Enum
from math import ceil
from typing import NamedTuple

from flashpy.access import signed
from flashpy.access.attempts import Attempts, Mark
from flashpy.access.credentials import challenge, parse_basic
from flashpy.access.htpasswd import Users
from flashpy.access.networks import Networks
from flashpy.http.request import Request
from flashpy.http.response import FieldList
from flashpy.job.kinds import Verify
from flashpy.now import Now

PRIVATE: FieldList = ((b"Cache-Control", b"private"),)
"""On what is behind a guard, unless a rule says otherwise: a shared cache would give it to those whom nobody judged.

What was asked for with Authorization is not for shared caches by itself (RFC 9111, 3.5), which is why Vary has no need
of that field; but where a network or a signature will do, there is none. A rule that says ``public``, ``s-maxage`` or
``must-revalidate`` sets that aside."""

NO_STORE: FieldList = ((b"Cache-Control", b"no-store"),)
"""On refusals: they are for this client and this moment (for 429 it is demanded: RFC 6585, 4)."""

MOST_REMEMBERED = 2_048
LONGEST_REMEMBERED = 256
"""Paths whose guard is remembered, and their length in bytes at most."""


Answered = tuple[Verify, bool]
"""What had to be verified, and whether it passed."""


class Refusal(NamedTuple):
    """A request that is refused. ``reason`` is for the log and for explanations, not for the client."""

    status: int
    fields: FieldList
    reason: str


class Satisfy(Enum):
    """Whether all that a guard asks for is needed, or any of it is enough (as in nginx)."""

    ALL = "all"
    ANY = "any"


class Basic:
    """Basic authentication by a password file."""

    __slots__ = ("_attempts", "_users", "_wanted")

    def __init__(self, realm: str, users: Users, attempts: Attempts) -> None:
        """Raises ValueError for a realm that cannot be written."""
        self._users = users
        self._attempts = attempts
        self._wanted = (*challenge(realm), *NO_STORE)

    def judge(self, request: Request, client: str, now: Now, answered: Answered | None) -> Refusal | Verify | None:
        """None for a user whose password has passed lately; else what is to be verified, if the client may try."""
        credentials = parse_basic(request.fields.get(b"authorization"))
        if credentials is None:
            return Refusal(401, self._wanted, "no credentials that could be read")
        hashed = self._users.hash_of(credentials.user)
        mark = self._attempts.mark(hashed, credentials)
        if self._attempts.passed(mark, now.monotonic):
            return None
        job = Verify(hashed, credentials.password)
        if answered is not None and answered[0] == job:
            return self._conclude(credentials.user, mark, answered[1], now)
        wait = self._attempts.begin(mark, client, now.monotonic)
        if wait:
            fields = ((b"Retry-After", b"%d" % max(1, ceil(wait))), *NO_STORE)
            return Refusal(429, fields, "too many wrong passwords from this client")
        return job

    def _conclude(self, user: bytes, mark: Mark, passed: bool, now: Now) -> Refusal | None:
        known = user in self._users.hashes
        self._attempts.end(mark, passed and known, now.monotonic)
        if passed and known:
            return None
        return Refusal(401, self._wanted, "a wrong password" if known else "no such user")


class Guard:
    """What one table demands; one that demands nothing lets everybody through."""

    __slots__ = ("_any", "_basic", "_keys", "_networks", "fields")

    def __init__(
        self,
        networks: Networks | None = None,
        keys: Sequence[bytes] = (),
        basic: Basic | None = None,
        satisfy: Satisfy = Satisfy.ALL,
    ) -> None:
        self._networks = networks
        self._keys = tuple(keys)
        self._basic = basic
        self._any = satisfy is Satisfy.ANY
        self.fields: FieldList = PRIVATE if networks is not None or keys or basic is not None else ()

    @property
    def asks_for_signature(self) -> bool:
        """Whether it asks for one."""
        return bool(self._keys)

    def judge(
        self, request: Request, client: str, now: Now, answered: Answered | None = None
    ) -> Refusal | Verify | None:
        """None if the request may be answered; a refusal; or what must be verified before it can be said.

        When that has been, it is asked again with what came of it. ``client`` is an address as text. With "any", what
        could still be given is asked for: a 401 rather than a 403.
        """
        refusal: Refusal | None = None
        for found in self._without_password(request, client, now):
            if found is None and self._any:
                return None
            if found is not None:
                refusal = found
                if not self._any:
                    return refusal
        return self._basic.judge(request, client, now, answered) if self._basic is not None else refusal

    def _without_password(self, request: Request, client: str, now: Now) -> Iterable[Refusal | None]:
        if self._networks is not None:
            allowed = self._networks.allows(client)
            yield None if allowed else Refusal(403, NO_STORE, f"{client or 'a Unix socket'} is in no network allowed")
        if self._keys:
            yield _SIGNED[signed.verify(self._keys, request.path, request.query, now.wall)]


_SIGNED = {
    signed.Verdict.GOOD: None,
    signed.Verdict.MISSING: Refusal(403, NO_STORE, signed.Verdict.MISSING.value),
    signed.Verdict.BAD: Refusal(403, NO_STORE, signed.Verdict.BAD.value),
    signed.Verdict.EXPIRED: Refusal(410, NO_STORE, signed.Verdict.EXPIRED.value),
}
"""410 for what has expired: this address will not work again, and who has it may be told so, for it was signed."""


class Access:
    """The guards of a site. Of those whose pattern a path matches, the first counts: narrow ones stand before wide
    ones, and one that demands nothing makes an exception."""

    __slots__ = ("_entries", "_remembered")

    def __init__(self, entries: Iterable[tuple[re.Pattern[bytes], Guard]]) -> None:
        self._entries = tuple(entries)
        self._remembered: dict[bytes, Guard | None] = {}

    def __bool__(self) -> bool:
        return bool(self._entries)

    def guard_for(self, path: bytes) -> Guard | None:
        """The guard of a path, which is decoded and normalised."""
        try:
            return self._remembered[path]
        except KeyError:
            pass
        found = next((guard for pattern, guard in self._entries if pattern.fullmatch(path)), None)
        if len(path) <= LONGEST_REMEMBERED:
            if len(self._remembered) >= MOST_REMEMBERED:
                self._remembered.clear()
            self._remembered[path] = found
        return found

    def guards_for(self, *paths: bytes) -> tuple[Guard, ...]:
        """The guards of all these paths, each once: of the path that was asked for, and of what answers it."""
        return tuple(dict.fromkeys(guard for path in paths if (guard := self.guard_for(path)) is not None))

    def withheld(self, passed: Collection[Guard]) -> tuple[bytes, ...]:
        """Expressions of the paths that somebody may not have whom these guards have let through to a directory, in
        which they lie. A signature is of an address, so it gives nothing else away."""
        found = []
        for number, (pattern, guard) in enumerate(self._entries):
            if guard.fields and (guard.asks_for_signature or guard not in passed):
                before = b"|".join(b"(?:%b)" % other.pattern for other, _ in self._entries[:number])
                found.append((b"(?!(?:%b)\\Z)" % before if before else b"") + b"(?:%b)" % pattern.pattern)
        return tuple(found)


def judge(
    guards: Iterable[Guard], request: Request, client: str, now: Now, answered: Answered | None = None
) -> Refusal | Verify | None:
    """The verdict of several guards, all of which must let the request through, as ``Guard.judge``.

    Each may want something verified: those before the one that an answer is for remember what they have verified.
    """
    for guard in guards:
        verdict = guard.judge(request, client, now, answered)
        if verdict is not None:
            return verdict
    return None
