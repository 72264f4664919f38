"""What a site says with its files: rules by the address and by the file, and other origins' scripts."""

from typing import Any

from tests.site.conftest import Serve
from tests.site.serving import HTML, Serving

YEAR = "public, max-age=31536000, immutable"
BR, GZIP = "Accept-Encoding: br", "Accept-Encoding: gzip"


def forms(serving: Serving, target: str, *fields: str) -> list[dict[str, str]]:
    """The fields of all answers about one address: whole, HEAD, part, parts, not modified; in each coding."""
    found = []
    for coding in ((), (GZIP,), (BR,)):
        whole = serving.ask(target, *coding, *fields)
        assert whole.status == 200
        found.append(whole.fields)
        found.append(serving.ask(target, *coding, *fields, method="HEAD").fields)
        for more, status in (
            ("Range: bytes=0-1", 206),
            ("Range: bytes=0-1,3-4", 206),
            (f"If-None-Match: {whole.fields['etag']}", 304),
        ):
            seen = serving.ask(target, *coding, *fields, more)
            assert seen.status == status
            found.append(seen.fields)
    return found


def test_all_forms_of_an_answer_say_the_same(serve: Serve) -> None:
    """RFC 9110, 15.3.7 and 15.4.5: what a 200 says of caching, a 206 and a 304 say too; of each coding."""
    rules = [{"match": ["*.html"], "headers": {"X-Rule": "yes"}, "cache_control": "max-age=60"}]
    serving = serve(rule=rules, precompressed=["gzip"], encode=["br"], headers={"X-Site": "here"})
    serving.write("page.html", b"words " * 1000)
    serving.write("page.html.gz", b"packed words")
    answers = forms(serving, "/page.html")
    for fields in answers:
        assert fields["cache-control"] == "max-age=60"
        assert (fields["x-rule"], fields["x-site"], fields["vary"]) == ("yes", "here", "Accept-Encoding")
    assert len({fields["etag"] for fields in answers}) == 3
    assert {fields["etag"] for fields in answers} == {answers[number]["etag"] for number in (0, 5, 10)}


def test_rules_by_the_address_and_by_the_file(serve: Serve) -> None:
    """Either name will do, however the one leads to the other; and each address has its own."""
    rules = [
        {"match": ["/index.html"], "headers": {"X-File": "index"}},
        {"match": ["/page"], "headers": {"X-Address": "page"}},
        {"match": ["/admin/**"], "headers": {"X-Address": "admin", "X-Robots-Tag": "noindex"}},
        {"match": ["/"], "headers": {"X-Address": "top"}},
    ]
    routes = [{"from": "/re", "to": "/page", "status": 200}, {"from": "/admin/re", "to": "/page", "status": 200}]
    serving = serve(rule=rules, route=routes, clean_urls=True, fallback="/index.html")
    wanted = {
        "/": ("index", "top"),
        "/page": (None, "page"),
        "/re": (None, None),
        "/admin/re": (None, "admin"),
        "/deep": ("index", None),
        "/admin/deep": ("index", "admin"),
        "/admin/deeper": ("index", "admin"),
    }
    for _ in range(2):
        for target, (file, address) in wanted.items():
            fields = serving.ask(target, f"Accept: {HTML}").fields
            assert (fields.get("x-file"), fields.get("x-address")) == (file, address), target
            asked = serving.ask(target, f"Accept: {HTML}", f"If-None-Match: {fields['etag']}")
            assert asked.status == 304 and asked.fields.get("x-address") == address
    jobs = len(serving.runner.jobs)
    for number in range(10):
        assert serving.ask(f"/admin/{number}", f"Accept: {HTML}").fields["x-address"] == "admin"
    assert len(serving.runner.jobs) == jobs + 20  # two names to look for each; the page is at hand for all of them


def test_names_with_a_hash(serve: Serve) -> None:
    """A year for the file under its own name; not for another address that leads there, nor for an error."""
    routes = [
        {"from": "/latest.js", "to": "/app.3f9a1c2b.js", "status": 200},
        {"from": "/app.0a1b2c3d.js", "to": "/app.js", "status": 200},
    ]
    serving = serve(route=routes, fallback="/index.html", error_pages={"404": "/app.js"})
    for _ in range(2):
        assert serving.ask("/latest.js").fields.get("cache-control") is None
        assert serving.ask("/app.3f9a1c2b.js").fields["cache-control"] == YEAR
        assert serving.ask("/app.0a1b2c3d.js").fields.get("cache-control") is None
        assert serving.ask("/gone.3f9a1c2b.js").fields.get("cache-control") is None
        assert serving.ask("/", f"Accept: {HTML}").fields.get("cache-control") is None
    assert serve(hashed_names=False).ask("/app.3f9a1c2b.js").fields.get("cache-control") is None


