"""Sizes as they are given on the command line."""

import re

import click

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_SIZE = re.compile(r"(\d{1,15})([KMGT]?)", re.IGNORECASE)


def size_in(text: str) -> int:
    """A number of bytes, perhaps with a unit.

    Raises:
        click.BadParameter: it is no size.
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        raise click.BadParameter(f"{text!r} is no size; write a number of bytes, or one such as 512M.")
    return int(match[1]) * _UNITS[match[2].upper()]
