"""What is wrong with the settings of sites: one sentence, with the file and the line; and what others' files say."""

import json
import os
from pathlib import Path

import pytest

from flashpy.config import load
from flashpy.errors import ConfigError
from flashpy.site.plan import plan

WRONG = [
    ('index = ["a/b"]', "index", "plain file name"),
    ('hide = ["a{b"]', "hide", "brace"),
    ('headers = { "X Y" = "1" }', "headers", "not a field name"),
    ('headers = { "ETag" = "1" }', "headers", "by the server itself"),
    ('cache_control = "a\\nb"', "cache_control", "cannot have"),
    ('trailing_slash = "sometimes"', "trailing_slash", "sometimes"),
    ('fallback = "index.html"', "fallback", "no path"),
    ('fallback = "/dir/"', "fallback", "no path"),
    ('fallback = "/../x"', "fallback", "no path"),
    ('fallback = "/.x.html"', "fallback", "hidden"),
    ('error_pages = { "200" = "/x" }', "error_pages", "no status"),
    ('error_pages = { "404" = "x" }', "error_pages", "no path"),
    ('encode = ["lzma"]', "encode", "lzma"),
    ('media_types = { ".log" = "text/plain\\r\\nX: y" }', "media_types", "no media type"),
    ("keep_releases = -1", "keep_releases", "0"),
    ('hosts = ["https://a.test"]', "hosts", "no host"),
    ('imports = ["apache"]', "imports", "apache"),
    ('[site.cors]\norigins = ["a.test"]', "cors", "no origin"),
    ('[site.cors]\norigins = ["*"]\ncredentials = true', "cors", "each origin"),
    ('[[site.rule]]\nmatch = ["["]', "rule[0]", "bracket"),
    ('[[site.rule]]\n[[site.rule]]\ntypes = ["image"]', "rule[1]", "no media type"),
    ('[[site.rule]]\nheaders = { "Cache-Control" = "a" }\ncache_control = "b"', "rule[0]", "twice"),
    ('[[site.mount]]\npath = "docs"\nroot = "."', "mount[0].path", "no path to mount"),
    ('[[site.mount]]\npath = "/"\nroot = "."', "mount[0].path", "site.root"),
    ('[[site.mount]]\npath = "/a"', "mount[0]", "root"),
    ('[[site.route]]\nfrom = "/a/*"\nto = "/$2"', "route[0]", "$2"),
    ('[[site.route]]\nfrom = "/a"\nto = "b"', "route[0]", "no target"),
    ('[[site.route]]\nfrom = "/a"\nto = "//b"', "route[0]", "no target"),
    ('[[site.route]]\nfrom = "/a"\nto = "/b"\nstatus = 500', "route[0].status", "500"),
    ('[[site.route]]\nfrom = "/a"\nstatus = 200', "route[0]", "no target of a rewrite"),
    ('[[site.route]]\nfrom = "/a"\nto = "/a?b"\nstatus = 200', "route[0]", "without a query"),
    ("[[site.access]]\nmatch = []", "access[0].match", "no pattern"),
    ('[[site.access]]\nallow = ["10.0.0.1/8"]', "access[0]", "within a network"),
    ('[[site.access]]\nallow = ["10.0.0.0/8"]\ndeny = ["10.0.0.0/8"]', "access[0]", "both"),
    ('[[site.access]]\nusers = { "tom" = "secret" }', "access[0]", "tom"),
    ('[[site.access]]\nusers = { "t" = "$2b$04$......................bXrpy" }\nrealm = "é"', "access[0]", ""),
    ('[[site.access]]\nkeys = ["short"]', "access[0]", "openssl rand"),
    ('[[site.access]]\nhtpasswd = "none"', "none", "cannot be read"),
    ('[[site.access]]\nkey_file = "none"', "none", "cannot be read"),
    ('[[sites]]\nroot = "."', "sites[0].hosts", "take all hosts"),
    ('[[sites]]\nhosts = ["a.test"]\n[[sites]]\nhosts = ["A.test."]', "sites[1].hosts", "a.test"),
    ('[[sites]]\nhosts = ["a.test"]\nfallback = "x"', "sites[0].fallback", "no path"),
]


@pytest.mark.parametrize(("text", "key", "part"), WRONG, ids=[each[0][:40] for each in WRONG])
def test_what_is_wrong_is_said_in_a_sentence(tmp_path: Path, text: str, key: str, part: str) -> None:
    """With the file, the line of the key or of the table around it, and the key."""
    file = tmp_path / "flashpy.toml"
    head = '[site]\nroot = "."\n' if text.startswith("[[sites]]") else "[site]\n" if not text.startswith("[") else ""
    file.write_text(f"# a comment\n\n{head}{text}\n")
    with pytest.raises(ConfigError) as caught:
        load(file)
    message = str(caught.value)
    assert "\n" not in message and message.endswith((".", ".[coding]'.", "'."))
    assert part.lower() in message.lower()
    if key == "none":
        assert message.startswith(f"{tmp_path}/none: ")
        return
    place, _, rest = message.partition(": ")
    name, _, line = place.partition(", line ")
    assert name == str(file) and int(line) >= 3, message
    assert key in rest.partition(": ")[0], message


