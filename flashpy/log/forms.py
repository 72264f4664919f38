"""Which form the lines have (``log.access_format``)."""

from collections.abc import Callable, Iterable, Mapping

from flashpy.log.atoms import atom_lines
from flashpy.log.combined import combined
from flashpy.log.jsonlines import json_lines
from flashpy.log.record import Record

Renderer = Callable[[Iterable[Record]], bytes]
"""Renders the lines of some records. It is asked for some at a time, because what the lines in a row have in common is
then rendered once."""

_NAMED: Mapping[str, Renderer] = {"combined": combined, "json": json_lines}


def renderer(access_format: str, environment: Mapping[str, str]) -> Renderer:
    """What renders lines in the configured form; ``environment`` is for its atoms.

    Raises:
        ValueError: it is neither the name of a form nor one with atoms (which flashpy.config has checked).
    """
    return _NAMED.get(access_format) or atom_lines(access_format, environment)
