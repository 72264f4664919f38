"""Guards are judged for each request, whatever is prepared, and there is no way round them."""

from typing import Any

import pytest

from flashpy.access.signed import sign
from flashpy.job.kinds import Outcome, Verify
from flashpy.site.plan import SettingError
from tests.site.conftest import Serve
from tests.site.serving import HTML, TOM, TOMS_HASH, WALL

INSIDE, OUTSIDE = "127.0.0.1", "127.0.0.2"
KEY = "0123456789abcdef"
NETWORK: dict[str, Any] = {"match": ["/secret/**"], "allow": [INSIDE]}
PASSWORD: dict[str, Any] = {"match": ["/secret/**"], "users": {"tom": TOMS_HASH}}


def test_an_allowed_and_a_denied_client_with_the_same_bytes(serve: Serve) -> None:
    """Neither the caches nor the memo of heads remember whom they answered."""
    serving = serve(access=[NETWORK])
    for client, status in [(INSIDE, 200), (OUTSIDE, 403)] * 4:
        seen = serving.ask("/secret/plan.html", client=client)
        assert seen.status == status
        assert (b"secret/plan.html" in seen.body) == (status == 200)
    first = serving.request("/secret/plan.html")
    assert serving.request("/secret/plan.html") is first  # the memo knows it


def test_a_signed_address_before_and_after_its_time(serve: Serve) -> None:
    """The clock is asked each time: 200, then 410; and 403 for what was never signed."""
    serving = serve(access=[{"match": ["/secret/**"], "keys": [KEY]}])
    target = "/secret/plan.html?" + sign(KEY.encode(), b"/secret/plan.html", int(WALL) + 60).decode()
    for _ in range(3):
        assert serving.status(target) == 200
    serving.later(61)
    assert serving.status(target) == 410
    assert serving.status("/secret/plan.html") == 403
    assert serving.ask(target).fields["cache-control"] == "no-store"


def test_a_password_right_wrong_and_missing(serve: Serve) -> None:
    """Each request by itself; HEAD, conditions and ranges no less."""
    serving = serve(access=[PASSWORD])
    wrong = "Authorization: Basic dG9tOndyb25n"
    for fields, status in [((f"Authorization: {TOM}",), 200), ((wrong,), 401), ((), 401)] * 2:
        seen = serving.ask("/secret/plan.html", *fields)
        assert seen.status == status
    seen = serving.ask("/secret/plan.html", f"Authorization: {TOM}")
    assert seen.fields["cache-control"] == "private"
    etag = seen.fields["etag"]
    for more in ("Range: bytes=0-3", f"If-None-Match: {etag}", "If-None-Match: *", "If-Match: x"):
        assert serving.status("/secret/plan.html", more) == 401
        assert serving.status("/secret/plan.html", more, f"Authorization: {TOM}") in (206, 304, 412)
    assert serving.status("/secret/plan.html", method="HEAD") == 401


def test_many_failures_are_too_many(serve: Serve) -> None:
    """429 with Retry-After, for this client alone; and after a while it may try again."""
    serving = serve(access=[PASSWORD])
    for number in range(10):
        assert serving.status("/secret/", f"Authorization: Basic dG9tOndyb25{'abcdefghij'[number]}") == 401
    seen = serving.ask("/secret/", f"Authorization: {TOM}")
    assert seen.status == 429 and int(seen.fields["retry-after"]) > 0
    assert serving.status("/secret/", f"Authorization: {TOM}", client=OUTSIDE) == 200
    serving.later(10)
    assert serving.status("/secret/", f"Authorization: {TOM}") == 200


@pytest.mark.parametrize(
    ("outcome", "status"),
    [(Outcome.BUSY, 503), (Outcome.LATE, 503), (Outcome.NO_DESCRIPTORS, 503), (Outcome.FAILED, 500)],
)
def test_a_password_that_cannot_be_checked_lets_nobody_through(serve: Serve, outcome: Outcome, status: int) -> None:
    serving = serve(access=[PASSWORD], error_pages={"5xx": "/page.html"})
    serving.runner.bend = lambda result: result._replace(outcome=outcome) if isinstance(result.job, Verify) else result
    seen = serving.ask("/secret/plan.html", f"Authorization: {TOM}")
    assert seen.status == status and seen.body == b"page.html"
    serving.runner.bend = lambda result: result
    assert serving.status("/secret/plan.html", f"Authorization: {TOM}") == 200


