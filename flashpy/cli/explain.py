"""``flashpy explain``: what is answered to a request, and why."""

from collections.abc import Iterable
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlsplit

import click

from flashpy.cli.asking import Asking, in_words, place_of
from flashpy.cli.explanation import explain as explained
from flashpy.config import Config, load
from flashpy.errors import StartError
from flashpy.http.response import REASONS
from flashpy.server import check_roots

_OF_THE_MOMENT = frozenset({"date", "connection"})

Answered = tuple[int, list[tuple[str, str]]]
"""A status, and fields."""


def _fields(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> list[tuple[str, str]]:
    fields = []
    for value in values:
        name, colon, text = value.partition(":")
        if not colon or not name.strip() or "\r" in value or "\n" in value:
            raise click.BadParameter(f"{value!r} is not of the form NAME:VALUE.")
        fields.append((name.strip(), text.strip()))
    return fields


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("url")
@click.option("-c", "--config", "file", type=click.Path(path_type=Path), help="Configuration file (TOML).")
@click.option(
    "-H",
    "--header",
    "fields",
    multiple=True,
    metavar="NAME:VALUE",
    callback=_fields,
    help="Field of the request.",
)
@click.option("-X", "--method", default="GET", show_default=True, help="Method of the request.")
@click.option("--client", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Who asks.")
@click.option("--running", is_flag=True, help="Ask the running server too, and say where it answers otherwise.")
def explain(
    url: str, file: Path | None, fields: list[tuple[str, str]], method: str, client: str, running: bool
) -> None:
    """Say what is answered to a request for URL (whole, or its path alone), and why.

    By the configuration, without a server: the site is built and asked here.
    """
    config = load(file)
    check_roots(config)
    host, target = _split(url)
    if not any(name.lower() == "host" for name, _ in fields):
        fields = [("Host", host), *fields]
    head = f"{method} {target} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields) + "\r\n"
    found = explained(config, head.encode("utf-8", "surrogateescape"), client)
    width = max(len(line.about) for line in found.lines)
    for line in found.lines:
        click.echo(f"{line.about:<{width}}  {line.what}")
    answer = found.response.head
    here = answer.status, [(name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.fields]
    _show(here)
    if running:
        whole = url if file is None and url.startswith(("http://", "https://")) else None
        click.echo("\nThe running server:")
        there = _ask(config, whole, method, target, fields)
        _show(there)
        for difference in differences(here, there):
            click.echo(difference)


def _split(url: str) -> tuple[str, str]:
    """The host and the target of a URL, or of a path."""
    if url.startswith("/"):
        return "localhost", url
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise click.UsageError(f"{url!r} is no address; write http://HOST/PATH or /PATH.")
    return parts.netloc, (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _show(answered: Answered) -> None:
    status, fields = answered
    click.echo(f"\n{status} {REASONS.get(status, b'').decode()}".rstrip())
    for name, value in fields:
        click.echo(f"{name}: {value}")


def _ask(config: Config, url: str | None, method: str, target: str, fields: Iterable[tuple[str, str]]) -> Answered:
    """The answer of the running server. What it has in its caches it tells nobody; its access log does (as JSON)."""
    place = place_of(config, url)
    connection = Asking(place)
    try:
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in fields:
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        return response.status, response.getheaders()
    except (OSError, HTTPException) as error:
        raise StartError(f"The server at {in_words(place)} cannot be asked: {str(error).rstrip('.')}.") from None
    finally:
        connection.close()


def differences(here: Answered, there: Answered) -> list[str]:
    """Where the running server answers otherwise than the configuration says: it may have another one, or has not yet
    looked at a file again."""
    if here[0] != there[0]:
        return [f"\nBy the configuration it would be {here[0]}."]
    ours = {name.lower(): value for name, value in here[1]}
    theirs = {name.lower(): value for name, value in there[1]}
    names = sorted((ours.keys() | theirs.keys()) - _OF_THE_MOMENT)
    found = [name for name in names if ours.get(name) != theirs.get(name)]
    return [f"\nBy the configuration it would be {name}: {ours.get(name, '(none)')}." for name in found]
