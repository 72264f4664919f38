"""Releases: which directory a root is now, and which ones it has been lately.

A deployment switches a symbolic link, or renames another directory into the root's place. As soon as one look finds
that, all that is known of the release before is forgotten, so that nobody gets a page of the one and then a script of
the other.

What the releases before had under names with a content hash may be served for a while longer: a page of theirs may
still be open in a browser, or in a cache, and ask for its scripts only now. Such a name stands for one content for
ever, so it does not matter which release has it.
"""

from flashpy.job.kinds import Outcome, Result, Translate
from flashpy.routing.content_hash import has_content_hash

MOST = 5
"""Releases that are kept in mind."""


class Releases:
    """The release that a root is (``present``; empty if nobody has looked yet), and for ``keep`` seconds where those
    before are."""

    __slots__ = ("_before", "_keep", "_place", "present")

    def __init__(self, keep: float) -> None:
        self._keep = keep
        self._place = b""
        self._before: dict[bytes, float] = {}  # places, and until when; the last is the youngest
        self.present = b""

    def is_another(self, result: Result, now: float) -> bool:
        """Whether the result of a translation is of another directory than the one that the root is (``now`` is
        monotonic). If the root has become another, that is the present one from now on."""
        release = result.release
        if not release or (release == self.present and result.outcome is not Outcome.MOVED):
            return False
        assert isinstance(result.job, Translate)
        if not self.present:
            self._take(result)
            return False
        if result.job.release == self.present:  # else the look began before the last change
            self._leave(now)
            self._take(result)
        return True

    def before(self, path: bytes, now: float) -> tuple[bytes, ...]:
        """Where to look for what the present release has not, the youngest first; nowhere if its name has no hash."""
        if not self._before or not has_content_hash(path.rpartition(b"/")[2]):
            return ()
        return tuple(place for place, until in reversed(self._before.items()) if until > now)

    def _take(self, result: Result) -> None:
        self.present = result.release
        self._place = result.place

    def _leave(self, now: float) -> None:
        """What is present is so no more."""
        self._before.pop(self._place, None)
        if self._keep:
            self._before[self._place] = now + self._keep
        while len(self._before) > MOST:
            del self._before[next(iter(self._before))]
