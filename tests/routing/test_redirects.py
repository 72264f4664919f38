"""Redirects and rewrites: which rule applies, where it leads, and where it cannot be made to lead."""

import re
from urllib.parse import unquote_to_bytes, urljoin, urlsplit

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from flashpy.http.target import NO_FILE, normalise, parse_target, quote_path
from flashpy.routing.redirects import Gone, Redirect, Redirected, Rewrite, Rewritten, Route, Routes
from flashpy.routing.targets import Target, escape


def route(rule: Redirect | Rewrite, path: str, query: str = "", host: str = "") -> Route | None:
    """What a single rule says to a request."""
    return Routes([rule]).route(path.encode(), query.encode(), host.encode())


LOCATIONS = [
    # match, to, path, query, location
    ("/old", "/new", "/old", "", "/new"),
    ("/old", "/new", "/other", "", None),
    ("/old", "/new", "/old", "a=1&b", "/new?a=1&b"),
    ("/old", "/new", "/old", "a=\u20ac'<", "/new?a=%E2%82%AC'%3C"),
    ("/old", "/new?x=1", "/old", "a=1", "/new?x=1"),
    ("/old", "/new?", "/old", "a=1", "/new"),
    ("/old", "/new#part 2", "/old", "a=1", "/new?a=1#part%202"),
    ("/item/:id", "/#/item/:id?\u00e9", "/item/a#b", "", "/#/item/a%23b?%C3%A9"),
    ("/old", "https://example.org", "/old", "a=1", "https://example.org?a=1"),
    ("/old", "https://example.org:8443/x", "/old", "", "https://example.org:8443/x"),
    ("/old", "http://[::1]/x", "/old", "", "http://[::1]/x"),
    ("/old", "/café/100%/%41", "/old", "", "/caf%C3%A9/100%25/%41"),
    ("/blog/**", "/news/:splat", "/blog/a/b", "", "/news/a/b"),
    ("/blog/**", "/news/$1", "/blog/a b", "", "/news/a%20b"),
    ("/blog/**", "/news/:splat", "/blog/", "", "/news/"),
    ("/blog/**", "https://example.org/:splat", "/blog/a?b#c%", "", "https://example.org/a%3Fb%23c%25"),
    ("/:year/:month/*", "/archive/$1?y=:year&m=:month", "/2024/0&5/x", "", "/archive/x?y=2024&m=0%265"),
    ("/*/*.php", "/$2/$1.html", "/a/b.php", "", "/b/a.html"),
    ("/{a,b*}", "/x/$1", "/a", "", "/x/"),
    ("/{a,b*}", "/x/$1", "/bc", "", "/x/c"),
    ("/a**", "/$1", "/a/evil.example", "", "/evil.example"),
    ("/**", "/:splat", "/evil.example", "", None),  # to itself
    ("/**", "/x/:splat", "/\\evil.example", "", "/x/%5Cevil.example"),
    ("/**", "/:splat/", "/\\evil.example", "", "/%5Cevil.example/"),
    ("/*", r"/\$1\:x\\", "/a", "", "/$1:x%5C"),
    ("/*", r"/\:x", "/a", "", "/:x"),
    ("/*", "/cost$/12:30", "/a", "", "/cost$/12:30"),
    ("/about{,/}", "/about/", "/about", "", "/about/"),
    ("/about{,/}", "/about/", "/about/", "", None),
    ("/about", "/about", "/about", "a=1", None),
    ("/é", "/%C3%A9", "/é", "", None),
]


@pytest.mark.parametrize(("match", "to", "path", "query", "location"), LOCATIONS)
def test_where_a_redirect_leads(match: str, to: str, path: str, query: str, location: str | None) -> None:
    """RFC 9110, 10.2.2: a URI reference, in which all is encoded that must be."""
    found = route(Redirect(match, to), path, query)
    assert found == (None if location is None else Redirected(301, location.encode(), 0))


REWRITES = [
    ("/app/**", "/index.html", 200, "/app/x/y", "/index.html"),
    ("/**", "/404.html", 404, "/x", "/404.html"),
    ("/**", "/404.html", 404, "/404.html", None),  # to itself
    ("/**", "/gone.html", 410, "/x", "/gone.html"),
    ("/:a/:b", "/:b/:a.html", 200, "/1/2", "/2/1.html"),
    ("/**", "/d%20r/é/:splat", 200, "/a b", "/d r/é/a b"),
    ("/x/**", "/y/:splat", 200, "/x/", "/y/"),
    ("/a*b*", "/$1$2/secret", 200, "/a.b.", None),
]


@pytest.mark.parametrize(("match", "to", "status", "path", "led"), REWRITES)
def test_where_a_rewrite_leads(match: str, to: str, status: int, path: str, led: str | None) -> None:
    """To a path that is decoded and normalised."""
    found = route(Rewrite(match, to, status), path)
    assert found == (None if led is None else Rewritten(status, led.encode(), 0))


def test_what_is_gone() -> None:
    """A status and no target."""
    for status in (404, 410, 451):
        assert route(Redirect("/old/**", status=status), "/old/x") == Gone(status, 0)


