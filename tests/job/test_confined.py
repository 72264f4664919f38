"""Jobs carried out by helpers that may read beneath the roots only."""

import ctypes
import mmap
import os
import shutil
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import pytest

from flashpy import landlock
from flashpy.buffers import Descriptor
from flashpy.job import perform as performing
from flashpy.job import places
from flashpy.job.confined import confine
from flashpy.job.entries import unpack
from flashpy.job.framing import decode_result, encode_job
from flashpy.job.kinds import KNOWN, Check, Job, List, Load, Outcome, Result, Translate
from flashpy.job.perform import perform
from flashpy.job.places import identity_of
from flashpy.job.programs import descriptors_in, send_with, serve
from tests.children import NOBODY, become, needs_landlock, needs_root, open_directory
from tests.running import PATIENCE

SMALL = 1000
_libc = ctypes.CDLL(None, use_errno=True)


class Helper:
    """A helper in a process of its own, which confines itself to some roots; ended with the ``with`` block."""

    def __init__(self, roots: Sequence[Path], user: int = 0) -> None:
        self._pipe, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._pipe.settimeout(PATIENCE)
        self._pid = os.fork()
        if self._pid == 0:
            try:
                self._pipe.close()
                if user:
                    become(user)
                perform = confine([os.fsencode(root) for root in roots])
                theirs.send(b"confined")
                serve(theirs, perform)
            finally:
                os._exit(1)
        theirs.close()
        assert self._pipe.recv(16) == b"confined"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.close()
        os.waitpid(self._pid, 0)

    def do(self, job: Job) -> Result:
        """Have a job done."""
        message, fds = encode_job(job)
        send_with(self._pipe, [message], fds)
        answer, ancillary, _, _ = self._pipe.recvmsg(1 << 20, socket.CMSG_SPACE(16))
        assert answer, "the helper has ended without an answer"
        return decode_result(answer, descriptors_in(ancillary))

    def has_ended(self) -> bool:
        """Wait for its end; an answer that nobody has asked for is not one."""
        return self._pipe.recv(1) == b""


@pytest.fixture
def place() -> Iterator[Path]:
    """A site, a directory that its links may lead to, and one that they may not."""
    with open_directory() as directory:
        for name in ("site/dir", "allowed", "beside"):
            (directory / name).mkdir(parents=True)
            (directory / name / "index.html").write_bytes(b"index of " + name.encode())
        site = directory / "site"
        (site / "small").write_bytes(b"small")
        (site / "small.gz").write_bytes(b"small, packed")
        (site / "large").write_bytes(b"x" * (SMALL + 1))
        (site / "by-path").symlink_to(site / "small")
        (site / "over").symlink_to("../allowed")
        (site / "out").symlink_to("../beside")
        yield directory


def roots_of(place: Path) -> list[Path]:
    """The root, and the allowed one."""
    return [place / "site", place / "allowed"]


def job(place: Path, path: str = "/small") -> Translate:
    """The translation of a path of the site."""
    return Translate(tuple(map(os.fsencode, roots_of(place))), path.encode(), (b"index.html",), (b".gz",), SMALL)


def said(result: Result) -> tuple[object, ...]:
    """All of a result, with the content of an open file instead of its descriptor."""
    content = result.body if result.file is None else os.pread(result.file.fd, 2 * SMALL, 0)
    return (*result._replace(file=None, body=content),)


