"""Redirects, rewrites, clean addresses and mounts over real files."""

from pathlib import Path
from typing import Any, Literal

import pytest

from flashpy.routing.slash import Policy
from tests.site.conftest import Serve
from tests.site.serving import HTML


def route(source: str, to: str = "", status: int = 301, **more: Any) -> dict[str, Any]:
    """A table [[site.route]]."""
    return {"from": source, "to": to, "status": status, **more}


@pytest.mark.parametrize(
    ("table", "target", "status", "result"),
    [
        (route("/old/:x/*", "/new/:splat/:x"), "/old/a/b%20c?d=e", 301, "/new/b%20c/a?d=e"),
        (route("/old", "https://example.org/", 308), "/old?x", 308, "https://example.org/?x"),
        (route("/app.js", "/page.html", 302), "/app.js", 302, "/page.html"),  # before any file
        (route("/app.js", "/page.html", 302, missing=True), "/app.js", 200, "app.js"),
        (route("/no.js", "/page.html", 302, missing=True), "/no.js", 302, "/page.html"),
        (route("/a", "/b/:id", query={"id": ":id"}), "/a?id=7&k=v", 301, "/b/7?k=v"),
        (route("/a", "/b/:id", query={"id": ":id"}), "/a?k=v", 404, None),
        (route("/a", "/b", host="test"), "/a", 301, "/b"),
        (route("/a", "/b", host="other"), "/a", 404, None),
        (route("/*", "/page.html", 200), "/anything", 200, "page.html"),
        (route("/*", "/no.html", 200), "/anything", 404, None),
        (route("/*", "/.hidden", 200), "/anything", 404, None),
        (route("/*", "/hide.me", 200), "/anything", 404, None),
        (route("/x/*", "/:splat", 200), "/x/hide.me", 404, None),
        (route("/x/*", "/:splat", 200), "/x/%2e%2e/%2e%2e/etc/passwd", 400, None),
        (route("/x/**", "/:splat", 200), "/x//page.html", 200, "page.html"),
        (route("/x", "/secret", 200), "/x", 301, "/secret/"),
        (route("/gone", status=410), "/gone", 410, None),
        (route("/law", "/page.html", 451), "/law", 451, "page.html"),
        (route("/law", "/no.html", 451), "/law", 451, None),
    ],
)
def test_routes(serve: Serve, table: dict[str, Any], target: str, status: int, result: str | None) -> None:
    serving = serve(route=[table], hide=["hide.me"])
    serving.write("hide.me")
    serving.write(".hidden")
    for method in ("GET", "HEAD"):
        seen = serving.ask(target, method=method) if status != 400 else serving.ask(target)
        assert seen.status == status
        if 300 <= status < 400:
            assert seen.fields["location"] == result
        elif result is not None and method == "GET":
            assert seen.body.decode() == result
        assert b"hide.me" not in seen.body and b".hidden" not in seen.body


@pytest.mark.parametrize("to", ["/:splat", "/x/:splat", "/:splat/"])
@pytest.mark.parametrize(
    "attack", ["//evil.test", "/%5cevil.test", "/%0d%0aX:y", "/https:%2f%2fevil.test", "%2F%2Fevil"]
)
def test_no_open_redirect(serve: Serve, to: str, attack: str) -> None:
    """What a client writes never becomes a host, nor another field."""
    seen = serve(route=[route("/go/**", to)]).ask(f"/go/{attack}")
    location = seen.fields.get("location", "/")
    assert location.startswith("/") and not location.startswith(("//", "/\\"))
    assert "x" not in seen.fields


@pytest.mark.parametrize(
    "target", ["//evil.test/secret", "/\\evil.test/../secret", "///secret", "http://evil.test/secret"]
)
def test_a_directory_leads_nowhere_else(serve: Serve, target: str) -> None:
    """A path only, whatever Host says (RFC 9110, 10.2.2)."""
    for site in ({}, {"trailing_slash": "always"}, {"clean_urls": True}):
        location = serve(**site).ask(target, host="evil.test").fields.get("location", "/")
        assert location.startswith("/") and location[1:2] not in ("/", "\\")


