"""``flashpy completions SHELL``: completion of commands, options and directories, by click's own means."""

import os
import sys
from typing import NoReturn

import click
from click.shell_completion import CompletionItem, get_completion_class, shell_complete

from flashpy.cli.command import COMMANDS, COMPLETE, command_of
from flashpy.cli.serve import serve


class _Everything(click.Group):
    """All that may follow ``flashpy``: a command, or a directory and options of the server."""

    def __init__(self) -> None:
        options = [parameter for parameter in serve.params if isinstance(parameter, click.Option)]
        super().__init__("flashpy", params=options, context_settings=serve.context_settings)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """See Group."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """See Group."""
        return command_of(cmd_name)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """See Group; directories too."""
        found = super().shell_complete(ctx, incomplete)
        return found if incomplete.startswith("-") else [*found, CompletionItem(incomplete, type="dir")]


def complete(instruction: str) -> NoReturn:
    """Answer the shell, which has asked in the environment what may follow."""
    sys.exit(shell_complete(_Everything(), {}, "flashpy", COMPLETE, instruction))


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("shell", metavar="bash|zsh|fish", type=click.Choice(["bash", "zsh", "fish"]))
def completions(shell: str) -> None:
    """Print what makes a shell complete flashpy's commands and options; source it, or put it where the shell looks."""
    kind = get_completion_class(shell)
    assert kind is not None
    os.environ.pop(COMPLETE, None)
    click.echo(kind(_Everything(), {}, "flashpy", COMPLETE).source())
