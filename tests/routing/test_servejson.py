"""The file serve.json of Vercel's serve."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashpy.routing.redirects import Redirected, Rewritten, Routes
from flashpy.routing.rules import Rules
from flashpy.routing.servejson import ServeJson, parse
from flashpy.routing.slash import Policy


def read(**said: Any) -> ServeJson:
    """What a file with these keys says."""
    return parse(json.dumps(said))


def test_a_whole_file() -> None:
    """By the examples of its documentation."""
    found = read(
        **{"$schema": "https://example.org/schema.json"},
        public="_site/x",
        cleanUrls=["/app/**"],
        trailingSlash=True,
        rewrites=[
            {"source": "app/**", "destination": "/index.html"},
            {"source": "projects/*/edit", "destination": "edit-project.html"},
            {"source": "/projects/:id/show", "destination": "/show-project-:id.html"},
        ],
        redirects=[
            {"source": "/from", "destination": "/to"},
            {"source": "/old-docs/:id", "destination": "/new-docs/:id", "type": 302},
            {"source": "/far/**", "destination": "https://example.org:8080/$1"},
        ],
        headers=[
            {
                "source": "**/*.@(jpg|jpeg|gif|png)",
                "headers": [{"key": "Cache-Control", "value": "max-age=7200"}, {"key": "X-Gone", "value": None}],
            },
            {"source": "404.html", "headers": [{"key": "Cache-Control", "value": "max-age=300"}]},
        ],
        directoryListing=False,
        unlisted=[".DS_Store", "/.git", "/a/b", "/"],
        renderSingle=True,
        symlinks=True,
        etag=False,
    )
    assert found.warnings == ()
    assert found.public == "_site/x" and found.trailing_slash == "always" and found.listing is False
    assert found.render_single and found.symlinks and not found.etag
    assert found.unlisted == (".DS_Store", ".git", "/a/b", "/")
    routes = Routes((*found.redirects, *found.rewrites))
    for path, location in (
        (b"/from", b"/to"),
        (b"/from/", b"/to"),
        (b"/old-docs/12", b"/new-docs/12"),
        (b"/far/x", b"https://example.org:8080/$1"),
    ):
        route = routes.before(path, b"", b"")
        assert isinstance(route, Redirected) and route.location == location
    for path, page in (
        (b"/app", b"/index.html"),
        (b"/app/x/y", b"/index.html"),
        (b"/projects/1/edit", b"/edit-project.html"),
        (b"/projects/1/show/", b"/show-project-1.html"),
    ):
        assert routes.before(path, b"", b"") is None
        route = routes.after(path, b"", b"")
        assert isinstance(route, Rewritten) and route.path == page
    rules = Rules(found.rules, base={"X-Gone": "1"})
    assert rules.fields(b"/x/a.jpeg", b"/x/a.jpeg", b"") == ((b"Cache-Control", b"max-age=7200"),)
    assert rules.fields(b"/x", b"/404.html", b"") == ((b"X-Gone", b"1"), (b"Cache-Control", b"max-age=300"))
    policy = Policy(found.clean_urls, found.trailing_slash)
    assert policy.redirect(b"/app/x.html") == b"/app/x/" and policy.redirect(b"/x.html") is None


def test_the_defaults_of_serve() -> None:
    """For what is not said: pages have no ".html", directories are listed."""
    assert read() == ServeJson()
    assert ServeJson().clean_urls is True and ServeJson().listing is True and ServeJson().trailing_slash == "auto"
    assert read(trailingSlash=False, cleanUrls=False).trailing_slash == "never"


@pytest.mark.parametrize("text", ["", "[]", "1", '{"a": }', "[" * 100_000])
def test_what_is_no_json_object_is_refused(text: str) -> None:
    """In a sentence."""
    with pytest.raises(ValueError, match="it is no JSON"):
        parse(text)


ROUTE = {"source": "/a", "destination": "/b"}
LEFT_OUT: list[tuple[str, Any, str]] = [
    ("nonsense", 1, "nonsense: there is no such key"),
    ("public", "../x", "public: it must be a directory beneath"),
    ("public", "/x", "public: it must be a directory beneath"),
    ("public", 1, "public: it must be"),
    ("etag", 1, "etag: it must be true or false"),
    ("trailingSlash", "auto", "trailingSlash: it must be true or false"),
    ("cleanUrls", "x", "cleanUrls: it must be a list"),
    ("cleanUrls", ["/!components/**"], "cleanUrls[0]: the pattern '/!components/**' is not supported: no \"!\""),
    ("unlisted", ["a", 1], "unlisted[1]: a pattern must be a text"),
    ("unlisted", ["a{1..3}"], "unlisted[0]: the pattern"),
    ("headers", [{"source": "!(a).js", "headers": []}], "headers[0]: the pattern"),
    ("headers", [{"source": "/a"}], 'headers[0]: "headers" must be a list'),
    ("headers", [{"source": "/a", "headers": [{"key": "ETag", "value": "x"}]}], "headers[0]: ETag is set by"),
    ("headers", [{"source": "/a", "headers": [{"key": "X", "value": 1}]}], "headers[0]: it must be an object"),
    ("headers", [{"source": "/a", "headers": [1]}], "headers[0]: it must be an object"),
    ("redirects", [ROUTE | {"type": 200}], "redirects[0]: /a{,/}: a redirect cannot have the status 200"),
    ("redirects", [ROUTE | {"type": True}], 'redirects[0]: "type" must be a status'),
    ("redirects", [ROUTE | {"type": "301"}], 'redirects[0]: "type" must be a status'),
    ("redirects", [ROUTE | {"source": "/a/(\\d+)"}], "redirects[0]: the pattern"),
    ("redirects", [ROUTE | {"source": "/a/:b?"}], "a placeholder must be a whole segment"),
    ("redirects", [ROUTE | {"source": "/a-:b"}], "a placeholder must be a whole segment"),
    ("redirects", [ROUTE | {"destination": "/:b"}], "captures nothing as :b"),
    ("redirects", [ROUTE | {"destination": "ftp://x/"}], "is no target"),
    ("rewrites", [{"source": "/a"}], 'rewrites[0]: it must be an object with the text "destination"'),
    ("rewrites", [ROUTE | {"source": ""}], "rewrites[0]: a pattern must be a text"),
    ("rewrites", [ROUTE | {"destination": "https://example.org/"}], "is no target of a rewrite"),
    ("rewrites", [1], "rewrites[0]: it must be an object"),
    ("rewrites", {}, "rewrites: it must be a list"),
]


@pytest.mark.parametrize(("key", "value", "why"), LEFT_OUT, ids=range(len(LEFT_OUT)))
def test_what_cannot_be_followed_is_said(key: str, value: Any, why: str) -> None:
    """With its place; and the rest of the file counts."""
    found = read(**{key: value, "symlinks": True})
    (warning,) = found.warnings
    assert why in warning and warning.endswith("; it is left out")
    assert found.symlinks


def test_colons_of_globs_are_characters() -> None:
    """Placeholders are for redirects and rewrites only."""
    found = read(headers=[{"source": "/:a", "headers": [{"key": "X", "value": "1"}]}], directoryListing=["/x/*"])
    assert found.warnings == () and found.listing == ("/x/*{,/}",)
    assert Rules(found.rules).fields(b"/:a", b"/:a", b"") == ((b"X", b"1"),)
    assert Rules(found.rules).fields(b"/b", b"/b", b"") == ()


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("/ab:*!()@{},.$\\\ud800", max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["source", "destination", "type", "headers", "key", "value"]), inner, max_size=6
        )
    ),
    max_leaves=12,
)
KEYS = ["public", "cleanUrls", "trailingSlash", "redirects", "rewrites", "headers", "directoryListing", "unlisted", "x"]


@given(st.dictionaries(st.sampled_from(KEYS), ANY, max_size=5))
def test_any_object_is_read(said: dict[str, Any]) -> None:
    """With warnings at worst; and what is taken compiles."""
    found = read(**said)
    Routes((*found.redirects, *found.rewrites))
    Rules(found.rules)
    Policy(found.clean_urls, found.trailing_slash)
