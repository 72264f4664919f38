"""What the settings name in other files: password files, keys, and the rules that a site has for other servers.

It is read where the configuration is, for a worker may open no file.
"""

import logging
import os
import stat
from pathlib import Path

import msgspec

from flashpy.access import htpasswd, signed
from flashpy.errors import ConfigError
from flashpy.routing import netlify, servejson
from flashpy.routing.redirects import Redirect, Rewrite
from flashpy.routing.rules import Rule
from flashpy.settings import AccessSection, Config, RouteSection, RuleSection, SiteSection

_log = logging.getLogger("flashpy.config")

LARGEST = 2**20
"""Bytes of a file of rules, at most."""


def complete(config: Config) -> Config:
    """The configuration with the contents of the files that it names. What cannot be followed is said in the log.

    Raises:
        ConfigError: one cannot be read or used.
    """
    return msgspec.structs.replace(
        config, site=_complete_site(config.site), sites=tuple(_complete_site(site) for site in config.sites)
    )


def _complete_site(site: SiteSection) -> SiteSection:
    site = msgspec.structs.replace(site, access=tuple(_complete_access(access) for access in site.access))
    if "netlify" in site.imports:
        site = _with_netlify(site)
    if "serve" in site.imports:
        site = _with_serve(site)
    return site


def _complete_access(access: AccessSection) -> AccessSection:
    users, keys = dict(access.users), list(access.keys)
    if access.htpasswd:
        found = htpasswd.read(Path(access.htpasswd))
        users |= {user.decode(): hashed.decode() for user, hashed in found.hashes.items()}
        _warn("", found.warnings)
    if access.key_file:
        keys += [key.decode() for key in signed.read_keys(Path(access.key_file))]
    return msgspec.structs.replace(access, users=users, keys=tuple(keys))


def _with_netlify(site: SiteSection) -> SiteSection:
    """A site with what its files _headers and _redirects say, behind its own rules."""
    headers = netlify.parse_headers(_read(site, "_headers"))
    redirects = netlify.parse_redirects(_read(site, "_redirects"))
    _warn(os.path.join(site.root, "_headers, "), headers.warnings)
    _warn(os.path.join(site.root, "_redirects, "), redirects.warnings)
    return msgspec.structs.replace(
        site,
        hide=(*site.hide, *(f"/{name}" for name in netlify.HIDDEN)),
        rule=(*site.rule, *map(_rule, headers.rules)),
        route=(*site.route, *map(_route, redirects.rules)),
    )


def _with_serve(site: SiteSection) -> SiteSection:
    """A site with what its serve.json says, and where that says nothing, as ``serve`` is by itself; without the file,
    as it was."""
    text = _read(site, "serve.json")
    if not text:
        return site
    try:
        said = servejson.parse(text)
    except ValueError as error:
        raise ConfigError(f"{os.path.join(site.root, 'serve.json')}: {error}.") from None
    unfollowed = [
        f"{key}: is for all paths or for none here, so it is taken as false"
        for key, value in (("cleanUrls", said.clean_urls), ("directoryListing", said.listing))
        if not isinstance(value, bool)
    ]
    if said.render_single:
        unfollowed.append("renderSingle: is not supported; it is left out")
    if said.symlinks:
        unfollowed.append("symlinks: links may lead out of the root only to what site.allowed_roots names")
    _warn(os.path.join(site.root, "serve.json: "), (*said.warnings, *unfollowed))
    return msgspec.structs.replace(
        site,
        root=os.path.join(site.root, said.public),
        hide=(*site.hide, *said.unlisted, *(f"/{name}" for name in servejson.HIDDEN)),
        clean_urls=said.clean_urls is True,
        trailing_slash=said.trailing_slash,
        listing=said.listing is True,
        etag="content" if said.etag else site.etag,
        rule=(*site.rule, *map(_rule, said.rules)),
        route=(*site.route, *map(_route, said.redirects), *map(_route, said.rewrites)),
    )


def _rule(rule: Rule) -> RuleSection:
    return RuleSection(rule.match or ("**",), rule.types, dict(rule.headers), rule.cache_control or "")


def _route(rule: Redirect | Rewrite) -> RouteSection:
    return msgspec.convert(
        {
            "from": rule.match,
            "to": rule.to,
            "status": rule.status,
            "missing": not rule.force,
            "query": dict(rule.query),
            "host": rule.host,
        },
        RouteSection,
    )


def _read(site: SiteSection, name: str) -> str:
    """The text of a file in the root of a site; empty if there is none. What a deployment has put there may be a FIFO,
    which must keep nobody waiting."""
    path = os.path.join(site.root, name)
    try:
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ConfigError(f"{path}: is no regular file.")
            data = file.read(LARGEST + 1)
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}.") from None
    if len(data) > LARGEST:
        raise ConfigError(f"{path}: is larger than {LARGEST} bytes, the most that rules may take.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8 text.") from None


def _warn(place: str, warnings: tuple[str, ...]) -> None:
    for warning in warnings:
        _log.warning("%s%s.", place, warning.removesuffix("."))
