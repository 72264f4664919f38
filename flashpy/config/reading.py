"""Reading the configuration: files, what lies over them, and what a type cannot say.

Precedence, highest first: command line, environment (``FLASHPY_*``), file, the defaults (flashpy.settings).
``conf/flashpy.toml`` shows every key.
"""

import difflib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from flashpy import atoms
from flashpy.addresses import parse
from flashpy.config.files import File, Keys, merge, read
from flashpy.errors import ConfigError
from flashpy.privileges import resolve
from flashpy.settings import Config, HelpersSection, ServerSection

Overrides = Mapping[str, Mapping[str, Any]]

_MANAGED = frozenset(
    {"accept-ranges", "connection", "content-encoding", "content-length", "content-range", "content-type"}
    | {"date", "etag", "keep-alive", "last-modified", "transfer-encoding", "upgrade", "vary"}
)
_PATHS = {
    ("site", "root"): None,
    ("site", "allowed_roots"): None,
    ("log", "access_file"): "-",
    ("server", "pid_file"): "",
}
"""Keys that are paths, and the value of each that is none."""
_OPTIONS = "the options given"


def load(
    path: str | Path | None = None, overrides: Overrides | None = None, fallbacks: Overrides | None = None
) -> Config:
    """Read the file (if any) and what it includes, lay the overrides (section -> key -> value) over it, and check the
    whole. Fallbacks are for keys that nobody sets, instead of the defaults.

    Relative paths (``root``, ``allowed_roots``, ``access_file``, ``pid_file``) in a file are taken from the file's own
    directory.

    Raises:
        ConfigError: a file cannot be read or parsed, a key is unknown or set twice, or a value does not fit.
    """
    files = [] if path is None else read(Path(path))
    for file in files:  # each for itself: so what is wrong is said of the file that has it
        _convert(file.tables, file.place)
        _make_absolute(file)
    tables, origins = merge(files)
    if files and "root" not in tables.get("site", {"root": ""}):
        tables["site"]["root"] = str(files[0].path.absolute().parent)
    for section, values in (fallbacks or {}).items():
        tables[section] = {**values, **tables.get(section, {})}
    for section, values in (overrides or {}).items():
        tables[section] = {**tables.get(section, {}), **values}
    config = _convert(tables, lambda _: _OPTIONS)

    def place(keys: Keys) -> str:
        if path is None or keys[1] in (overrides or {}).get(keys[0], {}):
            return _OPTIONS
        return origins[keys].place(keys) if keys in origins else str(path)

    _check(config, place)
    return config


def _make_absolute(file: File) -> None:
    """Take the relative paths in a file from its own directory."""
    base = file.path.absolute().parent
    for (section, key), none in _PATHS.items():
        value = file.tables.get(section, {}).get(key)
        if isinstance(value, list):
            file.tables[section][key] = [str(base / each) for each in value]
        elif value not in (None, none):
            file.tables[section][key] = str(base / value)


def _convert(tables: dict[str, Any], place: Callable[[Keys], str]) -> Config:
    """Types, ranges and unknown keys."""
    try:
        return msgspec.convert(tables, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(_explain(str(error), place)) from None


def _explain(message: str, place: Callable[[Keys], str]) -> str:
    """One plain sentence from msgspec's message: which file, line and key, and what to do."""
    what, _, where = message.partition(" - at `$")
    keys = [key for key in re.split(r"[.\[\]`]+", where) if key and key != "..."]
    unknown = re.match(r"Object contains unknown field `(.*)`", what)
    if unknown:
        keys.append(unknown[1])
        what = "unknown key" + _suggest(keys)
    return f"{place(tuple(keys))}: {'.'.join(keys) or 'configuration'}: {what}."


def _suggest(keys: list[str]) -> str:
    """The known key that was probably meant, from all sections."""
    sections: dict[str, list[str]] = {name: list(get_type_hints(kind)) for name, kind in get_type_hints(Config).items()}
    here = sections.get(keys[0], []) if len(keys) > 1 else [*sections, "include"]
    close = difflib.get_close_matches(keys[-1], here, n=1)
    if close:
        return f"; {'.'.join([*keys[:-1], close[0]])} was probably meant"
    elsewhere = [name for name, names in sections.items() if keys[-1] in names]
    if elsewhere:
        return f"; it belongs to the section [{elsewhere[0]}]"
    return f"; the keys here are {', '.join(sorted(here))}"


def _check(config: Config, place: Callable[[Keys], str]) -> None:
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