def test_a_page_for_what_is_gone_is_not_put_aside_by_the_pages_for_errors(serve: Serve) -> None:
    """The rule is more particular; where its page is not there, the site's own is."""
    routes = [route("/a", "/page.html", 404), route("/b", "/no.html", 404), route("/c", status=404)]
    serving = serve(route=routes, error_pages={"404": "/index.html"})
    assert [serving.ask(target).body for target in ("/a", "/b", "/c", "/d")] == [
        b"page.html",
        b"index.html",
        b"index.html",
        b"index.html",
    ]
    assert {serving.status(target) for target in ("/a", "/b", "/c", "/d")} == {404}


# The page of an application


@pytest.mark.parametrize(
    ("target", "accept", "status"),
    [
        ("/deep/link", HTML, 200),
        ("/v1.2/users", HTML, 200),
        ("/deep/link/", HTML, 200),
        ("/deep/link", "*/*", 404),
        ("/missing.js", HTML, 404),
        ("/deep/app.3f9a1c2b.css", HTML, 404),
        ("/.well-known/x", HTML, 404),
        ("/deep", "application/json", 404),
    ],
)
@pytest.mark.parametrize("slash", ["auto", "never", "always"])
def test_the_fallback_answers_navigations_only(serve: Serve, target: str, accept: str, status: int, slash: str) -> None:
    serving = serve(fallback="/index.html", trailing_slash=slash, error_pages={"404": "/page.html"})
    for method in ("GET", "HEAD"):
        seen = serving.ask(target, f"Accept: {accept}", method=method)
        while seen.status == 301:
            seen = serving.ask(seen.fields["location"], f"Accept: {accept}", method=method)
        assert seen.status == status
        assert "Accept" in seen.fields["vary"].split(", ")
        if method == "GET":
            assert seen.body == (b"index.html" if status == 200 else b"page.html")


def test_the_fallback_is_a_resource_of_its_own(serve: Serve) -> None:
    """Conditions and ranges are those of the page; it is never said to last for ever."""
    serving = serve(fallback="/index.html")
    seen = serving.ask("/deep/link", f"Accept: {HTML}")
    assert "cache-control" not in seen.fields
    assert serving.status("/other", f"Accept: {HTML}", f"If-None-Match: {seen.fields['etag']}") == 304
    assert serving.ask("/other", f"Accept: {HTML}", "Range: bytes=0-4").body == b"index"
    assert serving.status("/app.3f9a1c2b.html", f"Accept: {HTML}") == 404


# Clean addresses, against the table of flashpy.routing.slash


def expected(policy: Policy, files: set[str], path: str) -> str:
    """What a policy says of an address over some files: a file that answers, "-> address", or nothing."""
    if (led := policy.redirect(path.encode())) is not None:
        return f"-> {led.decode()}"
    is_directory = False
    for each in policy.tries(path.encode()):
        name = each.path.decode()[1:]
        found = name + "index.html" if name.endswith("/") or not name else name
        if found in files:
            return f"-> {each.moved.decode()}" if each.moved else found
        is_directory = is_directory or any(file.startswith(name + "/") for file in files)
    if is_directory and not path.endswith("/") and (led := policy.directory(path.encode())):
        return f"-> {led.decode()}"
    return ""


@pytest.mark.parametrize("clean", [False, True])
@pytest.mark.parametrize("slash", ["auto", "always", "never"])
def test_the_whole_table_of_slashes(serve: Serve, clean: bool, slash: Literal["auto", "always", "never"]) -> None:
    """Over files: each address answers or leads as the policy says, with its query, and no way is endless."""
    serving = serve(clean_urls=clean, trailing_slash=slash)
    files = {"index.html", "a.txt", "dir/index.html", "both.html", "both/index.html", "page.html", "x.html.html"}
    for name in files:
        serving.write(name)
    serving.write("empty/x.txt")
    files |= {"empty/x.txt", "app.js", "app.3f9a1c2b.js", "secret/index.html", "secret/plan.html"}
    policy = Policy(clean, slash)
    stems = ["", "a.txt", "dir", "page", "page.html", "both", "both.html", "index.html", "dir/index.html", "dir/index"]
    for stem in [*stems, "none", "none.html", "empty", "x.html", "x.html.html", "secret/plan"]:
        for path in {f"/{stem}", f"/{stem}/" if stem else "/"}:
            seen = serving.ask(path + "?q=1")
            what = f"-> {seen.fields['location']}" if seen.status == 301 else seen.body.decode()
            expectation = expected(policy, files, path)
            if expectation.startswith("->"):
                assert (seen.status, what) == (301, expectation + "?q=1"), path
            else:
                assert (seen.status, what if expectation else "") == (200 if expectation else 404, expectation), path
            for _ in range(3):
                if seen.status != 301:
                    break
                seen = serving.ask(seen.fields["location"])
            assert seen.status != 301, f"{path} is led round"


