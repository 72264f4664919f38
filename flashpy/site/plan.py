"""What the settings of a site mean, compiled: by whoever checks them, and by the site itself."""

import os
import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple, TypeVar

from flashpy.access.attempts import Attempts
from flashpy.access.guard import Access, Basic, Guard, Satisfy
from flashpy.access.htpasswd import Users, parse
from flashpy.access.networks import Networks
from flashpy.errors import ConfigError
from flashpy.http.cors import REQUEST_FIELDS, RESPONSE_FIELDS, Cors
from flashpy.http.fields import check_field
from flashpy.http.response import FieldList
from flashpy.http.target import hidden
from flashpy.routing.globs import compile_globs
from flashpy.routing.pages import ErrorPaths
from flashpy.routing.redirects import GONE_STATUSES, Redirect, Rewrite, Routes
from flashpy.routing.rules import Rule, Rules
from flashpy.routing.slash import Policy
from flashpy.settings import AccessSection, CorsSection, RouteSection, SiteSection

SERVER: FieldList = ((b"Server", b"flashpy"),)
SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "frame-ancestors 'self'",
    "Referrer-Policy": "strict-origin-when-cross-origin",
}
"""What ``site.security_headers`` adds: nobody guesses types, frames the pages elsewhere, or learns more of an address
than its origin."""

T = TypeVar("T")


class SettingError(Exception):
    """A setting of a site that cannot be used: which, by its keys below the site, and why, in a sentence."""

    def __init__(self, keys: tuple[str, ...], why: str) -> None:
        super().__init__(why)
        self.keys = keys


class Plan(NamedTuple):
    """A site, compiled. ``fields`` are those of all answers that are not files; ``hide`` are expressions of
    what ``hidden`` finds besides names with a dot, ``guarded`` of what has guards; ``slashes`` is None for what Files
    does by itself."""

    fields: FieldList
    rules: Rules
    routes: Routes
    access: Access
    cors: Cors
    pages: ErrorPaths
    slashes: Policy | None
    guarded: tuple[bytes, ...]
    hide: tuple[bytes, ...]
    hidden: Callable[[bytes], bool]

    def names(self, path: bytes, index: Iterable[str]) -> list[bytes]:
        """The names under which what is asked for may be found: a guard of any of them guards it."""
        names = [path] if self.slashes is None else [each.path for each in self.slashes.tries(path)]
        directories = [name for name in names if name.endswith(b"/")]
        return [*names, *(each + os.fsencode(name) for each in directories for name in index)]


def plan(site: SiteSection, attempts: Attempts) -> Plan:
    """Compile the settings of a site. ``attempts`` at passwords are counted for all sites together.

    Raises:
        SettingError: one cannot be used.
    """
    _each("index", site.index, _check_index)
    base = {**(SECURITY if site.security_headers else {}), **site.headers}
    for name, value in site.headers.items():
        _compile(("headers", name), partial(check_field, name, value))
    fields = Rules(base=base, immutable=False).fields(b"", b"", b"")
    hide = _compile(("hide",), lambda: compile_globs(site.hide, beneath=True))
    cors = _compile(("cors",), lambda: _cors(site.cors))
    patterns = [_pattern(site, number) for number in range(len(site.access))]
    return Plan(
        fields=(*SERVER, *fields, *cors.static),
        rules=_rules(site, base),
        routes=_routes(site),
        access=Access([(pattern, _guard(site, number, attempts)) for number, pattern in enumerate(patterns)]),
        cors=cors,
        pages=_compile(("error_pages",), lambda: ErrorPaths(site.error_pages)),
        slashes=_slashes(site),
        guarded=tuple(pattern.pattern for pattern in patterns),
        hide=(hide.pattern,) if hide else (),
        hidden=_hidden(site, hide),
    )


def _compile(keys: tuple[str, ...], make: Callable[[], T]) -> T:
    try:
        return make()
    except (ValueError, ConfigError) as error:
        why = str(error)
        raise SettingError(keys, why if why.endswith(".") else f"{why}.") from None


def _each(key: str, rules: Iterable[T], make: Callable[[T], object]) -> None:
    """Compile each of a table alone, to know which is wrong."""
    for number, rule in enumerate(rules):
        _compile((key, str(number)), partial(make, rule))


def _check_index(name: str) -> None:
    if not name or "/" in name or "\0" in name:
        raise ValueError(f"{name!r} is not a plain file name")


def _cors(cors: CorsSection) -> Cors:
    headers, expose = cors.headers or REQUEST_FIELDS, cors.expose or RESPONSE_FIELDS
    return Cors(cors.origins, headers, expose, cors.max_age, cors.credentials)


def _rules(site: SiteSection, base: dict[str, str]) -> Rules:
    rules = [Rule(rule.match, rule.types, rule.headers, rule.cache_control or None) for rule in site.rule]
    _each("rule", rules, lambda rule: Rules([rule]))
    if site.cache_control:
        base = {**base, "Cache-Control": site.cache_control}
    return _compile(("cache_control",), lambda: Rules(rules, base, site.hashed_names))


def _routes(site: SiteSection) -> Routes:
    rules = [_route(section) for section in site.route]
    _each("route", rules, lambda rule: Routes([rule]))
    return Routes(rules)


def _route(section: RouteSection) -> Redirect | Rewrite:
    is_rewrite = section.status == 200 or (section.status in GONE_STATUSES and bool(section.to))
    kind = Rewrite if is_rewrite else Redirect
    query = tuple(section.query.items())
    return kind(section.source, section.to, section.status, not section.missing, query, section.host)


def _pattern(site: SiteSection, number: int) -> re.Pattern[bytes]:
    keys = ("access", str(number), "match")
    pattern = _compile(keys, lambda: compile_globs(site.access[number].match, beneath=True))
    if pattern is None:
        raise SettingError(keys, "there is no pattern in it.")
    return pattern


def _guard(site: SiteSection, number: int, attempts: Attempts) -> Guard:
    section = site.access[number]

    def make() -> Guard:
        networks = Networks(section.allow, section.deny) if section.allow or section.deny else None
        users = users_of(section)
        basic = Basic(section.realm, users, attempts) if users.hashes else None
        keys = [key.encode() for key in section.keys]
        return Guard(networks, keys, basic, Satisfy(section.satisfy))

    return _compile(("access", str(number)), make)


def users_of(section: AccessSection) -> Users:
    """The users that the settings name; those of a file have been read into them.

    Raises:
        ConfigError: a hash cannot be used.
    """
    lines = "".join(f"{name}:{hashed}\n" for name, hashed in section.users.items())
    return parse(lines.encode(), "users")


def _slashes(site: SiteSection) -> Policy | None:
    if not site.clean_urls and site.trailing_slash == "auto":
        return None  # Files does just that by itself
    return Policy(site.clean_urls, site.trailing_slash, [os.fsencode(name) for name in site.index])


def _hidden(site: SiteSection, pattern: re.Pattern[bytes] | None) -> Callable[[bytes], bool]:
    if pattern is None:
        return (lambda path: False) if site.dotfiles else hidden
    matches = pattern.fullmatch
    if site.dotfiles:
        return lambda path: matches(path) is not None
    return lambda path: hidden(path) or matches(path) is not None