PARAMETERS = [
    ((("id", ":id"),), "/blog/:id", "id=7", "/blog/7"),
    ((("id", ":id"),), "/blog/:id", "a=1&id=7&b=2", "/blog/7?a=1&b=2"),
    ((("id", ":id"),), "/blog/:id", "id=7&id=8", "/blog/7?id=8"),
    ((("id", ":id"),), "/blog/:id", "ID=7", None),
    ((("id", ":id"),), "/blog/:id", "", None),
    ((("id", ":id"),), "/blog/:id", "id=%2Fa+b%0D%0A", "/blog/a%20b%0D%0A"),
    ((("id", ":id"), ("t", ":t")), "/:t/:id", "t=x&id=y", "/x/y"),
    ((("id", ":id"), ("t", ":t")), "/:t/:id", "id=y", None),
    ((("lang", "de"),), "/de", "lang=de", "/de"),
    ((("lang", "de"),), "/de", "lang=en&lang=de", "/de?lang=en"),
    ((("lang", "de"),), "/de", "lang=en", None),
    ((("flag", ""),), "/x", "flag", "/x"),
]


@pytest.mark.parametrize(("asked", "to", "query", "location"), PARAMETERS)
def test_parameters_that_must_be_there(
    asked: tuple[tuple[str, str], ...], to: str, query: str, location: str | None
) -> None:
    """What is asked for is taken out of the query, the rest is passed on."""
    found = route(Redirect("/store", to, query=asked), "/store", query)
    assert found == (None if location is None else Redirected(301, location.encode(), 0))


def test_a_parameter_leads_out_of_no_directory() -> None:
    """What a client gives as a value is neither "..", nor has it a NUL."""
    rule = Rewrite("/get", "/data/:file", query=(("file", ":file"),))
    assert route(rule, "/get", "file=a%2Fb.json") == Rewritten(200, b"/data/a/b.json", 0)
    for value in ("..", "../x", "a/../../x", "%2e%2e/.git/config", "a%00"):
        assert route(rule, "/get", "file=" + value) is None


def test_a_host_that_must_be_meant() -> None:
    """Exact or by wildcard, as sites have them."""
    rule = Redirect("/**", "https://www.example.org/:splat", 308, host="*.example.org")
    assert route(rule, "/a", host="b.EXAMPLE.org:80") == Redirected(308, b"https://www.example.org/a", 0)
    assert route(rule, "/a", host="example.org") is None
    assert route(rule, "/a") is None


TABLE = Routes(
    [
        Redirect("/a", "/literal", 302),
        Rewrite("/b", "/b.html"),
        Redirect("/{a,b,c}", "/forced", 307),
        Redirect("/d", "/unforced", 303, force=False),
        Redirect("/d", "/second", 308),
        Rewrite("/app/**", "/app/index.html", force=True),
        Rewrite("/**", "/404.html", 404),
    ]
)


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        (b"/a", Redirected(302, b"/literal", 0), Redirected(302, b"/literal", 0)),
        (b"/b", None, Rewritten(200, b"/b.html", 1)),
        (b"/c", Redirected(307, b"/forced", 2), Redirected(307, b"/forced", 2)),
        (b"/d", None, Redirected(303, b"/unforced", 3)),
        (b"/app/x", Rewritten(200, b"/app/index.html", 5), Rewritten(200, b"/app/index.html", 5)),
        (b"/app/index.html", None, Rewritten(404, b"/404.html", 6)),
        (b"/other", None, Rewritten(404, b"/404.html", 6)),
        (b"/404.html", None, None),
        (NO_FILE, None, None),
    ],
)
def test_the_first_rule_that_matches_counts(path: bytes, before: Route | None, after: Route | None) -> None:
    """What is not forced is shadowed by files, and hides what is behind it all the same."""
    assert TABLE.before(path, b"", b"") == before
    assert TABLE.after(path, b"", b"") == after
    assert TABLE.route(path, b"", b"") == after


def test_what_a_table_says_of_itself() -> None:
    """How many rules, and whether the path alone decides."""
    assert len(TABLE) == 7 and TABLE.by_path
    assert not Routes(())
    assert Routes(()).by_path
    assert not Routes([Redirect("/a", "/b", host="a")]).by_path
    assert not Routes([Redirect("/a", "/b", query=(("a", "b"),))]).by_path


