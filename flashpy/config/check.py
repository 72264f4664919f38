"""What is wrong with settings that a type cannot say."""

import re
from collections.abc import Callable, Iterator, Sequence

from flashpy import atoms
from flashpy.access.attempts import Attempts
from flashpy.addresses import parse
from flashpy.config.clients import check_clients
from flashpy.config.cluster import check_cluster
from flashpy.config.contradictions import Finding, contradictions
from flashpy.config.files import Keys, dotted
from flashpy.errors import ConfigError
from flashpy.libraries import codings, has_bcrypt, has_http2, has_trustme, has_watchfiles
from flashpy.privileges import resolve
from flashpy.routing.hosts import Hosts
from flashpy.settings import AdminSection, Config, HelpersSection, ServerSection, SiteSection, TlsSection
from flashpy.site.plan import SettingError, plan


def check(config: Config, place: Callable[[Keys], str]) -> None:
    """What a type cannot say."""
    _check_helpers(config.helpers, place)
    _check_server(config, place)
    _check_tls(config.tls, config.server, place)
    check_clients(config, place)
    check_cluster(config, place)
    _check_admin(config, place)
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


def _check_addresses(
    name: str, section: ServerSection | TlsSection | AdminSection, place: Callable[[Keys], str]
) -> None:
    for address in section.bind:
        try:
            parse(address)
        except ValueError as error:
            raise ConfigError(f"{place((name, 'bind'))}: {name}.bind: {error}") from None


def _check_mode(name: str, section: ServerSection | AdminSection, place: Callable[[Keys], str]) -> None:
    if not re.fullmatch(r"(0?[0-7]{3})?", section.unix_mode):
        where = place((name, "unix_mode"))
        raise ConfigError(f'{where}: {name}.unix_mode: {section.unix_mode!r} is no mode; write one such as "0660".')


def _check_admin(config: Config, place: Callable[[Keys], str]) -> None:
    _check_addresses("admin", config.admin, place)
    _check_mode("admin", config.admin, place)
    why = ""
    if config.admin.bind and config.server.architecture not in ("amped", "sped"):
        why = "it takes the architecture amped or sped"
    elif both := set(config.admin.bind) & set(config.addresses):
        other = "server" if min(both) in config.server.bind else "tls"
        why = f"{min(both)} is in {other}.bind too; give it an address of its own"
    if why:
        raise ConfigError(f"{place(('admin', 'bind'))}: admin.bind: {why}.")


def _check_server(config: Config, place: Callable[[Keys], str]) -> None:
    server, tls = config.server, config.tls
    if not server.bind and not tls.bind and config.cluster.role != "node":
        where = place(("server", "bind"))
        raise ConfigError(f"{where}: server.bind is empty; give at least one address such as 127.0.0.1:8000.")
    _check_addresses("server", server, place)
    _check_addresses("tls", tls, place)
    _check_mode("server", server, place)
    if server.server_timing and server.architecture not in ("amped", "sped"):
        raise ConfigError(
            f"{place(('server', 'server_timing'))}: server.server_timing: it takes the architecture amped or sped."
        )
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


def _check_tls(tls: TlsSection, server: ServerSection, place: Callable[[Keys], str]) -> None:
    keys = {
        "bind": bool(tls.bind),
        "certificate": bool(tls.certificate),
        "self_signed": tls.self_signed,
        "client_ca": bool(tls.client_ca),
        "https_redirect": tls.https_redirect,
    }
    given = next((key for key, is_set in keys.items() if is_set), None)
    if given is None:
        return
    key, why = given, ""
    if not tls.bind:
        why = "it means nothing where nobody listens; set tls.bind too"
    elif server.architecture not in ("amped", "sped"):
        why = "TLS takes an event loop: the architecture amped, or sped"
    elif not tls.certificate and not tls.self_signed:
        why = "it takes a certificate; set tls.certificate, or tls.self_signed for development"
    elif tls.certificate and tls.self_signed:
        key, why = "self_signed", "there is a certificate already; leave one of them out"
    elif tls.self_signed and not has_trustme():
        key, why = "self_signed", "it takes trustme; pip install 'flashpy-server[tls]' does it"
    elif twice := set(server.bind) & set(tls.bind):
        key, why = "bind", f"{min(twice)} is in server.bind already; choose one of them"
    elif tls.https_redirect and not server.bind:
        key, why = "https_redirect", "there is no address of plain HTTP that could lead here; set server.bind"
    if why:
        raise ConfigError(f"{place(('tls', key))}: tls.{key}: {why}.")
