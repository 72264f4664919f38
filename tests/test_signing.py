"""The command that signs addresses."""

import time
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from flashpy.access.signed import Verdict, verify
from flashpy.http.target import NO_FILE, parse_target
from flashpy.signing import sign, signed_url
from tests.http.making import request

KEY = b"0123456789abcdef"


def judged(url: str, now: float) -> Verdict:
    """The verdict on a request for this URL."""
    asked = request(url.encode())
    assert not asked.fault
    return verify((KEY,), asked.path, asked.query, now)


@pytest.fixture
def keys(tmp_path: Path) -> str:
    """A file with a key."""
    file = tmp_path / "keys"
    file.write_bytes(KEY + b"\n")
    return str(file)


@pytest.mark.parametrize(
    "url",
    ["/film.mp4", "https://example.org/a%20b/film.mp4?download=1", "http://example.org", "/a/../ä?q=ü x", "/a#top"],
)
def test_what_it_prints_is_good(keys: str, url: str) -> None:
    """Now, and until the time is over."""
    done = CliRunner().invoke(sign, [url, "--key-file", keys, "--valid", "1h"])
    assert done.exit_code == 0
    (line,) = done.stdout.splitlines()
    assert judged(line, time.time()) is Verdict.GOOD
    assert judged(line, time.time() + 3_601) is Verdict.EXPIRED


def test_a_prefix(keys: str) -> None:
    """Its query is good for what is beneath."""
    done = CliRunner().invoke(sign, ["https://example.org/film/", "--key-file", keys, "--valid", "2d", "--prefix"])
    query = done.stdout.strip().partition("?")[2]
    assert judged(f"/film/1.ts?{query}", time.time()) is Verdict.GOOD
    assert judged(f"/other/1.ts?{query}", time.time()) is Verdict.BAD


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["/a", "--valid", "1"], "is no duration"),
        (["/a", "--valid", "0h"], "is no duration"),
        (["/a", "--valid", "1h "], "is no duration"),
        (["a", "--valid", "1h"], "is no address of a file"),
        (["/a%2Fb", "--valid", "1h"], "is no address of a file"),
        (["*", "--valid", "1h"], "is no address of a file"),
        (["/a", "--valid", "1h", "--prefix"], "end it with a slash"),
        (["/a?expires=1", "--valid", "1h"], "cannot be signed: The query has a parameter"),
    ],
)
def test_what_cannot_be_signed_is_said(keys: str, arguments: list[str], said: str) -> None:
    """In a sentence, with the exit code of wrong usage."""
    done = CliRunner().invoke(sign, [*arguments, "--key-file", keys])
    assert done.exit_code == 2
    assert said in done.stderr and "Traceback" not in done.stderr


@given(st.text(max_size=20), st.text(max_size=10), st.booleans())
def test_any_url_is_signed_or_refused(path: str, query: str, prefix: bool) -> None:
    """What is signed is good."""
    url = f"/{path}{'/' if prefix else ''}?{query}"
    try:
        signed = signed_url(url, KEY, 2_000, prefix)
    except click.UsageError:
        return
    target = parse_target(signed.encode())
    assert target is not None and target.path != NO_FILE
    assert verify((KEY,), target.path, target.query, 1_999.0) is Verdict.GOOD
