"""Whole servers with sites, guards, rules, codings and releases: real processes, sockets and clients."""

import gzip
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import brotli
import pytest

from flashpy.access.signed import sign
from tests.running import Client, Flashpy, descendants_of, eventually, title_of

TEXT = b"some words and more " * 2_000
KEY = "0123456789abcdef"
TOM = "Authorization: Basic dG9tOnNlY3JldA=="  # tom:secret
HASH = "$2b$04$kXiG6LTwrFo883V4hlVDE.cYTcrBObLZIe7fhEKhIC0U0Nh3wVVPW"
HTML = "Accept: text/html"

CONFIGURATION = f"""
[server]
bind = ["127.0.0.1:0"]
timeout_graceful_shutdown = 1.0
[site]
root = "site"
precompressed = ["gzip"]
encode = ["br", "gzip"]
fallback = "/index.html"
error_pages = {{ "401" = "/errors/401.html", "4xx" = "/errors/4xx.html" }}
listing = true
listing_archive = true
imports = ["netlify"]
hide = ["*.map"]
[site.cors]
origins = ["https://a.test", "https://b.test"]
[[site.rule]]
match = ["/net/**"]
headers = {{ "X-Net" = "yes" }}
[[site.access]]
match = ["/net/**"]
allow = ["127.0.0.1"]
[[site.access]]
match = ["/signed/**"]
keys = ["{KEY}"]
[[site.access]]
match = ["/pw/**"]
users = {{ tom = "{HASH}" }}
[[site.mount]]
path = "/docs/"
root = "docs"
[[sites]]
hosts = ["other.test"]
root = "other"
[cache]
valid = 0.2
negative_valid = 0.1
"""


def write(path: Path, data: bytes = b"") -> Path:
    """A file; what is in it is its name, unless that is given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data or path.name.encode())
    return path


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directories of two sites and a mount."""
    place = tmp_path_factory.mktemp("sites")
    site = place / "site"
    for name in ("index.html", "net/a.txt", "signed/a.txt", "pw/a.txt", "pw/index.html", "app.js", "app.js.map"):
        write(site / name)
    for name in ("errors/401.html", "errors/4xx.html"):
        write(site / name)
    for name in ("list/a.txt", "list/sub/b c.txt", "list/sub/\u00e9.bin", "list/x.map", "list/empty/x.map"):
        write(site / name, b"x" * 3000 if name.endswith("bin") else b"")
    write(site / "t.txt", TEXT)
    write(site / "stored.txt", TEXT)
    write(site / "stored.txt.gz", gzip.compress(TEXT))
    write(site / "big.txt", TEXT * 20)
    write(site / "_redirects", b"/old/* /docs/:splat 302\n")
    write(site / "_headers", b"/app.js\n  X-Netlify: yes\n")
    write(place / "docs" / "a.txt")
    write(place / "other" / "app.js", b"the other app.js")
    write(place / "flashpy.toml", CONFIGURATION.encode())
    return place


@pytest.fixture(scope="module")
def server(place: Path) -> Iterator[Flashpy]:
    """One server for the whole module, confined where the kernel can."""
    with Flashpy("-c", place / "flashpy.toml") as server:
        yield server


# Judged for each request


def test_an_allowed_and_a_denied_client_with_the_same_bytes(server: Flashpy) -> None:
    """Interleaved, on kept connections, until caches and memo know all that there is to know."""
    address = ("127.0.0.1", server.port)
    with Client(address, source="127.0.0.1") as friend, Client(address, source="127.0.0.2") as stranger:
        for _ in range(5):
            seen = friend.get("/net/a.txt")
            assert (seen.status, seen.body, seen.fields["x-net"]) == (200, b"a.txt", "yes")
            assert seen.fields["cache-control"] == "private"
            refused = stranger.get("/net/a.txt")
            assert (refused.status, refused.body) == (403, b"4xx.html")
            assert "x-net" not in refused.fields and "etag" not in refused.fields


