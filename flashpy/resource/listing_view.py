"""What a listing shows in any form: a page of a directory, and the queries that lead to others; the plain forms."""

import json
from datetime import datetime, timedelta
from typing import NamedTuple
from urllib.parse import urlencode

from flashpy.http.target import quote_path
from flashpy.job.entries import Entry, Listing
from flashpy.job.kinds import Sort
from flashpy.resource.names import text_of, visible

SORTS = {"name": Sort.NAME, "size": Sort.SIZE, "time": Sort.TIME}
SORT_NAMES = {sort: name for name, sort in SORTS.items()}
ORDERS = {"asc": False, "desc": True}
_ORDER_NAMES = ("asc", "desc")
_EPOCH = datetime(1970, 1, 1)


class View(NamedTuple):
    """A page of a directory, at the path that was asked for, and what was searched for in it. ``archive`` says that
    all of it can be had as one file, too."""

    path: bytes
    listing: Listing
    search: bytes = b""
    archive: bool = False

    @property
    def here(self) -> str:
        """A relative reference to the directory: its address may be without the closing slash."""
        name = self.path.rpartition(b"/")[2]
        return "./" + (quote_path(name).decode("ascii") + "/" if name else "")

    def query(self, page: int = 1, sort: Sort | None = None, descending: bool | None = None) -> str:
        """The query of another page, or of another order of it."""
        listing = self.listing
        parts: dict[str, str | bytes] = {
            "sort": SORT_NAMES[listing.sort if sort is None else sort],
            "order": _ORDER_NAMES[listing.descending if descending is None else descending],
        }
        if page > 1:
            parts["page"] = str(page)
        if self.search:
            parts["search"] = self.search
        return "?" + urlencode(parts)


def reference(entry: Entry, here: str = "./") -> str:
    """A relative reference to an entry (RFC 3986, 4.2) of the directory that is ``here``, with a "./" before what could
    be taken for a scheme."""
    return here + quote_path(entry.name).decode("ascii") + ("/" if entry.is_directory else "")


def iso_time(mtime_ns: int) -> str:
    """A time to the second (RFC 3339). An identity has times of the years 1677 to 2262."""
    return (_EPOCH + timedelta(seconds=mtime_ns // 10**9)).isoformat() + "Z"


def as_json(view: View) -> bytes:
    """An object, in ASCII. Where a name is no UTF-8, its reference still is right."""
    listing = view.listing
    entries = [
        {
            "name": text_of(entry.name),
            "type": "directory" if entry.is_directory else "file",
            "size": None if entry.is_directory else entry.size,
            "mtime": iso_time(entry.mtime_ns),
            "href": reference(entry, view.here),
        }
        for entry in listing.entries
    ]
    facts = {
        "path": text_of(view.path),
        "entries": entries,
        "page": listing.page,
        "pages": listing.pages,
        "total": listing.total,
        "sort": SORT_NAMES[listing.sort],
        "order": _ORDER_NAMES[listing.descending],
        "search": text_of(view.search),
    }
    return json.dumps(facts, separators=(",", ":")).encode("ascii") + b"\n"


def as_text(view: View) -> bytes:
    """A line for each entry: its name, and "/" after a directory's."""
    lines = (visible(entry.name) + ("/\n" if entry.is_directory else "\n") for entry in view.listing.entries)
    return "".join(lines).encode()
