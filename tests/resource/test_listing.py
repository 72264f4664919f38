"""Listings of directories: pages of real directories, and of any names that there could be."""

import json
import os
import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import parse_qs, unquote_to_bytes, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashpy.http.request import Request
from flashpy.http.response import Response
from flashpy.job.entries import Entry, Listing
from flashpy.job.kinds import List, Outcome, Result, Sort, Walk
from flashpy.job.perform import perform
from flashpy.resource.errors import ErrorPages
from flashpy.resource.listing import Listings
from flashpy.resource.listing_page import as_html
from flashpy.resource.listing_view import View, as_json, as_text
from flashpy.resource.names import visible
from tests.http.making import request

OLD = 1_600_000_000


class Page(HTMLParser):
    """A page taken apart: its links with their texts, its elements with their attributes."""

    def __init__(self, body: bytes) -> None:
        super().__init__()
        self.links: list[tuple[str, str]] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.style = ""
        self._texts: list[str] | None = None
        self._open: list[str] = []
        self.feed(body.decode())
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """An element begins."""
        self.elements.append((tag, dict(attributes)))
        if tag not in ("meta", "input", "use", "path"):
            self._open.append(tag)
        if tag == "a":
            self._texts = []

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """An element without content."""
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag: str) -> None:
        """An element ends."""
        assert self._open.pop() == tag
        if tag == "a":
            assert self._texts is not None
            self.links.append((self.elements_of("a")[-1]["href"] or "", "".join(self._texts)))
            self._texts = None

    def handle_data(self, data: str) -> None:
        """Text."""
        if self._texts is not None:
            self._texts.append(data)
        if self._open and self._open[-1] == "style":
            self.style += data

    def elements_of(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of all elements of a kind."""
        return [attributes for name, attributes in self.elements if name == tag]

    def entries(self) -> list[tuple[str, str]]:
        """The links to entries."""
        return [(href, text) for href, text in self.links if href.startswith("./") and len(href) > 2]

    def link(self, text: str) -> dict[str, list[str]]:
        """The query of the link with this text."""
        (href,) = (href for href, name in self.links if name == text)
        return parse_qs(urlsplit(href).query)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small site."""
    (tmp_path / "sub" / "below").mkdir(parents=True)
    for index, (name, size) in enumerate({"a.txt": 1536, "b & <c>.txt": 0, ":colon": 10**7}.items()):
        (tmp_path / "sub" / name).write_bytes(b"")
        os.truncate(tmp_path / "sub" / name, size)
        os.utime(tmp_path / "sub" / name, (OLD + index, OLD + index))
    return tmp_path


def ask(root: Path, asked: Request | bytes, length: int = 200, archive: Walk | None = None) -> Response:
    """Answer a request as the site does: a job, and its result."""
    asked = asked if isinstance(asked, Request) else request(asked, accept=b"text/html")
    template = List((os.fsencode(root),), b"/", length=length)
    listings = Listings(template, ErrorPages(((b"Server", b"flashpy"),)), archive)
    job = listings.job(asked, asked.path)
    return listings.answer(asked, perform(job)._replace(job=job))


def page_of(response: Response) -> Page:
    """The page of an answer."""
    assert response.head.status == 200
    return Page(body_of(response))


def body_of(response: Response) -> bytes:
    """The body of an answer, which is in memory."""
    return b"".join(piece for piece in response.body if isinstance(piece, bytes))


def fields_of(response: Response) -> dict[bytes, bytes]:
    """The fields of an answer."""
    return dict(response.head.fields)


# The page


def test_a_page(root: Path) -> None:
    """Its entries with their links, the way up, and the fields of the answer."""
    response = ask(root, b"/sub/")
    page = page_of(response)
    assert page.entries() == [
        ("./below/", "below/"),
        ("./:colon", ":colon"),
        ("./a.txt", "a.txt"),
        ("./b%20&%20%3Cc%3E.txt", "b & <c>.txt"),
    ]
    assert ("../", "Index") in page.links and ("../", "Parent directory") in page.links
    assert [data["value"] for data in page.elements_of("data")] == ["10000000", "1536", "0"]
    assert "2020-09-13T12:26:40Z" in [time["datetime"] for time in page.elements_of("time")]
    assert b">9.5 MiB<" in body_of(response) and b">1.5 KiB<" in body_of(response)
    assert b"<title>Index of /sub/</title>" in body_of(response)
    fields = fields_of(response)
    assert fields[b"Content-Type"] == b"text/html; charset=utf-8"
    assert fields[b"Content-Length"] == b"%d" % len(body_of(response))
    assert (fields[b"Cache-Control"], fields[b"Vary"], fields[b"Server"]) == (b"no-cache", b"Accept", b"flashpy")
    assert b"Last-Modified" not in fields and b"Link" not in fields


def test_the_root_has_no_way_up(root: Path) -> None:
    """And its own title."""
    page = page_of(ask(root, b"/"))
    assert page.entries() == [("./sub/", "sub/")]
    assert not [href for href, _ in page.links if href.startswith("..")]


def test_the_way_up_from_deep_down(root: Path) -> None:
    """Relative, so that it is right wherever the site is mounted."""
    page = page_of(ask(root, b"/sub/below/"))
    assert page.links[:2] == [("../../", "Index"), ("../", "sub")]


def test_nothing_there(root: Path) -> None:
    """An empty directory says so, and so does a search in vain."""
    assert b"This directory is empty." in body_of(ask(root, b"/sub/below/"))
    assert b"No name has this in it." in body_of(ask(root, b"/sub/?search=zzz"))


def test_the_policy_lets_only_its_style_in(root: Path) -> None:
    """No script, no other style, nothing from elsewhere; and the page has nothing that the policy would stop."""
    response = ask(root, b"/sub/")
    policy = fields_of(response)[b"Content-Security-Policy"].decode()
    page = page_of(response)
    digest = b64encode(sha256(page.style.encode()).digest()).decode()
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}'; ")
    assert "unsafe" not in policy and "script" not in policy
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "img", "link", "iframe", "object", "base"}
    assert not [
        name for _, attributes in page.elements for name in attributes if name == "style" or name.startswith("on")
    ]
    assert "url(" not in page.style and "@import" not in page.style


