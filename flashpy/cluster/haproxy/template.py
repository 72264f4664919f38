"""A configuration of HAProxy that can be driven."""

from collections.abc import Sequence

from flashpy.cluster.haproxy.speech import LOG_FORMAT

TABLE = "nodes"
"""The backend, and the stick table, which is its own."""

_TEMPLATE = """\
# HAProxy (2.4 or later) for flashpy lard-haproxy, which is to run as the same user.

global
    # The command line by which it is driven.
    stats socket {admin} mode 600 level admin
    # A line for each request. With chroot, the path of a Unix socket is one beneath that directory.
    log {log} len 1024 format raw local0

defaults
    mode http
    log global
    option redispatch
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    timeout http-keep-alive 30s

frontend web
    bind {listen}
    # A target is known by this number, and what a client has sent does not come into the log.
    http-request set-var(txn.lard) path,xxh32
    log-format "{log_format}"
    default_backend {table}

backend {table}
    # Where a target goes that is in the table; filled by flashpy lard-haproxy.
    stick-table type integer size 100k expire 1h store server_id
    stick match path,xxh32
    # Where all others go: consistent hashing with bounded loads.
    balance uri
    hash-type consistent
    hash-balance-factor 125
    http-reuse always
"""


def template(nodes: Sequence[str], listen: str, admin: str, log: str) -> str:
    """The configuration for nodes (``host:port`` each) behind an address to listen on.

    ``admin`` is the path of the stats socket; ``log`` is the log's address as HAProxy writes it: a path or host:port.
    """
    head = _TEMPLATE.format(listen=listen, admin=admin, log=log, log_format=LOG_FORMAT, table=TABLE)
    servers = (f"    server node{number} {node} check" for number, node in enumerate(nodes, start=1))
    return head + "\n".join(servers) + "\n"
