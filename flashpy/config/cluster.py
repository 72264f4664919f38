"""What is wrong with a cluster's settings that a type cannot say."""

from collections import Counter
from collections.abc import Callable, Iterator

from flashpy.addresses import Inherited, parse
from flashpy.config.files import Keys, dotted
from flashpy.errors import ConfigError
from flashpy.libraries import has_etcd
from flashpy.settings import ClusterSection, Config

LONGEST_HEAD = 128 * 1024
"""Bytes of a head that fit into a message beside what may be read behind it (cluster.messages)."""
Finding = tuple[Keys, str]
"""A key, and what is wrong with it in a sentence."""


def check_cluster(config: Config, place: Callable[[Keys], str]) -> None:
    """Refuse what no part of a cluster can work with.

    Raises:
        ConfigError: with the first that is found.
    """
    for keys, why in _findings(config):
        raise ConfigError(f"{place(keys)}: {dotted(keys)}: {why}")


def _findings(config: Config) -> Iterator[Finding]:
    cluster, server = config.cluster, config.server
    if cluster.role:
        what = "a front-end" if cluster.role == "front" else "a node"
        if server.workers != 1:
            yield ("server", "workers"), f"{what} has one worker, which knows what it has in memory; leave it out."
        if server.architecture != "amped":
            yield ("server", "architecture"), f"{what} has one of its own; leave it out."
        if config.limits.head > LONGEST_HEAD:
            yield ("limits", "head"), f"{what} takes heads of up to {LONGEST_HEAD:,} bytes; lower it."
        if server.reload:
            yield ("server", "reload"), f"{what} does not have it; leave it out."
    yield from _etcd(cluster)
    if cluster.role == "front":
        yield from _front(config, cluster)
    elif cluster.control or cluster.node:
        key = "control" if cluster.control else "node"
        yield ("cluster", key), "it is for a front-end alone; start it with `flashpy front`."
    if cluster.role == "node":
        if not cluster.listen and not config.addresses:
            yield ("cluster", "listen"), "a node takes this, or server.bind: else nobody reaches it."
    elif cluster.listen:
        yield ("cluster", "listen"), "it is for a node alone; start it with `flashpy node`."


def _etcd(cluster: ClusterSection) -> Iterator[Finding]:
    etcd = cluster.etcd
    if not etcd.endpoints:
        return
    if not has_etcd():
        yield ("cluster", "etcd"), "it takes aetcd; install it with: pip install 'flashpy-server[etcd]'."
    from flashpy.cluster.membership import endpoint  # nothing of a cluster is imported by who has no part in one

    for text in etcd.endpoints:
        try:
            endpoint(text)
        except ValueError as error:
            yield ("cluster", "etcd", "endpoints"), str(error)
    if cluster.role == "front" and not cluster.control:
        yield (
            ("cluster", "control"),
            "a front-end with cluster.etcd takes this: there it is told of the nodes.",
        )
    if cluster.role and (not etcd.name or "/" in etcd.name):
        yield ("cluster", "etcd", "name"), "it takes a name of its own, without a slash."
    if cluster.role == "node" and (why := _why_no_address(etcd.address)):
        yield ("cluster", "etcd", "address"), why


def _front(config: Config, cluster: ClusterSection) -> Iterator[Finding]:
    if not cluster.node and not cluster.etcd.endpoints:
        yield ("cluster", "node"), "a front-end takes at least one; write [[cluster.node]] with a name and an address."
    if config.limits.requests_per_second_per_client:
        rate = ("limits", "requests_per_second_per_client")
        yield rate, "a front-end does not see all requests; set it at the nodes."
    for name, count in Counter(node.name for node in cluster.node).items():
        if count > 1:
            yield ("cluster", "node"), f"{count} nodes are called {name!r}; each takes a name of its own."
    for number, node in enumerate(cluster.node):
        keys: Keys = ("cluster", "node", str(number))
        if not node.handoff and not node.address:
            yield keys, f"the node {node.name} takes handoff or address: else nobody reaches it."
        if node.address and (why := _why_no_address(node.address)):
            yield (*keys, "address"), why


def _why_no_address(text: str) -> str:
    try:
        address = parse(text)
    except ValueError as error:
        return str(error)
    if isinstance(address, Inherited) or text.startswith(":"):
        return f"{text!r} does not say where the node is; write host:port or unix:PATH."
    return ""
