"""What is wrong with settings that a type cannot say."""

import re
from collections.abc import Callable, Iterator, Sequence

from flashpy import atoms
from flashpy.access.attempts import Attempts
from flashpy.addresses import parse
from flashpy.config.contradictions import Finding, contradictions
from flashpy.config.files import Keys, dotted
from flashpy.errors import ConfigError
from flashpy.libraries import codings, has_bcrypt, has_http2, has_watchfiles
from flashpy.privileges import resolve
from flashpy.routing.hosts import Hosts
from flashpy.settings import Config, HelpersSection, ServerSection, SiteSection
from flashpy.site.plan import SettingError, plan


def check(config: Config, place: Callable[[Keys], str]) -> None:
    """What a type cannot say."""
    _check_helpers(config.helpers, place)
    _check_server(config.server, place)
    if config.log.access_format not in ("combined", "json"):
        try:
            atoms.parse(config.log.access_format)
        except ValueError as error:
            raise ConfigError(f"{place(('log', 'access_format'))}: log.access_format: {error}.") from None


def check_sites(config: Config, place: Callable[[Keys], str]) -> None:
    """Compile each site, as whoever serves it does.

    Raises:
        ConfigError: a setting of one cannot be used.
    """
    for number, site in enumerate(config.all_sites):
        above = ("sites", str(number - 1)) if number else ("site",)
        if missing := [coding for coding in site.encode if coding.encode() not in codings()]:
            keys = (*above, "encode")
            raise ConfigError(
                f"{place(keys)}: {dotted(keys)}: {missing[0]} takes a library: pip install 'flashpy-server[coding]'."
            )
        try:
            plan(site, Attempts())
        except SettingError as error:
            keys = (*above, *error.keys)
            raise ConfigError(f"{place(keys)}: {dotted(keys)}: {error}") from None
        for index, access in enumerate(site.access):
            if not has_bcrypt() and any(hashed.startswith("$2") for hashed in access.users.values()):
                keys = (*above, "access", str(index))
                raise ConfigError(
                    f"{place(keys)}: {dotted(keys)}: bcrypt takes a library: pip install 'flashpy-server[auth]'."
                )
    _check_hosts(config, place)


def _check_hosts(config: Config, place: Callable[[Keys], str]) -> None:
    def added() -> Iterator[tuple[Sequence[str], SiteSection]]:
        for number, site in enumerate(config.all_sites):
            keys[:] = ("sites", str(number - 1), "hosts") if number else ("site", "hosts")
            yield site.hosts, site

    keys: list[str] = []  # of the site that is being added
    try:
        Hosts(added())
    except ValueError as error:
        raise ConfigError(f"{place(tuple(keys))}: {dotted(keys)}: {error}.") from None


def check_contradictions(config: Config, place: Callable[[Keys], str]) -> None:
    """Refuse what cannot be meant so.

    Raises:
        ConfigError: two settings contradict each other.
    """
    for finding in contradictions(config):
        if finding.error:
            raise ConfigError(sentence(finding, place))


def sentence(finding: Finding, place: Callable[[Keys], str]) -> str:
    """What was found, with the file and the line."""
    return f"{place(finding.keys)}: {dotted(finding.keys)}: {finding.why}"


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
    if server.reload:
        why = ""
        if server.architecture != "amped" or server.workers != 1:
            why = "it takes one worker of the architecture amped"
        elif not has_watchfiles():
            why = "it takes watchfiles; pip install 'flashpy-server[dev]' does it"
        if why:
            raise ConfigError(f"{place(('server', 'reload'))}: server.reload: {why}.")
    if server.http2:
        why = ""
        if server.architecture not in ("amped", "sped"):
            why = f"{server.architecture} serves HTTP/1 only; leave it out, or set server.architecture to amped or sped"
        elif not has_http2():
            why = "it takes h2; pip install 'flashpy-server[http2]' does it"
        if why:
            raise ConfigError(f"{place(('server', 'http2'))}: server.http2: {why}.")
    try:
        resolve(server.user, server.group)
    except ConfigError as error:  # it begins with its key
        section, _, key = str(error).partition(":")[0].partition(".")
        raise ConfigError(f"{place((section, key))}: {error}") from None
