"""What the settings of a site mean, compiled: by whoever checks them, and by the site itself."""

import os
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import NamedTuple, TypeVar

from flashpy.access.attempts import Attempts
from flashpy.access.guard import Access, Basic, Guard, Satisfy
from flashpy.access.htpasswd import Users, parse
from flashpy.access.networks import Networks
from flashpy.access.signed import check_key
from flashpy.errors import ConfigError
from flashpy.http.coding import SUFFIXES
from flashpy.http.cors import REQUEST_FIELDS, RESPONSE_FIELDS, Cors
from flashpy.http.fields import check_field
from flashpy.http.response import FieldList
from flashpy.http.target import hidden
from flashpy.routing.globs import compile_glob, compile_globs
from flashpy.routing.pages import ErrorPaths, page_path
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

_SHARED = re.compile(r"(?:public|s-maxage|proxy-revalidate)(?:\s*=.*)?\Z", re.IGNORECASE)
"""Directives that are about shared caches."""

T = TypeVar("T")


class SettingError(Exception):
    """A setting of a site that cannot be used: which, by its keys below the site, and why, in a sentence."""

    def __init__(self, keys: tuple[str, ...], why: str) -> None:
        super().__init__(why)
        self.keys = keys


class Plan(NamedTuple):
    """A site, compiled. ``fields`` are those of all answers that are not files; ``private_rules`` are the rules for
    what has a guard; ``hide`` are expressions of what ``hidden`` finds besides names with a dot; ``slashes`` is None
    for what Files does by itself; ``fallback`` is empty if there is none."""

    fields: FieldList
    rules: Rules
    private_rules: Rules
    routes: Routes
    access: Access
    cors: Cors
    pages: ErrorPaths
    slashes: Policy | None
    fallback: bytes
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
    hide = _compile(("hide",), lambda: _pattern(site, site.hide))
    cors = _compile(("cors",), lambda: _cors(site.cors))
    if site.cache_control:
        base = _without_cache_control(base)
    return Plan(
        fields=(*SERVER, *fields, *cors.static),
        rules=_rules(site, base, site.hashed_names),
        private_rules=_rules(site, _private(base, site.cache_control), immutable=False),
        routes=_routes(site),
        access=Access([_guarded(site, number, attempts) for number in range(len(site.access))]),
        cors=cors,
        pages=_compile(("error_pages",), lambda: ErrorPaths(site.error_pages)),
        slashes=_slashes(site),
        fallback=_compile(("fallback",), lambda: page_path(site.fallback)) if site.fallback else b"",
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


def _rules(site: SiteSection, base: dict[str, str], immutable: bool) -> Rules:
    rules = [Rule(rule.match, rule.types, rule.headers, rule.cache_control or None) for rule in site.rule]
    _each("rule", rules, lambda rule: Rules([rule]))
    return _compile(("cache_control",), lambda: Rules(rules, base, immutable, site.cache_control))


def _private(base: dict[str, str], cache_control: str) -> dict[str, str]:
    """The same fields, but of a Cache-Control by which no shared cache keeps anything: what is said of all files in
    general was not said of those that only some may have. A rule may say otherwise of them."""
    others = _without_cache_control(base)
    said = cache_control or _cache_control(base)
    kept = [part for each in said.split(",") if (part := each.strip()) and not _SHARED.match(part)]
    if not any(part.lower() in ("private", "no-store") for part in kept):
        kept.insert(0, "private")
    return {**others, "Cache-Control": ", ".join(kept)}


def _cache_control(base: dict[str, str]) -> str:
    return "".join(value for name, value in base.items() if name.lower() == "cache-control")


def _without_cache_control(base: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in base.items() if name.lower() != "cache-control"}


def _routes(site: SiteSection) -> Routes:
    rules = [_route(section) for section in site.route]
    _each("route", rules, lambda rule: Routes([rule]))
    return Routes(rules)


def _route(section: RouteSection) -> Redirect | Rewrite:
    is_rewrite = section.status == 200 or (section.status in GONE_STATUSES and bool(section.to))
    kind = Rewrite if is_rewrite else Redirect
    query = tuple(section.query.items())
    return kind(section.source, section.to, section.status, not section.missing, query, section.host)


def _pattern(site: SiteSection, globs: Sequence[str]) -> re.Pattern[bytes] | None:
    """One expression for what any of some globs matches, for what lies beneath, and for the files that answer for it:
    with clean URLs its ".html", and the stored codings of either, which have the same content in them."""
    pages = ["", ".html"] if site.clean_urls else [""]
    codings = ["", *(SUFFIXES[coding.encode()].decode() for coding in site.precompressed)]
    patterns = list(globs)
    for pattern in globs:
        for suffix in (page + coding for page in pages for coding in codings if page or coding):
            with suppress(ValueError):  # what ends in a placeholder matches that by itself
                compile_glob(pattern + suffix)
                patterns.append(pattern + suffix)
    return compile_globs(patterns, beneath=True)


def _guarded(site: SiteSection, number: int, attempts: Attempts) -> tuple[re.Pattern[bytes], Guard]:
    """What a table of access is about, and what it demands."""
    keys = ("access", str(number), "match")
    pattern = _compile(keys, lambda: _pattern(site, site.access[number].match))
    if pattern is None:
        raise SettingError(keys, "there is no pattern in it.")
    return pattern, _guard(site, number, attempts)


def _guard(site: SiteSection, number: int, attempts: Attempts) -> Guard:
    section = site.access[number]

    def make() -> Guard:
        networks = Networks(section.allow, section.deny) if section.allow or section.deny else None
        users = users_of(section)
        basic = Basic(section.realm, users, attempts) if users.hashes else None
        keys = [check_key(key) for key in section.keys]
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
