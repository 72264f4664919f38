"""Content codings: which of the stored variants of a representation an Accept-Encoding prefers (RFC 9110, 12.5.3)."""

from collections.abc import Sequence

from flashpy.http.fields import qualities

SUFFIXES = {b"br": b".br", b"zstd": b".zst", b"gzip": b".gz"}
"""Content coding -> the suffix of the sibling file that holds it; the order is our preference among equals."""

_ALIASES = {b"gzip": b"x-gzip"}  # RFC 9110, 8.4.1.3: x-gzip is to be taken as gzip


def choose(accept_encoding: bytes | None, available: Sequence[bytes]) -> bytes | None:
    """The coding to send among the available ones, or None for identity.

    Without the field, identity is sent: every client understands it. Identity is sent as well when all is refused,
    since an answer in the wrong coding helps more than none (RFC 9110, 12.5.3 permits it).
    """
    if not accept_encoding:
        return None
    weights = qualities(accept_encoding)
    rest = weights.get(b"*", 0.0)
    best, best_weight = None, 0.0
    for coding in SUFFIXES:
        if coding in available:
            weight = weights.get(coding, weights.get(_ALIASES.get(coding, coding), rest))
            if weight > best_weight:
                best, best_weight = coding, weight
    identity = weights.get(b"identity", 0.0 if b"*" in weights and not rest else -1.0)
    return None if identity > best_weight else best
