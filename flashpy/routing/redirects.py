"""Redirects and rewrites: the first rule of a table that a request matches says where it leads.

A rule that is forced is asked before any file is looked for (``Routes.before``). One that is not is shadowed by files:
it is asked when there is none (``Routes.after``, in the place of a 404). The order of the table counts all the same:
where the first rule that matches is not forced, no forced rule behind it applies.
"""

import re
from collections.abc import Iterable, Iterator
from heapq import merge
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from flashpy.http.target import NO_FILE, quote_path, quote_query
from flashpy.routing.globs import Glob
from flashpy.routing.hosts import Hosts
from flashpy.routing.targets import Target, Template, local_path

REDIRECT_STATUSES = frozenset({301, 302, 303, 307, 308})
"""RFC 9110, 15.4: those that have a Location for the client to follow."""

GONE_STATUSES = frozenset({404, 410, 451})
"""For what is not there (any more): RFC 9110, 15.5.5 and 15.5.11; RFC 7725."""


class Redirect(NamedTuple):
    """A redirect as it is written: to a path or URI; with 404, 410 or 451, to nothing.

    ``query`` is of parameters that must be there, each with its value or ":name", which captures it; what a rule has
    asked for is not passed on. ``host`` is a host or wildcard that must be meant, if given.
    """

    match: str
    to: str = ""
    status: int = 301
    force: bool = True
    query: tuple[tuple[str, str], ...] = ()
    host: str = ""


class Rewrite(NamedTuple):
    """A rewrite as it is written: another file answers; with 404, 410 or 451, as the page of that error.

    The rest is as in Redirect.
    """

    match: str
    to: str
    status: int = 200
    force: bool = False
    query: tuple[tuple[str, str], ...] = ()
    host: str = ""


class Redirected(NamedTuple):
    """The answer is a redirect; ``rule`` is the number of the rule in its table."""

    status: int
    location: bytes
    rule: int


class Rewritten(NamedTuple):
    """The answer is what is at a path, decoded and normalised, with a status in the place of 200."""

    status: int
    path: bytes
    rule: int


class Gone(NamedTuple):
    """The answer is an error."""

    status: int
    rule: int


Route = Redirected | Rewritten | Gone


class Routes:
    """A table of rules, compiled.

    ``by_path`` says that the path alone decides: then what is known of a path holds for all requests for it.

    Raises:
        ValueError: a rule is wrong; in one sentence, which begins with the rule's pattern.
    """

    __slots__ = ("_literal", "_rules", "_wild", "by_path")

    def __init__(self, rules: Iterable[Redirect | Rewrite]) -> None:
        self._rules = [_Compiled(number, rule) for number, rule in enumerate(rules)]
        self._literal: dict[bytes, list[int]] = {}
        self._wild: list[int] = []
        for number, rule in enumerate(self._rules):
            for path in rule.glob.literals or ():
                self._literal.setdefault(path, []).append(number)
            if rule.glob.literals is None:
                self._wild.append(number)
        self.by_path = not any(rule.conditional for rule in self._rules)

    def __len__(self) -> int:
        return len(self._rules)

    def before(self, path: bytes, query: bytes, host: bytes) -> Route | None:
        """Where a request leads whatever files there are; None if files are to be looked for."""
        for rule, route in self._matching(path, query, host):
            return route if rule.force else None
        return None

    def after(self, path: bytes, query: bytes, host: bytes) -> Route | None:
        """Where a request leads for which there is no file. To be asked once for each request."""
        return self.route(path, query, host)

    def route(self, path: bytes, query: bytes, host: bytes) -> Route | None:
        """Where the first rule that a request matches leads, forced or not."""
        for _, route in self._matching(path, query, host):
            return route
        return None

    def _matching(self, path: bytes, query: bytes, host: bytes) -> Iterator[tuple["_Compiled", Route]]:
        """The rules that apply, in order; one that leads to where the request is does not."""
        if path == NO_FILE:
            return
        literal = self._literal.get(path)
        for number in merge(literal, self._wild) if literal else self._wild:
            rule = self._rules[number]
            route = rule.route(path, query, host)
            if route is not None:
                yield rule, route


class _Compiled:
    """A rule that can be asked."""

    __slots__ = ("_hosts", "_number", "_query", "_status", "_target", "conditional", "force", "glob")

    def __init__(self, number: int, rule: Redirect | Rewrite) -> None:
        try:
            self.glob = Glob(rule.match)
            self._hosts = Hosts([((rule.host,), True)]) if rule.host else None
            self._query = [(name, value.removeprefix(":"), value.startswith(":")) for name, value in rule.query]
            names = self.glob.names | {value for _, value, captured in self._query if captured}
            self._target = _target(rule, names)
        except ValueError as error:
            raise ValueError(f"{rule.match}: {error}") from None
        self._number = number
        self._status = rule.status
        self.force = rule.force
        self.conditional = bool(rule.host or rule.query)

    def route(self, path: bytes, query: bytes, host: bytes) -> Route | None:
        """Where it leads, or None if it does not apply."""
        captures = self.glob.captures(path)
        if captures is None or (self._hosts and not self._hosts.find(host)):
            return None
        rest = query
        if self._query:
            found = self._parameters(query, captures)
            if found is None:
                return None
            rest = found
        target = self._target
        if target is None:
            return Gone(self._status, self._number)
        if isinstance(target, Target):
            location = target.location(captures, rest)
            asked = quote_path(path) + (b"?" + quote_query(query) if query else b"")
            return None if location == asked else Redirected(self._status, location, self._number)
        led = target.fill_decoded(captures)
        return None if led is None or led == path else Rewritten(self._status, led, self._number)

    def _parameters(self, query: bytes, captures: dict[str, bytes]) -> bytes | None:
        """The query without the parameters that are asked for, which join the captures; None if one is missing."""
        rest = query.split(b"&")
        for name, value, captured in self._query:
            for pair in rest:
                key, _, said = pair.partition(b"=")
                if _decode(key) == name.encode() and (captured or _decode(said) == value.encode()):
                    break
            else:
                return None
            rest.remove(pair)
            if captured:
                captures[value] = _decode(said)
        return b"&".join(rest)


def _decode(text: bytes) -> bytes:
    """A name or value of a query, as forms encode it (the URL Standard, 5.1)."""
    return unquote_to_bytes(text.replace(b"+", b" "))


def _target(rule: Redirect | Rewrite, names: frozenset[str]) -> Target | Template | None:
    """What a rule leads to; None for nothing."""
    for name, value in rule.query:
        if not name or not re.fullmatch(r":[A-Za-z_][A-Za-z0-9_]*|[^:].*|", value):
            raise ValueError(f'the parameter {name!r} must have a value, or a name for it such as ":id"')
    if isinstance(rule, Rewrite):
        if rule.status != 200 and rule.status not in GONE_STATUSES:
            raise ValueError(f"a rewrite cannot have the status {rule.status}; it may be 200, 404, 410 or 451")
        return local_path(rule.to, names)
    if rule.status in GONE_STATUSES:
        if rule.to:
            raise ValueError(f"the status {rule.status} leads nowhere: leave the target out, or make it a rewrite")
        return None
    if rule.status not in REDIRECT_STATUSES:
        raise ValueError(f"a redirect cannot have the status {rule.status}; it may be 301, 302, 303, 307 or 308")
    return Target(rule.to, names)
