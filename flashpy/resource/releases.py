"""Earlier releases of a root: what they had under names with a content hash is served for a while longer.

A page of the release before may still be open in a browser, or in a cache, and ask for its scripts only now. Such a
name stands for one content for ever, so it does not matter which release has it.
"""

from flashpy.routing.content_hash import has_content_hash

MOST = 5
"""Releases that are kept in mind."""


class Previous:
    """The places of the releases before, each for ``keep`` seconds after another has come into its place."""

    __slots__ = ("_keep", "_places")

    def __init__(self, keep: float) -> None:
        self._keep = keep
        self._places: dict[bytes, float] = {}  # and until when; the last is the youngest

    def add(self, place: bytes, now: float) -> None:
        """A release is none any more (``now`` is monotonic)."""
        self._places.pop(place, None)
        if self._keep:
            self._places[place] = now + self._keep
        while len(self._places) > MOST:
            del self._places[next(iter(self._places))]

    def roots(self, path: bytes, now: float) -> tuple[bytes, ...]:
        """Where to look for what the present release has not: the directory first; nothing, if nowhere."""
        if not self._places or not has_content_hash(path.rpartition(b"/")[2]):
            return ()
        return next(((place,) for place, until in reversed(self._places.items()) if until > now), ())
