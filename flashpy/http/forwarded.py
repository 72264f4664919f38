"""Who has handed a request on, as proxies say it in a field: Forwarded (RFC 7239), or X-Forwarded-For, its forerunner.

Each proxy adds the address that it was asked from behind what others have said. So the last element is the nearest
proxy's, and is read first; all that stands before it may have been made up by whoever that proxy was asked by. That is
why the field is read from its end, and an element is the shortest end of it that is one: a quotation mark that a client
has left open takes nothing of what was added after it.
"""

import re
from collections.abc import Callable, Iterator
from ipaddress import ip_address

from flashpy.addresses import client_text

MOST = 32
"""Ends of a field that are looked at: more proxies than any request passes."""

Hops = Iterator[str | None]
"""Addresses as text, the nearest first; None for who is not named by an address."""

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_PAIR = rb'%b=(?:%b|"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*")' % (_TOKEN, _TOKEN)
_ELEMENT = re.compile(rb"(?:%b)?(?:;(?:%b)?)*" % (_PAIR, _PAIR))
_FOR = re.compile(rb'(?:^|;)for=(?:"((?:[^"\\]|\\.)*)"|([^";]*))', re.IGNORECASE)
_ESCAPED = re.compile(rb"\\(.)")
_PORT = rb"(?::(?:\d{1,5}|_[\w.\-]+))?"
_NODE = re.compile(rb"(?:(\d+\.\d+\.\d+\.\d+)|\[([0-9A-Fa-f:.]+)\])%b" % _PORT, re.ASCII)
_BARE = re.compile(rb"[0-9A-Fa-f:.]+")


def forwarded(value: bytes) -> Hops:
    """The nodes of Forwarded (RFC 7239, sections 4 and 6)."""
    for element in _ends(value, _ELEMENT.fullmatch):
        if element:
            found = _FOR.search(element)
            yield None if found is None else _address(_ESCAPED.sub(rb"\1", found[1] or found[2] or b""))


def x_forwarded_for(value: bytes) -> Hops:
    """The addresses of X-Forwarded-For; some proxies write the port too."""
    for element in _ends(value, lambda end: True):
        if element:
            yield _address(element)


HOPS: dict[bytes, Callable[[bytes], Hops]] = {b"forwarded": forwarded, b"x-forwarded-for": x_forwarded_for}
"""What reads each of the fields."""


def _ends(value: bytes, is_element: Callable[[bytes], object]) -> Iterator[bytes]:
    """The elements of a list (RFC 9110, 5.6.1) from the last to the first, without the blanks around them."""
    stop = at = len(value)
    for _ in range(MOST):
        at = value.rfind(b",", 0, at)
        if is_element(element := value[at + 1 : stop].strip(b" \t")):
            yield element
            stop = at
        if at < 0:
            return


def _address(node: bytes) -> str | None:
    match = _NODE.fullmatch(node)
    text = (match[1] or match[2]) if match else node if _BARE.fullmatch(node) else None
    if text is None:
        return None
    try:
        return client_text(ip_address(text.decode()))
    except ValueError:
        return None
