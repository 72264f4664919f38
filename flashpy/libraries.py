"""The optional libraries: which are installed, without importing them.

Most are for the helpers that encode, check passwords and watch files: the server's loop has no use for them, and its
memory is better without. h2 is for the loop, of servers that are to speak HTTP/2.
"""

import os
import sys
from importlib.machinery import ModuleSpec
from importlib.util import find_spec

_ZSTD = "_zstd" if sys.version_info >= (3, 14) else "backports.zstd"
_CODINGS = {b"br": "brotli", b"zstd": _ZSTD}
_OTHERS = ("zlib_ng", "bcrypt", "watchfiles")


def codings() -> frozenset[bytes]:
    """The content codings that can be made on the fly; gzip always can."""
    return frozenset({b"gzip"}.union(coding for coding, name in _CODINGS.items() if _find(name)))


def has_bcrypt() -> bool:
    """Whether hashes of bcrypt can be checked."""
    return _find("bcrypt") is not None


def has_watchfiles() -> bool:
    """Whether changes of files can be watched."""
    return _find("watchfiles") is not None


def has_trustme() -> bool:
    """Whether certificates for development can be made."""
    return _find("trustme") is not None


def has_http2() -> bool:
    """Whether HTTP/2 can be spoken."""
    return _find("h2") is not None


def has_etcd() -> bool:
    """Whether etcd can be spoken with."""
    return _find("aetcd") is not None


def directories() -> list[str]:
    """Where the libraries are, for a program that is started without site-packages (``python -S``)."""
    specs = (_find(name) for name in (*_CODINGS.values(), *_OTHERS))
    return sorted({_directory(spec) for spec in specs if spec is not None and spec.has_location})


def _directory(spec: ModuleSpec) -> str:
    """The directory to import a module from by its full name."""
    place = os.path.abspath(spec.origin or "")
    for _ in range(spec.name.count(".") + 1 + (spec.submodule_search_locations is not None)):
        place = os.path.dirname(place)
    return place


def _find(name: str) -> ModuleSpec | None:
    try:
        return find_spec(name)
    except ModuleNotFoundError:  # its package is not there either
        return None
