"""``flashpy explain``: it says what the server answers, and why."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import bcrypt
import pytest

from flashpy.cli.explanation import explain
from flashpy.config import load
from tests.running import PATIENCE, Flashpy, clean_environment, free_ports

HASH = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
GOOD, BAD = "Authorization: Basic amFuZTpzZWNyZXQ=", "Authorization: Basic amFuZTp3cm9uZw=="

CONFIGURATION = """
[server]
bind = ["127.0.0.1:{port}"]
[site]
root = "site"
precompressed = ["gzip"]
encode = ["br"]
cache_control = "max-age=60"
error_pages = {{ "404" = "/404.html" }}
fallback = "/app.html"
hide = ["*.map"]
listing = true
headers = {{ "X-Mine" = "1" }}
[[site.rule]]
match = ["/docs/**"]
headers = {{ "X-Docs" = "yes" }}
[[site.mount]]
path = "/docs/"
root = "docs"
[[site.route]]
from = "/old/*"
to = "/new/:splat"
[[site.route]]
from = "/page"
to = "/text.txt"
status = 200
missing = true
[[site.route]]
from = "/gone"
status = 410
[[site.access]]
match = ["/private/office/**"]
allow = ["192.0.2.0/24"]
[[site.access]]
match = ["/private/**"]
users = {{ jane = "{hash}" }}
[[sites]]
hosts = ["other.example"]
root = "other"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A configuration in which there is something to explain."""
    files = {
        "site/text.txt": "text " * 500,
        "site/text.txt.gz": "gzip",
        "site/plain.txt": "plain " * 500,
        "site/app.html": "<p>application",
        "site/404.html": "<p>nothing",
        "site/app.3f9a1c2b.js": "1",
        "site/app.js.map": "{}",
        "site/list/a": "a",
        "site/private/letter": "private",
        "site/private/office/plan": "plan",
        "docs/index.html": "<p>docs",
        "other/index.html": "<p>other",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    file = tmp_path / "flashpy.toml"
    file.write_text(CONFIGURATION.format(port=free_ports()[0], hash=HASH))
    return file


@pytest.fixture
def server(file: Path) -> Iterator[Flashpy]:
    with Flashpy("-c", file) as server:
        assert server.urls
        yield server


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """``flashpy explain ARGUMENTS``."""
    command = [sys.executable, "-m", "flashpy", "explain", *map(str, arguments)]
    environment = clean_environment()
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, env=environment, check=False)
    assert "Traceback" not in done.stderr
    return done


CASES = [
    ("/plain.txt", [], 200, ["file: .*/site/plain.txt, 3,000 bytes", "coding: none; there is no Accept-Encoding"]),
    ("/plain.txt", ["Accept-Encoding: br"], 200, ["coding: br, made by a helper"]),
    ("/text.txt", ["Accept-Encoding: gzip"], 200, ["coding: gzip, as it is stored", "with .gz beside it"]),
    ("/text.txt", ["Range: bytes=0-3"], 206, ["condition: range: bytes=0-3"]),
    ("/text.txt", ["If-None-Match: *"], 304, ["condition: if-none-match: *"]),
    ("/text.txt", ['If-Match: "x"'], 412, ["condition: if-match"]),
    ("/text.txt", ["Range: bytes=9999-"], 416, ["condition: range"]),
    ("/app.3f9a1c2b.js", [], 200, ["hashed name: "]),
    ("/docs", [], 301, ["address: "]),
    ("/docs/", [], 200, ["file: .*/docs/index.html", r"rule: rule\[0\]: X-Docs"]),
    ("/old/a", [], 301, [r"route: route\[0\] \(from /old/\*\): redirect \(301\) to /new/a"]),
    ("/page", [], 200, [r"route: route\[1\] .* /text.txt with 200", "looked for: .*/site/page: missing"]),
    ("/gone", [], 410, [r"route: route\[2\] .*: gone \(410\)"]),
    ("/none.png", [], 404, ["looked for: .*/none.png: missing", "route: no rule matches", "error page: "]),
    ("/users/7", ["Accept: text/html"], 200, ["fallback: ", "file: .*/site/app.html"]),
    ("/app.js.map", [], 404, ["hidden: /app.js.map"]),
    ("/list/", [], 200, ["listed: .*/site/list/"]),
    ("/private/letter", [], 401, [r"access: access\[1\], by /private/letter, refuses it \(401\): no credentials"]),
    ("/private/letter", [GOOD], 200, [r"access: access\[1\], .* lets it through: the password is right"]),
    ("/private/letter", [BAD], 401, [r"access: access\[1\], .* refuses it: the password is wrong"]),
    ("/private/office/plan", [], 403, [r"access: access\[0\], .* refuses it \(403\): 127.0.0.1 is in no network"]),
    ("/", ["Host: other.example"], 200, [r"site: sites\[0\] \(other.example\)", "file: .*/other/index.html"]),
    ("/%zz", [], 400, ["request: it cannot be read"]),
]


@pytest.mark.parametrize(("target", "fields", "status", "said"), CASES)
def test_what_it_says(file: Path, target: str, fields: list[str], status: int, said: list[str]) -> None:
    if not any(field.startswith("Host:") for field in fields):
        fields = ["Host: test", *fields]
    found = explain(load(file), "\r\n".join([f"GET {target} HTTP/1.1", *fields, "", ""]).encode(), "127.0.0.1")
    assert found.response.head.status == status
    lines = "\n".join(f"{line.about}: {line.what}" for line in found.lines)
    for expression in said:
        assert re.search(f"^{expression}|: {expression}|, {expression}", lines, re.MULTILINE), lines


def test_it_cannot_lie(file: Path, server: Flashpy) -> None:
    """The status and the fields are those of the server, for all of them and for HEAD too."""
    config = load(file)
    for target, fields, _, _ in CASES:
        for method in ("GET", "HEAD"):
            given = fields if any(field.startswith("Host:") for field in fields) else ["Host: test", *fields]
            head = "\r\n".join([f"{method} {target} HTTP/1.1", *given, "", ""]).encode()
            found = explain(config, head, "127.0.0.1").response.head
            with server.client() as client:
                client.send(head)
                real = client.head()
            real_fields = {name: value for name, value in real.fields.items() if name not in ("date", "connection")}
            assert real.status == found.status, (method, target)
            assert real_fields == {name.decode().lower(): value.decode() for name, value in found.fields}, target


def test_another_client(file: Path) -> None:
    done = run("/private/office/plan", "-c", file, "--client", "192.0.2.7")
    assert done.returncode == 0
    assert "access[0], by /private/office/plan, lets it through" in done.stdout
    assert "\n200 OK\nServer: flashpy\n" in done.stdout


def test_a_running_server(file: Path, server: Flashpy, tmp_path: Path) -> None:
    """What it answers otherwise is said."""
    done = run("/plain.txt", "-c", file, "--running")
    assert done.returncode == 0
    assert done.stdout.count("200 OK") == 2
    assert "By the configuration" not in done.stdout
    file.write_text(file.read_text().replace("max-age=60", "max-age=61"))
    done = run("http://test/plain.txt", "-c", file, "--running", "-H", "Accept-Encoding: gzip")
    assert "By the configuration it would be cache-control: max-age=61." in done.stdout
    assert server.end() == 0
    done = run("/plain.txt", "-c", file, "--running")
    assert done.returncode == 1
    assert re.search(r"^flashpy: The server at .* cannot be asked: .*\.$", done.stderr, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ftp://x/"], "is no address"),
        (["/", "-H", "x"], "is not of the form NAME:VALUE"),
        (["/", "-c", "no"], "no:"),
    ],
)
def test_what_is_not_understood(arguments: list[str], said: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert said in done.stderr
