"""Starts the process that speaks with etcd, and waits for its word. aetcd is not imported here."""

import os
import socket
import subprocess
import sys

import msgspec

from flashpy.errors import StartError
from flashpy.settings import ClusterSection, EtcdSection

ACTIVE = b"active"
LONGEST = 1 << 16
"""Bytes of an order at most."""


class Order(msgspec.Struct):
    """What the process is to do. ``control`` is the front-end's control socket, which a node has not; ``fixed`` are the
    nodes that the configuration lists."""

    etcd: EtcdSection
    control: str
    fixed: list[str]
    parent: int


def start(cluster: ClusterSection) -> socket.socket:
    """Start it. It ends when this socket, and all copies of it in processes that were forked, are closed.

    Raises:
        StartError: it cannot be run.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        command = [sys.executable, "-m", "flashpy.cluster.etcd.companion", str(theirs.fileno())]
        try:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=(theirs.fileno(),))
        except OSError as error:
            ours.close()
            raise StartError(f"The process for etcd cannot be started: {error.strerror}.") from None
    process.returncode = 0  # nobody waits for it: it outlives us by a moment
    control = cluster.control if cluster.role == "front" else ""
    fixed = [node.name for node in cluster.node]
    ours.send(msgspec.json.encode(Order(cluster.etcd, control, fixed, os.getpid())))
    return ours


def wait_until_active(link: socket.socket) -> None:
    """Stand by, for as long as another front-end is active.

    Raises:
        StartError: the process for etcd has ended.
    """
    if link.recv(len(ACTIVE)) != ACTIVE:
        raise StartError("The process for etcd has ended.")
