"""The pathname, header and file caches, and how what is in them hangs together."""

import os
from pathlib import Path

import pytest

from flashpy.buffers import Aggregate, Descriptor, Slice
from flashpy.cache.file import Content, FileCache
from flashpy.cache.header import Representation, Variant, header_cache
from flashpy.cache.pathname import Asked, Translation, pathname_cache
from flashpy.http.fields import http_date
from flashpy.http.response import Response
from flashpy.job.kinds import Identity, Outcome, Result, Translate
from flashpy.resource.caches import Caches
from flashpy.settings import CacheSection

NOW = 1_700_000_000.0
HTML = Variant(b"text/html")


def identity(size: int = 5, inode: int = 1, seconds: int = 1_600_000_000) -> Identity:
    """The identity of some version of a file."""
    return Identity(7, inode, size, seconds * 10**9, seconds * 10**9)


def representation(of: Identity | None = None, variant: Variant = HTML) -> Representation:
    """A representation without content."""
    return Representation(of or identity(), variant._replace(extra=((b"Server", b"flashpy"),)), NOW)


def translation(path: bytes = b"/a") -> Translation:
    """A translation of a path, to nothing yet."""
    return Translation(Asked(path, path, path), Translate((b"/srv",), path), None, Result(Outcome.FILE), 1.0)


def opened(path: Path) -> Descriptor:
    """A new file, open."""
    path.write_bytes(b"0123456789")
    return Descriptor(os.open(path, os.O_RDONLY))


def prepared(representation: Representation) -> Aggregate | None:
    """The body of the whole answer, while there is one."""
    return representation.whole.body if representation.whole else None


def assert_closed(fd: int) -> None:
    """A descriptor is not open any more in this process."""
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def field(response: Response, name: bytes) -> bytes | None:
    """A field of a response."""
    return dict(response.head.fields).get(name)


# The file cache


def test_bodies_and_descriptors_have_their_own_budgets(tmp_path: Path) -> None:
    """Large files do not push small ones out, nor the other way."""
    cache = FileCache(entries=2, size=10_000, descriptors=1)
    for inode in range(3):
        for _ in range(2):  # at the second time it comes in, whoever must go
            cache.put(Content(identity(inode=inode), b"small"))
            cache.put(Content(identity(10, inode=10 + inode), opened(tmp_path / str(inode))))
    assert [inode for inode in range(20) if cache.get(identity(inode=inode)) is not None] == [1, 2]
    assert [inode for inode in range(20) if cache.get(identity(10, inode=inode)) is not None] == [12]
    assert len(cache) == 3
    assert cache.snapshot() == {"bodies": 2, "bytes": 2 * (200 + 5), "descriptors": 1}


def test_what_is_asked_for_once_drives_nothing_out() -> None:
    """A crawler reads everything once; what is asked for twice is another matter."""
    cache = FileCache(10, 100_000, 0)
    for inode in range(10):
        cache.put(Content(identity(inode=inode), b"hot"))
    crawled = [Content(identity(inode=inode), b"once") for inode in range(100, 20_000)]
    for content in crawled:
        one = representation()
        one.take_content(content)
        cache.put(content)
        assert prepared(one) is None  # let go at once: nobody holds what no cache counts
    assert all(cache.get(identity(inode=inode)) for inode in range(10))
    cache.put(Content(identity(inode=19_999), b"twice"))
    assert cache.get(identity(inode=19_999)) is not None
    assert len(cache) == 10


def test_a_version_is_found_by_its_whole_identity() -> None:
    """Any difference in device, inode, size, mtime or ctime is another version."""
    cache = FileCache(10, 10_000, 10)
    cache.put(Content(identity(), b"small"))
    assert cache.get(identity()) is not None
    for index in range(5):
        other = list(identity())
        other[index] += 1
        assert cache.get(Identity(*other)) is None


def test_a_descriptor_is_closed_when_nobody_sends_from_it(tmp_path: Path) -> None:
    """A cache may forget a descriptor at any time: who is sending keeps it open until the end."""
    cache = FileCache(0, 0, 1)
    file = opened(tmp_path / "a")
    fd = file.fd
    content = Content(identity(10), file)
    cache.put(content)
    sending = content.data
    del file, content
    cache.drop(identity(10))
    assert isinstance(sending, Slice)
    assert os.pread(sending.file.fd, sending.length, sending.offset) == b"0123456789"
    del sending
    assert_closed(fd)


def test_a_refused_descriptor_is_closed(tmp_path: Path) -> None:
    """A budget of 0 holds none."""
    cache = FileCache(0, 0, 0)
    file = opened(tmp_path / "a")
    fd = file.fd
    cache.put(Content(identity(10), file))
    del file
    assert_closed(fd)


def test_content_that_leaves_takes_the_whole_answer_with_it() -> None:
    """What is prepared with a body must not outlive it in the cache: its bytes would not be counted."""
    cache, one = FileCache(1, 10_000, 0), representation()
    content = Content(identity(), b"small")
    cache.put(content)
    one.take_content(content)
    assert prepared(one) == (b"small",)
    for _ in range(2):
        cache.put(Content(identity(inode=2), b"other"))
    assert prepared(one) is None and one.content is None
    assert content.users == []
    assert one.head_only.head.status == 200


def test_a_representation_that_lost_its_content_is_told_of() -> None:
    """Once, and when it has none any more: also where the content was never let in."""
    deprived: list[Representation] = []
    cache, one = FileCache(0, 0, 0, deprived.append), representation()
    content = Content(identity(), b"small")
    one.take_content(content)
    cache.put(content)
    assert deprived == [one] and one.content is None


