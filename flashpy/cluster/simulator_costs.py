"""What it costs a simulated node to answer: the machine of the LARD paper, and one of today."""

from collections.abc import Mapping

from msgspec import Struct


class Costs(Struct, frozen=True):
    """Times in seconds, sizes in bytes. Parts of a block, a page or a piece cost as much as a whole one."""

    connect: float
    """Of the processor, for setting a connection up and reading the request."""
    disconnect: float
    """Of the processor, for tearing it down."""
    block: int
    send: float
    """Of the processor, for each block that is sent."""
    latency: float
    """Of the disk, until it has the beginning of a file."""
    page: int
    read: float
    """Of the disk, for each page."""
    piece: int
    """Files are read and sent in pieces, which take turns with those of others."""
    seek: float
    """Of the disk, before each piece but the first."""
    channels: int
    """Reads that the disk carries out at a time."""
    bandwidth: float
    """Of the network, in bytes a second."""
    report: float
    """How often the nodes report."""


COSTS: Mapping[str, Costs] = {
    # Pai et al., ASPLOS 1998, section 3.1: Pentium II at 300 MHz, one disk, a network that takes no time.
    "paper": Costs(
        connect=145e-6,
        disconnect=145e-6,
        block=512,
        send=40e-6,
        latency=28e-3,
        page=4096,
        read=410e-6,
        piece=45_056,
        seek=14e-3,
        channels=1,
        bandwidth=float("inf"),
        report=1.0,
    ),
    # flashpy's own CPU seconds (benchmarks/results/peers.json: "new" against "1KiB" for the connection, "1KiB" against
    # "1MiB" for what is sent), one NVMe disk of 88,000 reads a second and 3 GB/s, a network of 10 Gb/s.
    "modern": Costs(
        connect=18.6e-6,
        disconnect=10.9e-6,
        block=512,
        send=0.07e-6,
        latency=80e-6,
        page=4096,
        read=11e-6,
        piece=262_144,
        seek=0.0,
        channels=8,
        bandwidth=1.25e9,
        report=0.01,
    ),
}


def rounded(size: int, unit: int) -> int:
    """How many units it takes."""
    return -(-size // unit)