BAD = [
    (Redirect("/[", "/x"), r"/\[: .*not closed"),
    (Redirect("/a", ""), "/a: '' is no target"),
    (Redirect("/a", "x"), "is no target"),
    (Redirect("/a", "//example.org/"), "beginning with https://"),
    (Redirect("/a", "javascript:alert(1)"), "is no target"),
    (Redirect("/a", "ftp://example.org/"), "is no target"),
    (Redirect("/*", "https://$1/"), "is no target"),
    (Redirect("/*", "https://a.$1.example/"), "is no target"),
    (Redirect("/*", "https://:splat.example.org/"), "is no target"),
    (Redirect("/*", "https://example.org:splat"), "is no target"),
    (Redirect("/*", "https://user@example.org/"), "is no target"),
    (Redirect("/*", "https://example.org:99999999"), "is no target"),
    (Redirect("/*", "/$2"), r"captures nothing as \$2 \(it has \$1, :splat\)"),
    (Redirect("/:a/x", "/:splat"), r"nothing as :splat \(it has :a\)"),
    (Redirect("/a", "/wiki/Talk:Main"), r"it has no wildcard\); for the characters themselves write \\:Main"),
    (Redirect("/a", "/b?x=$1"), "captures nothing"),
    (Redirect("/a", "/b", 200), "a redirect cannot have the status 200"),
    (Redirect("/a", "/b", 404), "leads nowhere"),
    (Redirect("/a", "/b", host="a/b"), "is no host"),
    (Redirect("/a", "/b", query=(("", "x"),)), "the parameter ''"),
    (Redirect("/a", "/b", query=(("x", ":"),)), "the parameter 'x'"),
    (Rewrite("/a", "/b", 301), "a rewrite cannot have the status 301"),
    (Rewrite("/a", "/b?x"), "without a query"),
    (Rewrite("/a", "https://example.org/"), "is no target of a rewrite"),
    (Rewrite("/a", "//b"), "is no target of a rewrite"),
    (Rewrite("/a", "/b/%2e%2e/c"), "must not have"),
]


@pytest.mark.parametrize(("rule", "why"), BAD, ids=range(len(BAD)))
def test_a_bad_rule_is_refused_in_a_sentence(rule: Redirect | Rewrite, why: str) -> None:
    """Which rule, and what to do."""
    with pytest.raises(ValueError, match=why) as caught:
        Routes([rule])
    assert str(caught.value).startswith(rule.match + ": ")


SEGMENT = st.binary(min_size=1, max_size=8).map(lambda text: bytes(set(text) - set(b"/\0")))
PATHS = st.lists(SEGMENT | st.sampled_from([b"evil.example", b"\\evil", b"\r\nX: y", b"..."]), max_size=4).map(
    normalise
)
QUERIES = st.binary(max_size=20).map(lambda text: re.sub(rb"[#\s]", b"", text))
LOCAL = [
    ("/**", "/:splat"),
    ("/**", "/$1/x"),
    ("**", "/x/$1?q=$1"),
    ("/**/*", "/$2$1"),
    ("/{a,b}**", "/$1"),
    ("/*/**", "/$1/:splat"),
    ("/:a/**", "/:a:splat"),
]


@given(PATHS, QUERIES, st.sampled_from(LOCAL), st.booleans())
def test_no_request_leads_to_another_host(path: bytes | None, query: bytes, rule: tuple[str, str], far: bool) -> None:
    """Nor puts anything into the head of an answer: Location has visible ASCII characters only (RFC 9110, 10.2.2)."""
    assume(path is not None)
    assert path
    match, to = rule
    origin = "https://example.org" if far else ""
    found = Routes([Redirect(match, origin + to)]).before(path, query, b"")
    if isinstance(found, Redirected):
        assert re.fullmatch(rb"[\x21-\x7e]+", found.location)
        assert b"\\" not in found.location
        host = urlsplit(urljoin("http://self.example/", found.location.decode())).netloc
        assert host == ("example.org" if far else "self.example")
        if not far:
            assert re.match(rb"/(?!/)", found.location)


@given(st.binary(max_size=12), st.binary(max_size=12))
def test_no_parameter_leads_to_another_host(first: bytes, second: bytes) -> None:
    """Values of parameters may be anything at all."""
    query = b"a=" + quote_path(first).replace(b"&", b"%26") + b"&b=" + quote_path(second).replace(b"&", b"%26")
    found = Routes([Redirect("/", "/:a:b", query=(("a", ":a"), ("b", ":b")))]).route(b"/", query, b"")
    if found is not None:
        assert isinstance(found, Redirected)
        assert re.fullmatch(rb"/(?!/)[\x21-\x5b\x5d-\x7e]*", found.location)
    led = Routes([Rewrite("/", "/x/:a:b", query=(("a", ":a"), ("b", ":b")))]).route(b"/", query, b"")
    if led is not None:
        assert isinstance(led, Rewritten)
        assert normalise(led.path[1:].split(b"/")) == led.path


@given(PATHS)
def test_a_captured_path_arrives_as_it_was(path: bytes | None) -> None:
    """What is encoded into Location is what the client's next request is read as."""
    assume(path is not None)
    assert path
    found = Routes([Redirect("/**", "/x/:splat")]).route(path, b"", b"")
    assert isinstance(found, Redirected)
    taken = parse_target(found.location)
    assert taken and taken.path == b"/x" + path


@given(st.text(max_size=20))
def test_what_is_escaped_stands_for_itself(text: str) -> None:
    """In a target: no place in it is filled."""
    text = re.sub(r"[?#%/\ud800-\udfff]", "", text)
    location = Target("/" + escape(text), {"1", "a", "splat"}).location({"1": b"x", "a": b"x", "splat": b"x"}, b"")
    assert unquote_to_bytes(location) == ("/" + text).encode()