def test_a_signed_address_before_and_after_its_time(server: Flashpy) -> None:
    """On one kept connection; the same bytes each time."""
    import time

    until = int(time.time()) + 2
    target = "/signed/a.txt?" + sign(KEY.encode(), b"/signed/a.txt", until).decode()
    with server.client() as client:
        assert client.get(target).status == 200
        eventually("it has expired", lambda: client.get(target).status == 410)
        assert time.time() >= until
        assert client.get("/signed/a.txt").status == 403


def test_passwords(server: Flashpy) -> None:
    """Right, wrong, none and right again, pipelined; and 429 for who goes on guessing."""
    wrong = "Authorization: Basic dG9tOndyb25n"
    with server.client() as client:
        for fields in ((TOM,), (wrong,), (), (TOM,)):
            client.ask("/pw/a.txt", *fields)
        answers = [client.answer() for _ in range(4)]
        assert [answer.status for answer in answers] == [200, 401, 401, 200]
        assert answers[1].body == b"401.html" and answers[1].fields["www-authenticate"].startswith("Basic ")
    with Client(("127.0.0.1", server.port), source="127.0.0.3") as guesser:
        statuses = [guesser.get("/pw/", f"Authorization: Basic dG9tOnd{letter}").status for letter in "ABCDEFGHIJKLMN"]
        assert statuses[0] == 401 and statuses[-1] == 429
        assert int(guesser.get("/pw/", "Authorization: Basic dG9tOndY").fields["retry-after"]) > 0
    with server.client() as client:
        assert client.get("/pw/", TOM).body == b"index.html"


def test_two_sites_interleaved_and_pipelined(server: Flashpy) -> None:
    """The same path, told apart by Host alone; an absolute form outdoes it."""
    ask = "GET {} HTTP/1.1\r\nHost: {}\r\n\r\n"
    pairs = [("/app.js", "other.test"), ("/app.js", "test"), ("http://other.test/app.js", "test")] * 4
    with server.client() as client:
        client.send("".join(ask.format(*pair) for pair in pairs).encode())
        bodies = [client.answer().body for _ in pairs]
    assert bodies == [b"the other app.js", b"app.js", b"the other app.js"] * 4


# What is found, and what is said with it


def test_routes_of_others_files(server: Flashpy) -> None:
    with server.client() as client:
        seen = client.get("/old/a.txt")
        assert (seen.status, seen.fields["location"]) == (302, "/docs/a.txt")
        assert client.get("/docs/a.txt").body == b"a.txt"
        assert client.get("/app.js").fields["x-netlify"] == "yes"
        for target in ("/_headers", "/_redirects", "/app.js.map"):
            assert client.get(target).status == 404
        page = client.get("/deep/link", HTML)
        assert (page.status, page.body) == (200, b"index.html")
        assert (client.get("/deep/link.png", HTML).status, client.get("/deep/link").status) == (404, 404)


def test_origins(server: Flashpy) -> None:
    with server.client() as client:
        for origin in ("https://a.test", "https://b.test", "https://c.test") * 2:
            fields = client.get("/app.js", f"Origin: {origin}").fields
            assert fields.get("access-control-allow-origin") == (None if "c." in origin else origin)
        assert client.get("/app.js").fields["vary"] == "Origin"


def test_codings(server: Flashpy) -> None:
    """Made once by the pool for such work, stored ones where they are, each with a validator of its own."""
    with server.client() as client:
        made, stored, plain = (
            client.get("/t.txt", "Accept-Encoding: br, gzip"),
            client.get("/stored.txt", "Accept-Encoding: gzip"),
            client.get("/t.txt"),
        )
        assert brotli.decompress(made.body) == gzip.decompress(stored.body) == plain.body == TEXT
        tag = made.fields["etag"]
        assert client.get("/t.txt", "Accept-Encoding: br", f"If-None-Match: {tag}").status == 304
        assert client.get("/t.txt", f"If-None-Match: {tag}").status == 200
        part = client.get("/t.txt", "Accept-Encoding: br", "Range: bytes=0-9", f"If-Range: {tag}")
        assert (part.status, part.body) == (206, made.body[:10])
        first = client.get("/big.txt", "Accept-Encoding: br")
        assert first.body == TEXT * 20 and "content-encoding" not in first.fields
        eventually(
            "it is made",
            lambda: "content-encoding" in client.get("/big.txt", "Accept-Encoding: br").fields,
        )


