"""Flash's three caches, as all roots of a server share them (Flash, sections 5.2 to 5.4)."""

from flashpy.cache.coded import CodedCache, coded_cache
from flashpy.cache.file import FileCache
from flashpy.cache.header import HeaderCache, Representation, header_cache
from flashpy.cache.pathname import PathnameCache, pathname_cache
from flashpy.settings import CacheSection


class Caches:
    """The pathname, header and file caches, each with its budgets, and what was coded on the fly.

    Keys of the pathname cache begin with the tag of a root, so that one budget serves all roots. The others go by a
    file's identity, whatever the way to it.
    """

    __slots__ = ("coded", "files", "headers", "misses", "pathnames", "settings")

    def __init__(self, settings: CacheSection) -> None:
        self.settings = settings
        self.pathnames: PathnameCache = pathname_cache(settings.pathname_entries, settings.pathname_bytes)
        self.headers: HeaderCache = header_cache(settings.header_entries, settings.header_bytes)
        self.coded: CodedCache = coded_cache(settings.coded_entries, settings.coded_bytes)
        self.misses = {"pathname": 0, "header": 0, "file": 0}  # requests that found nothing there
        self.files = FileCache(settings.file_entries, settings.file_bytes, settings.descriptors, self._deprived)

    def _deprived(self, representation: Representation) -> None:
        """A representation without its content takes a helper's work as one that is not there does: it goes first."""
        self.headers.demote((representation.identity, representation.variant))

    def snapshot(self) -> dict[str, object]:
        """How full they are."""
        return {
            "pathnames": len(self.pathnames),
            "pathname_bytes": self.pathnames.cost,
            "headers": len(self.headers),
            "header_bytes": self.headers.cost,
            **self.files.snapshot(),
            "coded": len(self.coded),
            "coded_bytes": self.coded.cost,
            "caches": self._each(),
        }

    def _each(self) -> dict[str, dict[str, int]]:
        """Of each cache how full it is (Clock.snapshot), and how many requests found nothing there."""
        found = {"pathname": self.pathnames.snapshot(), "header": self.headers.snapshot(), **self.files.snapshots()}
        found["coded"] = self.coded.snapshot()
        return {name: snapshot | {"misses": self.misses.get(name, 0)} for name, snapshot in found.items()}
