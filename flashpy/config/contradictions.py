"""Settings of a site that contradict each other, though each can be used by itself."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from flashpy.access.attempts import Attempts
from flashpy.addresses import Tcp, parse
from flashpy.config.files import Keys
from flashpy.http.target import NO_FILE, normalise, parse_target
from flashpy.routing.glob_syntax import Element, OneOf, Span, read
from flashpy.routing.globs import compile_globs
from flashpy.routing.pages import page_path
from flashpy.routing.redirects import Redirected, Routes
from flashpy.settings import AccessSection, AdminSection, Config, SiteSection
from flashpy.site.plan import plan

HOPS = 20
"""Redirects in a row that browsers follow at most (the Fetch standard, "HTTP-redirect fetch")."""

MOST = 1_000
"""Redirects that are followed: each is held against all the others."""

_EVERYTHING = frozenset({"**", "/**", "/"})
"""Patterns of tables of access that match all paths; such a pattern holds for what lies beneath."""
_MEDIA_TYPE = re.compile(
    r"[\w!#$&^.+-]+/[\w!#$&^.+-]+(?:\s*;\s*[\w!#$&^.+-]+=(?:[\w!#$&^.+-]+|\"[^\"\\]*\"))*", re.ASCII
)
_SHARED = re.compile(r"(?:^|[\s,])(public|s-maxage|must-revalidate)\b", re.IGNORECASE)


class Finding(NamedTuple):
    """What is wrong with a key, in a sentence; ``error``: it cannot be meant so."""

    keys: Keys
    why: str
    error: bool = True


def contradictions(config: Config) -> Iterator[Finding]:
    """What contradicts itself in a configuration whose sites can be compiled (site.plan)."""
    for number, site in enumerate(config.all_sites):
        above = ("sites", str(number - 1)) if number else ("site",)
        made = plan(site, Attempts())
        for keys, why, error in (
            *_names(site),
            *_pages(site, made.hidden),
            *_mounts(site),
            *_redirects(site, made.routes),
            *_access(site),
            *_shared_caching(site),
        ):
            yield Finding((*above, *keys), why, error)
    yield from _admin(config.admin)


# The admin address


def _admin(admin: AdminSection) -> Iterator[Finding]:
    for text in admin.bind:
        address = parse(text)
        if isinstance(address, Tcp) and not _is_loopback(address.host):
            why = f"whoever reaches {text} may read what is told there; on 127.0.0.1, only this machine does."
            yield Finding(("admin", "bind"), why, error=False)


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")


# Lists and names


def _names(site: SiteSection) -> Iterator[Finding]:
    for key, codings in (("precompressed", site.precompressed), ("encode", site.encode)):
        for coding, count in Counter(codings).items():
            if count > 1:
                yield Finding((key,), f'"{coding}" is in it {count} times; once is enough.', error=False)
    for suffix, kind in site.media_types.items():
        if not _MEDIA_TYPE.fullmatch(kind):
            yield Finding(("media_types", suffix), f'{kind!r} is no media type; write one such as "text/plain".')
    if site.listing_archive and not site.listing:
        yield Finding(("listing_archive",), "nothing is offered without site.listing.", error=False)


# Files that stand for others


def _pages(site: SiteSection, hidden: Callable[[bytes], bool]) -> Iterator[Finding]:
    for keys, path in pages_of(site):
        if hidden(path):
            yield Finding(
                keys, f"{path.decode(errors='replace')} is hidden (site.hide, site.dotfiles): it is never sent."
            )


def pages_of(site: SiteSection) -> Iterator[tuple[Keys, bytes]]:
    """The files that answer for others: their keys, and their paths as requests have them."""
    if site.fallback:
        yield ("fallback",), page_path(site.fallback)
    for status, text in site.error_pages.items():
        yield ("error_pages", status), page_path(text)


# Mounts


def _mounts(site: SiteSection) -> Iterator[Finding]:
    seen: dict[str, int] = {}
    for number, mount in enumerate(site.mount):
        keys = ("mount", str(number), "path")
        path = mount.path.rstrip("/")
        if path and (path[0] != "/" or normalise(path[1:].encode().split(b"/")) != path.encode()):
            yield Finding(keys, f'{mount.path!r} is no path to mount at; write one such as "/docs/".')
            continue
        if not path:
            yield Finding(keys, "nothing would be left of site.root; set that instead.")
        elif path in seen:
            yield Finding(keys, f"mount[{seen[path]}] has the same path, so nobody gets to this one.")
        seen.setdefault(path, number)


# Redirects


def _redirects(site: SiteSection, routes: Routes) -> Iterator[Finding]:
    reported: set[frozenset[int]] = set()
    for number, section in enumerate(site.route[:MOST]):
        for sample in samples((section.source,)):
            circle = _circle(routes, sample)
            if not circle or number not in circle or frozenset(circle) in reported:
                continue
            reported.add(frozenset(circle))
            by = " and ".join(f"route[{other}]" for other in sorted(set(circle)))
            certain = not any(site.route[other].missing for other in circle)
            why = f"{sample.decode(errors='replace')} is redirected for ever by {by}"
            yield Finding(
                ("route", str(number)), f"{why}." if certain else f"{why}, unless there is a file.", error=certain
            )


def _circle(routes: Routes, path: bytes) -> list[int]:
    """The redirects that a path is sent round by; none if that comes to an end."""
    seen: dict[bytes, int] = {}
    followed: list[int] = []
    while path not in seen and len(followed) <= HOPS:
        seen[path] = len(followed)
        route = routes.route(path, b"", b"")
        if not isinstance(route, Redirected) or not route.location.startswith(b"/"):
            return []
        target = parse_target(route.location.partition(b"#")[0])
        if target is None or target.path == NO_FILE:
            return []
        followed.append(route.rule)
        path = target.path
    return followed[seen.get(path, 0) :]


# Access


def _demands(section: AccessSection) -> bool:
    return bool(section.allow or section.deny or section.users or section.htpasswd or section.keys or section.key_file)


def _access(site: SiteSection) -> Iterator[Finding]:
    for number, section in enumerate(site.access):
        for before, other in enumerate(site.access[:number]):
            if _EVERYTHING & set(other.match) or set(section.match) <= set(other.match):
                yield Finding(
                    ("access", str(number)), f"access[{before}] matches all of it first; put this one before that."
                )
                break


def _shared_caching(site: SiteSection) -> Iterator[Finding]:
    """What shared caches may keep though it is guarded (RFC 9111, 3.5): by a rule, for what is said of all files in
    general is not said of those (site.plan)."""
    if not any(map(_demands, site.access)):
        return
    places: list[tuple[Keys, Sequence[str], str]] = []
    for number, rule in enumerate(site.rule):
        above = ("rule", str(number))
        places.append(((*above, "cache_control"), rule.match, rule.cache_control))
        places += _cache_controls((*above, "headers"), rule.match, rule.headers)
    for keys, match, value in places:
        found = _SHARED.search(value)
        if found and (guard := _guard_within(site, match)) is not None:
            yield Finding(
                keys,
                f"{found[1].lower()} lets shared caches give to everybody what access[{guard}] guards (RFC 9111, 3.5).",
                error=False,
            )


def _cache_controls(keys: Keys, match: Sequence[str], headers: dict[str, str]) -> list[tuple[Keys, Sequence[str], str]]:
    return [((*keys, name), match, value) for name, value in headers.items() if name.lower() == "cache-control"]


def _guard_within(site: SiteSection, match: Sequence[str]) -> int | None:
    """The number of a table of access that guards something that matches, as far as examples tell."""
    pattern = compile_globs(match)
    guards = [compile_globs(section.match, beneath=True) for section in site.access]
    guarded = list(samples(pattern for section in site.access for pattern in section.match))
    within = {path[1 : path.rindex(b"/") + 1] for path in guarded} | {path[1:].rstrip(b"/") + b"/" for path in guarded}
    for path in (*guarded, *(path for place in within for path in samples(match, place))):
        if pattern is None or pattern.fullmatch(path):
            first = next((number for number, guard in enumerate(guards) if guard and guard.fullmatch(path)), None)
            if first is not None and _demands(site.access[first]):
                return first
    return None


# Examples


def samples(patterns: Iterable[str], within: bytes = b"") -> Iterator[bytes]:
    """A path for each alternative of some patterns; what may be in any directory is in ``within`` ("docs/")."""
    for pattern in patterns:
        for elements in read(pattern):
            path = b"".join(_example(element, within) for element in elements)
            if (compiled := compile_globs((pattern,))) and compiled.fullmatch(path):
                yield path


def _example(element: Element, within: bytes) -> bytes:
    if isinstance(element, bytes):
        return element
    if isinstance(element, OneOf):
        others = (bytes([byte]) for byte in b"x0-" if bytes([byte]) not in element.members)
        return next(others, b"x") if element.negated else element.members[:1]
    return within if isinstance(element, Span) and element.whole else b"x"