# No way round

WAYS = [
    ({}, "/secret/"),
    ({}, "/secret/index.html"),
    ({}, "/secret/%70lan.html"),
    ({}, "/secret//plan.html"),
    ({}, "/./x/../secret/plan.html"),
    ({}, "/secret/plan.html?a=b"),
    ({}, "/secret/plan.html/"),
    ({}, "http://elsewhere/secret/plan.html"),
    ({"clean_urls": True}, "/secret/plan"),
    ({"clean_urls": True}, "/secret/plan/"),
    ({"clean_urls": True, "trailing_slash": "never"}, "/secret"),
    ({"clean_urls": True, "trailing_slash": "always"}, "/secret/plan/"),
    ({"route": [{"from": "/open/*", "to": "/secret/:splat", "status": 200}]}, "/open/plan.html"),
    ({"route": [{"from": "/open/*", "to": "/secret/:splat", "status": 200, "missing": True}]}, "/open/plan.html"),
    ({"route": [{"from": "/open", "to": "/secret/", "status": 200}]}, "/open"),
    ({"route": [{"from": "/open", "to": "/secret/plan", "status": 200}], "clean_urls": True}, "/open"),
    ({"route": [{"from": "/open", "to": "/secret/plan.html", "status": 404}]}, "/open"),
    ({"fallback": "/secret/plan.html"}, "/deep/link"),
    ({"error_pages": {"404": "/secret/plan.html", "4xx": "/secret/plan.html"}}, "/nothing"),
    ({"error_pages": {"4xx": "/secret/plan.html"}}, "/secret/plan.html"),
    ({"precompressed": ["gzip"]}, "/secret/plan.html.gz"),
    ({"mount": [{"path": "/secret", "root": "."}]}, "/secret/page.html"),
]


@pytest.mark.parametrize(("site", "target"), WAYS, ids=[f"{number}-{way[1]}" for number, way in enumerate(WAYS)])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("match", ["/secret/**", "/secret/", "secret", "{**/plan.html*,/secret/*}"])
def test_no_way_round(serve: Serve, site: dict[str, Any], target: str, method: str, match: str) -> None:
    """Whichever name leads there, who may not have it does not get it; who may does."""
    if "mount" in site:
        site = {"mount": [{"path": "/secret", "root": str(serve().root)}]}
    serving = serve(access=[{"match": [match], "allow": [INSIDE]}], **site)
    serving.write("secret/plan.html.gz", b"secret/plan.html, packed")
    for _ in range(2):
        seen = serving.ask(target, f"Accept: {HTML}", method=method, client=OUTSIDE)
        assert seen.status in (403, 404), seen
        assert b"secret" not in seen.body and "etag" not in seen.fields
        assert serving.status(target, f"Accept: {HTML}", method=method, client=INSIDE) != 403


@pytest.mark.parametrize("name", ["/secret.html", "/s", "*.html"])
def test_a_guard_of_one_name_holds_for_the_others(serve: Serve, name: str) -> None:
    """The page, its clean address, its stored codings: whichever the guard is for."""
    serving = serve(
        access=[{"match": [name, "/s.html"], "allow": [INSIDE]}], clean_urls=True, precompressed=["gzip", "br"]
    )
    for file in ("s.html", "s.html.gz", "s.html.br"):
        serving.write(file)
    for target in ("/s", "/s/", "/s.html", "/s.html.gz", "/s.html.br"):
        for fields in ((), ("Accept-Encoding: gzip",)):
            assert serving.status(target, *fields, client=INSIDE) in (200, 301)
            assert serving.status(target, *fields, client=OUTSIDE) == 403
    assert name == "*.html" or serving.status("/s.html.zst", client=OUTSIDE) == 404  # zstd is not looked for


