"""Netlify's files _redirects and _headers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashpy.routing.netlify import parse_headers, parse_redirects
from flashpy.routing.redirects import Redirect, Redirected, Rewrite, Rewritten, Route, Routes
from flashpy.routing.rules import Rules

REDIRECTS = """
# Redirects from what the browser requests to what we serve

/home            /                                    # a comment behind
/blog/my-post.php /blog/my-post      302
/news/*          /blog/:splat        301!
/cuties          https://www.petsofnetlify.com        307
/authors/c%C3%A9line /authors/about-c%C3%A9line
/archive/:month/:date/:year/:slug  /archive/:year-:month-:date/:slug
/articles id=:id tag=:tag  /posts/:tag/:id  301
/store lang=de   /de/store
/wiki  /pages/Talk:Main$1
/old*  /new:splat
/ecommerce       /store-closed.html  404
http://blog.example.org/*  https://www.example.org/blog/:splat 301!
/app/*  /app/index.html  200
/*      /index.html   200
"""

ANSWERS: list[tuple[str, str, str, Route | None]] = [
    ("/home", "", "", Redirected(301, b"/", 0)),
    ("/home/", "", "", Redirected(301, b"/", 0)),
    ("/home", "a=1", "", Redirected(301, b"/?a=1", 0)),
    ("/blog/my-post.php", "", "", Redirected(302, b"/blog/my-post", 1)),
    ("/news", "", "", Redirected(301, b"/blog/", 2)),
    ("/news/", "", "", Redirected(301, b"/blog/", 2)),
    ("/news/2004/01/x", "", "", Redirected(301, b"/blog/2004/01/x", 2)),
    ("/cuties", "", "", Redirected(307, b"https://www.petsofnetlify.com", 3)),
    ("/authors/c\u00e9line", "", "", Redirected(301, b"/authors/about-c%C3%A9line", 4)),
    ("/archive/05/17/2004/x", "", "", Redirected(301, b"/archive/2004-05-17/x", 5)),
    ("/articles", "tag=a&id=7&x=1", "", Redirected(301, b"/posts/a/7?x=1", 6)),
    ("/articles", "tag=a", "", Rewritten(200, b"/index.html", 13)),
    ("/store", "lang=de", "", Redirected(301, b"/de/store", 7)),
    ("/wiki", "", "", Redirected(301, b"/pages/Talk:Main$1", 8)),
    ("/oldies/x", "", "", Redirected(301, b"/newies/x", 9)),
    ("/ecommerce", "", "", Rewritten(404, b"/store-closed.html", 10)),
    ("/a/b", "", "blog.example.org:80", Redirected(301, b"https://www.example.org/blog/a/b", 11)),
    ("/app/x/y", "", "", Rewritten(200, b"/app/index.html", 12)),
    ("/anything", "", "", Rewritten(200, b"/index.html", 13)),
    ("/", "", "", Rewritten(200, b"/index.html", 13)),
    ("/index.html", "", "", None),
]


@pytest.mark.parametrize(("path", "query", "host", "route"), ANSWERS)
def test_what_redirects_say(path: str, query: str, host: str, route: Route | None) -> None:
    """By Netlify's own examples, in the order of the file."""
    rules, warnings = parse_redirects(REDIRECTS)
    assert warnings == ()
    assert Routes(rules).route(path.encode(), query.encode(), host.encode()) == route


def test_what_is_forced() -> None:
    """A status with "!": else a file comes first."""
    rules, _ = parse_redirects("/a /b\n/c /d 302!\n/e /f.html 200!\r\n/* /404.html 404")
    assert rules == (
        Redirect("/a{,/}", "/b", 301, force=False),
        Redirect("/c{,/}", "/d", 302, force=True),
        Rewrite("/e{,/}", "/f.html", 200, force=True),
        Rewrite("/**", "/404.html", 404, force=False),
    )
    routes = Routes(rules)
    assert routes.before(b"/a", b"", b"") is None
    assert routes.before(b"/c", b"", b"") == Redirected(302, b"/d", 1)
    assert routes.before(b"/e", b"", b"") == Rewritten(200, b"/f.html", 2)


def test_a_slash_alone_leads_nowhere() -> None:
    """A rule holds with and without it, so one that only adds it would go on for ever; it does not apply there."""
    rules, _ = parse_redirects("/about /about/")
    routes = Routes(rules)
    assert routes.after(b"/about", b"", b"") == Redirected(301, b"/about/", 0)
    assert routes.after(b"/about/", b"", b"") is None


def test_characters_that_mean_something_to_our_globs() -> None:
    """They are themselves here."""
    rules, warnings = parse_redirects("/a[1]{b}?,c\\ /x\\$1\n/t/12:30/x:y /z")
    assert warnings == ()
    assert Routes(rules).route(b"/a[1]{b}?,c\\", b"", b"") == Redirected(301, b"/x%5C$1", 0)
    assert Routes(rules).route(b"/t/12:30/x:y", b"", b"") == Redirected(301, b"/z", 1)
    assert Routes(rules).route(b"/a1b", b"", b"") is None


LEFT_OUT = {
    "/a": "there is no target",
    "/a 301": "there is no target",
    "/* 200": "there is no target",
    "/a x/y": "there is no target",
    "a /b": "does not begin with",
    "/ /anz 302 Country=au,nz": "the condition 'Country=au,nz' is not supported",
    "/a /b Language=de": "the condition 'Language=de'",
    "/admin/* /x 200! Role=admin": "the condition 'Role=admin'",
    "/a /b 301 Sign=KEY": "the condition 'Sign=KEY'",
    "/a /b nonsense": "the condition 'nonsense'",
    "/api/* https://api.example.org/:splat 200": "passing requests on",
    "/a https://example.org/404.html 404": "passing requests on",
    "/a /b 304": "cannot have the status 304",
    "/a /b 500": "cannot have the status 500",
    "/a/*/b /c": "an asterisk may stand at the end only",
    "/a x /b": "'x' is no parameter",
    "/a x=: /b": "the parameter 'x'",
    "/:a/:a /b": "given twice",
    "/a /b.html?x=1 200": "without a query",
    "/a /../b 200": "must not have",
    "/a https://a:b:c/": "is no target",
    "http://a.example/* https://a.example/:splat 301!": "http and https cannot be told apart",
    "http://[x/* /b": "Invalid IPv6",
    "/a//b /c": "matches nothing",
}


