"""All policies by name."""

from collections.abc import Callable, Mapping

from flashpy.cluster.adaptive import AdaptiveLard
from flashpy.cluster.balancing import LeastLoaded, RoundRobin, TwoChoices
from flashpy.cluster.choosing import Asked, Parameters, Policy, Report, Thresholds
from flashpy.cluster.globalcache import GlobalCache
from flashpy.cluster.hashing import BoundedHashed, Hashed
from flashpy.cluster.lard import Lard, LardR
from flashpy.cluster.persistent import PersistentLard

__all__ = ["POLICIES", "Asked", "Parameters", "Policy", "Report", "Thresholds", "policy"]

POLICIES: Mapping[str, Callable[[Parameters], Policy]] = {
    "rr": RoundRobin,
    "wrr": LeastLoaded,
    "p2c": TwoChoices,
    "hash": Hashed,
    "chbl": BoundedHashed,
    "lb-gc": GlobalCache,
    "lard": Lard,
    "lard-r": LardR,
    "lard-p": PersistentLard,
    "lard-a": AdaptiveLard,
}


def policy(name: str, parameters: Parameters = Parameters()) -> Policy:  # noqa: B008 - it is frozen
    """A policy of this name, which knows of nothing yet.

    Raises:
        ValueError: there is none of this name.
    """
    make = POLICIES.get(name)
    if make is None:
        raise ValueError(f"There is no policy {name!r}; there are {', '.join(POLICIES)}.")
    return make(parameters)
