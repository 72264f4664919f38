"""The HTML of a listing. It works without scripts, and none may run in it: names in it are other people's."""

from base64 import b64encode
from hashlib import sha256
from html import escape

from flashpy.job.entries import Entry
from flashpy.job.kinds import Sort
from flashpy.resource.listing_style import STYLE
from flashpy.resource.listing_view import SORT_NAMES, View, iso_time, reference
from flashpy.resource.names import visible

_DIGEST = b64encode(sha256(STYLE.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; style-src 'sha256-{_DIGEST}'; img-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
)
"""The Content-Security-Policy of the page (CSP Level 3); of images there is only the site's icon."""

_COLUMNS = ((Sort.NAME, "Name"), (Sort.SIZE, "Size"), (Sort.TIME, "Modified (UTC)"))
_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_ICONS = (
    '<svg class="icons">'
    '<symbol id="f" viewBox="0 0 20 20"><path d="M5 1.75h6.5L16 6.25v11a1 1 0 0 1-1 1H5a1 1 0 0 1-1-1V2.75a1 1 0 0 1'
    ' 1-1Z"/><path d="M11.25 2v4.5h4.5"/></symbol>'
    '<symbol id="d" viewBox="0 0 20 20"><path d="M1.75 15.5V4.75a1 1 0 0 1 1-1h4.5l2 2.25h8a1 1 0 0 1 1 1v8.5a1 1 0 0'
    ' 1-1 1H2.75a1 1 0 0 1-1-1Z"/></symbol>'
    '<symbol id="u" viewBox="0 0 20 20"><path d="M10 16.5v-12M4.75 9.5 10 4.25l5.25 5.25"/></symbol></svg>'
)
_PARENT = (
    '<tr class="up"><td><a href="UP"><svg aria-hidden="true"><use href="#u"/></svg>'
    "<span>Parent directory</span></a></td><td></td><td></td></tr>\n"
)


def as_html(view: View) -> bytes:
    """The whole page."""
    names = [visible(segment) for segment in view.path.split(b"/") if segment]
    title = escape("/" + "".join(f"{name}/" for name in names))
    parts = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>Index of {title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{_ICONS}\n",
        _header(view, names),
        "<main>\n",
        _tools(view),
        _table(view, bool(names)) if view.listing.entries or names else "",
        "" if view.listing.entries else f'<p class="empty">{_nothing(view)}</p>\n',
        _pages(view),
        "</main>\n</body>\n</html>\n",
    )
    return "".join(parts).encode("utf-8")


def _header(view: View, names: list[str]) -> str:
    """Where it is: a way back to each directory above."""
    crumbs = [
        f'<li><a href="{_up(view, len(names) - depth)}"><bdi>{escape(name)}</bdi></a></li>'
        for depth, name in enumerate(["Index", *names][:-1] if names else [])
    ]
    here = escape(names[-1]) if names else "Index"
    path = f'<nav aria-label="Path"><ol>{"".join(crumbs)}</ol></nav>\n' if crumbs else ""
    return f"<header>\n{path}<h1><bdi>{here}</bdi></h1>\n</header>\n"


def _up(view: View, levels: int) -> str:
    """The way to a directory above."""
    return (_here(view) if view.here != "./" else "") + "../" * levels


def _here(view: View) -> str:
    return escape(view.here, quote=False)


def _tools(view: View) -> str:
    """How much there is, the search, and the whole as one file."""
    listing = view.listing
    count = "1 entry" if listing.total == 1 else f"{listing.total:,} entries"
    found = f" with “<bdi>{escape(visible(view.search))}</bdi>”" if view.search else ""
    note = (
        "" if listing.sortable else '<span class="note">Too many to sort by size or time; a search finds fewer.</span>'
    )
    kept = "".join(
        f'<input type="hidden" name="{name}" value="{value}">'
        for name, value in (("sort", SORT_NAMES[listing.sort]), ("order", "desc" if listing.descending else "asc"))
    )
    archive = '<a class="button" href="?download=tar" download>Download all (.tar)</a>' if view.archive else ""
    clear = f'<a class="button" href="{_here(view)}">Clear</a>' if view.search else ""
    return (
        f'<div class="tools"><p role="status">{count}{found}{note}</p>'
        f'<form role="search" action="{_here(view)}">{kept}<input type="search" name="search"'
        f' aria-label="Search names" placeholder="Search names" value="{escape(visible(view.search))}">'
        f"<button>Search</button>{clear}</form>"
        f"{archive}</div>\n"
    )


def _table(view: View, has_parent: bool) -> str:
    rows = "".join(_row(entry, view.here) for entry in view.listing.entries)
    parent = _PARENT.replace("UP", _up(view, 1), 1) if has_parent else ""
    head = f"<thead><tr>{_heads(view)}</tr></thead>"
    return f"<table>\n{head}\n<tbody>\n{parent}{rows}</tbody>\n</table>\n"


def _heads(view: View) -> str:
    """The heads of the columns; each sorts by its column, or turns the order round."""
    listing, cells = view.listing, []
    for sort, name in _COLUMNS:
        if sort is listing.sort:
            state = ' aria-sort="descending"' if listing.descending else ' aria-sort="ascending"'
            query = view.query(sort=sort, descending=not listing.descending)
        else:
            state, query = "", view.query(sort=sort, descending=sort is not Sort.NAME)
        sortable = listing.sortable or sort is Sort.NAME
        text = f'<a href="{escape(query)}">{name}</a>' if sortable else name
        cells.append(f'<th scope="col"{state}>{text}</th>')
    return "".join(cells)


def _row(entry: Entry, here: str) -> str:
    name = escape(visible(entry.name), quote=False)
    when = iso_time(entry.mtime_ns)
    if entry.is_directory:
        icon, slash, size = "d", "/", ""
    else:
        icon, slash, size = (
            "f",
            "",
            f'<data value="{entry.size}" title="{entry.size:,} bytes">{_size(entry.size)}</data>',
        )
    href = escape(reference(entry, here), quote=False)
    return (
        f'<tr><td><a href="{href}"><svg aria-hidden="true"><use href="#{icon}"/></svg>'
        f"<span><bdi>{name}</bdi>{slash}</span></a></td><td>{size}</td>"
        f'<td><time datetime="{when}" title="{when[:10]} {when[11:-1]} UTC">{when[:10]} {when[11:16]}</time></td>'
        "</tr>\n"
    )


def _size(size: int) -> str:
    """A size for people: three digits or four, never rounded up to the next unit."""
    if size < 1024:
        return f"{size} B"
    power = (size.bit_length() - 1) // 10
    tenths = size * 10 >> 10 * power
    number = f"{tenths / 10:.1f}" if tenths < 1000 else f"{tenths // 10}"
    return f"{number} {_UNITS[power - 1]}"


def _nothing(view: View) -> str:
    return "No name has this in it." if view.search else "This directory is empty."


def _pages(view: View) -> str:
    """The ways to other pages, if there are any."""
    page, pages = view.listing.page, view.listing.pages
    if pages == 1:
        return ""
    links = [
        _page_link(view, 1, "First", "", page > 1),
        _page_link(view, page - 1, "Previous", ' rel="prev"', page > 1),
        f'<span aria-current="page">Page {page:,} of {pages:,}</span>',
        _page_link(view, page + 1, "Next", ' rel="next"', page < pages),
        _page_link(view, pages, "Last", "", page < pages),
    ]
    return f'<nav class="pages" aria-label="Pages">{"".join(links)}</nav>\n'


def _page_link(view: View, page: int, name: str, relation: str, there: bool) -> str:
    if not there:
        return f'<span class="button" aria-disabled="true">{name}</span>'
    return f'<a class="button" href="{escape(view.query(page))}"{relation}>{name}</a>'
