"""Codings made on the fly: when, once, of which version, and what each answer says of itself."""

import gzip
import os
from typing import Any

import brotli
import pytest

from flashpy.http.response import Response
from flashpy.job.kinds import Encode, Outcome, Result
from flashpy.resource.codings import PROMPT
from tests.http.making import request
from tests.resource.test_files import NOTHING, Serve, Served, body_of, fields_of, seen, serve

__all__ = ["serve"]  # the fixture

TEXT = b"some words and more " * 500
MADE = {"encode": (b"br", b"gzip")}


def encodings(served: Served) -> list[bytes]:
    """The codings that were made."""
    return [job.coding for job in served.runner.jobs if isinstance(job, Encode)]


def made(serve: Serve, site: dict[str, Any] | None = None, **cache: Any) -> Served:
    """A site with a text to code."""
    served = serve(site={**MADE, **(site or {})}, **cache)
    served.write("t.txt", TEXT)
    return served


def get(
    served: Served, accept: bytes | None, path: bytes = b"/t.txt", method: bytes = b"GET", **more: bytes
) -> Response:
    """Ask with an Accept-Encoding."""
    return served.ask(request(path, method, **({} if accept is None else {"accept_encoding": accept}), **more))


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        (b"br", b"br"),
        (b"gzip", b"gzip"),
        (b"x-gzip", b"gzip"),
        (b"gzip, br", b"br"),
        (b"gzip;q=1, br;q=0.5", b"gzip"),
        (b"br;q=0, *", b"gzip"),
        (b"*", b"br"),
        (b"*;q=0", None),
        (b"gzip;q=0", None),
        (b"gzip;q=0.5, identity", None),
        (b"identity;q=0, gzip;q=0.1", b"gzip"),
        (b"identity;q=0", None),
        (b"zstd", None),
        (b"", None),
        (None, None),
    ],
)
def test_which_coding(serve: Serve, accept: bytes | None, coding: bytes | None) -> None:
    """RFC 9110, 12.5.3; whatever comes of it, the answer says that it depends on the field (12.5.5)."""
    answer = get(made(serve), accept)
    fields = fields_of(answer)
    assert (answer.head.status, fields.get(b"content-encoding")) == (200, coding)
    assert fields[b"vary"] == b"Accept-Encoding"
    body = body_of(answer)
    assert {None: bytes, b"br": brotli.decompress, b"gzip": gzip.decompress}[coding](body) == TEXT


def test_once_for_each_version(serve: Serve) -> None:
    """The second request takes no job; another version of the file is coded anew, under another tag."""
    served = made(serve, valid=1.0)
    first = fields_of(get(served, b"br"))[b"etag"]
    for _ in range(3):
        assert fields_of(get(served, b"br"))[b"etag"] == first
    assert encodings(served) == [b"br"]
    served.write("t.txt", TEXT[:-1] + b"!")
    served.later(2.5)
    assert get(served, b"br", if_none_match=first).head.status == 200
    assert encodings(served) == [b"br", b"br"]


def test_each_coding_has_its_own_tag(serve: Serve) -> None:
    """RFC 9110, 8.8.3.3: with the encoder, its version and level, for others make other bytes; 304 for one's own."""
    served = made(serve)
    tags = {accept: fields_of(get(served, accept))[b"etag"] for accept in (b"br", b"gzip", b"identity")}
    assert b"br5-" in tags[b"br"] and b"gzip6-" in tags[b"gzip"] and b"br" not in tags[b"identity"]
    for accept in tags:
        for of, tag in tags.items():
            answer = get(served, accept, if_none_match=tag)
            assert answer.head.status == (304 if of == accept else 200)
            assert fields_of(answer)[b"vary"] == b"Accept-Encoding"
            assert fields_of(answer)[b"etag"] == tags[accept]
            assert get(served, accept, if_match=tag).head.status == (200 if of == accept else 412)


