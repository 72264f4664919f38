"""The command line: ``flashpy [DIR]``, and commands such as ``flashpy check``.

Acts on the whole process (signals, the limit on open files, the garbage collector, logging) are done here and in the
supervisor that it starts (flashpy.supervisor), and nowhere else, so that an embedded server does none of them.
"""

import os
import sys
from importlib import import_module
from typing import NoReturn

import click

from flashpy.errors import ConfigError, StartError, WorkerError

EXIT_CLEAN, EXIT_NOT_STARTED, EXIT_USAGE, EXIT_WORKER, EXIT_INTERRUPTED = 0, 1, 2, 3, 130

COMMANDS = {
    "check": "flashpy.cli.check",
    "completions": "flashpy.cli.completion",
    "compress": "flashpy.cli.compress",
    "drain": "flashpy.cli.cluster",
    "explain": "flashpy.cli.explain",
    "front": "flashpy.cli.cluster",
    "lard-haproxy": "flashpy.cli.lard_haproxy",
    "manual": "flashpy.cli.manual",
    "node": "flashpy.cli.cluster",
    "schema": "flashpy.cli.schema",
    "sign": "flashpy.signing",
    "simulate": "flashpy.cli.simulate",
    "top": "flashpy.cli.top",
    "warm": "flashpy.cli.warm",
}
"""First words that are commands, with the modules where they are; any other is a directory (one called "check" is
served as ./check)."""
COMPLETE = "_FLASHPY_COMPLETE"
"""The variable in which a shell asks what may follow (flashpy.cli.completion)."""


def command_of(word: str) -> click.Command | None:
    """The command of this name. Only now is its module imported: a server would keep all of them in memory."""
    module = COMMANDS.get(word)
    return getattr(import_module(module), word.replace("-", "_")) if module is not None else None


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit: 0 clean, 1 could not start, 2 usage or configuration, 3 no worker could start."""
    words = sys.argv[1:] if arguments is None else arguments
    if instruction := os.environ.get(COMPLETE):
        import_module("flashpy.cli.completion").complete(instruction)
    command = command_of(words[0]) if words else None
    try:
        if command is not None:
            command.main(words[1:], prog_name=f"flashpy {words[0]}", standalone_mode=False)
        else:
            from flashpy.cli.serve import serve

            serve.main(words, prog_name="flashpy", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except ConfigError as error:
        click.echo(f"flashpy: {error}", err=True)
        sys.exit(EXIT_USAGE)
    except StartError as error:
        click.echo(f"flashpy: {error}", err=True)
        sys.exit(EXIT_WORKER if isinstance(error, WorkerError) else EXIT_NOT_STARTED)
    except click.Abort:
        sys.exit(EXIT_INTERRUPTED)
    sys.exit(EXIT_CLEAN)
