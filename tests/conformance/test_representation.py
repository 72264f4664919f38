"""What an answer says of the representation in it (RFC 9110, sections 6.6, 8, 12.5 and 15.3)."""

import os
import re
from datetime import timedelta
from pathlib import Path

import pytest

from tests.conformance.client import Answer, Client, Connect, moment, request
from tests.conformance.tree import BIG, CODED, OLD_DATE, PATTERN, PLAIN, TYPES

STRONG_TAG = re.compile(rb'"[\x21\x23-\x7e]+"')


@pytest.mark.parametrize(("name", "kind"), TYPES.items())
def test_content_type(client: Client, name: str, kind: bytes) -> None:
    """RFC 9110, 8.3: a media type for each, with the charset for text."""
    assert client.ask(request(b"/" + name.encode())).fields[b"content-type"] == kind


def test_content_type_of_an_index_is_that_of_the_file(client: Client) -> None:
    """RFC 9110, 8.3."""
    assert client.ask(request(b"/sub/")).fields[b"content-type"] == b"text/html; charset=utf-8"


@pytest.mark.parametrize(("target", "content"), [(b"/pattern.bin", PATTERN), (b"/big.bin", BIG), (b"/empty.txt", b"")])
def test_a_whole_answer(client: Client, target: bytes, content: bytes) -> None:
    """RFC 9110, 15.3.1, 8.6, 8.8, 14.3 and 6.6.1: what a 200 says; the first time and from the caches."""
    for _ in range(3):
        answer = client.ask(request(target))
        assert answer.status == 200
        assert answer.body == content
        fields = answer.fields
        assert fields[b"content-length"] == b"%d" % len(content)
        assert fields[b"accept-ranges"] == b"bytes"
        assert STRONG_TAG.fullmatch(fields[b"etag"])
        assert moment(fields[b"last-modified"]) <= moment(fields[b"date"])
        for absent in (b"content-range", b"content-encoding", b"transfer-encoding", b"connection", b"location"):
            assert absent not in fields


@pytest.mark.parametrize("target", [b"/old.txt", b"/coded.txt"])
def test_a_304_has_what_a_cache_needs(client: Client, target: bytes) -> None:
    """RFC 9110, 15.4.5: ETag, Vary and Date as the 200 would; no content, and no other metadata than guides a cache."""
    line = b"Accept-Encoding: gzip"
    whole = client.ask(request(target, line))
    again = client.ask(request(target, line, b"If-None-Match: " + whole.fields[b"etag"]))
    assert again.status == 304
    for name in (b"etag", b"vary", b"cache-control", b"content-location", b"expires", b"last-modified"):
        assert again.fields.get(name) == whole.fields.get(name)
    for absent in (b"content-type", b"content-encoding", b"content-length", b"content-range", b"accept-ranges"):
        assert absent not in again.fields
    client.assert_kept()


@pytest.mark.parametrize("target", [b"/pattern.bin", b"/coded.txt", b"/big.bin"])
def test_a_206_has_the_fields_of_the_200(client: Client, target: bytes) -> None:
    """RFC 9110, 15.3.7: Date, ETag, Vary and the like; Content-Length is that of the part."""
    whole = client.ask(request(target))
    part = client.ask(request(target, b"Range: bytes=10-19"))
    assert part.status == 206
    for name in (b"etag", b"vary", b"content-encoding", b"content-type", b"last-modified"):
        assert part.fields.get(name) == whole.fields.get(name)
    assert part.fields[b"content-length"] == b"10"
    assert part.body == whole.body[10:20]


def test_last_modified_is_the_files(client: Client) -> None:
    """RFC 9110, 8.8.2."""
    assert client.ask(request(b"/old.txt")).fields[b"last-modified"] == OLD_DATE


def test_last_modified_is_never_in_the_future(client: Client) -> None:
    """RFC 9110, 8.8.2.1: where the file's clock was fast, the time of the answer stands for it."""
    for lines in ((), (b"If-None-Match: *",), (b"Range: bytes=0-1",)):
        fields = client.ask(request(b"/future.txt", *lines)).fields
        assert moment(fields[b"last-modified"]) <= moment(fields[b"date"])


def test_last_modified_of_what_has_just_been_written(client: Client, root: Path) -> None:
    """RFC 9110, 8.8.2.1."""
    for number in range(20):
        (root / f"written-{number}.txt").write_text("now")
        fields = client.ask(request(b"/written-%d.txt" % number)).fields
        assert moment(fields[b"last-modified"]) <= moment(fields[b"date"])