def test_what_has_no_content_goes_first_from_the_header_cache() -> None:
    """What takes a helper's work anyway makes room for what does not."""
    caches = Caches(CacheSection(header_entries=2, file_bytes=300))
    kept = [representation(identity(inode=inode)) for inode in range(3)]
    contents = [Content(one.identity, b"body") for one in kept]
    for one, content in zip(kept[:2], contents[:2], strict=True):
        one.take_content(content)
        caches.headers.put((one.identity, one.variant), one)
        caches.files.put(content)  # there is room for the first of them
    caches.headers.put((kept[2].identity, kept[2].variant), kept[2])
    assert [(one.identity, one.variant) in caches.headers for one in kept] == [True, False, True]


# The header cache


def test_heads_of_a_representation() -> None:
    """RFC 9110, 8.8, 15.4.5: the 200 and its 304 agree; a 304 has no Content-Length or Content-Type of its own."""
    one = representation()
    whole, unchanged = one.head_only, one.not_modified
    assert (whole.head.status, unchanged.head.status) == (200, 304)
    for name in (b"ETag", b"Last-Modified", b"Server"):
        assert field(whole, name) == field(unchanged, name) is not None
    assert field(whole, b"Content-Length") == b"5"
    assert field(whole, b"Content-Type") == b"text/html"
    assert field(whole, b"Accept-Ranges") == b"bytes"
    assert {name for name, _ in unchanged.head.fields} == {b"Server", b"ETag", b"Last-Modified"}
    assert not whole.body and not unchanged.body


def test_each_coding_has_a_validator_of_its_own() -> None:
    """RFC 9110, 8.8.3.3 and 12.5.5: strong tags differ between codings, and negotiated answers say Vary."""
    plain = representation(variant=Variant(b"text/html", None, negotiated=True))
    packed = representation(variant=Variant(b"text/html", b"gzip", negotiated=True))
    assert plain.validators.etag != packed.validators.etag
    assert not plain.validators.etag.weak
    assert field(packed.head_only, b"Content-Encoding") == b"gzip"
    assert field(plain.head_only, b"Content-Encoding") is None
    for one in (plain, packed):
        assert field(one.head_only, b"Vary") == field(one.not_modified, b"Vary") == b"Accept-Encoding"
    assert field(representation().head_only, b"Vary") is None


@pytest.mark.parametrize("changed", [identity(size=6), identity(seconds=1_600_000_001)])
def test_each_version_has_a_validator_of_its_own(changed: Identity) -> None:
    """RFC 9110, 8.8.3."""
    assert representation(changed).validators.etag != representation().validators.etag


@pytest.mark.parametrize(
    ("seconds", "expected"), [(1_600_000_000, 1_600_000_000), (2_000_000_000, NOW), (-86_400, -86_400), (0, 0)]
)
def test_last_modified(seconds: int, expected: float) -> None:
    """RFC 9110, 8.8.2.1: never later than the answer's own Date."""
    one = representation(identity(seconds=seconds))
    assert one.validators.last_modified == expected
    assert field(one.head_only, b"Last-Modified") == http_date(expected)


def test_an_empty_file_has_no_body() -> None:
    """Its whole answer has Content-Length 0 and no piece."""
    one = representation(identity(size=0))
    one.take_content(Content(identity(size=0), b""))
    assert prepared(one) == ()
    assert field(one.head_only, b"Content-Length") == b"0"


def test_newer_content_takes_the_place_of_older() -> None:
    """A representation uses one content, and only that one knows of it."""
    one, older, newer = representation(), Content(identity(), b"small"), Content(identity(), b"again")
    for content in (older, newer, newer):
        one.take_content(content)
    assert (older.users, newer.users) == ([], [one])
    assert prepared(one) == (b"again",)


def test_a_representation_that_leaves_is_let_go_by_all() -> None:
    """Neither the translations that led to it nor its content hold it."""
    cache = header_cache(1, 100_000)
    one, content, name = representation(), Content(identity(), b"small"), translation()
    cache.put((identity(), HTML), one)
    one.take_content(content)
    name.take(one)
    cache.put((identity(inode=2), HTML), representation(identity(inode=2)))
    assert name.representation is None
    assert content.users == []
    assert (one.users, one.content) == ([], None)


# The pathname cache


def test_a_translation_leads_to_one_representation() -> None:
    """Taking another lets the first go; taking the same again changes nothing."""
    name, one, other = translation(), representation(), representation(identity(inode=2))
    for taken in (one, one, other):
        name.take(taken)
    assert (one.users, other.users) == ([], [name])
    assert name.representation is other


def test_a_translation_that_leaves_is_forgotten_by_its_representation() -> None:
    """Else a representation that many names led to would hold them all."""
    cache, one = pathname_cache(1, 100_000), representation()
    names = [translation(path) for path in (b"/a", b"/b")]
    for name in names:
        name.take(one)
        cache.put(name.job.path, name)
    assert one.users == [names[1]]


def test_long_names_cost_more() -> None:
    """The budget of bytes holds against names that a client makes up."""
    assert translation(b"/" + b"a" * 4000).cost - translation(b"/").cost == 4000
    cache = pathname_cache(1000, 5000)
    for number in range(50):
        path = b"/%d" % number + b"a" * 1000
        cache.put(path, translation(path))
    assert cache.cost <= 5000 and len(cache) == 3
