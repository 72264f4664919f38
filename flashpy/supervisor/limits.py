"""The limit on open files, which the supervisor raises for its workers."""

import logging
import os
import resource

from flashpy.settings import Config

RESERVED_DESCRIPTORS = 128
"""For sockets and pipes of our own, logs, and descriptors on their way from helpers."""


def raise_descriptor_limit(config: Config) -> None:
    """Raise the soft limit on open files to what a worker needs."""
    needed = _needed(config)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    if limit < needed:
        logging.getLogger("flashpy").warning(
            "The hard limit on open files is %d, but %d may be needed; raise it (ulimit -n), or lower "
            "limits.connections or cache.descriptors.",
            hard,
            needed,
        )


def grow_descriptor_table(config: Config) -> None:
    """Let the kernel's table of this process's descriptors have its full size now: later, growing waits for RCU."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = _needed(config)
    os.close(os.dup2(0, (needed if soft == resource.RLIM_INFINITY else min(needed, soft)) - 1, inheritable=False))


def _needed(config: Config) -> int:
    return config.limits.connections + config.cache.descriptors + config.helpers.total + RESERVED_DESCRIPTORS