@needs_landlock
@pytest.mark.parametrize("openat2", [437, 9999], ids=["openat2", "no-openat2"])
@pytest.mark.parametrize(
    ("path", "outcome"),
    [
        ("/small", Outcome.FILE),
        ("/small.gz", Outcome.FILE),
        ("/large", Outcome.FILE),
        ("/by-path", Outcome.FILE),
        ("/dir/", Outcome.FILE),
        ("/dir", Outcome.DIRECTORY),
        ("/over/", Outcome.FILE),
        ("/over/index.html", Outcome.FILE),
        ("/out/index.html", Outcome.MISSING),
        ("/no", Outcome.MISSING),
    ],
)
def test_what_is_served_is_served_as_without(
    place: Path, path: str, outcome: Outcome, openat2: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By openat2 and by O_PATH, small and large, by absolute links into the root and by links into an allowed one."""
    monkeypatch.setattr(places, "_SYS_OPENAT2", openat2)
    with Helper(roots_of(place)) as helper:
        result = helper.do(job(place, path))
        assert result.outcome is outcome
        assert said(result) == said(perform(job(place, path)))


@needs_landlock
def test_checks_and_what_is_unchanged(place: Path) -> None:
    """They take no right at all."""
    known = job(place)._replace(known=identity_of((place / "site" / "small").stat()))
    with Helper([place / "site"]) as helper:
        assert helper.do(Check((known._replace(suffixes=()),))).body == KNOWN
        assert helper.do(known)[:1] == (Outcome.UNCHANGED,)


def names_in(result: Result) -> list[bytes]:
    """What a listing names."""
    assert result.outcome is Outcome.LISTED and result.file is not None
    return [entry.name for entry in unpack(result.file).entries]


@needs_landlock
def test_listings(place: Path) -> None:
    """They are told in a file that takes no right; of a root that was replaced, the next helper tells."""
    listing = List(tuple(map(os.fsencode, roots_of(place))), b"/")
    with Helper(roots_of(place)) as helper:
        assert names_in(helper.do(listing)) == [b"dir", b"over", b"by-path", b"large", b"small", b"small.gz"]
        assert names_in(helper.do(listing._replace(path=b"/over/"))) == [b"index.html"]
        assert helper.do(listing._replace(path=b"/out/")).outcome is Outcome.MISSING
        assert helper.do(List((b"/etc",), b"/")).outcome is Outcome.FORBIDDEN
        deploy(place / "site", b"new")
        assert helper.do(listing).outcome is Outcome.STALE
        assert helper.has_ended()


@needs_landlock
def test_windows_of_passed_descriptors_are_loaded_by_a_mapping(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a file that the helper itself may not open."""

    def no_read(_: Load) -> None:
        raise OSError("not by a mapping")

    monkeypatch.setattr(performing, "_read", no_read)
    (place / "beside" / "large").write_bytes(b"x" * 3 * mmap.PAGESIZE)
    file = Descriptor(os.open(place / "beside" / "large", os.O_RDONLY))
    with Helper([place / "site"]) as helper:
        assert helper.do(Load(file, 1, 2 * mmap.PAGESIZE)).outcome is Outcome.LOADED


@needs_landlock
def test_what_is_outside_is_refused(place: Path) -> None:
    """Whatever the job says: a root that the helper was not given is no reason to end either."""
    with Helper(roots_of(place)) as helper:
        for root, path in (
            (b"/etc", b"/passwd"),
            (os.fsencode(place / "beside"), b"/index.html"),
            (b"/", b"/etc/passwd"),
        ):
            for _ in range(2):
                assert helper.do(Translate((root,), path, (), (), SMALL)).outcome is Outcome.FORBIDDEN
        assert helper.do(job(place)).body == b"small"


@needs_landlock
@needs_root
def test_a_mode_that_refuses_is_no_reason_to_end(place: Path) -> None:
    """EACCES of a file, and of a directory on the way."""
    (place / "site" / "small").chmod(0)
    (place / "site" / "dir").chmod(0)
    with Helper(roots_of(place), NOBODY) as helper:
        for _ in range(2):
            assert helper.do(job(place)).outcome is Outcome.FORBIDDEN
            assert helper.do(job(place, "/dir/")).outcome is Outcome.FORBIDDEN
        assert helper.do(job(place, "/large")).outcome is Outcome.FILE


@needs_landlock
@needs_root
def test_a_root_that_may_not_be_listed(place: Path) -> None:
    """But entered: so it is served, and what is refused there is refused."""
    (place / "site").chmod(0o711)
    (place / "site" / "large").chmod(0)
    with Helper(roots_of(place), NOBODY) as helper:
        assert helper.do(job(place)).body == b"small"
        assert helper.do(job(place, "/large")).outcome is Outcome.FORBIDDEN
        deploy(place / "site", b"new")
        (place / "site").chmod(0o711)
        assert helper.do(job(place)).outcome is Outcome.STALE


def deploy(root: Path, content: bytes) -> None:
    """Have another directory in a root's place."""
    new = root.with_name("new")
    shutil.copytree(root, new, symlinks=True)
    (new / "small").write_bytes(content)
    (new / "small").chmod(0o644)
    root.rename(root.with_name("old"))
    new.rename(root)


@needs_landlock
def test_a_root_that_was_replaced_by_a_rename(place: Path) -> None:
    """The old helper says that it is of no more use, and ends; the next serves what is there."""
    with Helper(roots_of(place)) as helper:
        assert helper.do(job(place)).body == b"small"
        deploy(place / "site", b"new")
        assert helper.do(job(place, "/no")).outcome is Outcome.MISSING  # to know that takes no right
        assert helper.do(job(place)).outcome is Outcome.STALE
        assert helper.has_ended()
    with Helper(roots_of(place)) as helper:
        assert helper.do(job(place)).body == b"new"


@needs_landlock
def test_a_root_that_is_another_directory_of_the_same_name(place: Path) -> None:
    """Removed and made anew. File systems like to give the same inode number again, but not one with a rule to it."""
    with Helper(roots_of(place)) as helper:
        shutil.rmtree(place / "site")
        (place / "site").mkdir()
        (place / "site" / "small").write_bytes(b"new")
        assert helper.do(job(place)).outcome is Outcome.STALE


@needs_landlock
def test_a_link_that_was_switched(place: Path) -> None:
    """As deployments with a "current" link have it."""
    current = place / "current"
    current.symlink_to("site")
    translation = job(place)._replace(roots=(os.fsencode(current),))
    with Helper([current]) as helper:
        assert helper.do(translation).body == b"small"
        (place / "beside" / "small").write_bytes(b"new")
        (place / "next").symlink_to("beside")
        (place / "next").rename(current)
        assert helper.do(translation).outcome is Outcome.STALE
        assert helper.has_ended()


@needs_landlock
def test_an_allowed_root_that_was_not_there(place: Path) -> None:
    """From missing to present; and what has gone is missing."""
    (place / "allowed").rename(place / "later")
    with Helper(roots_of(place)) as helper:
        assert helper.do(job(place, "/over/index.html")).outcome is Outcome.MISSING
        (place / "later").rename(place / "allowed")
        assert helper.do(job(place, "/small")).body == b"small"  # its right is to the root
        assert helper.do(job(place, "/over/index.html")).outcome is Outcome.STALE


@contextmanager
def mounted(place: Path) -> Iterator[None]:
    """A file system of its own, with one file, while the block runs."""
    if _libc.mount(b"tmpfs", os.fsencode(place), b"tmpfs", 0, None):
        pytest.skip(f"to mount takes root: {os.strerror(ctypes.get_errno())}")
    try:
        (place / "small").write_bytes(b"mounted")
        yield
    finally:
        _libc.umount2(os.fsencode(place), 0)


@needs_landlock
def test_a_root_that_was_mounted_again(place: Path) -> None:
    """Its device and inode may have the numbers that they had, but a helper's right has gone with the old mount."""
    translation = job(place)._replace(suffixes=())
    with mounted(place / "site"):
        helper = Helper(roots_of(place))
        assert helper.do(translation).body == b"mounted"
        before = (place / "site").stat()
    with helper, mounted(place / "site"):
        after = (place / "site").stat()
        if (before.st_dev, before.st_ino) != (after.st_dev, after.st_ino):
            pytest.skip("the kernel has given other numbers")
        assert helper.do(translation).outcome is Outcome.STALE
        assert helper.has_ended()


@needs_landlock
def test_a_mount_beneath_the_root(place: Path) -> None:
    """One that comes later too."""
    with Helper(roots_of(place)) as helper, mounted(place / "site" / "dir"):
        assert helper.do(job(place, "/dir/small")).body == b"mounted"


def test_without_roots_or_without_landlock_nothing_is_confined(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a change is nobody's end."""
    assert confine([]) is perform
    monkeypatch.setattr(landlock, "_SYS_CREATE_RULESET", 9999)
    with Helper(roots_of(place)) as helper:
        assert helper.do(job(place)).body == b"small"
        deploy(place / "site", b"new")
        assert helper.do(job(place)).body == b"new"
        assert helper.do(Translate((b"/etc",), b"/passwd", (), (), 1 << 16)).outcome is Outcome.FILE
