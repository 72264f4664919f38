"""All options and keys with what they mean, from the one definition of each: click's commands, the settings' types, and
the comments of the example configuration."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import click
import msgspec
from msgspec import inspect

from flashpy.cli.command import COMMANDS, command_of
from flashpy.cli.schema import commented, comments_in
from flashpy.cli.serve import serve
from flashpy.config import Config


class Option(NamedTuple):
    """An option as it is written, its value's name (or nothing), what it means, its variables in the environment."""

    names: list[str]
    value: str
    meaning: str
    variables: list[str]


class Command(NamedTuple):
    """A command with how it is used, what it does (in paragraphs), and its options."""

    name: str
    usage: str
    meaning: list[str]
    options: list[Option]


class Key(NamedTuple):
    """A key of the configuration: its section as a file has it, its name, its type in words, its default as TOML has
    it, its meaning."""

    section: str
    name: str
    kind: str
    default: str
    meaning: str


def commands() -> Iterator[Command]:
    """The server, and then the other commands by name."""
    yield _command("flashpy", serve)
    for name in sorted(COMMANDS):
        command = command_of(name)
        assert command is not None
        yield _command(f"flashpy {name}", command)


def _command(name: str, command: click.Command) -> Command:
    context = click.Context(command, info_name=name, **command.context_settings)
    arguments = [_argument(parameter) for parameter in command.params if isinstance(parameter, click.Argument)]
    usage = " ".join([name, "[OPTIONS]", *arguments])
    paragraphs = [" ".join(part.split()) for part in (command.help or "").split("\n\n")]
    options = [_option(context, parameter) for parameter in command.params if isinstance(parameter, click.Option)]
    return Command(name, usage, paragraphs, options)


def _argument(argument: click.Argument) -> str:
    return argument.metavar or (argument.name or "").upper() + ("..." if argument.nargs < 0 else "")


def _kind(kind: Any) -> str:
    """What stands for a value of a type of click, whose own words are others in each version."""
    if isinstance(kind, click.Choice):
        return "|".join(kind.choices)
    if isinstance(kind, click.IntRange | click.FloatRange):
        return "N"
    return "PATH" if isinstance(kind, click.Path) else kind.name.upper()


def _option(context: click.Context, option: click.Option) -> Option:
    names = sorted(
        [*option.opts, *option.secondary_opts], key=lambda name: (name.startswith("--"), name.startswith("--no-"))
    )
    given = option.envvar if isinstance(option.envvar, list | tuple) else [option.envvar] if option.envvar else []
    variables = list(given)
    prefix = context.auto_envvar_prefix
    if not variables and prefix and option.allow_from_autoenv and option.name:
        variables = [f"{prefix}_{option.name.upper()}"]
    if "--version" in names:
        variables = []
    value = "" if option.is_flag or option.count else option.metavar or _kind(option.type)
    return Option(names, value, " ".join((option.help or "").split()), variables)


# Keys


def keys() -> Iterator[Key]:
    """All keys of the configuration, in the order of the settings; those of [[sites]] are those of [site]."""
    meanings = comments_in(commented())
    yield Key("", "include", "list of texts", "[]", _sentence(meanings["include",]))
    yield Key("", "sites", "list of tables", "[]", _sentence(meanings["sites",]))
    config = inspect.type_info(Config)
    assert isinstance(config, inspect.StructType)
    for field in config.fields:
        if isinstance(field.type, inspect.StructType):
            yield from _keys(field.type, (field.encode_name,), f"[{field.encode_name}]", meanings)


def _keys(
    kind: inspect.StructType, above: tuple[str, ...], section: str, meanings: dict[tuple[str, ...], str]
) -> Iterator[Key]:
    """The keys of a section, and then those of the sections in it."""
    inner = []
    for field in kind.fields:
        name = (*above, field.encode_name)
        many = isinstance(field.type, inspect.VarTupleType)
        table = field.type.item_type if isinstance(field.type, inspect.VarTupleType) else field.type
        if isinstance(table, inspect.StructType):
            title = ".".join(name)
            inner.append((table, name, f"[[{title}]]" if many else f"[{title}]"))
        else:
            meaning = _sentence(meanings[name])
            yield Key(section, field.encode_name, in_words(field.type), _default(field), meaning)
    for table, name, title in inner:
        yield from _keys(table, name, title, meanings)


def _default(field: inspect.Field) -> str:
    if field.required:
        return ""
    return _toml(field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory())


def in_words(kind: inspect.Type) -> str:
    """A type, for people."""
    match kind:
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType() | inspect.FloatType():
            return _number(kind)
        case inspect.StrType():
            return "text"
        case inspect.LiteralType():
            return " or ".join(_toml(value) for value in kind.values)
        case inspect.VarTupleType():
            return "list of " + _many(in_words(kind.item_type))
        case inspect.DictType():
            return "table of texts"
        case inspect.UnionType():
            return ", or ".join(map(in_words, kind.types))
    raise NotImplementedError(f"{kind} has no words yet")


def _many(kind: str) -> str:
    return {"text": "texts"}.get(kind, kind.replace("whole number", "whole numbers", 1))


def _number(kind: inspect.IntType | inspect.FloatType) -> str:
    name = "whole number" if isinstance(kind, inspect.IntType) else "number"
    if kind.ge is not None and kind.le is not None:
        return f"{name}, {kind.ge:,} to {kind.le:,}"
    if kind.gt is not None:
        return f"{name} above {kind.gt:g}"
    return f"{name}, at least {kind.ge:g}" if kind.ge is not None else name


def _toml(value: object) -> str:
    """A default as it stands in a file; msgspec's JSON is TOML for all that there is."""
    return msgspec.json.encode(value).decode().replace('","', '", "')


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]
