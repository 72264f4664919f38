"""Settings that contradict each other, or what is there."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from flashpy.config import Config, load
from flashpy.config.contradictions import Finding, contradictions
from flashpy.config.presence import absences
from flashpy.errors import ConfigError

USERS = {"access": [{"match": ["/private/**"], "allow": ["192.0.2.0/24"]}]}


def config(**site: Any) -> Config:
    """A configuration with these keys in its site."""
    return msgspec.convert({"site": site}, Config)


def found(**site: Any) -> list[Finding]:
    return list(contradictions(config(**site)))


def only(**site: Any) -> Finding:
    (finding,) = found(**site)
    return finding


def redirect(source: str, to: str, **more: Any) -> dict[str, Any]:
    return {"from": source, "to": to, **more}


def test_nothing_is_wrong_with_the_defaults_and_much_else() -> None:
    assert found() == []
    harmless: dict[str, Any] = {
        "fallback": "/index.html",
        "error_pages": {"404": "/404.html", "5xx": "/50x.html"},
        "media_types": {".log": "text/plain; charset=utf-8", ".x": "application/vnd.example+json"},
        "route": [
            redirect("/old", "/new"),
            redirect("/blog/:year/*", "/archive/:year/:splat"),
            redirect("/a/**", "https://example.org/a/:splat"),
            redirect("/gone", "", status=410),
            redirect("/page", "/page/"),
            redirect("/app/*", "/app.html", status=200, missing=True),
        ],
        "mount": [{"path": "/docs/", "root": "."}, {"path": "/docs/more", "root": "."}],
        "access": [{"match": ["/private/admin/**"], "deny": ["192.0.2.1"]}, *USERS["access"]],
        "rule": [
            {"match": ["/assets/**"], "cache_control": "public, max-age=60"},
            {"match": ["/private/**"], "cache_control": "no-store"},
        ],
        "precompressed": ["br", "gzip"],
        "hashed_names": True,
        "cache_control": "public, max-age=5",  # which what is guarded does not get
        "listing": True,
        "listing_archive": True,  # without what is guarded
    }
    assert found(**harmless) == []


@pytest.mark.parametrize(
    ("site", "keys", "why", "error"),
    [
        ({"encode": ["br", "gzip", "br"]}, ("encode",), '"br" is in it 2 times', False),
        ({"media_types": {".log": "text"}}, ("media_types", ".log"), "'text' is no media type", True),
        ({"listing_archive": True}, ("listing_archive",), "nothing is offered", False),
        ({"fallback": "/.app.html"}, ("fallback",), "is hidden", True),
        ({"error_pages": {"4xx": "/e/404.html"}, "hide": ["/e"]}, ("error_pages", "4xx"), "is hidden", True),
        (
            {"mount": [{"path": "/a/", "root": "."}, {"path": "/a", "root": "."}]},
            ("mount", "1", "path"),
            "mount[0]",
            True,
        ),
        ({"mount": [{"path": "/", "root": "."}]}, ("mount", "0", "path"), "nothing would be left", True),
        ({"mount": [{"path": "docs", "root": "."}]}, ("mount", "0", "path"), "no path to mount at", True),
        ({"mount": [{"path": "/a/../b", "root": "."}]}, ("mount", "0", "path"), "no path to mount at", True),
        (
            {"route": [redirect("/a/*", "/a/b/:splat"), redirect("/a/b/*", "/a/:splat")]},
            ("route", "0"),
            "/a/x",
            True,
        ),
        ({"route": [redirect("/a", "/b"), redirect("/b", "/a")]}, ("route", "0"), "[0] and route[1]", True),
        ({"route": [redirect("/a/**", "/a/x/:splat")]}, ("route", "0"), "for ever by route[0]", True),
        ({"route": [redirect("/a", "/a?b#c")]}, ("route", "0"), "for ever by route[0]", True),
        ({"route": [redirect("/a", "/b"), redirect("/b", "/a", missing=True)]}, ("route", "0"), "unless", False),
        ({"access": [{"allow": ["::1"]}, {"match": ["/x/**"], "deny": ["::1"]}]}, ("access", "1"), "access[0]", True),
        ({"access": [{"match": ["/x", "/y"]}, {"match": ["/y"], "deny": ["::1"]}]}, ("access", "1"), "access[0]", True),
        (
            {"rule": [{"match": ["/**/*.css"], "cache_control": "must-revalidate"}], **USERS},
            ("rule", "0", "cache_control"),
            "access[0] guards (RFC 9111, 3.5)",
            False,
        ),
        (
            {"rule": [{"match": ["*.css"], "headers": {"Cache-Control": "Public"}}], **USERS},
            ("rule", "0", "headers", "Cache-Control"),
            "public lets",
            False,
        ),
    ],
)
def test_a_contradiction_is_found(site: dict[str, Any], keys: tuple[str, ...], why: str, error: bool) -> None:
    finding = only(**site)
    assert finding.keys == ("site", *keys)
    assert why in finding.why
    assert finding.why.endswith(".")
    assert finding.error is error


def test_each_site_is_looked_at() -> None:
    sites = msgspec.convert({"sites": [{"hosts": ["a.example"]}, {"hosts": ["b.example"], "fallback": "/.x"}]}, Config)
    (finding,) = contradictions(sites)
    assert finding.keys == ("sites", "1", "fallback")


def test_caching_is_no_matter_where_an_exception_comes_first() -> None:
    """A table that demands nothing makes an exception of what it matches."""
    rules = [{"match": ["/private/css/**"], "cache_control": "public"}]
    exception = {"match": ["/private/css/**"]}
    assert found(rule=rules, access=[exception, *USERS["access"]]) == []


def test_what_cannot_be_meant_so_is_refused_with_its_line(tmp_path: Path) -> None:
    """By whoever reads the configuration, not by the check alone."""
    file = tmp_path / "flashpy.toml"
    file.write_text(
        '[site]\nroot = "."\n\n[[site.route]]\nfrom = "/a"\nto = "/b"\n[[site.route]]\nfrom = "/b"\nto = "/a"\n'
    )
    with pytest.raises(ConfigError, match=r"flashpy\.toml, line 4: site\.route\[0\]: /a is redirected for ever"):
        load(file)


def test_what_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("")
    (tmp_path / "docs").mkdir()
    site = {
        "root": str(tmp_path),
        "allowed_roots": [str(tmp_path / "none")],
        "fallback": "/index.html",
        "error_pages": {"404": "/docs/404.html", "5xx": "/50x.html"},
        "mount": [{"path": "/docs/", "root": str(tmp_path / "nowhere")}],
        "keep_releases": 60,
    }
    read = msgspec.convert({"site": site, "log": {"access_file": str(tmp_path / "logs" / "access.log")}}, Config)
    assert {(".".join(finding.keys), finding.error) for finding in absences(read)} == {
        ("site.allowed_roots", True),
        ("site.mount.0.root", True),
        ("site.error_pages.404", True),
        ("site.error_pages.5xx", True),
        ("site.keep_releases", False),
        ("log.access_file", True),
    }


def test_a_page_is_looked_for_where_it_is_mounted(tmp_path: Path) -> None:
    """And a release that a link leads to has others before it."""
    (tmp_path / "release").mkdir()
    (tmp_path / "errors").mkdir()
    (tmp_path / "errors" / "404.html").write_text("")
    (tmp_path / "current").symlink_to("release")
    mount = {"path": "/errors", "root": str(tmp_path / "errors")}
    root = str(tmp_path / "current")
    assert (
        list(absences(config(root=root, error_pages={"404": "/errors/404.html"}, mount=[mount], keep_releases=9))) == []
    )
