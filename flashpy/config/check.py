"""What is wrong with settings that a type cannot say."""

import re
from collections.abc import Callable

from flashpy import atoms
from flashpy.addresses import parse
from flashpy.config.files import Keys
from flashpy.errors import ConfigError
from flashpy.privileges import resolve
from flashpy.settings import Config, HelpersSection, ServerSection

_MANAGED = frozenset(
    {"accept-ranges", "connection", "content-encoding", "content-length", "content-range", "content-type"}
    | {"date", "etag", "keep-alive", "last-modified", "transfer-encoding", "upgrade", "vary"}
)


def check(config: Config, place: Callable[[Keys], str]) -> None:
    """What a type cannot say."""
    _check_helpers(config.helpers, place)
    _check_server(config.server, place)
    if config.log.access_format not in ("combined", "json"):
        try:
            atoms.parse(config.log.access_format)
        except ValueError as error:
            raise ConfigError(f"{place(('log', 'access_format'))}: log.access_format: {error}.") from None
    for name in config.site.index:
        if not name or "/" in name or "\0" in name:
            raise ConfigError(f"{place(('site', 'index'))}: site.index: {name!r} is not a plain file name.")
    for name, value in config.site.headers.items():
        where = f"{place(('site', 'headers', name))}: site.headers"
        if not re.fullmatch(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", name):
            raise ConfigError(f"{where}: {name!r} is not a field name (RFC 9110, 5.1).")
        if name.lower() in _MANAGED:
            raise ConfigError(f"{where}: {name} is set by the server itself; leave it out.")
        if not re.fullmatch(r"[\x20-\x7e\t\x80-\xff]*", value):
            raise ConfigError(f"{where}: the value of {name} has a control character.")


def _check_helpers(helpers: HelpersSection, place: Callable[[Keys], str]) -> None:
    if helpers.min > helpers.max:
        where = place(("helpers", "min"))
        raise ConfigError(f"{where}: helpers.min ({helpers.min}) is above helpers.max; lower it.")
    if helpers.max > helpers.total:
        where = place(("helpers", "max"))
        raise ConfigError(f"{where}: helpers.max ({helpers.max}) is above helpers.total; raise that.")


def _check_server(server: ServerSection, place: Callable[[Keys], str]) -> None:
    if not server.bind:
        where = place(("server", "bind"))
        raise ConfigError(f"{where}: server.bind is empty; give at least one address such as 127.0.0.1:8000.")
    for address in server.bind:
        try:
            parse(address)
        except ValueError as error:
            raise ConfigError(f"{place(('server', 'bind'))}: server.bind: {error}") from None
    if not re.fullmatch(r"(0?[0-7]{3})?", server.unix_mode):
        where = place(("server", "unix_mode"))
        raise ConfigError(f'{where}: server.unix_mode: {server.unix_mode!r} is no mode; write one such as "0660".')
    try:
        resolve(server.user, server.group)
    except ConfigError as error:  # it begins with its key
        section, _, key = str(error).partition(":")[0].partition(".")
        raise ConfigError(f"{place((section, key))}: {error}") from None
