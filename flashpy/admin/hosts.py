"""Which Host fields are answered on an admin address. Pure."""

from collections.abc import Collection
from ipaddress import ip_address


def is_ours(host: bytes, names: Collection[str]) -> bool:
    """Whether a Host field means this server.

    A page of anybody's may have its own name resolved to a loopback address, and then read what is there as if it were
    its own (DNS rebinding). Such a request has that name in its Host; so only numbers, localhost (RFC 6761, 6.3) and
    names that the configuration gives are answered.
    """
    text = host.decode("latin-1").lower()
    name = text[1:].partition("]")[0] if text.startswith("[") else text.partition(":")[0].rstrip(".")
    if name in ("", "localhost") or name.endswith(".localhost") or name in names:
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