@pytest.mark.parametrize("seconds", [0, 1, -1, -86_400 * 365 * 10, 2**31, 2**32 + 5])
def test_odd_file_times(client: Client, root: Path, seconds: int) -> None:
    """RFC 9110, 5.6.7 and 8.8.2.1: whatever time a file system tells, the answer's is well-formed and not later."""
    name = f"time{seconds}.txt"
    (root / name).write_text("odd")
    os.utime(root / name, (seconds, seconds))
    fields = client.ask(request(b"/" + name.encode())).fields
    assert moment(fields[b"last-modified"]) <= moment(fields[b"date"])


@pytest.mark.parametrize(
    "data",
    [
        request(b"/small.txt"),
        request(b"/small.txt", method=b"HEAD"),
        request(b"/small.txt", b"If-None-Match: *"),
        request(b"/small.txt", b"Range: bytes=0-1"),
        request(b"/small.txt", b"Range: bytes=1000-"),
        request(b"/sub"),
        request(b"*", method=b"OPTIONS"),
        request(b"/none.txt"),
        request(b"/", method=b"POST"),
        request(b"/", method=b"FOO"),
        request(b"/%zz"),
    ],
)
def test_date_is_in_every_answer(client: Client, data: bytes) -> None:
    """RFC 9110, 6.6.1: an IMF-fixdate with the right weekday, and it does not go back."""
    first = moment(client.ask(request(b"/small.txt")).fields[b"date"])
    then = moment(client.ask(data).fields[b"date"])
    assert timedelta(0) <= then - first < timedelta(minutes=1)


def test_etags_tell_files_apart(client: Client) -> None:
    """RFC 9110, 8.8.3: what differs has different tags; what stays has the same."""
    targets = (b"/small.txt", b"/pattern.bin", b"/big.bin", b"/old.txt", b"/future.txt", b"/coded.txt")
    tags = [client.ask(request(target)).fields[b"etag"] for target in targets]
    assert len(set(tags)) == len(tags)
    assert [client.ask(request(target, method=b"HEAD")).fields[b"etag"] for target in targets] == tags


def until_changed(client: Client, target: bytes, before: Answer) -> Answer:
    """Ask until an answer's content differs (the server looks again after a while)."""
    for _ in range(2000):
        answer = client.ask(request(target))
        if answer.body != before.body:
            return answer
    raise AssertionError("the change was not seen")


@pytest.mark.parametrize("size", [10, 200_000])
def test_a_strong_tag_changes_with_the_content(connect_hasty: Connect, root: Path, size: int) -> None:
    """RFC 9110, 8.8.1: also where the size and the second stay the same."""
    client = connect_hasty()
    target = b"/changing-%d.txt" % size
    path = root / target[1:].decode()
    path.write_bytes(b"a" * size)
    os.utime(path, ns=(0, 1_600_000_000_000_000_001))
    before = client.ask(request(target))
    for step in range(1, 4):
        new = path.with_suffix(".new")
        new.write_bytes(b"%d" % step * size)
        os.utime(new, ns=(0, 1_600_000_000_000_000_001 + step))
        os.replace(new, path)
        after = until_changed(client, target, before)
        assert after.body == b"%d" % step * size
        assert STRONG_TAG.fullmatch(after.fields[b"etag"])
        assert after.fields[b"etag"] != before.fields[b"etag"]
        assert after.fields[b"last-modified"] == before.fields[b"last-modified"]
        stale = client.ask(request(target, b"If-None-Match: " + before.fields[b"etag"]))
        assert (stale.status, stale.body) == (200, after.body)
        before = after


def test_what_was_removed_is_gone_and_what_was_made_is_there(connect_hasty: Connect, root: Path) -> None:
    """RFC 9110, 15.5.5: neither answer is kept for ever."""
    client = connect_hasty()
    path = root / "brief.txt"
    missing = client.ask(request(b"/brief.txt"))
    assert missing.status == 404
    path.write_bytes(b"here")
    there = until_changed(client, b"/brief.txt", missing)
    assert (there.status, there.body) == (200, b"here")
    path.unlink()
    assert until_changed(client, b"/brief.txt", there).status == 404


