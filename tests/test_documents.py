"""The documents: what they show can be used as it stands, and what they name is there."""

import ast
import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest

import flashpy
from flashpy.cli.command import COMMANDS, command_of
from flashpy.cli.schema import commented, comments_in
from flashpy.cli.serve import serve
from flashpy.config import load
from flashpy.routing import netlify, servejson
from tests.running import PATIENCE, REPOSITORY
from tests.test_house import LAYERS

DOCUMENTS = [REPOSITORY / "README.md", REPOSITORY / "CHANGELOG.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
EXAMPLES = sorted((REPOSITORY / "conf").glob("*.toml"))

HASH = "$2b$04$" + "." * 53
"""In the form of bcrypt's; no password has it."""
PATHS = {"root", "allowed_roots", "htpasswd", "key_file", "access_file", "pid_file", "coded_directory"}
"""Keys that name files and directories."""
CONTENTS = {"htpasswd": f"alice:{HASH}\n", "key_file": "0123456789abcdef\n"}
"""What must be in those that are read with the configuration."""
DIRECTORIES = re.compile(r"[./]|\[|^(site|DIR)$")
"""First words that are directories, and no commands."""


class Block(NamedTuple):
    """A block of code in a document, and the line at which it begins."""

    document: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.document.name}:{self.line}"


def blocks(*languages: str) -> list[Block]:
    """All blocks in these languages."""
    found = []
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        for match in re.finditer(r"(?ms)^```(\w+)\n(.*?)^```$", text):
            if match[1] in languages:
                found.append(Block(document, text.count("\n", 0, match.start()) + 1, match[1], match[2]))
    return found


def prose(document: Path) -> str:
    """A document without its blocks of code."""
    return re.sub(r"(?ms)^```.*?^```$", "", document.read_text(encoding="utf-8"))


def code_in(document: Path) -> list[str]:
    """What stands in a document's sentences as code."""
    return re.findall(r"`([^`\n]+)`", prose(document))


def test_there_are_blocks_to_be_tested() -> None:
    """A change of the form in which they are written must not pass unnoticed."""
    assert len(blocks("toml")) > 15
    assert len(list(commands())) > 15


# Configurations


