"""What is remembered of attempts to log in: passwords that passed, attempts in work, and failures of each client.

All is bounded, and time is an argument: seconds of a monotonic clock. All sites of a process may share one.
"""

import os
from hashlib import blake2b

from flashpy.access.credentials import Credentials
from flashpy.access.networks import household

VALID = 60.0
"""Seconds for which a password that has passed does so without being verified."""
FAILURES = 10
"""Failures that a client may have in a row."""
PAUSE = 6.0
"""Seconds after which it may have one more."""
IN_WORK = 60.0
"""Seconds after which an attempt of which nothing was heard is forgotten: its job was dropped."""
MOST = 4_096
"""Entries of each table; the oldest goes first."""

Mark = bytes
"""Stands for a hash, a user and a password."""


class Failures:
    """A token bucket for each client: each failure takes a token, and there is a new one every ``pause`` seconds."""

    __slots__ = ("_buckets", "_clients", "_least", "_most", "_pause")

    def __init__(self, most: int = FAILURES, pause: float = PAUSE, clients: int = MOST) -> None:
        self._least = 1.0 if most else float("-inf")  # 0: no limit
        self._most = float(most)
        self._pause = pause
        self._clients = clients
        self._buckets: dict[str, tuple[float, float]] = {}  # tokens, and when there were so many; least recent first

    def tokens(self, client: str, now: float) -> float:
        """How many are in a client's bucket."""
        tokens, then = self._buckets.get(client, (self._most, now))
        return min(self._most, tokens + max(0.0, now - then) / self._pause)

    def take(self, client: str, now: float) -> float:
        """Take a token, which gives 0; or the seconds until there is one."""
        tokens = self.tokens(client, now)
        if tokens < self._least:
            return (1.0 - tokens) * self._pause
        self._put(client, tokens - 1.0, now)
        return 0.0

    def give_back(self, client: str, now: float) -> None:
        """It was no failure."""
        if client in self._buckets:
            self._put(client, min(self._most, self.tokens(client, now) + 1.0), now)

    def _put(self, client: str, tokens: float, now: float) -> None:
        self._buckets.pop(client, None)
        if tokens < self._most:
            self._buckets[client] = (tokens, now)
        if len(self._buckets) > self._clients:
            del self._buckets[next(iter(self._buckets))]

    def __len__(self) -> int:
        return len(self._buckets)


class Attempts:
    """Who may try, and whose password need not be verified again.

    Passwords are kept as marks only: a keyed hash, whose key is this process's own and is written nowhere. A token is
    taken when an attempt begins, not when it has failed, so that many at a time are no way around the limit; equal
    ones in work at a time count as one, since a browser asks for many files at once.
    """

    __slots__ = ("_key", "_most", "_passed", "_valid", "_working", "failures")

    def __init__(self, failures: Failures | None = None, valid: float = VALID, most: int = MOST) -> None:
        self.failures = failures if failures is not None else Failures()
        self._valid = valid
        self._most = most
        self._key = os.urandom(blake2b.MAX_KEY_SIZE)
        self._passed: dict[Mark, float] = {}  # until when; the oldest first
        self._working: dict[Mark, tuple[str, float]] = {}  # who has paid the token, and until when

    def mark(self, hashed: bytes, credentials: Credentials) -> Mark:
        """What stands for a password and the hash that it is to have. Another hash makes another mark, so that a
        password that was changed is not remembered."""
        digest = blake2b(key=self._key, digest_size=32)
        for text in (hashed, credentials.user, credentials.password):
            digest.update(len(text).to_bytes(8, "big"))
            digest.update(text)
        return digest.digest()

    def passed(self, mark: Mark, now: float) -> bool:
        """Whether this password has passed lately."""
        until = self._passed.get(mark)
        return until is not None and now < until

    def begin(self, mark: Mark, client: str, now: float) -> float:
        """Before a password is verified: 0 if it may be; else the seconds until this client may try again."""
        working = self._working.get(mark)
        if working is not None and now < working[1]:
            return 0.0
        client = household(client)
        wait = self.failures.take(client, now)
        if not wait:
            self._working.pop(mark, None)
            self._working[mark] = (client, now + IN_WORK)
            _bound(self._working, self._most)
        return wait

    def end(self, mark: Mark, passed: bool, now: float) -> None:
        """It has been verified. Where nobody says so, the attempt counts as failed."""
        working = self._working.pop(mark, None)
        if not passed:
            return
        if working is not None:
            self.failures.give_back(working[0], now)
        self._passed.pop(mark, None)
        self._passed[mark] = now + self._valid
        _bound(self._passed, self._most)


def _bound(table: dict[Mark, float] | dict[Mark, tuple[str, float]], most: int) -> None:
    if len(table) > most:
        del table[next(iter(table))]
