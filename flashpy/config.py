"""The configuration: its keys, their defaults, and how a file is read into it.

Precedence, highest first: command line, environment (``FLASHPY_*``), file, the defaults below. ``conf/flashpy.toml``
shows every key. Sizes are bytes, times are seconds.
"""

import difflib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import msgspec
from msgspec import Meta, Struct, field

from flashpy import atoms
from flashpy.addresses import parse
from flashpy.config_file import File, Keys, merge, read
from flashpy.errors import ConfigError
from flashpy.privileges import resolve

Count = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0)]


class ServerSection(Struct, frozen=True, forbid_unknown_fields=True):
    """Where to listen, how to work and how to stop."""

    bind: tuple[str, ...] = ("127.0.0.1:8000",)
    unix_mode: str = ""
    backlog: Positive = 2048
    user: str = ""
    group: str = ""
    pid_file: str = ""
    timeout_graceful_shutdown: Annotated[float, Meta(ge=0)] = 30.0
    architecture: Literal["amped", "sped", "mp", "mt"] = "amped"
    concurrency: Annotated[int, Meta(ge=1, le=10_000)] = 32
    workers: Annotated[int, Meta(ge=1, le=1_000)] = 1
    cpu_affinity: Literal["auto"] | tuple[Count, ...] = ()
    sandbox: bool = True

    @property
    def unix_permissions(self) -> int | None:
        """``unix_mode`` as a number; None: as the umask leaves it."""
        return int(self.unix_mode, 8) if self.unix_mode else None


class SiteSection(Struct, frozen=True, forbid_unknown_fields=True):
    """What is served."""

    root: str = "."
    allowed_roots: Annotated[tuple[str, ...], Meta(max_length=64)] = ()
    index: Annotated[tuple[str, ...], Meta(max_length=64)] = ("index.html",)
    dotfiles: bool = False
    precompressed: tuple[Literal["br", "zstd", "gzip"], ...] = ()
    headers: dict[str, str] = {}


class HelpersSection(Struct, frozen=True, forbid_unknown_fields=True):
    """The pool of helper processes that do what may block."""

    min: Annotated[int, Meta(ge=1, le=256)] = 2
    max: Annotated[int, Meta(ge=1, le=256)] = 8
    total: Annotated[int, Meta(ge=1, le=1_000)] = 32
    idle: Seconds = 30.0
    timeout: Seconds = 30.0
    anticipate: bool = True


class CacheSection(Struct, frozen=True, forbid_unknown_fields=True):
    """Flash's three caches, each with its budgets."""

    valid: Seconds = 1.0
    negative_valid: Seconds = 0.5
    pathname_entries: Count = 20_000
    pathname_bytes: Count = 8 * 2**20
    header_entries: Count = 20_000
    header_bytes: Count = 16 * 2**20
    file_entries: Count = 10_000
    file_bytes: Count = 64 * 2**20
    descriptors: Count = 1_000
    small_file: Annotated[int, Meta(ge=0, le=128 * 2**10)] = 32 * 2**10


class LimitsSection(Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds on everything that a client controls."""

    connections: Positive = 16_384
    connections_per_client: Count = 0
    pipeline: Positive = 32
    target: Annotated[int, Meta(ge=64, le=65_536)] = 8_192
    head: Annotated[int, Meta(ge=256, le=2**20)] = 32_768
    fields: Positive = 100
    body: Annotated[int, Meta(ge=0, le=2**20)] = 65_536
    memo: Count = 8 * 2**20
    ranges: Annotated[int, Meta(ge=1, le=100)] = 100
    timeout_head: Seconds = 10.0
    timeout_keep_alive: Seconds = 75.0
    timeout_send: Seconds = 60.0
    min_send_rate: Count = 240


class LogSection(Struct, frozen=True, forbid_unknown_fields=True):
    """What is written about the work."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"
    access: bool = False
    access_file: str = "-"
    access_format: str = "combined"


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole configuration of one server; immutable."""

    server: ServerSection = field(default_factory=ServerSection)
    site: SiteSection = field(default_factory=SiteSection)
    helpers: HelpersSection = field(default_factory=HelpersSection)
    cache: CacheSection = field(default_factory=CacheSection)
    limits: LimitsSection = field(default_factory=LimitsSection)
    log: LogSection = field(default_factory=LogSection)


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
