"""Archives of real directories, made piece by piece."""

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from flashpy.buffers import Aggregate, Lazy, Slice, length_of
from flashpy.http.response import Response
from flashpy.job.kinds import Job, List, Outcome, Result, Walk
from flashpy.job.perform import perform
from flashpy.resource.archive import disposition
from flashpy.resource.errors import ErrorPages
from flashpy.resource.listing import Listings
from tests.http.making import request


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small site with files of all sizes."""
    (tmp_path / "docs" / "many").mkdir(parents=True)
    (tmp_path / "docs" / "none").mkdir()
    for size in (0, 1, 511, 512, 513, 100_000):
        (tmp_path / "docs" / f"of-{size}").write_bytes(b"%d" % (size % 10) * size)
    for number in range(250):
        (tmp_path / "docs" / "many" / f"{number:03d}").write_bytes(b"x" * (number % 50 == 0))
    return tmp_path


def ask(
    root: Path, target: bytes, small: int = 1000, method: bytes = b"GET", walk: dict[str, int] | None = None
) -> Response:
    """Answer a request as the site does."""
    roots = (os.fsencode(root),)
    listings = Listings(List(roots, b"/"), ErrorPages(), Walk(roots, b"/", b"")._replace(**(walk or {})), small)  # type: ignore[arg-type]
    asked = request(target, method)
    job = listings.job(asked, asked.path)
    return listings.answer(asked, perform(job)._replace(job=job))


def sent(body: Aggregate, bend: Callable[[Result], Result] = lambda result: result) -> bytes:
    """What would be sent of a body, each piece made in its turn; all of them must be of the length that they claim."""
    parts: list[bytes] = []
    left, queue = length_of(body), list(body)
    while queue:
        piece = queue.pop(0)
        if isinstance(piece, Lazy):
            made = piece.make()
            while isinstance(made, Job):
                made = piece.make(bend(perform(made)))
            if made is None:
                break
            assert length_of(made) == piece.length == left
            queue[:0] = made
            continue
        data = os.pread(piece.file.fd, piece.length, piece.offset) if isinstance(piece, Slice) else piece
        left -= len(data)
        parts.append(data)
    return b"".join(parts)


def contents(data: bytes) -> dict[str, bytes | None]:
    """The members of an archive: files with their bytes."""
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {
            member.name: file.read() if (file := tar.extractfile(member)) is not None else None
            for member in tar.getmembers()
        }


@pytest.mark.parametrize("small", [0, 1000, 10**6])
def test_an_archive(root: Path, small: int) -> None:
    """Of all that is beneath a directory, with the length that was said."""
    response = ask(root, b"/docs/?download=tar", small)
    data = sent(response.body)
    fields = dict(response.head.fields)
    assert response.sliced and response.flat is None
    assert fields[b"Content-Length"] == b"%d" % len(data) == b"%d" % response.length
    assert fields[b"Content-Type"] == b"application/x-tar"
    assert fields[b"Content-Disposition"] == b'attachment; filename="docs.tar"'
    assert fields[b"Cache-Control"] == b"no-cache" and b"ETag" not in fields
    expected: dict[str, bytes | None] = {"docs": None}
    for path in (root / "docs").rglob("*"):
        expected[path.relative_to(root).as_posix()] = None if path.is_dir() else path.read_bytes()
    assert contents(data) == expected


def test_few_descriptors_are_open_at_a_time(root: Path) -> None:
    """A file is opened when its turn comes, and closed when it has been sent."""
    before = len(os.listdir("/proc/self/fd"))
    most = 0

    def count(result: Result) -> Result:
        nonlocal most
        most = max(most, len(os.listdir("/proc/self/fd")) - before)
        return result

    sent(ask(root, b"/docs/?download=tar", small=0).body, count)
    assert most <= 4  # the tree, the file, the one before, and the directory that is being listed here
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("change", ["grow", "shrink", "remove", "replace"])
def test_a_file_that_has_changed_ends_the_answer(root: Path, change: str) -> None:
    """Where its content would begin: the length that was said shows that something is missing."""
    response = ask(root, b"/docs/?download=tar")
    path = root / "docs" / "of-513"
    if change in ("grow", "shrink"):
        path.write_bytes(b"x" * (514 if change == "grow" else 512))
    else:
        path.unlink()
        if change == "replace":
            path.mkdir()
    data = sent(response.body)
    assert 0 < len(data) < response.length


def test_helpers_that_fail_end_the_answer(root: Path) -> None:
    """Too late, or out of descriptors."""
    for outcome in (Outcome.LATE, Outcome.NO_DESCRIPTORS, Outcome.FAILED):
        response = ask(root, b"/docs/?download=tar")
        assert len(sent(response.body, lambda _, outcome=outcome: Result(outcome))) < response.length  # type: ignore[misc]


def test_the_topmost_directory_and_an_empty_one(root: Path) -> None:
    """Each has a name in its archive, so that unpacking makes one directory."""
    whole = contents(sent(ask(root, b"/?download=tar").body))
    assert {name.partition("/")[0] for name in whole} == {"files"} and "files/docs/of-1" in whole
    assert contents(sent(ask(root, b"/docs/none/?download=tar").body)) == {"none": None}


def test_head(root: Path) -> None:
    """The length is known without any content."""
    whole, head = (ask(root, b"/docs/?download=tar", method=method) for method in (b"GET", b"HEAD"))
    assert head.head.fields == whole.head.fields and head.body == ()


@pytest.mark.parametrize("most", [{"most_entries": 10}, {"most_bytes": 10_000}])
def test_what_is_too_large_is_refused(root: Path, most: dict[str, int]) -> None:
    """With a plain sentence."""
    response = ask(root, b"/docs/?download=tar", walk=most)
    assert response.head.status == 403
    assert b"too large to be downloaded as a whole" in b"".join(map(bytes, response.body))  # type: ignore[arg-type]
    assert ask(root, b"/docs/?download=tar", method=b"HEAD", walk=most).body == ()


def test_without_archives_the_query_counts_for_nothing(root: Path) -> None:
    """It is a listing; so is any other download."""
    listings = Listings(List((os.fsencode(root),), b"/"), ErrorPages())
    assert isinstance(listings.job(request(b"/?download=tar"), b"/"), List)
    assert dict(ask(root, b"/?download=zip").head.fields)[b"Content-Type"] == b"text/html; charset=utf-8"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"docs", b'attachment; filename="docs.tar"'),
        (
            b'a "b" \\ 100%',
            b"attachment; filename=\"a _b_ _ 100_.tar\"; filename*=UTF-8''a%20%22b%22%20%5C%20100%25.tar",
        ),
        ("Müll\r\n".encode(), b"attachment; filename=\"M_ll__.tar\"; filename*=UTF-8''M%C3%BCll%0D%0A.tar"),
        (b"\xff", b"attachment; filename=\"_.tar\"; filename*=UTF-8''%EF%BF%BD.tar"),
    ],
)
def test_disposition(name: bytes, value: bytes) -> None:
    """A name for all, and the true one for those who read UTF-8 (RFC 6266, 4.3)."""
    assert disposition(name) == value
