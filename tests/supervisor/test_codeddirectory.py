"""The directory of coded forms, by whole servers: over restarts, shared, and where it cannot be used."""

import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import brotli
import pytest

from flashpy.job.codedfiles import CodedFiles
from flashpy.job.encode import CodedForm
from flashpy.job.kinds import Identity, Outcome, Result
from flashpy.server import background
from tests.running import Answer, Client, Flashpy, eventually

PAGE = b" ".join(b"%d" % number for number in range(20_000))
ACCEPT = "Accept-Encoding: br"


def write(file: Path, **server: str) -> Path:
    """A configuration file; its site beside it, and the directory."""
    site = file.parent / f"{file.stem}-site"
    site.mkdir(exist_ok=True)
    (site / "page.html").write_bytes(PAGE)
    (file.parent / "coded").mkdir(mode=0o700, exist_ok=True)
    keys = "\n".join(f"{key} = {value}" for key, value in server.items())
    file.write_text(
        f'[server]\nbind = ["127.0.0.1:0"]\n{keys}\n[site]\nroot = "{site.name}"\nencode = ["br"]\n'
        '[cache]\ncoded_directory = "coded"\n'
    )
    return file


def start(stack: ExitStack, file: Path) -> Flashpy:
    server = stack.enter_context(Flashpy("-c", file))
    assert server.urls
    return server


def page(server: Flashpy) -> Answer:
    """The page as a browser gets it."""
    with server.client() as client:
        answer = client.get("/page.html", ACCEPT)
    assert (answer.status, answer.fields.get("content-encoding")) == (200, "br")
    return answer


def entries(place: Path) -> list[Path]:
    return [path for path in place.iterdir() if not path.name.startswith(".")]


def plant(place: Path, body: bytes) -> None:
    """Let the only entry hold what no encoder has made."""
    (path,) = entries(place)
    coded = CodedForm()
    coded.add(body)
    small, file = coded.finish()
    CodedFiles(os.fsencode(place), 2**30).keep(
        path.name, Result(Outcome.ENCODED, Identity(0, 0, len(body), 0, 0), file, small)
    )


@pytest.mark.parametrize("sandbox", ["true", "false"])
def test_a_restart_finds_it(stack: ExitStack, tmp_path: Path, sandbox: str) -> None:
    """So does another server, whose file of the same content has another path, inode and time."""
    place = tmp_path / "coded"
    first = start(stack, write(tmp_path / "first.toml", sandbox=sandbox))
    made = page(first)
    assert brotli.decompress(made.body) == PAGE
    eventually("it is kept", lambda: entries(place))
    assert first.end() == 0
    planted = brotli.compress(PAGE, quality=1)
    assert planted != made.body
    plant(place, planted)
    again = start(stack, tmp_path / "first.toml")
    second = start(stack, write(tmp_path / "second.toml", sandbox=sandbox))
    assert page(again).body == page(second).body == planted
    assert page(again).fields["etag"].rpartition("-br5-")[2] == made.fields["etag"].rpartition("-br5-")[2] != ""
    assert len(entries(place)) == 1
    (path,) = entries(place)
    path.write_bytes(path.read_bytes()[:-1])
    third = start(stack, write(tmp_path / "third.toml", sandbox=sandbox))
    assert page(third).body == made.body
    eventually("it is kept again", lambda: entries(place))


def test_two_servers_share_it(stack: ExitStack, tmp_path: Path) -> None:
    """Both with several workers."""
    place = tmp_path / "coded"
    servers = [start(stack, write(tmp_path / f"{name}.toml", workers="2")) for name in ("first", "second")]
    for number in range(20):
        for name in ("first", "second"):
            (tmp_path / f"{name}-site" / f"{number}.html").write_bytes(b"%d " % number + PAGE)
    for server in servers:
        for number in range(20):
            with server.client() as client:
                answer = client.get(f"/{number}.html", ACCEPT)
            assert brotli.decompress(answer.body) == b"%d " % number + PAGE
    eventually("each is kept once", lambda: len(entries(place)) == 20)
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in entries(place))
    assert all(server.end() == 0 for server in servers)
    assert not any("not kept" in server.stderr for server in servers)


def test_an_embedded_server_keeps_too(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "page.html").write_bytes(PAGE)
    place = tmp_path / "coded"
    place.mkdir(mode=0o700)
    for _ in range(2):
        with (
            background(tmp_path / "site", site={"encode": ["br"]}, cache={"coded_directory": str(place)}) as server,
            Client(("127.0.0.1", int(server.url.rpartition(":")[2]))) as client,
        ):
            body = client.get("/page.html", ACCEPT).body
            eventually("it is kept", lambda: entries(place))
        plant(place, b"planted")
    assert body == b"planted"


def _missing(place: Path) -> None:
    place.rmdir()


def _file(place: Path) -> None:
    place.rmdir()
    place.touch()


def _shared(place: Path) -> None:
    place.chmod(0o777)


def _served(place: Path) -> None:
    inside = place.parent / "flashpy-site" / "inside"
    inside.mkdir(mode=0o700)
    place.rmdir()
    place.symlink_to(inside)


def _foreign(place: Path) -> None:
    if os.getuid():
        pytest.skip("it takes root to give a directory away")
    os.chown(place, 1, 1)


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (_missing, "cannot be used (No such file or directory)"),
        (_file, "is not a directory"),
        (_shared, "may be written by others than its owner"),
        (_served, "is beneath"),
        (_foreign, "belongs to user 1, and must to 0, who works"),
    ],
)
def test_a_directory_that_cannot_be_used(
    stack: ExitStack, tmp_path: Path, harm: Callable[[Path], None], why: str
) -> None:
    """It is said in a sentence, and nothing is served."""
    file = write(tmp_path / "flashpy.toml")
    place = tmp_path / "coded"
    harm(place)
    server = stack.enter_context(Flashpy("-c", file))
    assert server.wait() != 0
    assert f"The directory '{place}' (cache.coded_directory) {why}" in server.stderr.replace("\n", " ")
    assert "Traceback" not in server.stderr


@pytest.mark.skipif(os.getuid() != 0, reason="it takes root to become somebody else")
def test_it_belongs_to_who_works(stack: ExitStack, tmp_path: Path) -> None:
    """Not to root, who starts them."""
    file = write(tmp_path / "flashpy.toml", user='"nobody"')
    server = stack.enter_context(Flashpy("-c", file))
    assert server.wait() != 0
    assert "belongs to user 0" in server.stderr
