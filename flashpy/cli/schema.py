"""``flashpy schema``: the configuration file as a JSON Schema, for editors and other tools."""

import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import click
import msgspec

from flashpy.config import Config

_COMMENTED = re.compile(r"#?([a-z_0-9]+) = .*?  *# (.*)")
_HEADER = re.compile(r"#?\[+([a-z.]+)\]+")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
def schema() -> None:
    """Print a JSON Schema of the configuration file."""
    click.echo(msgspec.json.format(msgspec.json.encode(schema_of(commented())), indent=2).decode())


def commented() -> str:
    """The file with every key, its default and a comment."""
    packaged = files("flashpy") / "_conf" / "flashpy.toml"
    beside = Path(__file__).resolve().parents[2] / "conf" / "flashpy.toml"  # not installed, or an editable install
    return packaged.read_text("utf-8") if packaged.is_file() else beside.read_text("utf-8")


def schema_of(example: str) -> dict[str, Any]:
    """The schema (JSON Schema, draft 2020-12) by the settings' types, with the example's comments as descriptions."""
    (reference,), kinds = msgspec.json.schema_components([Config], ref_template="#/$defs/{name}")
    include = {"type": "array", "items": {"type": "string"}, "default": []}
    kinds["Config"]["properties"]["include"] = include
    for keys, comment in comments_in(example).items():
        _describe(kinds, keys, comment)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "flashpy",
        "$ref": reference["$ref"],
        "$defs": kinds,
    }


def comments_in(example: str) -> dict[tuple[str, ...], str]:
    """The comment of each key in a commented configuration file."""
    found = {}
    section: tuple[str, ...] = ()
    for line in example.splitlines():
        if header := _HEADER.match(line):
            section = tuple(header[1].split("."))
        elif key := _COMMENTED.match(line):
            found[*section, key[1]] = key[2]
    return found


def _describe(kinds: dict[str, Any], keys: tuple[str, ...], comment: str) -> None:
    """Put a description to a key."""
    kind = kinds["Config"]
    for key in keys[:-1]:
        kind = kinds[_reference_in(kind["properties"][key])]
    kind["properties"][keys[-1]]["description"] = comment[0].upper() + comment[1:]


def _reference_in(node: Any) -> str:
    """The name of the kind that a property, or each of its items, has."""
    for reference in (node, node.get("items", {}), *node.get("allOf", ()), *node.get("anyOf", ())):
        if "$ref" in reference:
            return str(reference["$ref"]).rpartition("/")[2]
    raise KeyError("no section")
