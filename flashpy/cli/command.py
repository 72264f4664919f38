"""The command line: ``flashpy [DIR]``, and commands such as ``flashpy check``.

Acts on the whole process (signals, the limit on open files, the garbage collector, logging) are done here and in the
supervisor that it starts (flashpy.supervisor), and nowhere else, so that an embedded server does none of them.
"""

import sys
from typing import NoReturn

import click

from flashpy.cli.check import check
from flashpy.cli.compress import compress
from flashpy.cli.explain import explain
from flashpy.cli.schema import schema
from flashpy.cli.serve import serve
from flashpy.cli.warm import warm
from flashpy.errors import ConfigError, StartError, WorkerError
from flashpy.signing import sign

EXIT_CLEAN, EXIT_NOT_STARTED, EXIT_USAGE, EXIT_WORKER, EXIT_INTERRUPTED = 0, 1, 2, 3, 130

COMMANDS = {"check": check, "compress": compress, "explain": explain, "schema": schema, "sign": sign, "warm": warm}
"""First words that are commands; any other is a directory (one called "check" is served as ./check)."""


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit: 0 clean, 1 could not start, 2 usage or configuration, 3 no worker could start."""
    words = sys.argv[1:] if arguments is None else arguments
    command = COMMANDS.get(words[0]) if words else None
    try:
        if command is not None:
            command.main(words[1:], prog_name=f"flashpy {words[0]}", standalone_mode=False)
        else:
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
