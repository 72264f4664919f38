"""Who a client is whose requests a proxy hands on. A proxy is believed only if its own address is trusted."""

from collections.abc import Sequence

from flashpy.access.networks import Networks
from flashpy.http.forwarded import HOPS
from flashpy.http.request import Request

MOST_REMEMBERED = 4_096
LONGEST_REMEMBERED = 256
"""Values of the field that are remembered with what they say, and their length in bytes at most."""


class Forwarding:
    """The networks of proxies that are trusted, and the field in which they say who has asked them."""

    __slots__ = ("_field", "_hops", "_remembered", "_trusted", "trusts")

    def __init__(self, trusted: Sequence[str], field: str) -> None:
        """``trusted`` are networks (see access.networks), at least one.

        Raises:
            ValueError: a network is not understood; its text is a sentence.
        """
        self._trusted = Networks(allow=trusted)
        self.trusts = self._trusted.allows
        self._field = field.lower().encode()
        self._hops = HOPS[self._field]
        self._remembered: dict[tuple[str, bytes], str] = {}

    def client_of(self, request: Request, peer: str) -> str:
        """Who has made a request that came from this peer: the last address in the field that is not a trusted proxy's.

        Where the field names nobody by an address, it is the last who is known; where all are trusted, the first.
        """
        if not self.trusts(peer):
            return peer
        value = request.fields.get(self._field)
        if value is None:
            return peer
        key = (peer, value)
        client = self._remembered.get(key)
        if client is None:
            client = self._read(value, peer)
            if len(value) <= LONGEST_REMEMBERED:
                if len(self._remembered) >= MOST_REMEMBERED:
                    self._remembered.clear()
                self._remembered[key] = client
        return client

    def _read(self, value: bytes, peer: str) -> str:
        client = peer
        for hop in self._hops(value):
            if hop is None:
                break
            client = hop
            if not self.trusts(hop):
                break
        return client