def test_names_for_those_who_do_not_see(root: Path) -> None:
    """Landmarks and what they are, the language, the order of the columns; icons are silent."""
    page = page_of(ask(root, b"/sub/?sort=size&order=desc"))
    assert page.elements_of("html") == [{"lang": "en"}]
    assert [nav["aria-label"] for nav in page.elements_of("nav")] == ["Path"]
    assert page.elements_of("form")[0]["role"] == "search"
    assert {field.get("aria-label") for field in page.elements_of("input")} == {"Search names", None}
    assert [head.get("aria-sort") for head in page.elements_of("th")] == [None, "descending", None]
    assert {svg.get("aria-hidden") or svg.get("class") for svg in page.elements_of("svg")} == {"true", "icons"}
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.elements_of("meta")


def test_the_archive_is_offered_where_there_is_one(root: Path) -> None:
    """And not elsewhere."""
    links = page_of(ask(root, b"/sub/", archive=Walk((os.fsencode(root),), b"/", b""))).links
    assert [href for href, text in links if text.startswith("Download")] == ["?download=tar"]
    assert not [text for _, text in page_of(ask(root, b"/sub/")).links if text.startswith("Download")]


# Queries


@pytest.mark.parametrize(
    ("query", "names"),
    [
        (b"?sort=size", [":colon", "a.txt", "b & <c>.txt"][::-1]),
        (b"?sort=size&order=desc", [":colon", "a.txt", "b & <c>.txt"]),
        (b"?sort=time", ["a.txt", "b & <c>.txt", ":colon"]),
        (b"?order=desc", ["b & <c>.txt", "a.txt", ":colon"]),
        (b"?search=A.T", ["a.txt"]),
        (b"?search=b+%26+%3c", ["b & <c>.txt"]),
        (b"?sort=colour&order=up&page=0&search=", [":colon", "a.txt", "b & <c>.txt"]),
        (b"?page=-1", [":colon", "a.txt", "b & <c>.txt"]),
        (b"?page=99999999999999999999999", [":colon", "a.txt", "b & <c>.txt"]),
        (b"?page=%d9%a1", [":colon", "a.txt", "b & <c>.txt"]),
        (b"?" + b"a=1&" * 1000, [":colon", "a.txt", "b & <c>.txt"]),
        (b"?%ff&=&&search", [":colon", "a.txt", "b & <c>.txt"]),
    ],
)
def test_queries(root: Path, query: bytes, names: list[str]) -> None:
    """What is unknown or makes no sense counts as not said."""
    assert [text for _, text in page_of(ask(root, b"/sub/" + query)).entries() if not text.endswith("/")] == names