@pytest.mark.parametrize("line", LEFT_OUT)
def test_what_cannot_be_followed_is_said(line: str) -> None:
    """With its line; and the rest of the file counts."""
    rules, warnings = parse_redirects(f"# first\n{line}\n/x /y\n")
    assert rules == (Redirect("/x{,/}", "/y", force=False),)
    (warning,) = warnings
    assert warning.startswith("line 2: ") and warning.endswith("; the line is left out")
    assert LEFT_OUT[line] in warning


HEADERS = """
# a path:
/templates/index.html
  # headers for that path:
  X-Frame-Options: DENY
  X-XSS-Protection: 1; mode=block
/*
  cache-control: max-age=0
  Cache-Control: no-cache
  Link: </a>; rel="x:y"
/assets/*.js
  X-Script: 1
/docs/:version/*
  X-Docs: 1
/a/*/z
  X-Middle: 1
/
  X-Root: 1
/plain
  X-Plain: 1
/nothing
"""


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/templates/index.html", "X-Frame-Options X-XSS-Protection"),
        ("/", "X-Root"),
        ("/plain", "X-Plain"),
        ("/plain/", "X-Plain"),
        ("/plain/x", ""),
        ("/assets/a.js", "X-Script"),
        ("/assets/a/b.js", "X-Script"),
        ("/docs/v1", "X-Docs"),
        ("/docs/v1/a/b", "X-Docs"),
        ("/docs", ""),
        ("/a/z", "X-Middle"),
        ("/a/b/c/z", "X-Middle"),
    ],
)
def test_what_headers_say(path: str, names: str) -> None:
    """An asterisk takes slashes too; what is given twice is a list."""
    rules, warnings = parse_headers(HEADERS)
    assert warnings == ()
    found = dict(Rules(rules).fields(path.encode(), path.encode(), b"text/plain"))
    assert found.pop(b"cache-control") == b"max-age=0, no-cache"
    assert found.pop(b"Link") == b'</a>; rel="x:y"'
    assert {name.decode() for name in found} == set(names.split())


def test_what_of_headers_is_left_out() -> None:
    """What the server sets itself, passwords, and what is no field; the rest counts."""
    text = (
        "X-Early: 1\n/a\nETag: x\nBasic-Auth: a:b\nnonsense\nX-Empty:\n: x\nX-Bad: \u20ac\nSet-Cookie: a=1\n"
        "Set-Cookie: b=2\nX-Good: 1\nhttps://example.org/x\nX-There: 1\n/:a/:a\nX-Never: 1\n/b\nX-B: 1"
    )
    rules, warnings = parse_headers(text)
    assert [(rule.match, dict(rule.headers)) for rule in rules] == [
        (("/a{,/}",), {"Set-Cookie": "a=1", "X-Good": "1"}),
        (("/b{,/}",), {"X-B": "1"}),
    ]
    reasons = ["no path before", "set by the server", "passwords", "is no field", "is no field", "not a field name"]
    reasons += ["a character that", "only one Set-Cookie", "for one host", "given twice"]
    assert [warning.partition(":")[0] for warning in warnings] == [
        f"line {number}" for number in (1, 3, 4, 5, 6, 7, 8, 10, 12, 14)
    ]
    for warning, reason in zip(warnings, reasons, strict=True):
        assert reason in warning


@given(st.text(), st.text("/ab:*#=[]{}$\\!. \n301%2", max_size=60))
def test_any_text_is_read(anything: str, likely: str) -> None:
    """With warnings at worst; and what is taken compiles."""
    for text in (anything, likely):
        Routes(parse_redirects(text).rules)
        Rules(parse_headers(text).rules)
