"""The JSON Schema of the configuration, beside the example that has every key."""

import json
import subprocess
import sys
import tomllib
from typing import Any

import jsonschema
import pytest

from flashpy.cli.schema import commented, comments_in, schema_of
from tests.running import PATIENCE


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    """As the command prints it."""
    command = [sys.executable, "-m", "flashpy", "schema"]
    done = subprocess.run(command, capture_output=True, check=True, timeout=PATIENCE)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_it_is_a_schema_and_the_example_keeps_to_it(schema: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(tomllib.loads(commented()), schema, jsonschema.Draft202012Validator)


@pytest.mark.parametrize(
    "text",
    [
        "[server]\nbacklog = 0\n",
        "[server]\nbacklogg = 1\n",
        "[site]\nprecompressed = ['lzma']\n",
        "[[site.route]]\nto = '/x'\n",
        "[[site.rule]]\nmatches = ['/x']\n",
        "include = 'x'\n",
    ],
)
def test_it_finds_what_is_wrong(schema: dict[str, Any], text: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(tomllib.loads(text), schema, jsonschema.Draft202012Validator)


def test_every_key_is_described() -> None:
    found = schema_of(commented())
    missing = [
        f"{name}.{key}"
        for name, kind in found["$defs"].items()
        for key, node in kind.get("properties", {}).items()
        if "description" not in node and not _is_section(node)
    ]
    assert missing == []
    assert comments_in(commented())["server", "backlog"] == "connections that may wait to be accepted"


def _is_section(node: dict[str, Any]) -> bool:
    return "$ref" in node or "anyOf" in node or "allOf" in node
