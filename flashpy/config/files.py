"""Configuration files: reading them and what they include, and merging their tables into one.

    include = ["sites/*.toml"]

at the top level of a file stands for the tables of other files. Patterns are relative to the file that has them, and
what one pattern matches is read in the order of names. Each key may be set once only, so the order never matters.
"""

import glob
import os
import re
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

from flashpy.errors import ConfigError

DEPTH = 8
"""Files within files at most: more is a mistake rather than a wish."""

Keys = tuple[str, ...]
"""The names that lead to a value: section, key, and what is below."""


class File(NamedTuple):
    """One file as it was read; ``tables`` are without ``include``."""

    path: Path
    text: str
    tables: dict[str, Any]

    def place(self, keys: Keys) -> str:
        """The file, and the line of a key, or of the table around it, where that is found."""
        for length in range(len(keys), 0, -1):
            if line := _line_of(self.text, list(keys[:length])):
                return f"{self.path}, line {line}"
        return str(self.path)


def read(path: Path) -> list[File]:
    """A file, and those that it includes behind it; each is read once.

    Raises:
        ConfigError: one cannot be read or parsed, is included by itself, or is not there.
    """
    files: dict[Path, File] = {}
    _read_into(files, path, (), "")
    return list(files.values())


def _read_into(files: dict[Path, File], path: Path, above: tuple[Path, ...], by: str) -> None:
    """Read a file, and what it includes; ``above`` are the files that led to it, ``by`` is the place that names it."""
    me = Path(os.path.realpath(path))
    if me in above:
        raise ConfigError(f"{by}: include: {path} would include itself in the end; break the circle.")
    if len(above) > DEPTH:
        raise ConfigError(f"{by}: include: {path} is more than {DEPTH} files deep; include it further up.")
    if me in files:
        return
    text, tables = _parse(path)
    patterns = tables.pop("include", [])
    files[me] = file = File(path, text, tables)
    place = file.place(("include",))
    if not isinstance(patterns, list) or not all(isinstance(pattern, str) for pattern in patterns):
        raise ConfigError(f"{place}: include: expected a list of file names or patterns.")
    for pattern in patterns:
        for included in _matching(path.parent, pattern, place):
            _read_into(files, included, (*above, me), place)


def _parse(path: Path) -> tuple[str, dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
        return text, tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8 text, as TOML must be.") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: is not valid TOML: {error}.") from None


def _matching(directory: Path, pattern: str, by: str) -> list[Path]:
    """The files that a pattern names, by name. One without wildcards must name one."""
    found = []
    if pattern and "\0" not in pattern:
        found = glob.glob(os.path.join(glob.escape(str(directory)), pattern), recursive=True)
    if not found and not glob.has_magic(pattern):
        raise ConfigError(f"{by}: include: there is no file {os.path.join(directory, pattern)!r}.")
    return [Path(name) for name in sorted(found)]


class Merged(NamedTuple):
    """The tables of some files as one, and where each key was set: in which file, and by which names there."""

    tables: dict[str, Any]
    origins: dict[Keys, tuple[File, Keys]]

    def place(self, keys: Keys) -> str | None:
        """The file and the line of a key; None if no file has set it, or what is around it."""
        for length in range(len(keys), 0, -1):
            if origin := self.origins.get(keys[:length]):
                file, there = origin
                return file.place((*there, *keys[length:]))
        return None


def merge(files: list[File]) -> Merged:
    """The tables of all files as one. Arrays of tables are joined in the order of the files.

    Raises:
        ConfigError: two files set one key.
    """
    merged = Merged({}, {})
    for file in files:
        _merge_into(merged, merged.tables, file.tables, file, ())
    return merged


def _merge_into(merged: Merged, into: dict[str, Any], tables: dict[str, Any], file: File, above: Keys) -> None:
    for name, value in tables.items():
        keys = (*above, name)
        if _is_array_of_tables(value) and _is_array_of_tables(into.get(name, value)):
            array = into.setdefault(name, [])
            for number, table in enumerate(value):
                merged.origins[*keys, str(len(array))] = file, (*keys, str(number))
                array.append(table)
            continue
        if name not in into:
            into[name] = {} if isinstance(value, dict) else value
            merged.origins[keys] = file, keys
        elif not (isinstance(value, dict) and isinstance(into[name], dict)):
            first = merged.place(keys)
            raise ConfigError(f"{file.place(keys)}: {'.'.join(keys)}: is set in {first} already; set it once.")
        if isinstance(value, dict):
            _merge_into(merged, into[name], value, file, keys)


def _is_array_of_tables(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, dict) for each in value)


def _line_of(text: str, keys: list[str]) -> int:
    """The line of a key (1 is the first), or 0 where it is not found; tables in arrays are counted from 0."""
    section: list[str] = []
    arrays: dict[tuple[str, ...], int] = {}  # the number of the table that is the last so far
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*(\[+)\s*([\w.\"'-]+)\s*\]", line)
        if header:
            section = []
            names = header[2].split(".")
            for depth, name in enumerate(names, 1):
                section.append(name)
                path = tuple(section)
                if depth == len(names) and len(header[1]) > 1:
                    arrays[path] = arrays.get(path, -1) + 1
                if path in arrays:
                    section.append(str(arrays[path]))
            if keys in (section, section[:-1]):
                return number
        name = re.match(r"\s*[\"']?([\w-]+)[\"']?\s*[=.]", line)
        if name and [*section, name[1]] in (keys, keys[: len(section) + 1]):
            return number
    return 0