def paths_in(tables: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The keys that name files and directories, with their values."""
    for key, value in tables.items():
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, dict):
                yield from paths_in(each)
            elif key in PATHS:
                yield key, each


def put_in_place(text: str, directory: Path) -> Path:
    """Write a configuration, with the files and directories that it names beneath a directory; its path."""
    for key, name in paths_in(tomllib.loads(text)):
        if name in ("", "-"):
            continue
        place = directory / name.lstrip("/")
        text = text.replace(f'"{name}"', f'"{place}"')
        if key in CONTENTS:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(CONTENTS[key])
        elif key.endswith("_file"):
            place.parent.mkdir(parents=True, exist_ok=True)
        else:
            place.mkdir(parents=True, exist_ok=True)
    text = re.sub(r"\$2b\$12\$\.\.\.", HASH, text)
    text = text.replace('"www-data"', '"nobody"')  # a user that all machines have
    file = directory / "flashpy.toml"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize("block", blocks("toml"), ids=str)
def test_configurations_can_be_used(block: Block, tmp_path: Path) -> None:
    """Each that a document shows is whole."""
    load(put_in_place(block.text, tmp_path))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_examples_can_be_used(example: Path, tmp_path: Path) -> None:
    """What lies in conf/ too."""
    load(put_in_place(example.read_text(encoding="utf-8"), tmp_path))


def keys() -> dict[tuple[str, ...], str]:
    """All keys of the configuration; those of [[sites]] are those of [site]."""
    return comments_in(commented())


def is_module(name: str) -> bool:
    """Whether a name is that of a module, such as ``server.py`` or ``cache.residency``."""
    path = REPOSITORY / "flashpy" / name.removesuffix(".py").replace(".", "/")
    return path.with_suffix(".py").exists()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_keys_in_sentences_exist(document: Path) -> None:
    """Such as `site.root`."""
    known = {".".join(key) for key in keys()} | {key[0] for key in keys()}
    sections = "|".join(sorted({key[0] for key in keys() if len(key) > 1}))
    named = {code for code in code_in(document) if re.fullmatch(rf"({sections})\.[a-z_0-9.]+", code)}
    assert {name for name in named - known if not is_module(name)} == set()


def test_the_guide_has_every_key_of_a_site() -> None:
    """What a site can do is told by task."""
    text = (REPOSITORY / "docs" / "configuration.md").read_text(encoding="utf-8")
    told = set(re.findall(r"[a-z_0-9]+", text))
    assert {key[-1] for key in keys() if key[0] == "site"} - told == set()


def test_the_guide_tells_what_is_imported() -> None:
    """The files of other servers that are followed, and every key of serve.json."""
    text = (REPOSITORY / "docs" / "configuration.md").read_text(encoding="utf-8")
    for name in (*netlify.HIDDEN, *servejson.HIDDEN, *servejson._READERS):
        assert f"`{name}`" in text, name


# Commands


def commands() -> Iterator[tuple[str, str]]:
    """Each command of flashpy that a document shows: where, and the words."""
    for block in blocks("sh", "console"):
        for line in block.text.splitlines():
            for command in re.split(r"&&|\|\||[|;>]", line):
                words = command.strip().removeprefix("$ ")
                if words.startswith("flashpy "):
                    yield str(block), words
    for document in DOCUMENTS:
        yield from ((document.name, code) for code in code_in(document) if code.startswith("flashpy "))


@pytest.mark.parametrize(("where", "words"), list(commands()))
def test_commands_exist(where: str, words: str) -> None:
    """With all their options, and no more arguments than they take."""
    first, *rest = shlex.split(words, comments=True)[1:]
    command = command_of(first) or serve
    if command is serve:
        rest.insert(0, first)
        assert first.startswith("-") or DIRECTORIES.search(first), f"there is no command {first}"
    with click.Context(command) as context:
        _, left, _ = command.make_parser(context).parse_args(rest)
    assert left == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_options_in_sentences_exist(document: Path) -> None:
    """Of some command of ours; those of other programs stand behind their names."""
    known = {
        option
        for command in (serve, *filter(None, map(command_of, COMMANDS)))
        for parameter in command.params
        for option in (*parameter.opts, *parameter.secondary_opts)
    }
    named = {code.split()[0].partition("=")[0] for code in code_in(document) if code.startswith("--")}
    assert named - known == set()


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_programs_use_what_there_is(block: Block) -> None:
    """They can be parsed, and the names that they take from the package exist."""
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    module = compile(block.text, str(block), "exec", flags | ast.PyCF_ONLY_AST)
    for node in ast.walk(module):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "flashpy":
            assert node.attr in flashpy.__all__


# Other programs


TIMEOUTS = "defaults\n mode http\n timeout client 9s\n timeout server 9s\n timeout connect 9s\n"


def certificate(directory: Path) -> Path:
    """A certificate with its key, in one file."""
    file = directory / "example.org.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=example.org"]
    subprocess.run([*command, "-keyout", file, "-out", directory / "crt"], check=True, capture_output=True)
    file.write_bytes(file.read_bytes() + (directory / "crt").read_bytes())
    return file


@pytest.mark.parametrize("block", blocks("haproxy", "caddyfile", "nginx"), ids=str)
def test_configurations_of_others_can_be_used(block: Block, tmp_path: Path) -> None:
    """As the programs themselves say."""
    program = {"haproxy": "haproxy", "caddyfile": "caddy", "nginx": "nginx"}[block.language]
    if shutil.which(program) is None:
        pytest.skip(f"it takes {program}")
    file, text = tmp_path / "file", block.text
    if block.language == "haproxy":
        command = ["haproxy", "-c", "-f", str(file)]
        text = re.sub(r"(?<=crt )\S+", str(certificate(tmp_path)), text) if " crt " in text else text
        if "frontend" not in text:  # it is a part
            text = f"{TIMEOUTS}{text}\nlisten all\n bind 127.0.0.1:8001\n"
    elif block.language == "caddyfile":
        command = ["caddy", "validate", "--adapter", "caddyfile", "--config", str(file)]
    else:
        command = ["nginx", "-t", "-c", str(file)]
        text = f"pid {tmp_path}/pid;\nerror_log {tmp_path}/log;\nevents {{}}\nhttp {{\n{text}\n}}\n"
    file.write_text(text)
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


# What is named


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    """To a file of the project, and to a heading that it has."""
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(document)):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        file = document.parent / name if name else document
        assert file.exists(), link
        if anchor:
            headings = re.findall(r"(?m)^#+ (.*)$", file.read_text(encoding="utf-8"))
            assert anchor in {re.sub(r"[^\w\s-]", "", text).lower().replace(" ", "-") for text in headings}, link


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_modules_exist(document: Path) -> None:
    """Those that stand in sentences, such as `http/head.py`."""
    for name in code_in(document):
        if re.fullmatch(r"[\w/]+\.py", name):
            places = (REPOSITORY, REPOSITORY / "flashpy", REPOSITORY / "benchmarks")
            assert any((place / name).exists() for place in places), name


def table(document: str, title: str) -> list[list[str]]:
    """The cells of a table's rows, by the title of its first column."""
    text = (REPOSITORY / "docs" / document).read_text(encoding="utf-8")
    match = re.search(rf"(?m)^\| {title} \|.*\n\|[-:|]+\n((?:\|.*\n)+)", text)
    assert match is not None
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in match[1].splitlines()]


def test_the_layers_are_those_that_are_tested() -> None:
    """docs/architecture.md says the same as tests/test_house.py."""
    told = {
        name: int(row[0]) for row in table("architecture.md", "layer") for name in re.findall(r"`([\w/]+)`", row[1])
    }
    assert told == LAYERS


def test_the_dependencies_are_those_of_the_project() -> None:
    """docs/dependencies.md says of each why it is there."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    packages = {"run time": project["dependencies"]}
    packages |= {f"extra `{extra}`": names for extra, names in project["optional-dependencies"].items()}
    wanted = {(re.split(r"[>=<;\[ ]", name)[0], kind) for kind, names in packages.items() for name in names}
    wanted -= {(name, "extra `test`") for name, kind in wanted if kind != "extra `test`"}  # it is there for another end
    told = {
        (re.sub(r" \(.*", "", name), kind)
        for names, kind, _ in table("dependencies.md", "package")
        for name in names.split(", ")
        if not kind.startswith("build time")
    }
    assert told == wanted
