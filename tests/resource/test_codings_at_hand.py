"""Codings made on the fly: made once, then at hand, and let go by the caches that count them."""

import zlib
from pathlib import Path
from typing import Any

import pytest

from flashpy.http.response import Response
from flashpy.job.kinds import Encode
from tests.http.making import request
from tests.resource.test_files import Served

NAMES = ("a", "b", "c", "d", "e")


def serving(root: Path, **cache: Any) -> Served:
    """Some texts, served in gzip too; the caches as it is said."""
    served = Served(root, cache, {"encode": (b"gzip",)})
    for name in NAMES:
        served.write(f"{name}.txt", text(name))
    return served


def text(name: str) -> bytes:
    """The content of one."""
    return f"{name} and other words ".encode() * 200


def ask(served: Served, name: str, **fields: bytes) -> Response:
    """Ask for a text in gzip."""
    return served.ask(request(f"/{name}.txt".encode(), accept_encoding=b"gzip", **fields))


def made(served: Served, name: str) -> int:
    """How often it is encoded for one request."""
    before = len(served.runner.jobs)
    (body,) = ask(served, name).body
    assert isinstance(body, bytes) and zlib.decompress(body, 31) == text(name)
    return sum(isinstance(job, Encode) for job in served.runner.jobs[before:])


def test_what_has_been_made_is_at_hand(tmp_path: Path) -> None:
    """By one look from the file as it is; conditions are judged on it too."""
    served = serving(tmp_path)
    assert [made(served, "a") for _ in range(3)] == [1, 0, 0]
    whole = ask(served, "a")
    assert ask(served, "a") is whole
    etag = dict(whole.head.fields)[b"ETag"]
    assert etag.startswith(b'"') and b"-gzip6-" in etag
    assert ask(served, "a", if_none_match=etag).head.status == 304
    assert ask(served, "a", range=b"bytes=0-9").head.status == 206
    assert dict(served.ask(request(b"/a.txt")).head.fields).get(b"Content-Encoding") is None


def test_hits_count_as_use(tmp_path: Path) -> None:
    """Else what is asked for most would be the first to go."""
    served = serving(tmp_path, coded_entries=3)
    for name in ("a", "b", "c", "d"):  # the last drives out the first, and takes the marks from the others
        assert made(served, name) == 1
    assert made(served, "b") == 0
    assert made(served, "e") == 1
    assert (made(served, "b"), made(served, "c")) == (0, 1)


@pytest.mark.parametrize("entries", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("cache", ["coded_entries", "header_entries", "pathname_entries", "file_entries"])
def test_whatever_is_let_go_is_held_by_nobody(tmp_path: Path, cache: str, entries: int) -> None:
    """With next to no room the answers are right, and what there is does not become the longer, the more is asked."""
    served = serving(tmp_path, **{cache: entries})
    for _ in range(5):
        for name in NAMES:
            made(served, name)
    for representation in served.caches.headers:
        assert len(representation.users) <= 1
        for link in representation.coded.values():
            assert link.representation is None or link in link.representation.users
    for coded in served.caches.coded:
        assert coded.content is not None and len(coded.content.users) <= 1