def test_conditions_on_clean_addresses(serve: Serve) -> None:
    """The one address that answers has validators; those that lead there are redirects for all that."""
    serving = serve(clean_urls=True)
    etag = serving.ask("/page").fields["etag"]
    assert serving.status("/page", f"If-None-Match: {etag}") == 304
    assert serving.status("/page.html", f"If-None-Match: {etag}") == 301
    assert serving.status("/page/", f"If-None-Match: {etag}") == 301
    assert serving.ask("/page", "Range: bytes=0-3").status == 206


# Mounts


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """A directory beside the root."""
    for name in ("index.html", "a.txt", "sub/b.txt", "secret.map", "more/index.html"):
        file = tmp_path / "docs" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"docs {name}")
    return tmp_path / "docs"


def test_mounts(serve: Serve, docs: Path, tmp_path: Path) -> None:
    """The longest prefix counts, in whichever order; patterns are held against whole paths."""
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "index.html").write_text("inner")
    mounts = [{"path": "/docs/", "root": str(docs)}, {"path": "/docs/more", "root": str(tmp_path / "inner")}]
    serving = serve(mount=mounts, hide=["/docs/**/*.map", "/docs/sub"])
    serving.write("docs/index.html", "shadowed")
    serving.write("docsearch")
    answers = {
        "/docs": (301, "/docs/"),
        "/docs?a=b": (301, "/docs/?a=b"),
        "/docs/": (200, "docs index.html"),
        "/docs/a.txt": (200, "docs a.txt"),
        "/docs/sub": (404, None),
        "/docs/sub/b.txt": (404, None),
        "/docs/secret.map": (404, None),
        "/docs/more": (301, "/docs/more/"),
        "/docs/more/": (200, "inner"),
        "/docs/more/a.txt": (404, None),
        "/docs/../page.html": (200, "page.html"),
        "/docsearch": (200, "docsearch"),
        "/page.html": (200, "page.html"),
    }
    for target, (status, what) in answers.items():
        seen = serving.ask(target)
        assert seen.status == status, target
        assert what is None or what in (seen.body.decode(), seen.fields.get("location"))


def test_a_mount_without_slashes(serve: Serve, docs: Path) -> None:
    """Where nothing ends in a slash, the mount's index answers without one too."""
    serving = serve(mount=[{"path": "/docs/", "root": str(docs)}], trailing_slash="never", clean_urls=True)
    assert serving.ask("/docs").body == b"docs index.html"
    assert serving.ask("/docs/").fields["location"] == "/docs"
    assert serving.ask("/docs/more").body == b"docs more/index.html"


def test_rewrites_and_error_pages_reach_into_mounts(serve: Serve, docs: Path) -> None:
    serving = serve(
        mount=[{"path": "/docs/", "root": str(docs)}],
        route=[{"from": "/d/**", "to": "/docs/:splat", "status": 200}],
        error_pages={"404": "/docs/a.txt"},
    )
    assert serving.ask("/d/sub/b.txt").body == b"docs sub/b.txt"
    assert serving.ask("/d/sub").fields["location"] == "/docs/sub/"
    seen = serving.ask("/nothing")
    assert (seen.status, seen.body) == (404, b"docs a.txt")


def test_a_hidden_file_is_no_index(serve: Serve, docs: Path) -> None:
    """Nor is its sibling with a coding there; the next index name has its turn."""
    serving = serve(index=["index.html", "page.html"], hide=["/index.html", "/secret/*.html"], precompressed=["gzip"])
    serving.write("index.html.gz")
    assert serving.ask("/").body == b"page.html"
    for target in ("/secret/", "/secret/index.html", "/index.html", "/index.html.gz"):
        assert serving.status(target) == 404


@pytest.mark.parametrize("hide", ["/page", "/page.html", "page*"])
def test_a_hidden_page_has_no_clean_address(serve: Serve, hide: str) -> None:
    serving = serve(clean_urls=True, hide=[hide])
    assert serving.status("/page") == 404