def test_a_helper_that_is_killed(server: Flashpy, place: Path) -> None:
    """What it was at work on is done by another, or sent as it is: never lost."""

    def encoders() -> set[int]:
        return {pid for pid in descendants_of(server.pid) if title_of(pid).startswith("flashpy: encoding helper")}

    with server.client() as client:
        client.get("/t.txt", "Accept-Encoding: br")
    for number in range(3):
        write(place / "site" / f"k{number}.txt", TEXT + b"%d" % number)
        eventually("there is a helper", encoders)
        with server.client() as client:
            for pid in encoders():
                os.kill(pid, signal.SIGSTOP)
            client.ask(f"/k{number}.txt", "Accept-Encoding: br")
            for pid in encoders():
                os.kill(pid, signal.SIGKILL)
            seen = client.answer()
        body = brotli.decompress(seen.body) if "content-encoding" in seen.fields else seen.body
        assert (seen.status, body) == (200, TEXT + b"%d" % number)


@pytest.mark.parametrize("architecture", ["sped", "mt", "mp"])
def test_codings_and_guards_in_other_architectures(place: Path, architecture: str) -> None:
    with Flashpy("-c", place / "flashpy.toml", "--architecture", architecture) as server, server.client() as client:
        made = client.get("/t.txt", "Accept-Encoding: br")
        assert brotli.decompress(made.body) == TEXT
        again = client.get("/t.txt", "Accept-Encoding: br", f"If-None-Match: {made.fields['etag']}")
        assert (again.status, again.fields["vary"]) == (304, "Accept-Encoding")
        assert [client.get("/pw/", *fields).status for fields in ((TOM,), ())] == [200, 401]
        with Client(("127.0.0.1", server.port), source="127.0.0.2") as stranger:
            assert stranger.get("/net/a.txt").status == 403


def test_an_archive_is_what_tar_unpacks(server: Flashpy, place: Path, tmp_path: Path) -> None:
    with server.client() as client:
        seen = client.get("/list/?download=tar")
    subprocess.run(["tar", "-xf", "-", "-C", str(tmp_path)], input=seen.body, check=True, timeout=30)
    shutil.copytree(place / "site" / "list", tmp_path / "wanted", ignore=shutil.ignore_patterns("*.map"))
    done = subprocess.run(["diff", "-r", str(tmp_path / "wanted"), str(tmp_path / "list")], capture_output=True)
    assert done.returncode == 0, done.stdout


# Reloading


def test_rules_are_read_again(place: Path, tmp_path: Path) -> None:
    """By SIGHUP; and what cannot be used leaves all as it was."""
    shutil.copytree(place, tmp_path, dirs_exist_ok=True)
    file = tmp_path / "flashpy.toml"
    with Flashpy("-c", file) as server:
        assert server.get("/app.js").fields["x-netlify"] == "yes"
        write(tmp_path / "site" / "_headers", b"/app.js\n  X-Netlify: again\n")
        server.tell(signal.SIGHUP)
        eventually("it is in force", lambda: server.get("/app.js").fields["x-netlify"] == "again")
        file.write_text(CONFIGURATION + 'fallback = "no path"\n[[site.route]]\nfrom = "["\n')
        server.tell(signal.SIGHUP)
        eventually("it is refused", lambda: server.stderr.count(str(file)) > 0)
        assert server.get("/app.js").fields["x-netlify"] == "again"
        assert server.end() == 0


@pytest.mark.parametrize(
    "text", ['[site]\nfallback = "x"', '[[site.access]]\nkeys = ["x"]', '[[site.route]]\nfrom = "["']
)
def test_a_bad_configuration_does_not_start(tmp_path: Path, text: str) -> None:
    """Exit code 2, and one sentence."""
    file = tmp_path / "flashpy.toml"
    file.write_text(text)
    with Flashpy("-c", file) as server:
        assert server.wait() == 2
        assert server.stderr.count("\n") == 1 and str(file) in server.stderr


