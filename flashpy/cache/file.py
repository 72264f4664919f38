"""The file cache: the bytes of small files, the open descriptors of larger ones (Flash, section 5.4)."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from flashpy.buffers import Descriptor, Slice
from flashpy.cache.clock import Clock
from flashpy.job.kinds import Identity

if TYPE_CHECKING:
    from flashpy.cache.header import Representation


class Content:
    """One version of a file's content: in memory, or behind an open descriptor."""

    __slots__ = ("cost", "data", "identity", "used", "users")

    def __init__(self, identity: Identity, data: bytes | Descriptor) -> None:
        self.identity = identity
        self.data: bytes | Slice
        if isinstance(data, Descriptor):
            self.data, self.cost = Slice(data, 0, identity.size), 0
        else:
            self.data, self.cost = data, len(data) + 200
        self.used = False
        self.users: list[Representation] = []

    def let_go(self, deprived: "Callable[[Representation], None] | None" = None) -> None:
        """It has left its cache: nobody else is to hold it for long. ``deprived`` is told who has lost it."""
        for user in self.users:
            user.let_go_content()
            if deprived is not None:
                deprived(user)
        self.users.clear()


MOST_SEEN = 8_192
"""Contents that were turned away and are kept in mind; what is not asked for again among so many others is no loss."""


class FileCache:
    """Contents by identity, with a budget of bytes for those in memory and one of descriptors for the others.

    Once a budget is used up, a content comes in only when it is asked for the second time: so a crawler that reads
    everything once does not drive out what is asked for all the time (as a ghost list does in 2Q and ARC).

    ``deprived`` is told of each representation that has lost its content.
    """

    __slots__ = ("_bodies", "_deprived", "_descriptors", "_seen")

    def __init__(
        self, entries: int, size: int, descriptors: int, deprived: Callable[["Representation"], None] | None = None
    ) -> None:
        self._bodies: Clock[Identity, Content] = Clock(entries, size, self._let_go)
        self._descriptors: Clock[Identity, Content] = Clock(descriptors, 0, self._let_go)
        self._seen: set[int] = set()
        self._deprived = deprived

    def __len__(self) -> int:
        return len(self._bodies) + len(self._descriptors)

    def get(self, identity: Identity) -> Content | None:
        """The content of this version, if it is kept."""
        return self._bodies.get(identity) or self._descriptors.get(identity)

    def put(self, content: Content) -> None:
        """Keep a content, if it is worth it; else it is let go at once."""
        cache = self._descriptors if isinstance(content.data, Slice) else self._bodies
        if cache.has_room_for(content) or self._has_been_seen(content.identity):
            cache.put(content.identity, content)
        else:
            self._let_go(content)

    def _has_been_seen(self, identity: Identity) -> bool:
        sighting = hash(identity)
        if sighting in self._seen:
            return True
        if len(self._seen) >= MOST_SEEN:
            self._seen.clear()
        self._seen.add(sighting)
        return False

    def drop(self, identity: Identity) -> None:
        """Forget a version that has been replaced, so that a deleted file's space is given back."""
        self._bodies.drop(identity)
        self._descriptors.drop(identity)

    def snapshot(self) -> dict[str, int]:
        """How full the cache is."""
        return {
            "bodies": len(self._bodies),
            "bytes": self._bodies.cost,
            "descriptors": len(self._descriptors),
        }

    def snapshots(self) -> dict[str, dict[str, int]]:
        """How full the two parts of the cache are (Clock.snapshot)."""
        return {"file": self._bodies.snapshot(), "descriptor": self._descriptors.snapshot()}

    def _let_go(self, content: Content) -> None:
        content.let_go(self._deprived)