@given(st.text(alphabet="".join(map(chr, range(33, 127))), max_size=80))
def test_any_query(query: str) -> None:
    """No query is an error."""
    asked = request(b"/?" + query.encode(), accept=b"text/html")
    if not asked.fault:
        job = Listings(List((b"/none",), b"/"), ErrorPages()).job(asked, b"/")
        assert isinstance(job, List) and job.page >= 1 and len(job.search) <= 255


def test_a_search_is_kept_by_all_links(root: Path) -> None:
    """Links that sort, and links to pages; whatever is searched for."""
    for number in range(30):
        (root / f"é&<{number:02d}").write_bytes(b"")
    response = ask(root, b"/?search=%C3%89%26%3C&sort=time&order=desc&page=2", length=10)
    page = page_of(response)
    kept = {"search": ["É&<"]}
    assert page.link("Name") == {"sort": ["name"], "order": ["asc"], **kept}
    assert page.link("Size") == {"sort": ["size"], "order": ["desc"], **kept}
    assert page.link("Modified (UTC)") == {"sort": ["time"], "order": ["asc"], **kept}
    same = {"sort": ["time"], "order": ["desc"], **kept}
    assert page.link("First") == page.link("Previous") == same
    assert page.link("Next") == page.link("Last") == {**same, "page": ["3"]}
    hidden = {field["name"]: field["value"] for field in page.elements_of("input")}
    assert hidden == {"sort": "time", "order": "desc", "search": "É&<"}
    assert fields_of(response)[b"Link"] == (
        b'<?sort=time&order=desc&search=%C3%89%26%3C>; rel="prev", '
        b'<?sort=time&order=desc&page=3&search=%C3%89%26%3C>; rel="next"'
    )


# Forms


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (None, b"text/html; charset=utf-8"),
        (b"*/*", b"text/html; charset=utf-8"),
        (b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", b"text/html; charset=utf-8"),
        (b"application/json", b"application/json"),
        (b"application/*", b"application/json"),
        (b"APPLICATION/JSON;q=0.5, text/*;q=0.4", b"application/json"),
        (b"text/plain", b"text/plain; charset=utf-8"),
        (b"text/html;q=0.5, */*", b"application/json"),
        (b"text/*, text/html;q=0", b"text/plain; charset=utf-8"),
        (b"text/html;q=0, application/json;q=0, */*;q=0.1", b"text/plain; charset=utf-8"),
        (b"image/png", b"text/html; charset=utf-8"),
        (b"", b"text/html; charset=utf-8"),
    ],
)
def test_the_form_that_is_preferred(root: Path, accept: bytes | None, kind: bytes) -> None:
    """By Accept and its weights (RFC 9110, 12.5.1)."""
    asked = request(b"/sub/", **({} if accept is None else {"accept": accept}))
    response = ask(root, asked)
    assert (response.head.status, fields_of(response)[b"Content-Type"]) == (200, kind)
    assert fields_of(response)[b"Vary"] == b"Accept"


def test_json(root: Path) -> None:
    """All that the page says."""
    body = body_of(ask(root, request(b"/sub/?sort=size", accept=b"application/json")))
    found = json.loads(body)
    below = found["entries"].pop(0)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", below.pop("mtime"))
    assert below == {"name": "below", "type": "directory", "size": None, "href": "./below/"}
    assert found["entries"][1] == {
        "name": "a.txt",
        "type": "file",
        "size": 1536,
        "mtime": "2020-09-13T12:26:40Z",
        "href": "./a.txt",
    }
    del found["entries"]
    assert found == {
        "path": "/sub/", "page": 1, "pages": 1, "total": 4, "sort": "size", "order": "asc", "search": "",
    }  # fmt: skip


def test_plain_text(root: Path) -> None:
    """A name in each line."""
    (root / "sub" / "new\nline").write_bytes(b"")
    body = body_of(ask(root, request(b"/sub/", accept=b"text/plain")))
    assert body == b"below/\n:colon\na.txt\nb & <c>.txt\nnew[U+000A]line\n"


# Validators and errors