def test_options_says_nothing_and_asks_for_nothing(serve: Serve) -> None:
    """RFC 9110, 9.3.7; a preflight has no credentials (the Fetch standard, 4.8)."""
    serving = serve(access=[NETWORK])
    assert serving.status("/secret/plan.html", method="OPTIONS", client=OUTSIDE) == 204
    assert serving.status("/secret/plan.html", method="POST", client=OUTSIDE) == 405


def test_the_page_that_says_401(serve: Serve) -> None:
    """It needs an exception from the guard that it speaks of; with one it is shown, and the challenge stays."""
    everything = {"match": ["**"], "users": {"tom": TOMS_HASH}}
    pages = {"401": "/401.html"}
    serving = serve(access=[everything], error_pages=pages)
    serving.write("401.html", "who are you")
    seen = serving.ask("/")
    assert seen.status == 401 and b"who are you" not in seen.body
    serving = serve(access=[{"match": ["/401.html"]}, everything], error_pages={**pages, "404": "/page.html"})
    for method, body in (("GET", b"who are you"), ("HEAD", b"")):
        seen = serving.ask("/", method=method)
        assert (seen.status, seen.body) == (401, body)
        assert seen.fields["www-authenticate"].startswith("Basic ")
        assert seen.fields["cache-control"] == "no-store" and seen.fields["content-length"] == "11"
    # Who has been let in gets the pages behind the same guard.
    assert serving.ask("/nothing", f"Authorization: {TOM}").body == b"page.html"


# What shared caches may keep (RFC 9111, 3.5)


@pytest.mark.parametrize(
    ("site", "value"),
    [
        ({}, "private"),
        ({"cache_control": "public, max-age=60, s-maxage=600"}, "private, max-age=60"),
        ({"cache_control": "max-age=60"}, "private, max-age=60"),
        ({"cache_control": "no-store"}, "no-store"),
        ({"headers": {"cache-control": "public"}}, "private"),
        ({"headers": {"cache-control": "public"}, "cache_control": "private, max-age=1"}, "private, max-age=1"),
        ({"rule": [{"cache_control": "public, max-age=60"}]}, "public, max-age=60"),
        ({"rule": [{"headers": {"Cache-Control": ""}}]}, None),
    ],
)
def test_what_is_guarded_is_private(serve: Serve, site: dict[str, Any], value: str | None) -> None:
    """What is said of all files in general is not said of these; what a rule says is. Nor is a name with a hash in it
    for everybody: that was the way to a year in a shared cache."""
    serving = serve(access=[NETWORK], **site)
    serving.write("secret/app.3f9a1c2b.js")
    for target in ("/secret/plan.html", "/secret/app.3f9a1c2b.js", "/secret/"):
        assert serving.ask(target).fields.get("cache-control") == value
        assert serving.ask(target, "If-None-Match: *").fields.get("cache-control") == value


def test_what_a_guard_leads_to_is_private_too(serve: Serve) -> None:
    """The page of an application is the same file for a guarded address and for one that is not; the answers differ."""
    serving = serve(access=[NETWORK], fallback="/index.html", cache_control="max-age=60")
    for _ in range(2):
        assert serving.ask("/secret/deep", f"Accept: {HTML}").fields["cache-control"] == "private, max-age=60"
        assert serving.ask("/deep", f"Accept: {HTML}").fields["cache-control"] == "max-age=60"
        assert serving.ask("/").fields["cache-control"] == "max-age=60"


def test_an_exception_that_leads_behind_a_guard_is_private(serve: Serve) -> None:
    """The first name has a guard that demands nothing: it is the other that counts."""
    serving = serve(
        access=[{"match": ["/open"]}, {"match": ["**"], "allow": [INSIDE]}],
        route=[{"from": "/open", "to": "/page.html", "status": 200}],
    )
    assert serving.ask("/open").fields["cache-control"] == "private"
    assert serving.status("/open", client=OUTSIDE) == 403


@pytest.mark.parametrize("key", ["short", "with a blank in it", "ümlaut-0123456789", ""])
def test_keys_that_are_none(serve: Serve, key: str) -> None:
    """As in a file of keys; and what is wrong is said without saying the key."""
    with pytest.raises(SettingError) as caught:
        serve(access=[{"match": ["**"], "keys": [key]}])
    assert caught.value.keys == ("access", "0")
    assert not key or key not in str(caught.value)