def test_the_last_rule_counts_and_an_empty_value_removes(serve: Serve) -> None:
    rules: list[dict[str, Any]] = [
        {"match": ["*.js"], "headers": {"X-A": "1", "X-B": "1"}},
        {"types": ["text/javascript"], "headers": {"x-a": "2", "X-Site": ""}},
        {"types": ["image/*"], "headers": {"X-A": "3"}},
    ]
    fields = serve(rule=rules, headers={"X-Site": "here"}).ask("/app.js").fields
    assert (fields["x-a"], fields["x-b"], fields.get("x-site")) == ("2", "1", None)


def test_cache_control_is_of_files(serve: Serve) -> None:
    """Errors and redirects do not get that of the files."""
    serving = serve(cache_control="public, max-age=600")
    assert serving.ask("/page.html").fields["cache-control"] == "public, max-age=600"
    for target in ("/nothing", "/secret"):
        assert "cache-control" not in serving.ask(target).fields


def test_a_time_among_the_headers_is_of_files_too(serve: Serve) -> None:
    """An error that is kept for a year by mistake is a year of errors; what is not to be kept remains so."""
    for value, of_errors in (("public, max-age=600", None), ("No-Store", "No-Store"), ("no-cache", "no-cache")):
        serving = serve(headers={"cache-control": value, "X-Site": "here"})
        assert serving.ask("/page.html").fields["cache-control"] == value
        fields = serving.ask("/nothing").fields
        assert (fields.get("cache-control"), fields["x-site"]) == (of_errors, "here")
        assert serving.ask("/secret").fields["cache-control"] == value  # a redirect may be kept


def test_listings_have_their_own(serve: Serve) -> None:
    """And each of them once."""
    headers = {"Cache-Control": "public, max-age=600", "X-Content-Type-Options": "nosniff", "X-Site": "here"}
    serving = serve(headers=headers, listing=True, listing_archive=True, index=[])
    for target in ("/", "/?download=tar"):
        fields = serving.ask(target).fields
        assert (fields["cache-control"], fields["x-site"]) == ("no-cache", "here")
    assert serving.ask("/").fields["x-content-type-options"] == "nosniff"


def test_hashed_names_are_kept_whatever_is_said_of_all_files(serve: Serve) -> None:
    serving = serve(cache_control="no-cache")
    serving.write("app.3f9a1c2b.js", "x")
    assert serving.ask("/app.3f9a1c2b.js").fields["cache-control"] == "public, max-age=31536000, immutable"
    assert serving.ask("/page.html").fields["cache-control"] == "no-cache"


# Other origins' scripts (the Fetch standard, "CORS protocol")

ORIGIN = "Origin: https://a.test"


def test_origins_that_are_named(serve: Serve) -> None:
    """Each gets its own answer from the same entry, also when the head is known; all say that they vary."""
    serving = serve(cors={"origins": ["https://a.test", "https://*.b.test"]}, error_pages={"404": "/page.html"})
    for _ in range(3):
        for target, method in (("/app.js", "GET"), ("/nothing", "GET"), ("/secret", "GET"), ("/app.js", "POST")):
            for origin, allowed in (("https://a.test", True), ("https://x.b.test", True), ("https://c.test", False)):
                fields = serving.ask(target, f"Origin: {origin}", method=method).fields
                assert fields.get("access-control-allow-origin") == (origin if allowed else None)
                assert "Origin" in fields["vary"]
            assert "Origin" in serving.ask(target, method=method).fields["vary"]
    etag = serving.ask("/app.js").fields["etag"]
    seen = serving.ask("/app.js", ORIGIN, f"If-None-Match: {etag}")
    assert (seen.status, seen.fields["access-control-allow-origin"]) == (304, "https://a.test")
    assert "Origin" in seen.fields["vary"]
    assert serving.ask("/app.js", ORIGIN, "Range: bytes=0-1").fields["access-control-allow-origin"] == "https://a.test"


def test_any_origin(serve: Serve) -> None:
    serving = serve(cors={"origins": ["*"]})
    for target in ("/app.js", "/nothing", "/secret"):
        fields = serving.ask(target, ORIGIN).fields
        assert fields["access-control-allow-origin"] == "*" and "Origin" not in fields.get("vary", "")


def test_preflights(serve: Serve) -> None:
    serving = serve(cors={"origins": ["https://a.test", "https://b.test"], "headers": ["X-A"], "max_age": 5})
    asked = ("Access-Control-Request-Method: GET", "Access-Control-Request-Headers: x-a, x-b")
    seen = serving.ask("/app.js", ORIGIN, *asked, method="OPTIONS")
    assert (seen.status, seen.fields["access-control-allow-headers"]) == (204, "x-a")
    assert (seen.fields["access-control-max-age"], seen.fields["vary"]) == ("5", "Origin")
    refused = serving.ask("/app.js", "Origin: https://c.test", *asked, method="OPTIONS")
    assert refused.status == 204 and "access-control-allow-origin" not in refused.fields
