"""A directory as a tar archive: an aggregate that is made file by file, while it is sent.

A helper has walked through the directory before (job.walk), so the length is known, and the archive is of the files of
that moment: one that has gone since or has another size ends the answer too early, which its length shows.
"""

from urllib.parse import quote

from flashpy.buffers import Aggregate, Descriptor, Lazy, Slice, length_of
from flashpy.job.entries import TREE_BEGIN, Entry, tree_entry, tree_length
from flashpy.job.kinds import Outcome, Result, Translate, Walk
from flashpy.job.tar import END, header, padding

_TOGETHER = 100
"""Entries without content whose headers are made in one go, at most."""


class Archive:
    """The archive of what a walk has found, in the file ``tree``. Helpers read files of up to ``small`` bytes."""

    __slots__ = ("_name", "_template", "_tree", "length")

    def __init__(self, job: Walk, tree: Descriptor, small: int) -> None:
        self._template = Translate(job.roots, job.path, small=small)
        self._name = job.name
        self._tree = tree
        self.length = tree_length(tree)

    def body(self) -> Aggregate:
        """The whole archive."""
        return self.headers(TREE_BEGIN, b"", self.length)

    def headers(self, position: int, first: bytes, length: int) -> Aggregate:
        """What is left, ``length`` bytes that begin with ``first``, from the entry at ``position`` of the tree on:
        headers, up to that of an entry that has content, and then the rest."""
        parts = [first]
        for _ in range(_TOGETHER):
            found = tree_entry(self._tree, position)
            if found is None:
                return (b"".join((*parts, END)),)
            entry, position = found
            parts.append(header(self._name, entry))
            if entry.size and not entry.is_directory:
                made = b"".join(parts)
                return made, _Content(self, entry, position, length - len(made))
        made = b"".join(parts)
        return made, _Headers(self, position, length - len(made))

    def translation(self, entry: Entry) -> Translate:
        """The job that opens a file."""
        return self._template._replace(path=self._template.path + entry.name)


class _Headers(Lazy):
    """What is left of an archive, from an entry's header on."""

    __slots__ = ("_archive", "_position")

    def __init__(self, archive: Archive, position: int, length: int) -> None:
        super().__init__(length)
        self._archive = archive
        self._position = position

    def make(self, result: Result | None = None) -> Aggregate:
        """More headers, and what then follows."""
        return self._archive.headers(self._position, b"", self.length)


class _Content(Lazy):
    """What is left of an archive, from an entry's content on; the next entry is at ``position``."""

    __slots__ = ("_archive", "_entry", "_position")

    def __init__(self, archive: Archive, entry: Entry, position: int, length: int) -> None:
        super().__init__(length)
        self._archive = archive
        self._entry = entry
        self._position = position

    def make(self, result: Result | None = None) -> Aggregate | Translate | None:
        """The job that opens the file; with its result the content, and what then follows."""
        if result is None:
            return self._archive.translation(self._entry)
        size = self._entry.size
        if result.outcome is not Outcome.FILE or result.identity is None or result.identity.size != size:
            return None
        content = Slice(result.file, 0, size) if result.file is not None else result.body
        assert content is not None
        left = self.length - length_of((content,))
        return content, *self._archive.headers(self._position, padding(size), left)


def disposition(name: bytes) -> bytes:
    """The value of Content-Disposition (RFC 6266): a file name for all, and the very one for those who know UTF-8."""
    text = name.decode("utf-8", "replace") + ".tar"
    plain = "".join(
        letter if letter.isascii() and letter.isprintable() and letter not in '"\\%' else "_" for letter in text
    )
    extended = "" if plain == text else f"; filename*=UTF-8''{quote(text, safe='')}"
    return f'attachment; filename="{plain}"{extended}'.encode("ascii")
