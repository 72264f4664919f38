"""``flashpy manual``: the man page and the reference, from the definitions of all options and keys."""

import re
from collections.abc import Iterable, Iterator
from itertools import groupby

import click

from flashpy.cli.definitions import Command, Key, Option, commands, keys

_SIGNALS = (
    ("HUP", "reads the configuration again; if it is not good, all stays as it was"),
    ("USR1", "opens the log files again, after they have been renamed"),
    ("USR2", "starts the program anew and hands everything over to it, without losing a connection"),
    ("TTIN, TTOU", "adds a worker, or lets one retire"),
    ("TERM, QUIT, INT", "answers what is under way, and ends; a second INT ends at once"),
)
_STATUSES = (
    ("0", "it has ended as it was told to"),
    ("1", "it could not start"),
    ("2", "the options or the configuration cannot be used"),
    ("3", "no worker could start"),
    ("130", "it was interrupted"),
)
_PRECEDENCE = (
    "An option comes before its variable in the environment, that before the configuration file, and that before the "
    "default."
)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--markdown", is_flag=True, help="The reference of all options and keys, in Markdown.")
def manual(markdown: bool) -> None:
    """Print the man page, as docs/flashpy.1 has it."""
    click.echo(reference() if markdown else man_page(), nl=False)


# Markdown


def reference() -> str:
    """docs/reference.md."""
    return "\n".join(
        [
            "# Reference",
            "",
            "All options and keys. `make documents` makes this file from their definitions; what to do with them is",
            "told by task in [the configuration](configuration.md).",
            "",
            "## Commands",
            *(line for command in commands() for line in _command_in_markdown(command)),
            f"{_PRECEDENCE}",
            "",
            "## Keys of the configuration",
            "Sizes are bytes, times are seconds. `[[sites]]` have the keys of `[site]`. `flashpy schema` prints the",
            "same for programs.",
            "",
            *(line for section, group in groupby(keys(), _section) for line in _section_in_markdown(section, group)),
        ]
    )


def _section(key: Key) -> str:
    return key.section


def _command_in_markdown(command: Command) -> Iterator[str]:
    yield f"### {command.name}"
    yield f"```text\n{command.usage}\n```"
    yield " ".join(command.meaning)
    yield ""
    yield from _table(("option", "meaning", "environment"), map(_option_in_markdown, command.options))


def _option_in_markdown(option: Option) -> tuple[str, str, str]:
    names = ", ".join(f"`{name}`" for name in option.names)
    if option.value:
        names = f"{names.removesuffix('`')} {option.value}`"
    return names, option.meaning, ", ".join(f"`{name}`" for name in option.variables)


def _section_in_markdown(section: str, group: Iterable[Key]) -> Iterator[str]:
    yield f"### {f'`{section}`' if section else 'At the top'}"
    rows = ((f"`{key.name}`", key.kind, f"`{key.default}`" if key.default else "none", key.meaning) for key in group)
    yield from _table(("key", "type", "default", "meaning"), rows)


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """A table without the columns in which there is nothing."""
    lines = [heads, *rows]
    kept = [number for number in range(len(heads)) if any(line[number] for line in lines[1:])]
    for index, line in enumerate(lines):
        yield "| " + " | ".join(line[number].replace("|", "\\|") for number in kept) + " |"
        if not index:
            yield "|" + "---|" * len(kept)
    yield ""


# The man page: man(7)


def man_page() -> str:
    """docs/flashpy.1."""
    server, *others = commands()
    parts = [
        '.TH FLASHPY 1 "" flashpy "User Commands"',
        ".SH NAME",
        _text("flashpy - a static web server whose event loop never waits for a disk"),
        ".SH SYNOPSIS",
        *(f".B {_text(command.usage)}\n.br" for command in (server, *others)),
        ".SH DESCRIPTION",
        *(f"{_text(paragraph)}\n.PP" for paragraph in server.meaning),
        _text("A directory with the name of a command is served as ./NAME. " + _PRECEDENCE),
        ".SH OPTIONS",
        *map(_option_in_man, server.options),
        ".SH COMMANDS",
        *(line for command in others for line in _command_in_man(command)),
        ".SH CONFIGURATION",
        _text("The file is TOML. Sizes are bytes, times are seconds. Each [[sites]] has the keys of [site]."),
        *(line for section, group in groupby(keys(), _section) for line in _section_in_man(section, group)),
        ".SH SIGNALS",
        *_pairs(_SIGNALS),
        ".SH EXIT STATUS",
        *_pairs(_STATUSES),
        ".SH SEE ALSO",
        ".BR nginx (8),\n.BR systemd.socket (5)",
    ]
    return "\n".join(parts) + "\n"


def _command_in_man(command: Command) -> Iterator[str]:
    yield f".SS {_text(command.usage)}"
    for paragraph in command.meaning:
        yield f"{_text(paragraph)}\n.PP"
    yield from map(_option_in_man, command.options)


def _option_in_man(option: Option) -> str:
    names = ", ".join(f"\\fB{_text(name)}\\fR" for name in option.names)
    value = f" \\fI{_text(option.value)}\\fR" if option.value else ""
    variables = f" (In the environment: {', '.join(option.variables)}.)" if option.variables else ""
    return f".TP\n{names}{value}\n{_text(option.meaning + variables)}"


def _section_in_man(section: str, group: Iterable[Key]) -> Iterator[str]:
    yield f".SS {_text(section or 'At the top')}"
    for key in group:
        default = f"; {key.default} by default" if key.default else ""
        meaning = f"{key.meaning.rstrip('.')} ({key.kind}{default})."
        yield f".TP\n\\fB{_text(key.name)}\\fR\n{_text(meaning)}"


def _pairs(pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, meaning in pairs:
        yield f".TP\n\\fB{_text(name)}\\fR\n{_text(meaning)}"


def _text(text: str) -> str:
    """A text in which nothing is taken for a request or an escape; hyphens stay what they are on a keyboard."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    return re.sub(r"(?m)^\.", r"\\&.", escaped)
