"""Which clients' networks may ask.

Of all networks that an address lies in, the most specific decides, whichever list has it: so the order of the lists
never matters. Where nothing is said of an address, it may ask unless there is a list of those who may.
"""

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

UNIX = "unix:"
"""Every client of a Unix socket, in a list as in what event.sockets calls a client."""

MOST_REMEMBERED = 4_096
"""Verdicts that are kept. A client asks many times; judging one anew takes a few microseconds."""

_MAPPED = IPv6Network("::ffff:0:0/96")  # RFC 4291, 2.5.5.2

Network = IPv4Network | IPv6Network


class Networks:
    """An allow list and a deny list, together."""

    __slots__ = ("_otherwise", "_remembered", "_tables", "_unix")

    def __init__(self, allow: Iterable[str] = (), deny: Iterable[str] = ()) -> None:
        """Networks are written ``192.0.2.0/24`` or ``2001:db8::/32``, single addresses without a prefix.

        Raises:
            ValueError: one is not understood, or is in both lists; its text is a sentence.
        """
        verdicts: dict[Network | str, bool] = {}
        for text, verdict in [*((text, True) for text in allow), *((text, False) for text in deny)]:
            network = parse_network(text)
            if verdicts.setdefault(network, verdict) is not verdict:
                raise ValueError(f"{text} is both allowed and denied; say which.")
        self._otherwise = True not in verdicts.values()
        self._unix = verdicts.pop(UNIX, self._otherwise)
        tables: dict[tuple[int, int], dict[int, bool]] = {}
        for network, verdict in verdicts.items():
            assert not isinstance(network, str)
            shift = network.max_prefixlen - network.prefixlen
            table = tables.setdefault((network.version, shift), {})
            table[int(network.network_address) >> shift] = verdict
        self._tables = sorted(tables.items())  # for each version, the longest prefixes first
        self._remembered: dict[str, bool] = {}

    def allows(self, client: str) -> bool:
        """Whether a client may ask: an address as text, or "unix:" (or nothing) for a Unix socket."""
        verdict = self._remembered.get(client)
        if verdict is None:
            if len(self._remembered) >= MOST_REMEMBERED:
                self._remembered.clear()
            verdict = self._remembered[client] = self._judge(client)
        return verdict

    def _judge(self, client: str) -> bool:
        if client in (UNIX, ""):
            return self._unix
        try:
            address = ip_address(client)
        except ValueError:  # no socket gives such a one: who cannot be judged may not ask
            return False
        if isinstance(address, IPv6Address):
            address = address.ipv4_mapped or address
        number = int(address)
        for (version, shift), table in self._tables:
            if version == address.version and (verdict := table.get(number >> shift)) is not None:
                return verdict
        return self._otherwise


def parse_network(text: str) -> Network | str:
    """A network, or ``UNIX``. An IPv4 network that is written as IPv6 (``::ffff:192.0.2.0/120``) is that of IPv4.

    Raises:
        ValueError: it is not understood; its text is a sentence.
    """
    if text == UNIX:
        return UNIX
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        network = None
    if network is None or "%" in text:
        raise ValueError(f"{text!r} is no network; write an address, a network such as 192.0.2.0/24, or {UNIX}.")
    if "/" in text and ip_address(text.partition("/")[0]) != network.network_address:
        raise ValueError(f"{text} is an address within a network; for all of the network write {network}.")
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        mapped = network.network_address.ipv4_mapped
        assert mapped is not None
        return IPv4Network((int(mapped), network.prefixlen - 96))
    return network


def household(client: str) -> str:
    """Whose address this is, for whoever counts clients: IPv6 gives each the 64 bits of a whole network (RFC 6177),
    so those of one /64 count as one."""
    if ":" not in client or client == UNIX:
        return client
    try:
        address = IPv6Address(client)
    except ValueError:
        return client
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return f"{IPv6Address(int(address) >> 64 << 64)}/64"
