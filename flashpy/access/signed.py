"""Signed addresses that expire: ``/film.mp4?expires=1767225600&signature=...``

The signature is HMAC-SHA256, base64url without padding (RFC 4648, 5), over one of

    file    LF  expires  LF  the rest of the query  LF  path
    prefix  LF  expires  LF                         LF  prefix

where path and prefix are decoded and normalised (http.target), so that it is the file which is signed and not one of
the ways to write it. Neither expires nor a query can have an LF in it, so no two of these are equal. A prefix ends in
"/" and stands in the query: its signature is good for everything beneath, whatever else is in the query.

The method is not signed (who may GET may HEAD), nor the host: a site has several names. Sites that are not to honour
each other's addresses have keys of their own.
"""

import re
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from enum import Enum
from hashlib import sha256
from hmac import compare_digest
from hmac import digest as hmac_digest
from pathlib import Path
from urllib.parse import quote_from_bytes, unquote_to_bytes

from flashpy.errors import ConfigError

LEAST_KEY = 16
"""Bytes that a key must have."""

_EXPIRES = re.compile(rb"[1-9][0-9]{0,11}")
_KEY = re.compile(rb"[\x21-\x7e]+")
_OURS = (b"expires", b"signature", b"prefix")


class Verdict(Enum):
    """What a query says of a path."""

    GOOD = "it is signed"
    MISSING = "it is not signed"
    BAD = "its signature is not good for it"
    EXPIRED = "its signature has expired"


def sign(key: bytes, path: bytes, expires: int, prefix: bool = False, query: bytes = b"") -> bytes:
    """The query that makes a path good until ``expires`` (seconds since the epoch).

    ``path`` is decoded and normalised; with ``prefix`` it ends in "/", and all beneath it is signed. ``query`` is what
    the query is to have besides, which is signed too unless a prefix is.

    Raises:
        ValueError: the path or the query cannot be signed.
    """
    parameters = _parameters(query)
    if parameters is None or any(parameters[:3]):
        raise ValueError("The query has a parameter that a signature uses, or a line feed.")
    if not path.startswith(b"/") or (prefix and not path.endswith(b"/")):
        raise ValueError("A prefix begins and ends with a slash." if prefix else "A path begins with a slash.")
    when = b"%d" % expires
    if not _EXPIRES.fullmatch(when):
        raise ValueError("The time of expiry is seconds since 1970.")
    signature = _signature(key, prefix, when, b"" if prefix else query, path)
    named = b"&prefix=" + quote_from_bytes(path, safe="/").encode() if prefix else b""
    return b"%s%sexpires=%s%s&signature=%s" % (query, b"&" if query else b"", when, named, signature)


def verify(keys: Sequence[bytes], path: bytes, query: bytes, now: float) -> Verdict:
    """Whether one of these keys has signed this path and query; ``now`` is seconds since the epoch.

    That it has expired is said only of what was signed once.
    """
    if not query:
        return Verdict.MISSING
    parameters = _parameters(query)
    if parameters is None:
        return Verdict.BAD
    expires, signature, raw_prefix, rest = parameters
    if not signature:
        return Verdict.MISSING
    if not _EXPIRES.fullmatch(expires):
        return Verdict.BAD
    signed = path
    if raw_prefix:
        signed, rest = unquote_to_bytes(raw_prefix), b""
        if not (signed.startswith(b"/") and signed.endswith(b"/") and path.startswith(signed)):
            return Verdict.BAD
    found = [compare_digest(_signature(key, bool(raw_prefix), expires, rest, signed), signature) for key in keys]
    if not any(found):
        return Verdict.BAD
    return Verdict.GOOD if now < int(expires) else Verdict.EXPIRED


def _signature(key: bytes, prefix: bool, expires: bytes, rest: bytes, path: bytes) -> bytes:
    text = b"\n".join((b"prefix" if prefix else b"file", expires, rest, path))
    return urlsafe_b64encode(hmac_digest(key, text, sha256)).rstrip(b"=")


def _parameters(query: bytes) -> tuple[bytes, bytes, bytes, bytes] | None:
    """Our three parameters, empty where they are missing, and the rest of the query as it is. None if one of ours is
    given twice or is empty, or there is an LF."""
    if b"\n" in query:
        return None
    ours: dict[bytes, bytes] = {}
    rest = []
    for parameter in query.split(b"&") if query else ():
        name, _, value = parameter.partition(b"=")
        if name not in _OURS:
            rest.append(parameter)
        elif name in ours or not value:
            return None
        else:
            ours[name] = value
    expires, signature, prefix = (ours.get(name, b"") for name in _OURS)
    return expires, signature, prefix, b"&".join(rest)


def check_key(text: str) -> bytes:
    """A key as it stands in a configuration.

    Raises:
        ValueError: it is too short, or has characters that nobody would type alike; in one sentence, without the key.
    """
    key = text.encode()
    if len(key) < LEAST_KEY or not _KEY.fullmatch(key):
        raise ValueError(
            f"a key is no text of {LEAST_KEY} or more printable characters without blanks;"
            " make one with `openssl rand -hex 32`"
        )
    return key


def read_keys(path: Path) -> tuple[bytes, ...]:
    """The keys in a file, a line each; empty lines and those that begin with "#" are passed over.

    The first signs, all are good: so a key is replaced by putting another before it, and removing it when what it has
    signed has expired.

    Raises:
        ConfigError: the file cannot be read, or there is no key in it, or one that is too short or no text.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}.") from None
    keys = []
    for number, line in enumerate(lines, 1):
        key = line.strip()
        if not key or key.startswith(b"#"):
            continue
        if len(key) < LEAST_KEY or not _KEY.fullmatch(key):
            raise ConfigError(
                f"{path}, line {number}: is no key of {LEAST_KEY} or more printable characters;"
                " make one with `openssl rand -hex 32`."
            )
        keys.append(key)
    if not keys:
        raise ConfigError(f"{path}: has no key in it; make one with `openssl rand -hex 32`.")
    return tuple(keys)
