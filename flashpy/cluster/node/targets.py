"""Targets that are a node's own, and those that it has in memory, as far as it knows. Pure."""

from collections.abc import Iterable

from flashpy.cluster.summary import Summary

MOST = 16_384
"""Targets that are remembered; what has been asked for longest ago is forgotten first."""
SUMMARISED = 8_192
"""Targets in a summary at most: 10 KiB."""


class Targets:
    """What has been handed to this node. It is forgotten, too, which costs its next request on a connection from
    elsewhere a way by the front-end."""

    __slots__ = ("_most", "_own")

    def __init__(self, most: int = MOST) -> None:
        self._own: dict[bytes, bool] = {}  # whether it was at hand, by target; the last asked for last
        self._most = most

    def __contains__(self, target: object) -> bool:
        return target in self._own

    def __len__(self) -> int:
        return len(self._own)

    def handed(self, target: bytes) -> None:
        """A request for a target has been handed over: it is ours."""
        self._own[target] = self._own.pop(target, False)
        if len(self._own) > self._most:
            del self._own[next(iter(self._own))]

    def answered(self, target: bytes, at_hand: bool) -> None:
        """It has been answered, so it is in memory now or will be soon; ``at_hand``: it was before."""
        if target in self._own:
            self._own[target] = at_hand

    def disown(self, targets: Iterable[bytes]) -> None:
        """They are others' now."""
        for target in targets:
            self._own.pop(target, None)

    def summary(self) -> Summary:
        """Those that were at hand when they were asked for last."""
        return Summary.of((target for target in reversed(self._own) if self._own[target]), SUMMARISED)