def test_ranges_and_head_are_of_the_coded_form(serve: Serve) -> None:
    """RFC 9110, 9.3.2 and 14: all of it is held, so parts of it are the same each time."""
    served = made(serve)
    whole = get(served, b"br")
    assert fields_of(get(served, b"br", method=b"HEAD")) == fields_of(whole)
    assert body_of(get(served, b"br", method=b"HEAD")) == b""
    part = get(served, b"br", range=b"bytes=3-7", if_range=fields_of(whole)[b"etag"])
    assert seen(part) == (206, body_of(whole)[3:8])
    assert fields_of(part)[b"content-encoding"] == b"br"
    assert fields_of(part)[b"content-range"] == b"bytes 3-7/%d" % whole.length
    plain = fields_of(get(served, None))[b"etag"]
    assert get(served, b"br", range=b"bytes=3-7", if_range=plain).head.status == 200


def test_what_is_large_is_not_waited_for(serve: Serve) -> None:
    """It is sent as it is the first time, and coded for those who come later; or for who takes nothing else."""
    served = made(serve)
    served.write("big.txt", b"many words " * (PROMPT // 10))
    served.ask(b"/big.txt")
    served.runner.hold = True
    answer = get(served, b"br", b"/big.txt")
    assert b"content-encoding" not in fields_of(answer) and fields_of(answer)[b"vary"] == b"Accept-Encoding"
    served.runner.let_go()
    assert fields_of(get(served, b"br", b"/big.txt"))[b"content-encoding"] == b"br"
    assert fields_of(get(served, b"gzip, identity;q=0", b"/big.txt"))[b"content-encoding"] == b"gzip"


def test_a_stored_coding_is_there_while_a_better_one_is_made(serve: Serve) -> None:
    """What is stored needs no waiting: it is sent rather than the file as it is."""
    served = made(serve, {"suffixes": (b".gz",), "encode": (b"br",)})
    served.write("big.txt", b"many words " * (PROMPT // 10))
    served.write("big.txt.gz", b"packed")
    served.write("noise.txt", os.urandom(3000))
    served.write("noise.txt.gz", b"packed noise")
    first = get(served, b"gzip, br", b"/big.txt")
    assert (fields_of(first)[b"content-encoding"], body_of(first)) == (b"gzip", b"packed")
    assert fields_of(get(served, b"gzip, br", b"/big.txt"))[b"content-encoding"] == b"br"
    assert fields_of(get(served, b"br", b"/big.txt"))[b"content-encoding"] == b"br"
    for _ in range(2):  # it would grow
        assert body_of(get(served, b"gzip, br", b"/noise.txt")) == b"packed noise"
    assert encodings(served) == [b"br", b"br"]


def test_what_would_grow_stays_as_it_is(serve: Serve) -> None:
    """And is not tried again."""
    served = made(serve)
    noise = os.urandom(3000)
    served.write("noise.txt", noise)
    for _ in range(3):
        answer = get(served, b"br", b"/noise.txt")
        assert body_of(answer) == noise and fields_of(answer)[b"vary"] == b"Accept-Encoding"
    assert encodings(served) == [b"br"]


@pytest.mark.parametrize(("name", "size"), [("x.png", 5000), ("small.txt", 1023), ("huge.txt", 8 * 2**20 + 1)])
def test_what_is_not_worth_it_does_not_vary(serve: Serve, name: str, size: int) -> None:
    served = made(serve)
    served.write(name, b"x" * size)
    answer = get(served, b"br", f"/{name}".encode())
    assert b"vary" not in fields_of(answer) and b"content-encoding" not in fields_of(answer)
    assert encodings(served) == []


@pytest.mark.parametrize("outcome", [Outcome.BUSY, Outcome.LATE, Outcome.FAILED, Outcome.CHANGED])
def test_helpers_that_are_busy_or_die(serve: Serve, outcome: Outcome) -> None:
    """The file as it is, at once; nothing is remembered of it, so the next request tries again."""
    served = made(serve)

    def fail(result: Result) -> Result:
        return Result(outcome, job=result.job) if isinstance(result.job, Encode) else result

    served.runner.bend = fail
    answer = get(served, b"br")
    assert seen(answer) == (200, TEXT) and b"content-encoding" not in fields_of(answer)
    served.runner.bend = lambda result: result
    assert fields_of(get(served, b"br"))[b"content-encoding"] == b"br"


def test_a_file_that_changes_while_it_is_coded(serve: Serve) -> None:
    """What is behind the descriptor is another version: nothing is coded of it, and the next look finds it."""
    served = made(serve, small_file=0, valid=1.0)
    served.ask(b"/t.txt")
    answer = served.answer(request(b"/t.txt", accept_encoding=b"br"))
    (served.root / "t.txt").write_bytes(TEXT.upper())
    results: list[Result] = []
    assert not isinstance(answer, Response)
    served.runner.run(answer.job, results.append)
    assert results[0].outcome is Outcome.CHANGED
    served.later(2.5)
    answer = get(served, b"br")
    assert brotli.decompress(body_of(answer)) == TEXT.upper()


BUDGETS: list[dict[str, Any]] = [
    {},
    {"coded_bytes": 0},
    {"coded_entries": 0},
    {"coded_entries": 1},
    {"header_entries": 0},
    NOTHING,
]


@pytest.mark.parametrize("budget", BUDGETS, ids=str)
def test_nothing_is_held_that_no_cache_counts(serve: Serve, budget: dict[str, Any]) -> None:
    """A coded form that its cache has no room for is not kept by the head that was made for it."""
    served = made(serve, **budget)
    for number in range(5):
        served.write(f"{number}.txt", TEXT + b"%d" % number)
    for _ in range(2):
        for number in range(5):
            answer = get(served, b"br", f"/{number}.txt".encode())
            assert brotli.decompress(body_of(answer)) == TEXT + b"%d" % number
    held = [entry for entry in served.caches.headers if entry.variant.encoder and entry.content is not None]
    assert len(held) <= served.caches.snapshot()["coded"]  # type: ignore[operator]


def test_a_coded_form_that_is_made_again(serve: Serve) -> None:
    """Its head, which has outlived it, leads to the new one; the answer is prepared once more."""
    served = made(serve, coded_entries=1)
    first = get(served, b"br")
    get(served, b"gzip")
    assert encodings(served) == [b"br", b"gzip"]
    again = get(served, b"br")
    assert body_of(again) == body_of(first)
    assert get(served, b"br") is get(served, b"br")


# Entity tags of contents


def test_tags_of_contents_are_equal_wherever_and_whenever(serve: Serve) -> None:
    """Two servers with copies of other times give the same tags, of each coding and of stored siblings."""
    tags = []
    for seconds in (1_500_000_000, 1_600_000_000):
        served = made(serve, {"digests": True, "suffixes": (b".gz",)})
        for name in ("t.txt", "a.txt", "large.bin"):
            served.write(name, (served.root / name).read_bytes(), seconds)
        served.write("t.txt.gz", b"packed", seconds)
        asked = [(b"/t.txt", None), (b"/t.txt", b"br"), (b"/t.txt", b"gzip"), (b"/a.txt", None), (b"/large.bin", None)]
        tags.append([fields_of(get(served, accept, path))[b"etag"] for path, accept in asked])
    assert tags[0] == tags[1]
    assert len(set(tags[0])) == 5


def test_a_tag_of_the_content_outlives_the_coming_of_a_sibling(serve: Serve) -> None:
    """The file is the same, so is its tag: a look that finds just a new sibling has not read it again."""
    served = made(serve, {"digests": True, "suffixes": (b".gz",), "encode": ()}, valid=1.0)
    before = fields_of(served.ask(b"/t.txt"))
    served.write("t.txt.gz", b"packed")
    served.later(2.5)
    after = fields_of(served.ask(b"/t.txt"))
    assert (before.get(b"vary"), after.get(b"vary")) == (None, b"Accept-Encoding")
    assert after[b"etag"] == before[b"etag"]
