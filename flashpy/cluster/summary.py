"""Which targets a node has in memory, in few bytes: a Bloom filter, which errs towards "yes" and never towards "no"."""

from collections.abc import Iterable
from hashlib import blake2b
from itertools import islice

from msgspec import Struct

BITS_PER_TARGET = 10
"""With as many probes as below, one target in a hundred is taken for resident wrongly."""
PROBES = 7


class Probe(Struct, frozen=True, gc=False):
    """Two hashes of a target, from which those of all filters are made (Kirsch and Mitzenmacher, 2006)."""

    first: int
    second: int

    @classmethod
    def of(cls, target: bytes) -> "Probe":
        """The same in every process."""
        digest = blake2b(target, digest_size=16).digest()
        return cls(int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:], "big") | 1)

    def places(self, bits: int) -> Iterable[int]:
        """The bits that are set for it."""
        return ((self.first + number * self.second) % bits for number in range(PROBES))


class Summary(Struct, frozen=True):
    """A filter, as it is sent."""

    bits: bytes

    @classmethod
    def of(cls, targets: Iterable[bytes], most: int) -> "Summary":
        """Of the first targets, so many at most: the most important come first."""
        chosen = list(islice(targets, most))
        bits = bytearray(max(1, -(-len(chosen) * BITS_PER_TARGET // 8)))
        for target in chosen:
            for place in Probe.of(target).places(8 * len(bits)):
                bits[place >> 3] |= 1 << (place & 7)
        return cls(bytes(bits))

    def has(self, probe: Probe) -> bool:
        """Whether a target is in memory, most likely."""
        bits = self.bits
        return all(bits[place >> 3] & 1 << (place & 7) for place in probe.places(8 * len(bits)))
