"""The configuration: its keys, their defaults, and how a file is read into it.

Precedence, highest first: command line, environment (``FLASHPY_*``), file, the defaults below. ``conf/flashpy.toml``
shows every key. Sizes are bytes, times are seconds.
"""

import difflib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import msgspec
from msgspec import Meta, Struct, field

from flashpy import atoms
from flashpy.errors import ConfigError

Count = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0)]


class ServerSection(Struct, frozen=True, forbid_unknown_fields=True):
    """Where to listen, how to work and how to stop."""

    bind: tuple[str, ...] = ("127.0.0.1:8000",)
    backlog: Positive = 2048
    timeout_graceful_shutdown: Annotated[float, Meta(ge=0)] = 30.0
    architecture: Literal["amped", "sped", "mp", "mt"] = "amped"
    concurrency: Annotated[int, Meta(ge=1, le=10_000)] = 32


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


def load(path: str | Path | None = None, overrides: Overrides | None = None) -> Config:
    """Read the file (if any), lay the overrides (section -> key -> value) over it, and check the whole.

    A relative ``root``, ``allowed_roots`` or ``access_file`` in a file is taken from the file's own directory.

    Raises:
        ConfigError: the file cannot be read or parsed, a key is unknown or a value does not fit.
    """
    text, tables = ("", {}) if path is None else _read(Path(path))
    for section, values in (overrides or {}).items():
        below = tables.get(section, {})
        if isinstance(below, dict):  # else it is for the check below to say
            tables[section] = {**below, **values}
    where = "the options given" if path is None else str(path)
    try:
        config = msgspec.convert(tables, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(_explain(where, text, str(error))) from None
    _check(config, where)
    return config


def _read(path: Path) -> tuple[str, dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
        tables = tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8 text, as TOML must be.") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: is not valid TOML: {error}.") from None
    base = path.absolute().parent
    site, log = tables.get("site"), tables.get("log")
    if isinstance(site, dict):
        if isinstance(site.get("root", "."), str):
            site["root"] = str(base / site.get("root", "."))
        if isinstance(site.get("allowed_roots"), list):
            roots = site["allowed_roots"]
            site["allowed_roots"] = [str(base / r) if isinstance(r, str) else r for r in roots]
    if isinstance(log, dict) and isinstance(log.get("access_file"), str) and log["access_file"] != "-":
        log["access_file"] = str(base / log["access_file"])
    return text, tables


def _explain(where: str, text: str, message: str) -> str:
    """One plain sentence from msgspec's message: which file, line and key, and what to do."""
    what, _, place = message.partition(" - at `$")
    keys = [key for key in re.split(r"[.\[\]`]+", place) if key and key != "..."]
    unknown = re.match(r"Object contains unknown field `(.*)`", what)
    if unknown:
        keys.append(unknown[1])
        what = "unknown key" + _suggest(keys)
    line = _line_of(text, keys)
    spot = f"{where}, line {line}" if line else where
    return f"{spot}: {'.'.join(keys) or 'configuration'}: {what}."


def _suggest(keys: list[str]) -> str:
    """The known key that was probably meant, from all sections."""
    sections: dict[str, list[str]] = {name: list(get_type_hints(kind)) for name, kind in get_type_hints(Config).items()}
    here = sections.get(keys[0], []) if len(keys) > 1 else list(sections)
    close = difflib.get_close_matches(keys[-1], here, n=1)
    if close:
        return f"; {'.'.join([*keys[:-1], close[0]])} was probably meant"
    elsewhere = [name for name, names in sections.items() if keys[-1] in names]
    if elsewhere:
        return f"; it belongs to the section [{elsewhere[0]}]"
    return f"; the keys here are {', '.join(sorted(here))}"


def _line_of(text: str, keys: list[str]) -> int:
    """The line of a key (1 is the first), or 0 where it is not found."""
    section: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[+\s*([\w.\"'-]+)\s*\]", line)
        if header:
            section = header[1].split(".")
            if section == keys:
                return number
        name = re.match(r"\s*[\"']?([\w-]+)[\"']?\s*[=.]", line)
        if name and [*section, name[1]] in (keys, keys[: len(section) + 1]):
            return number
    return 0


def _check(config: Config, where: str) -> None:
    """What a type cannot say."""
    if config.helpers.min > config.helpers.max:
        raise ConfigError(f"{where}: helpers.min ({config.helpers.min}) is above helpers.max; lower it.")
    if config.helpers.max > config.helpers.total:
        raise ConfigError(f"{where}: helpers.max ({config.helpers.max}) is above helpers.total; raise that.")
    if not config.server.bind:
        raise ConfigError(f"{where}: server.bind is empty; give at least one address such as 127.0.0.1:8000.")
    if config.log.access_format not in ("combined", "json"):
        try:
            atoms.parse(config.log.access_format)
        except ValueError as error:
            raise ConfigError(f"{where}: log.access_format: {error}.") from None
    for name in config.site.index:
        if not name or "/" in name or "\0" in name:
            raise ConfigError(f"{where}: site.index: {name!r} is not a plain file name.")
    for name, value in config.site.headers.items():
        if not re.fullmatch(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", name):
            raise ConfigError(f"{where}: site.headers: {name!r} is not a field name (RFC 9110, 5.1).")
        if name.lower() in _MANAGED:
            raise ConfigError(f"{where}: site.headers: {name} is set by the server itself; leave it out.")
        if not re.fullmatch(r"[\x20-\x7e\t\x80-\xff]*", value):
            raise ConfigError(f"{where}: site.headers: the value of {name} has a control character.")
