"""Reading the configuration: files, what lies over them, and what a type cannot say.

Precedence, highest first: command line, environment (``FLASHPY_*``), file, the defaults (flashpy.settings).
``conf/flashpy.toml`` shows every key.
"""

import difflib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import msgspec

from flashpy.config.check import check, check_contradictions, check_sites
from flashpy.config.files import File, Keys, Merged, dotted, merge, read
from flashpy.config.hsts import with_hsts
from flashpy.config.imports import complete
from flashpy.errors import ConfigError
from flashpy.settings import Config

Overrides = Mapping[str, Mapping[str, Any]]

_SITE_PATHS = (
    *("root", "allowed_roots", "mount.root", "mount.allowed_roots"),
    *("access.htpasswd", "access.key_file"),
)
_PATHS = frozenset(
    {"log.access_file", "server.pid_file", "cache.coded_directory"}
    | {"tls.certificate.file", "tls.certificate.key", "tls.client_ca"}
    | {"cluster.listen", "cluster.control", "cluster.node.handoff"}
    | {f"{site}.{key}" for site in ("site", "sites") for key in _SITE_PATHS}
)
"""Keys that are paths."""
_NO_PATH = {"log.access_file": "-"}
"""The value of each that is none, if it is not empty."""
_OPTIONS = "the options given"

Place = Callable[[Keys], str]
"""Where a key is set, in words."""


def load(
    path: str | Path | None = None, overrides: Overrides | None = None, fallbacks: Overrides | None = None
) -> Config:
    """As ``load_with_places``, without the places."""
    return load_with_places(path, overrides, fallbacks)[0]


def load_with_places(
    path: str | Path | None = None, overrides: Overrides | None = None, fallbacks: Overrides | None = None
) -> tuple[Config, Place]:
    """Read the file (if any) and what it includes, lay the overrides (section -> key -> value) over it, and check the
    whole. Fallbacks are for keys that nobody sets, instead of the defaults.

    Relative paths (``root``, ``allowed_roots``, ``access_file`` and others) in a file are taken from the file's own
    directory.

    Raises:
        ConfigError: a file cannot be read or parsed, a key is unknown or set twice, or a value does not fit.
    """
    files = [] if path is None else read(Path(path))
    for file in files:  # each for itself: so what is wrong is said of the file that has it
        _convert(file.tables, file.place)
        _make_absolute(file)
    merged = merge(files)
    tables = merged.tables
    if "sites" in tables and "site" not in tables and "root" not in (overrides or {}).get("site", {}):
        _put_first_site(merged)
    elif files and "root" not in tables.get("site", {"root": ""}):
        tables["site"]["root"] = str(files[0].path.absolute().parent)
    if tables.get("tls", {}).get("bind"):  # who says where TLS is spoken has not asked for another address
        tables.setdefault("server", {}).setdefault("bind", [])
    for section, values in (fallbacks or {}).items():
        tables[section] = {**values, **tables.get(section, {})}
    for section, values in (overrides or {}).items():
        tables[section] = {**tables.get(section, {}), **values}
    for site in tables.get("sites", ()):  # what was given holds for all of them, but for the directory
        site.update({key: value for key, value in (overrides or {}).get("site", {}).items() if key != "root"})
    config = _convert(tables, lambda _: _OPTIONS)

    def place(keys: Keys) -> str:
        if path is None or keys[1] in (overrides or {}).get(keys[0], {}):
            return _OPTIONS
        return merged.place(keys) or str(path)

    check(config, place)
    config = complete(with_hsts(config))
    check_sites(config, place)
    check_contradictions(config, place)
    return config, place


def _put_first_site(merged: Merged) -> None:
    """Without a site for all names, the first of those that have names is the site."""
    sites = merged.tables["sites"]
    merged.tables["site"] = sites.pop(0)
    merged.origins["site",] = merged.origins.pop(("sites", "0"))
    for number in range(len(sites)):
        merged.origins["sites", str(number)] = merged.origins.pop(("sites", str(number + 1)))


def _make_absolute(file: File) -> None:
    """Take the relative paths in a file from its own directory."""
    _make_absolute_in(file.tables, file.path.absolute().parent, "")


def _make_absolute_in(table: dict[str, Any], base: Path, above: str) -> None:
    for key, value in table.items():
        name = above + key
        if name in _PATHS and isinstance(value, list):
            table[key] = [str(base / each) for each in value]
        elif name in _PATHS and value not in ("", _NO_PATH.get(name)):
            table[key] = str(base / value)
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, dict):
                _make_absolute_in(inner, base, name + ".")


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
    return f"{place(tuple(keys))}: {dotted(keys) or 'configuration'}: {what}."


def _suggest(keys: list[str]) -> str:
    """The known key that was probably meant, from all sections."""
    sections = {name: _names_in(kind) for name, kind in _kinds_in(Config).items()}
    here: list[str] = [*sections, "include"] if len(keys) == 1 else _names_in(_kind_at(keys[:-1]))
    close = difflib.get_close_matches(keys[-1], here, n=1)
    if close:
        return f"; {dotted([*keys[:-1], close[0]])} was probably meant"
    elsewhere = [name for name, names in sections.items() if keys[-1] in names]
    if elsewhere:
        return f"; it belongs to the section [{elsewhere[0]}]"
    return f"; the keys here are {', '.join(sorted(here))}"


def _kind_at(keys: list[str]) -> Any:
    """The type that the settings have where these keys lead."""
    kind: Any = Config
    for key in keys:
        if not key.isdecimal():
            kind = _kinds_in(kind)[key]
    return kind


def _kinds_in(kind: Any) -> dict[str, Any]:
    """The keys of a section with their types; of an array of sections, those of each."""
    hints = get_type_hints(kind)
    found = {}
    for name, encoded in zip(kind.__struct_fields__, kind.__struct_encode_fields__, strict=True):
        of = get_args(hints[name])
        found[encoded] = of[0] if of and get_origin(hints[name]) is tuple else hints[name]
    return found


def _names_in(kind: Any) -> list[str]:
    return list(_kinds_in(kind)) if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else []