@pytest.mark.parametrize(
    ("section", "line", "coding"),
    [
        ("12.5.3", b"X-None: 1", None),
        ("12.5.3", b"Accept-Encoding:", None),
        ("12.5.3", b"Accept-Encoding: gzip", b"gzip"),
        ("8.4.1.3", b"Accept-Encoding: x-gzip", b"gzip"),
        ("8.4.1", b"Accept-Encoding: GZip", b"gzip"),
        ("12.5.3", b"Accept-Encoding: br, zstd, deflate", None),
        ("12.5.3", b"Accept-Encoding: br;q=1.0, gzip;q=0.8, *;q=0.1", b"gzip"),
        ("12.5.3", b"Accept-Encoding: *", b"gzip"),
        ("12.5.3", b"Accept-Encoding: *;q=0.5", b"gzip"),
        ("12.5.3", b"Accept-Encoding: gzip;q=0", None),
        ("12.4.2", b"Accept-Encoding: gzip;q=0.000", None),
        ("12.4.2", b"Accept-Encoding: gzip ; q=0.001", b"gzip"),
        ("12.5.3", b"Accept-Encoding: gzip;q=0, *", None),
        ("12.5.3", b"Accept-Encoding: identity", None),
        ("12.5.3", b"Accept-Encoding: identity;q=1, gzip;q=0.5", None),
        ("12.5.3", b"Accept-Encoding: identity;q=0.5, gzip", b"gzip"),
        ("12.5.3", b"Accept-Encoding: identity;q=0, gzip;q=0.1", b"gzip"),
        ("5.6.1", b"Accept-Encoding: ,, gzip ,", b"gzip"),
    ],
)
def test_content_coding(client: Client, section: str, line: bytes, coding: bytes | None) -> None:
    """RFC 9110, in these sections: the stored coding is sent only to those that prefer it, and Vary says so."""
    answer = client.ask(request(b"/coded.txt", line))
    assert answer.status == 200
    assert answer.fields.get(b"content-encoding") == coding, section
    assert answer.body == (CODED if coding else PLAIN)
    assert answer.fields[b"vary"] == b"Accept-Encoding"  # 12.5.5
    assert answer.fields[b"content-type"] == b"text/plain; charset=utf-8"  # 8.4: that of what is coded


def test_codings_have_tags_of_their_own(client: Client) -> None:
    """RFC 9110, 8.8.3.3: also where size and time are the same."""
    assert len(PLAIN) == len(CODED)
    plain = client.ask(request(b"/coded.txt")).fields[b"etag"]
    coded = client.ask(request(b"/coded.txt", b"Accept-Encoding: gzip")).fields[b"etag"]
    assert plain != coded
    for accept, mine, other in ((b"", plain, coded), (b"gzip", coded, plain)):
        line = b"Accept-Encoding: " + accept
        assert client.ask(request(b"/coded.txt", line, b"If-None-Match: " + mine)).status == 304
        assert client.ask(request(b"/coded.txt", line, b"If-None-Match: " + other)).status == 200


def test_a_range_of_a_coded_representation_is_of_the_coded_octets(client: Client) -> None:
    """RFC 9110, 14.2: ranges apply to the selected representation, which is the coded one."""
    answer = client.ask(request(b"/coded.txt", b"Accept-Encoding: gzip", b"Range: bytes=0-4"))
    assert (answer.status, answer.body) == (206, CODED[:5])
    assert answer.fields[b"content-encoding"] == b"gzip"
    assert answer.fields[b"content-range"] == b"bytes 0-4/%d" % len(CODED)


def test_a_coded_file_by_its_own_name_is_a_file(client: Client) -> None:
    """RFC 9110, 8.4: there the coding is the media type, not applied to one."""
    answer = client.ask(request(b"/coded.txt.gz", b"Accept-Encoding: gzip"))
    assert (answer.status, answer.body) == (200, CODED)
    assert answer.fields[b"content-type"] == b"application/gzip"
    assert b"content-encoding" not in answer.fields


@pytest.mark.parametrize("line", [b"Accept: image/png", b"Accept-Language: tlh", b"Accept-Charset: utf-7"])
def test_what_is_not_negotiated_is_sent_all_the_same(client: Client, line: bytes) -> None:
    """RFC 9110, 12.5.1: rather an answer that was not asked for than none."""
    answer = client.ask(request(b"/small.txt", line))
    assert answer.status == 200
    assert b"vary" not in answer.fields


def test_server_names_no_versions(client: Client) -> None:
    """RFC 9110, 10.2.4: no needlessly fine-grained detail."""
    assert re.fullmatch(rb"[A-Za-z]+", client.ask(request(b"/")).fields[b"server"])