# Releases


class Deployment:
    """Releases beside each other, and the link that is switched."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.number = 0
        self.deploy()

    def deploy(self) -> None:
        """Another release, in force in one step."""
        self.number += 1
        release = self.place / "releases" / str(self.number)
        for name in ("a.txt", "b.txt", "c.bin", f"app.{self.number}f9a1c2b.js"):
            write(release / name, b"%d " % self.number + b"." * (100_000 if name == "c.bin" else 0))
        os.symlink(f"releases/{self.number}", self.place / "new")
        os.rename(self.place / "new", self.place / "current")


@pytest.mark.parametrize("sandbox", ["true", "false"])
def test_releases_under_load(tmp_path: Path, sandbox: str) -> None:
    """Each client sees releases in their order, whichever names it asks for; nothing fails; in the end all is new.

    That is for one worker. Several find a new release each for itself, within ``valid``: a client that changes between
    them may see the old one again for that long.
    """
    deployment = Deployment(tmp_path)
    file = write(
        tmp_path / "flashpy.toml",
        f'[server]\nbind = ["127.0.0.1:0"]\nsandbox = {sandbox}\n[site]\nroot = "current"\nkeep_releases = 60.0\n'
        "[cache]\nvalid = 0.05\nnegative_valid = 0.05\n".encode(),
    )
    with ExitStack() as stack:
        server = stack.enter_context(Flashpy("-c", file))
        latest, faults, stop = [0, 0, 0], [], threading.Event()
        assert server.urls

        def load(index: int) -> None:
            names = ("/a.txt", "/b.txt", "/c.bin")
            try:
                with server.client() as client:
                    turn = index
                    while not stop.is_set():
                        answer = client.get(names[turn % 3])
                        release = int(answer.body.partition(b" ")[0]) if answer.status == 200 else -1
                        if release < latest[index]:
                            faults.append(f"{names[turn % 3]}: {answer.status}, {release} after {latest[index]}")
                        latest[index] = max(latest[index], release)
                        turn += 1
            except (OSError, EOFError, ValueError) as error:
                faults.append(repr(error))

        threads = [threading.Thread(target=load, args=(index,)) for index in range(3)]
        for thread in threads:
            thread.start()
            stack.callback(thread.join)
        stack.callback(stop.set)
        begun = stack.enter_context(Client(("127.0.0.1", server.port), receive_buffer=4096))
        eventually("the load runs", lambda: all(latest))
        begun.ask("/c.bin")
        head = begun.head()
        for _ in range(4):
            deployment.deploy()
            eventually("all see the release", lambda: min(latest) >= deployment.number or faults)
        stop.set()
        for thread in threads:
            thread.join()
        assert not faults, faults[:5]
        assert begun.read(int(head.fields["content-length"])).startswith(b"1 ")
        with server.client() as client:  # what the releases before had under names with a hash
            for number in range(1, 6):
                seen = client.get(f"/app.{number}f9a1c2b.js")
                assert (seen.status, seen.body) == (200, b"%d " % number), number
            assert client.get("/app.9f9a1c2b.js").status == 404


def test_entity_tags_of_contents_are_equal_on_two_servers(tmp_path: Path) -> None:
    tags = []
    for name, seconds in (("one", 1_500_000_000), ("two", 1_600_000_000)):
        os.utime(write(tmp_path / name / "t.txt", TEXT), (seconds, seconds))
        file = write(
            tmp_path / f"{name}.toml",
            f'[server]\nbind = ["127.0.0.1:0"]\n[site]\nroot = "{name}"\netag = "content"\nencode = ["br"]\n'.encode(),
        )
        with Flashpy("-c", file) as server, server.client() as client:
            tags.append([client.get("/t.txt", *more).fields["etag"] for more in ((), ("Accept-Encoding: br",))])
    assert tags[0] == tags[1] and tags[0][0] != tags[0][1]
