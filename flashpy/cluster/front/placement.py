"""A node chosen for a request: it counts as loaded until the placement is released."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flashpy.cluster.front.member import Member


class Placement:
    """``expected``: the node is believed to have the target in memory. ``stays``: whoever has chosen does not look at
    targets, so the node may keep the connection. ``begun``: somebody has taken it, and will release it."""

    __slots__ = ("_release", "begun", "expected", "member", "stays")

    def __init__(self, member: "Member", expected: bool, stays: bool, release: "Callable[[Member], None]") -> None:
        self.member = member
        self.expected = expected
        self.stays = stays
        self.begun = False
        self._release: Callable[[Member], None] | None = release

    def release(self) -> None:
        """The node has nothing more to do with it."""
        if self._release is not None:
            release, self._release = self._release, None
            release(self.member)
