"""Addresses without ".html", and whether they end in a slash: what to look for, and where else to lead.

Three things are to be asked of a policy. Before anything is looked for: ``redirect``. Then the names to look for in
their order: ``tries``; the first that is found answers, or leads on. Where a name without a slash turns out to be a
directory: ``directory``.

==========  ======================  ==================  ===================
address     "auto"                  "always"            "never"
==========  ======================  ==================  ===================
/a.txt      the file                the file            the file
/dir        leads to /dir/          leads to /dir/      index of the directory
/dir/       index of the directory  index               leads to /dir
/page       page.html (*)           leads to /page/     page.html (*)
/page/      leads to /page (*)      page.html (*)       leads to /page
/page.html  leads to /page (*)      leads to /page/ (*) leads to /page (*)
==========  ======================  ==================  ===================

(*) with clean addresses; without them, page.html is just a file. Where there are both page.html and a directory page/,
"/page" is the one and "/page/" the other. What is called page.html.html keeps its name.
"""

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

from flashpy.routing.globs import compile_globs
from flashpy.routing.pages import has_extension

Slash = Literal["auto", "always", "never"]

HTML = b".html"


class Try(NamedTuple):
    """A path to look for; one that ends in a slash is a directory, for its index.

    If it is found, it answers; or, with ``moved``, the answer is a redirect to there.
    """

    path: bytes
    moved: bytes | None = None


class Policy:
    """How addresses of pages look.

    ``clean`` is whether they have no ".html": of all pages, of none, or of those that match one of some globs.
    ``index`` is of the names that answer for a directory.

    Raises:
        ValueError: a pattern is none; in one sentence.
    """

    __slots__ = ("_clean", "_index", "_slash")

    def __init__(
        self,
        clean: bool | Sequence[str] = False,
        slash: Slash = "auto",
        index: Sequence[bytes] = (b"index.html",),
    ) -> None:
        globs = (["**"] if clean else []) if isinstance(clean, bool) else clean
        self._clean: re.Pattern[bytes] | None = compile_globs(globs)
        self._slash = slash
        self._index = tuple(name for name in index if name.endswith(HTML))

    def redirect(self, path: bytes) -> bytes | None:
        """Where an address leads by its form alone; None if it is as it should be.

        With "always", whatever has no file extension is given a slash. It is 301 that is meant, with the query kept.
        """
        led = self._without_html(path) if self._is_clean(path) else path
        if self._slash == "never" and led.endswith(b"/"):
            led = led[:-1] or b"/"
        elif self._slash == "always" and not led.endswith(b"/") and not has_extension(led):
            led += b"/"
        return led if led != path else None

    def tries(self, path: bytes) -> tuple[Try, ...]:
        """What to look for in the place of a path; it is the first itself."""
        name = path.removesuffix(b"/")
        if not name:
            return (Try(path),)
        clean = self._is_clean(path) and not name.endswith(HTML)
        found = [Try(path)]
        if path != name:
            if self._slash == "always":
                found += [Try(name + HTML), Try(name)] if clean else [Try(name)]
            elif clean:
                found.append(Try(name + HTML, moved=name))
        else:
            if clean:
                found.append(Try(name + HTML))
            if self._slash == "never":
                found.append(Try(name + b"/"))
        return tuple(found)

    def directory(self, path: bytes) -> bytes | None:
        """Where the address of a directory without the closing slash leads; None if its index answers there."""
        return None if self._slash == "never" else path + b"/"

    def _is_clean(self, path: bytes) -> bool:
        return self._clean is not None and self._clean.fullmatch(path) is not None

    def _without_html(self, path: bytes) -> bytes:
        """The address of a page's file: "/about" of "/about.html", "/docs/" of "/docs/index.html"."""
        folder, _, name = path.rpartition(b"/")
        if name in self._index:
            return folder + b"/"
        stem = name.removesuffix(HTML)
        return path if stem in (b"", name) or stem.endswith(HTML) else path[: -len(HTML)]
