"""The command ``flashpy sign``: makes a signed address that expires (access.signed)."""

import re
import time
from pathlib import Path

import click

from flashpy.access import signed
from flashpy.http.target import NO_FILE, parse_target, quote_query

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
"""Seconds of each unit."""
_DURATION = re.compile(r"([1-9][0-9]{0,5})([smhdw])")


def _seconds(context: click.Context, parameter: click.Parameter, value: str) -> int:
    match = _DURATION.fullmatch(value)
    if match is None:
        raise click.BadParameter(f"{value!r} is no duration; write a number and s, m, h, d or w, such as 90m.")
    return int(match[1]) * _UNITS[match[2]]


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("url")
@click.option(
    "--key-file",
    type=click.Path(path_type=Path),
    required=True,
    help="File with the key: the first of those in it signs.",
)
@click.option("--valid", callback=_seconds, required=True, metavar="DURATION", help="For how long: 90s, 15m, 1h, 7d.")
@click.option("--prefix", is_flag=True, help="Sign all beneath URL, which ends in a slash.")
def sign(url: str, key_file: Path, valid: int, prefix: bool) -> None:
    """Sign URL (whole, or its path alone), so that it is good for some time, and print it.

    With --prefix, what is printed behind the question mark is good for each address beneath.
    """
    click.echo(signed_url(url, signed.read_keys(key_file)[0], int(time.time()) + valid, prefix))


def signed_url(url: str, key: bytes, expires: int, prefix: bool = False) -> str:
    """A URL with its signature. What it says of scheme and host is not looked at.

    Raises:
        click.UsageError: it is none, or cannot be signed.
    """
    text = url.partition("#")[0].encode("utf-8")
    target = parse_target(text)
    if target is None or target.path in (b"*", NO_FILE):
        raise click.UsageError(f"{url!r} is no address of a file; write http://HOST/PATH or /PATH.")
    if prefix and not target.path.endswith(b"/"):
        raise click.UsageError(f"{url!r} is no prefix; end it with a slash.")
    try:
        query = signed.sign(key, target.path, expires, prefix, quote_query(target.query))
    except ValueError as error:
        raise click.UsageError(f"{url!r} cannot be signed: {error}") from None
    return f"{text.partition(b'?')[0].decode()}?{query.decode()}"
