"""Content codings: which of those that there are an Accept-Encoding prefers (RFC 9110, 12.5.3), and what to code."""

from functools import lru_cache

from flashpy.http.fields import qualities

SUFFIXES = {b"br": b".br", b"zstd": b".zst", b"gzip": b".gz"}
"""Content coding -> the suffix of the sibling file that holds it; the order is our preference among equals."""

LEAST, MOST = 1024, 8 * 2**20
"""Bytes that are worth being coded on the fly: less fits into a packet as it is, more keeps a helper for too long."""

_ALIASES = {b"gzip": b"x-gzip"}  # RFC 9110, 8.4.1.3: x-gzip is to be taken as gzip
_IDENTITY = b"identity"

_TEXTS = frozenset(
    {
        *(b"application/javascript", b"application/x-javascript", b"application/ecmascript"),
        *(b"application/json", b"application/xml", b"application/toml", b"application/yaml", b"application/x-yaml"),
        *(b"application/rtf", b"application/sql", b"application/postscript", b"application/x-sh"),
        *(b"application/vnd.apple.mpegurl", b"application/x-ndjson"),
        *(b"application/wasm", b"application/x-tar", b"application/vnd.ms-fontobject"),
        *(b"font/ttf", b"font/otf", b"font/collection", b"font/sfnt"),  # but not woff, which is compressed
        *(b"image/bmp", b"image/vnd.microsoft.icon", b"image/x-icon", b"image/x-xbitmap", b"audio/midi"),
    }
)
_ENDINGS = (
    b"+json",
    b"+xml",
    b"+text",
    b"+yaml",
)  # structured syntaxes (RFC 6839, 9512): SVG, Atom, JSON-LD


@lru_cache(1_024)
def choose(accept_encoding: bytes | None, available: tuple[bytes, ...]) -> bytes | None:
    """The coding to send among the available ones, or None for identity.

    Without the field, identity is sent: every client understands it. Identity is sent as well when all is refused,
    since an answer in the wrong coding helps more than none (RFC 9110, 15.5.7 permits it).
    """
    if not accept_encoding:
        return None
    weights = qualities(accept_encoding)
    best, best_weight = None, 0.0
    for coding in SUFFIXES:
        if coding in available:
            weight = _weight(weights, coding, 0.0)
            if weight > best_weight:
                best, best_weight = coding, weight
    # Identity is acceptable without being named, but then the last choice.
    return None if _weight(weights, _IDENTITY, -1.0) > best_weight else best


def refuses_identity(accept_encoding: bytes | None) -> bool:
    """Whether the client wants the content coded and not otherwise: ``identity;q=0``, or ``*;q=0`` with no word on
    identity."""
    return bool(accept_encoding) and _weight(qualities(accept_encoding or b""), _IDENTITY, 1.0) == 0.0


def _weight(weights: dict[bytes, float], coding: bytes, unnamed: float) -> float:
    """A coding's weight; ``unnamed`` if the field has neither it nor ``*``."""
    for name in (coding, _ALIASES.get(coding, coding), b"*"):
        if name in weights:
            return weights[name]
    return unnamed


def is_compressible(media_type: bytes) -> bool:
    """Whether content of this type gets smaller by a coding; what is compressed by itself does not."""
    kind = media_type.partition(b";")[0].strip(b" \t").lower()
    return kind in _TEXTS or kind.startswith(b"text/") or kind.endswith(_ENDINGS)


def is_worth_coding(media_type: bytes, size: int, least: int = LEAST, most: int = MOST) -> bool:
    """Whether to code content of this type and size on the fly."""
    return least <= size <= most and is_compressible(media_type)
