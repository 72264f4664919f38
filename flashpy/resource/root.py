"""A directory that is served, and how: what Files needs to know of a site."""

import os
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from flashpy.http.response import FieldList
from flashpy.http.target import hidden

FieldsOf = Callable[[bytes, bytes, bytes], FieldList]
"""From the path that is asked for, that of the file and its media type to the fields that the site adds."""


def no_fields(asked: bytes, served: bytes, media_type: bytes) -> FieldList:
    """No fields for any file."""
    return ()


class Root(NamedTuple):
    """A directory, what is found there, and what is said with it.

    ``roots`` is the directory and then those outside it that symbolic links may lead to. ``prefix`` is the path beneath
    which it is mounted, without a closing slash; ``tag`` is what its keys in the pathname cache begin with, of several
    roots each its own. ``encode`` are the codings that are made where no sibling has them. ``hidden`` says which paths
    (the prefix included) are not there for clients. ``digests`` makes entity tags of contents. ``keep`` is for how many
    seconds the hashed names of a release are served after the root has become another.
    """

    roots: tuple[bytes, ...]
    prefix: bytes = b""
    tag: bytes = b""
    index_names: tuple[bytes, ...] = (b"index.html",)
    suffixes: tuple[bytes, ...] = ()
    encode: tuple[bytes, ...] = ()
    hidden: Callable[[bytes], bool] = hidden
    media_types: Mapping[bytes, bytes] = MappingProxyType({})
    fields: FieldsOf = no_fields
    digests: bool = False
    keep: float = 0.0


def absolute(*roots: str) -> tuple[bytes, ...]:
    """Directories as ``Root.roots`` has them."""
    return tuple(os.fsencode(os.path.abspath(root)) for root in roots)