def test_an_error_in_an_included_file_names_that(tmp_path: Path) -> None:
    (tmp_path / "sites").mkdir()
    (tmp_path / "flashpy.toml").write_text('include = ["sites/*.toml"]\n')
    (tmp_path / "sites" / "a.toml").write_text('[[sites]]\nhosts = ["a.test"]\n')
    (tmp_path / "sites" / "b.toml").write_text(
        '[[sites]]\nhosts = ["b.test"]\n\n[[sites.route]]\nfrom = "/a"\nto = "b"\n'
    )
    with pytest.raises(ConfigError, match=r"sites/b\.toml, line 4: sites\[0\]\.route\[0\]"):
        load(tmp_path / "flashpy.toml")


def test_sites_from_included_files_alone(tmp_path: Path) -> None:
    """Without [site] there is no site for other hosts; roots are relative to the file that names them."""
    (tmp_path / "sites").mkdir()
    (tmp_path / "flashpy.toml").write_text('include = ["sites/*.toml"]\n')
    for name in "ab":
        (tmp_path / "sites" / f"{name}.toml").write_text(f'[[sites]]\nhosts = ["{name}.test"]\nroot = "{name}"\n')
    config = load(tmp_path / "flashpy.toml")
    assert [site.hosts for site in config.all_sites] == [("a.test",), ("b.test",)]
    assert [site.root for site in config.all_sites] == [str(tmp_path / "sites" / name) for name in "ab"]


# What others' files say


def imported(tmp_path: Path, *imports: str, **files: str) -> Path:
    """A configuration that imports, and the files that it is to import."""
    for name, text in files.items():
        (tmp_path / name.replace("serve_json", "serve.json")).write_text(text)
    file = tmp_path / "flashpy.toml"
    file.write_text(
        f'[site]\nroot = "."\nimports = {json.dumps(imports)}\n[[site.route]]\nfrom = "/mine"\nto = "/own"\n'
    )
    return file


def test_netlify(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Behind the site's own rules; what cannot be followed is said, with its line; the files are hidden."""
    config = load(
        imported(
            tmp_path,
            "netlify",
            _redirects="/mine /theirs\n/a/:b  /c/:b  302\n/app/* /index.html 200\n/x /y 200 Country=at\n/z /w 500\n",
            _headers="/*\n  X-A: 1\n/b\n  X-B: 2\n  : bad\n",
        )
    )
    site = config.site
    assert [(route.source, route.to, route.status) for route in site.route] == [
        ("/mine", "/own", 301),
        ("/mine{,/}", "/theirs", 301),
        ("/a/:b{,/}", "/c/:b", 302),
        ("/app{,/**}", "/index.html", 200),
    ]
    assert [rule.headers for rule in site.rule] == [{"X-A": "1"}, {"X-B": "2"}]
    from flashpy.access.attempts import Attempts

    hidden = plan(site, Attempts()).hidden
    assert hidden(b"/_headers") and hidden(b"/_redirects") and not hidden(b"/_other")
    warnings = [record.getMessage() for record in caplog.records]
    assert [f"{tmp_path}/_redirects, line 4", f"{tmp_path}/_redirects, line 5"] == [
        each.partition(":")[0] for each in warnings if "_redirects" in each
    ]
    assert any(each.startswith(f"{tmp_path}/_headers, line 5") for each in warnings)


def test_serve(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "public").mkdir()
    said = {
        "public": "public",
        "cleanUrls": ["/a/**"],
        "trailingSlash": True,
        "directoryListing": False,
        "renderSingle": True,
        "symlinks": True,
        "redirects": [{"source": "/old", "destination": "/new", "type": 302}],
        "rewrites": [{"source": "app/**", "destination": "/index.html"}],
        "headers": [{"source": "**/*.js", "headers": [{"key": "X-A", "value": "1"}]}],
    }
    site = load(imported(tmp_path, "serve", serve_json=json.dumps(said))).site
    assert (site.root, site.clean_urls, site.trailing_slash) == (str(tmp_path / "public"), False, "always")
    assert (site.listing, site.etag) == (False, "content")
    assert [(route.to, route.status) for route in site.route] == [("/own", 301), ("/new", 302), ("/index.html", 200)]
    messages = " ".join(record.getMessage() for record in caplog.records)
    assert all(key in messages for key in ("cleanUrls", "renderSingle", "symlinks"))


def test_without_the_files_nothing_changes(tmp_path: Path) -> None:
    """What ``serve`` does by itself (it lists directories) is not meant by who has no serve.json."""
    site = load(imported(tmp_path, "netlify", "serve")).site
    assert (site.listing, site.clean_urls, site.rule, len(site.route)) == (False, False, (), 1)


@pytest.mark.parametrize("name", ["_redirects", "_headers", "serve.json"])
def test_files_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    """One sentence; and what a deployment has put there keeps nobody waiting."""
    file = imported(tmp_path, "netlify", "serve")
    place = tmp_path / name
    os.mkfifo(place)
    with pytest.raises(ConfigError, match="is no regular file"):
        load(file)
    place.unlink()
    place.mkdir()
    with pytest.raises(ConfigError, match=r"cannot be read|no regular file"):
        load(file)
    place.rmdir()
    place.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load(file)
    place.write_bytes(b"#" * (2**20 + 1))
    with pytest.raises(ConfigError, match="larger than"):
        load(file)


@pytest.mark.parametrize("text", ["[]", "{", '{"a":' * 100_000])
def test_a_serve_json_that_is_none(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"serve\.json: it is no JSON"):
        load(imported(tmp_path, "serve", serve_json=text))