def test_conditions(root: Path) -> None:
    """The tag is of the bytes: a file that grows changes it, though the directory's own time stays."""
    tag = fields_of(ask(root, b"/sub/"))[b"ETag"]
    again = ask(root, request(b"/sub/", accept=b"text/html", if_none_match=tag))
    assert (again.head.status, again.body) == (304, ())
    assert fields_of(again) == {
        b"Server": b"flashpy", b"Cache-Control": b"no-cache", b"Vary": b"Accept", b"ETag": tag,
    }  # fmt: skip
    other = ask(root, request(b"/sub/", accept=b"application/json", if_none_match=tag))
    assert other.head.status == 200
    assert ask(root, request(b"/sub/", accept=b"text/html", if_match=b'"other"')).head.status == 412
    assert ask(root, request(b"/sub/", accept=b"text/html", if_match=tag)).head.status == 200
    os.truncate(root / "sub" / "a.txt", 1000)
    changed = ask(root, request(b"/sub/", accept=b"text/html", if_none_match=tag))
    assert changed.head.status == 200 and fields_of(changed)[b"ETag"] != tag


def test_what_does_not_count(root: Path) -> None:
    """Dates, for there is no Last-Modified (RFC 9110, 13.1.3 and 13.1.4), and ranges (14.2)."""
    for field in ("if_modified_since", "if_unmodified_since"):
        for date in (b"Tue, 02 Jan 2001 03:04:05 GMT", b"Tue, 02 Jan 2035 03:04:05 GMT"):
            assert ask(root, request(b"/sub/", **{field: date})).head.status == 200
    assert ask(root, request(b"/sub/", range=b"bytes=0-0")).head.status == 200


def test_head(root: Path) -> None:
    """The same head, without the body."""
    whole = ask(root, request(b"/sub/"))
    head = ask(root, request(b"/sub/", b"HEAD"))
    assert head.head.fields == whole.head.fields and head.body == ()


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (Outcome.MISSING, 404),
        (Outcome.FORBIDDEN, 403),
        (Outcome.LATE, 503),
        (Outcome.NO_DESCRIPTORS, 503),
        (Outcome.FAILED, 500),
    ],
)
def test_errors(outcome: Outcome, status: int) -> None:
    """An outcome that is no listing has its own status."""
    listings = Listings(List((b"/none",), b"/"), ErrorPages())
    assert listings.answer(request(b"/"), Result(outcome)).head.status == status


# Any names

NAMES = st.binary(min_size=1, max_size=60).filter(
    lambda name: not set(b"/\0") & set(name) and name not in (b".", b"..")
)
ENTRIES = st.builds(Entry, NAMES, st.booleans(), st.integers(0, 2**63 - 1), st.integers(-(2**63), 2**63 - 1))
VIEWS = st.builds(
    View,
    st.lists(NAMES, max_size=3).map(lambda names: b"/" + b"".join(name + b"/" for name in names)),
    st.lists(ENTRIES, max_size=5).map(lambda found: Listing(tuple(found), 2, 3, 99, Sort.SIZE, True, True)),
    st.binary(max_size=30),
    st.booleans(),
)


def name_in(href: str) -> bytes:
    """What a reference to an entry leads to, as a server reads it after a browser has resolved it."""
    assert href.startswith("./") and re.fullmatch(r"[!-~]+", href) and not set(href) & set('\\<>"?#')
    return unquote_to_bytes(href[2:].removesuffix("/"))


@given(VIEWS)
def test_any_names_in_html(view: View) -> None:
    """All links lead to their entries, all texts say what is shown, and no name becomes an element."""
    page = Page(as_html(view))
    entries = page.entries()
    assert [name_in(href) for href, _ in entries] == [entry.name for entry in view.listing.entries]
    assert [text for _, text in entries] == [visible(e.name) + "/" * e.is_directory for e in view.listing.entries]
    fixed = {
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "svg",
        "symbol",
        "path",
        "header",
        "nav",
        "ol",
        "li",
        "a",
    }
    more = {"bdi", "h1", "main", "div", "p", "form", "input", "button", "table", "thead", "tbody", "tr", "th", "td"}
    assert {tag for tag, _ in page.elements} <= fixed | more | {"use", "span", "data", "time"}
    assert parse_qs(urlsplit(page.links[-1][0]).query, errors="surrogateescape").get("search", [""])[0].encode(
        "utf-8", "surrogateescape"
    ) == (view.search)


@given(VIEWS)
def test_any_names_in_json(view: View) -> None:
    """ASCII, in which all is said."""
    found = json.loads(as_json(view).decode("ascii"))
    assert [name_in(entry["href"]) for entry in found["entries"]] == [entry.name for entry in view.listing.entries]
    assert [entry["size"] for entry in found["entries"]] == [
        None if entry.is_directory else entry.size for entry in view.listing.entries
    ]


@given(VIEWS)
def test_any_names_in_text(view: View) -> None:
    """As many lines as entries."""
    lines = as_text(view).decode().splitlines()
    assert len(lines) == len(view.listing.entries)
