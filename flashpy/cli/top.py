"""``flashpy top``: the status of a running server in a terminal, from its admin address."""

import os
import select
import sys
import termios
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path

import click
import msgspec

from flashpy.addresses import Tcp, Unix, parse
from flashpy.admin.view import View
from flashpy.cli.asking import Asking, Place, in_words
from flashpy.cli.tables import as_text, tables_of
from flashpy.config import load
from flashpy.errors import StartError

ADMIN = "127.0.0.1:9180"
PERIOD = 1.0
"""Seconds between two looks."""


@click.command(context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "FLASHPY_TOP"})
@click.option(
    "--admin", metavar="ADDRESS", help=f"The server's admin address: host:port or unix:PATH.  [default: {ADMIN}]"
)
@click.option(
    "-c", "--config", "file", type=click.Path(path_type=Path), help="Configuration file (TOML) that says where it is."
)
@click.option("--once", is_flag=True, help="Print the figures once, as it does where the output is no terminal.")
def top(admin: str | None, file: Path | None, once: bool) -> None:
    """Show how a running server does: requests, latencies, caches, helpers, stalls. q or Ctrl-C ends it.

    The server shows it at its admin address (flashpy --admin, or admin.bind).
    """
    place = _place(admin, file)
    asking = Asking(place)
    try:
        if once or not (sys.stdout.isatty() and sys.stdin.isatty()):
            click.echo(as_text(tables_of(_look(asking, place))))
        else:
            _show(asking, place)
    finally:
        asking.close()


def _place(admin: str | None, file: Path | None) -> Place:
    """Where to ask.

    Raises:
        click.UsageError: it cannot be told.
    """
    if admin is None and file is not None:
        bound = load(file).admin.bind
        if not bound:
            raise click.UsageError(f"{file} has no admin.bind; give --admin.")
        admin = bound[0]
    try:
        address = parse(admin or ADMIN)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if isinstance(address, Unix):
        return Place(address.path)
    if not isinstance(address, Tcp):
        raise click.UsageError(f"{admin} does not say where the server is; give --admin.")
    return Place(("localhost" if address.host in ("", "0.0.0.0", "::") else address.host, address.port))


def _look(asking: Asking, place: Place) -> View:
    """What the server says of itself.

    Raises:
        StartError: it does not answer, or not as flashpy does.
    """
    try:
        asking.request("GET", "/-/status.json", headers={"Host": "localhost"})
        answer = asking.getresponse()
        body = answer.read()
    except (OSError, HTTPException) as error:
        asking.close()
        why = error.strerror if isinstance(error, OSError) and error.strerror else "it does not answer"
        raise StartError(
            f"The server's status is not to be had at {in_words(place)} ({why}); is --admin given?"
        ) from None
    try:
        return msgspec.json.decode(body, type=View)
    except msgspec.MsgspecError:
        raise StartError(f"What answers at {in_words(place)} is not flashpy's admin address.") from None


def _show(asking: Asking, place: Place) -> None:
    """Show it in a terminal until somebody presses q.

    Raises:
        StartError: the library for it is not installed, or the server answers no more.
    """
    try:
        from rich.live import Live

        from flashpy.cli.screen import screen
    except ModuleNotFoundError:
        raise StartError("A screen takes a library: pip install 'flashpy-server[top]'; or give --once.") from None
    first = screen(_look(asking, place), os.get_terminal_size())
    with _keys(), Live(first, screen=True, auto_refresh=False) as live:
        try:
            while not _quit_within(PERIOD):
                live.update(screen(_look(asking, place), os.get_terminal_size()), refresh=True)
        except KeyboardInterrupt:
            pass


@contextmanager
def _keys() -> Iterator[None]:
    """Let keys be read as they are pressed (termios(3)); Ctrl-C stays what it is."""
    before = termios.tcgetattr(0)
    tty.setcbreak(0)
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)


def _quit_within(patience: float) -> bool:
    """Whether somebody wants to quit within so many seconds."""
    until = time.monotonic() + patience
    while (left := until - time.monotonic()) > 0:
        if select.select([0], [], [], left)[0] and os.read(0, 1) in (b"q", b"Q", b""):
            return True
    return False
