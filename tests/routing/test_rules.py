"""Rules for fields: which apply, in which order, and what hashed names get."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashpy.http.fields import check_field
from flashpy.routing.rules import IMMUTABLE, Rule, Rules

FOREVER = (b"Cache-Control", IMMUTABLE.encode())


def test_rules_apply_in_order() -> None:
    """All that match; of one field the last counts, in whichever case it is written; its place is that of the first."""
    rules = Rules(
        [
            Rule(headers={"X-All": "1", "X-Frame-Options": "DENY"}),
            Rule(("*.html", "/docs/**"), headers={"x-all": "2"}, cache_control="no-cache"),
            Rule(("/docs/old/**",), headers={"X-Frame-Options": ""}, cache_control="max-age=60"),
        ]
    )
    assert rules.fields(b"/a.css", b"/a.css", b"text/css") == ((b"X-All", b"1"), (b"X-Frame-Options", b"DENY"))
    assert rules.fields(b"/a.html", b"/a.html", b"text/html") == (
        (b"x-all", b"2"),
        (b"X-Frame-Options", b"DENY"),
        (b"Cache-Control", b"no-cache"),
    )
    assert rules.fields(b"/docs/old/", b"/docs/old/index.html", b"text/html") == (
        (b"x-all", b"2"),
        (b"Cache-Control", b"max-age=60"),
    )


def test_a_rule_is_for_the_path_asked_or_the_path_served() -> None:
    """So "/" gets what is said of index.html, and a page behind a rewrite what is said of its address."""
    rules = Rules([Rule(("/index.html",), headers={"A": "1"}), Rule(("/app/**",), headers={"B": "1"})])
    assert rules.fields(b"/", b"/index.html", b"text/html") == ((b"A", b"1"),)
    assert rules.fields(b"/app/x", b"/index.html", b"text/html") == ((b"A", b"1"), (b"B", b"1"))
    assert rules.fields(b"/other", b"/other", b"text/html") == ()


@pytest.mark.parametrize(
    ("types", "media_type", "applies"),
    [
        ("image/*", b"image/png", True),
        ("image/*", b"text/css", False),
        ("IMAGE/*", b"image/svg+xml", True),
        ("text/html", b"Text/HTML; charset=utf-8", True),
        ("text/htm", b"text/html", False),
        ("*/*", b"text/css", True),
        ("application/*+json", b"application/ld+json", True),
        ("application/*json", b"application/json", True),
        ("text/css font/*", b"font/woff2", True),
    ],
)
def test_rules_for_media_types(types: str, media_type: bytes, applies: bool) -> None:
    """Without parameters, in any case; with a path, both must hold."""
    rules = Rules([Rule((), tuple(types.split()), {"A": "1"}), Rule(("/a/**",), tuple(types.split()), {"B": "1"})])
    assert (rules.fields(b"/x", b"/x", media_type) == ((b"A", b"1"),)) is applies
    assert (rules.fields(b"/a/x", b"/a/x", media_type) == ((b"A", b"1"), (b"B", b"1"))) is applies


@pytest.mark.parametrize(
    ("asked", "served", "media_type", "forever"),
    [
        (b"/assets/index-BfXk29Qa.css", b"/assets/index-BfXk29Qa.css", b"text/css; charset=utf-8", True),
        (b"/app.3f9a1c2b.js", b"/index.html", b"text/html; charset=utf-8", False),  # a fallback
        (b"/latest.js", b"/app.3f9a1c2b.js", b"text/javascript", False),  # a rewrite
        (b"/app.3f9a1c2b.js", b"/app.3f9a1c2b.js", b"text/html", False),  # another type by configuration
        (b"/app.js", b"/app.js", b"text/javascript", False),
    ],
)
def test_what_never_changes_is_kept_for_a_year(asked: bytes, served: bytes, media_type: bytes, forever: bool) -> None:
    """Where both names have a hash and it is no page."""
    assert Rules().fields(asked, served, media_type) == ((FOREVER,) if forever else ())
    assert Rules(immutable=False).fields(asked, served, media_type) == ()


def test_what_is_said_of_all_files_counts_less_than_a_hash() -> None:
    """But it counts for what has none; rules and fields of all answers count more."""
    rules = Rules(cache_control="max-age=60")
    path = b"/app.3f9a1c2b.js"
    assert rules.fields(path, path, b"text/javascript") == (FOREVER,)
    for asked, served in ((b"/app.js", b"/app.js"), (path, b"/index.html")):
        assert rules.fields(asked, served, b"text/html") == ((b"Cache-Control", b"max-age=60"),)
    assert Rules([Rule(cache_control="")], cache_control="max-age=60").fields(b"/a", b"/a", b"") == ()
    assert Rules(base={"Cache-Control": "no-store"}, cache_control="max-age=60").fields(path, path, b"") == (
        (b"Cache-Control", b"no-store"),
    )


def test_what_is_said_counts_more_than_a_hash() -> None:
    """By a rule, or of all answers; an empty value takes the field away."""
    path = b"/app.3f9a1c2b.js"
    for value, fields in (("no-store", ((b"Cache-Control", b"no-store"),)), ("", ())):
        assert Rules([Rule(cache_control=value)]).fields(path, path, b"text/javascript") == fields
        assert Rules([Rule(headers={"cache-CONTROL": value})]).fields(path, path, b"")[:1] in (
            (),
            ((b"cache-CONTROL", b"no-store"),),
        )
        assert Rules(base={"Cache-Control": value}).fields(path, path, b"text/javascript") == fields
    rules = Rules([Rule(("*.css",), headers={"A": ""})], base={"A": "1"})
    assert rules.fields(path, path, b"") == (FOREVER, (b"A", b"1"))
    assert rules.fields(b"/a.css", b"/a.css", b"") == ()


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        (Rule(("/[",)), "not closed"),
        (Rule(types=("image",)), "is no media type"),
        (Rule(types=("a/b/c",)), "is no media type"),
        (Rule(headers={"ETag": "x"}), "set by the server itself"),
        (Rule(headers={"A B": "x"}), "is not a field name"),
        (Rule(cache_control="a\r\nb"), "a character that"),
        (Rule(headers={"CACHE-control": "x"}, cache_control="y"), "given twice"),
    ],
)
def test_a_bad_rule_is_refused_in_a_sentence(rule: Rule, why: str) -> None:
    """When it is read, not when it applies."""
    with pytest.raises(ValueError, match=why):
        Rules([rule])


@given(st.dictionaries(st.text(max_size=6), st.text(max_size=8), max_size=3), st.binary(max_size=10))
def test_no_rule_breaks_out_of_a_field(headers: dict[str, str], path: bytes) -> None:
    """What is taken can be sent: tokens for names, no control character in values (RFC 9110, 5.5)."""
    try:
        rules = Rules([Rule(headers=headers)])
    except ValueError:
        return
    for name, value in rules.fields(b"/" + path, b"/" + path, b"text/plain"):
        check_field(name.decode(), value.decode("latin-1"))
        assert value and b"\r" not in value and b"\n" not in value
