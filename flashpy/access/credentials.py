"""Basic authentication: what stands in a request, and what is asked for (RFC 7617)."""

import re
from base64 import b64decode
from typing import NamedTuple

from flashpy.http.response import FieldList

_BASIC = re.compile(rb"basic +((?:[a-z0-9+/]{4})*(?:[a-z0-9+/]{2}==|[a-z0-9+/]{3}=)?)", re.IGNORECASE)
_CONTROLS = re.compile(rb"[\x00-\x1f\x7f]")
_NOT_IN_REALM = re.compile(r"[^ -~]")


class Credentials(NamedTuple):
    """A user and a password, in UTF-8, as the client has sent them."""

    user: bytes
    password: bytes

    def __repr__(self) -> str:
        return f"Credentials({self.user!r}, ...)"


def parse_basic(value: bytes | None) -> Credentials | None:
    """The credentials of an Authorization field; None where there are none, or none that could be right.

    A value that is malformed is no bad request but a failed authentication (RFC 9110, 11.6.2), answered 401. Control
    characters are excluded (RFC 7617, 2), and UTF-8 is what the challenge asks for (2.1).
    """
    match = _BASIC.fullmatch(value) if value is not None else None
    if match is None:
        return None
    try:
        text = b64decode(match[1], validate=True)
        text.decode("utf-8")
    except ValueError:  # binascii.Error and UnicodeDecodeError are such
        return None
    user, colon, password = text.partition(b":")
    if not colon or not user or _CONTROLS.search(text):
        return None
    return Credentials(user, password)


def challenge(realm: str) -> FieldList:
    """The field of a 401 that says what is asked for (RFC 9110, 11.6.1; RFC 7617, 2.1).

    Raises:
        ValueError: the realm has characters that clients would not show alike; its text is a sentence.
    """
    if _NOT_IN_REALM.search(realm):
        raise ValueError(f"{realm!r} is no realm; write it in printable ASCII characters.")
    quoted = re.sub(r'(["\\])', r"\\\1", realm).encode()
    return ((b"WWW-Authenticate", b'Basic realm="%s", charset="UTF-8"' % quoted),)
