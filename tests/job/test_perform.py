"""Jobs carried out on real files."""

import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path

import pytest

from flashpy.buffers import Descriptor
from flashpy.job import perform as performing
from flashpy.job.framing import decode_result, encode_result
from flashpy.job.kinds import KNOWN, Check, Identity, Job, Load, Outcome, Result, Translate
from flashpy.job.places import identity_of

REPOSITORY = Path(__file__).resolve().parents[2]
SMALL = 1000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small site, with things beside it that are not of the site."""
    site = tmp_path / "site"
    for directory in ("dir", "empty", "dir/sub"):
        (site / directory).mkdir(parents=True, exist_ok=True)
    (site / "a.txt").write_bytes(b"small")
    (site / "large").write_bytes(b"x" * (SMALL + 1))
    (site / "dir" / "index.html").write_bytes(b"index")
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "site-too").mkdir()
    (tmp_path / "site-too" / "a").write_bytes(b"secret")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "b").write_bytes(b"allowed")
    return site


@pytest.fixture(params=["openat2", "no-openat2"])
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With openat2(2), and without it, as older kernels and some sandboxes are."""
    if request.param == "no-openat2":
        monkeypatch.setattr("flashpy.job.places._SYS_OPENAT2", 9999)
    return str(request.param)


def job(root: Path, path: str | bytes, *allowed: Path, known: Identity | None = None, **more: int) -> Translate:
    """The translation of a path beneath a root."""
    return Translate(
        roots=tuple(os.fsencode(place) for place in (root, *allowed)),
        path=os.fsencode(path),
        index_names=(b"index.html", b"index.txt"),
        suffixes=(b".br", b".gz"),
        small=more.get("small", SMALL),
        known=known,
    )


def identity(path: Path) -> Identity:
    """A file's identity as stat(2) has it."""
    return identity_of(path.stat())


def content(result: Result) -> bytes | None:
    """The bytes of a file that was found, however they came."""
    if result.file is not None:
        assert result.identity is not None and result.body is None
        return os.pread(result.file.fd, result.identity.size + 1, 0)
    return result.body


# What is there


def perform(job: Job) -> Result:
    """The result without what it says of the root, which is the same in all."""
    result = performing.perform(job)
    if result.release:
        assert isinstance(job, Translate)
        assert result.place == os.fsencode(os.path.realpath(job.roots[0]))
    return result._replace(release=b"", place=b"")


def test_a_root_that_has_become_another(root: Path, tmp_path: Path) -> None:
    """What was asked of one release is not answered from the next, by no kind of job."""
    (tmp_path / "next").mkdir()
    (tmp_path / "next" / "a.txt").write_bytes(b"of the other")
    link = tmp_path / "link"
    link.symlink_to(root)
    first = performing.perform(job(link, "/a.txt"))
    assert (first.body, first.place) == (b"small", os.fsencode(root))
    asked = job(link, "/a.txt", known=first.identity)._replace(release=first.release)
    again = performing.perform(asked)
    assert (again.outcome, again.release, again.place) == (Outcome.UNCHANGED, first.release, b"")
    assert performing.perform(Check((asked, asked))).body == KNOWN * 2
    link.unlink()
    link.symlink_to("next")
    moved = performing.perform(asked)
    assert (moved.outcome, moved.place, moved.file, moved.body) == (
        Outcome.MOVED,
        os.fsencode(tmp_path / "next"),
        None,
        None,
    )
    assert moved.release != first.release
    assert performing.perform(Check((asked, asked))).body == b"\0\0"
    assert performing.perform(asked._replace(release=moved.release)).body == b"of the other"
    link.unlink()
    assert performing.perform(asked).outcome is Outcome.MISSING
    assert performing.perform(Check((asked,))).body == b"\0"


@pytest.mark.parametrize("small", [100, 0])
def test_a_digest(root: Path, small: int) -> None:
    """Of the content, whether it is small or not, and only if it is asked for."""
    for size in (0, 5, 600_000):
        (root / "f").write_bytes(b"x" * size)
        result = perform(job(root, "/f", small=small)._replace(digest=True))
        assert result.digest == blake2b(b"x" * size, digest_size=12).hexdigest().encode()
        assert perform(job(root, "/f", small=small)).digest == b""


def test_a_small_file(root: Path) -> None:
    """Its bytes come along, with the stat data of the version that was read."""
    result = perform(job(root, "/a.txt"))
    assert result == Result(Outcome.FILE, identity(root / "a.txt"), None, b"small")


def test_a_large_file(root: Path) -> None:
    """Above the bound, an open descriptor."""
    result = perform(job(root, "/large"))
    assert (result.outcome, result.identity, result.body) == (Outcome.FILE, identity(root / "large"), None)
    assert result.file is not None and result.file.device == (root / "large").stat().st_dev
    assert content(result) == b"x" * (SMALL + 1)
    assert not os.get_inheritable(result.file.fd)


@pytest.mark.parametrize(("size", "held"), [(0, True), (SMALL - 1, True), (SMALL, True), (SMALL + 1, False)])
def test_the_bound_of_what_is_small(root: Path, size: int, held: bool) -> None:
    """``small`` itself is still small; so is nothing."""
    (root / "f").write_bytes(b"y" * size)
    result = perform(job(root, "/f"))
    assert (result.body is not None) is held
    assert content(result) == b"y" * size


def test_nothing_is_small_where_the_bound_is_below(root: Path) -> None:
    """With a bound of 0 only the empty file comes as bytes."""
    (root / "f").write_bytes(b"")
    assert perform(job(root, "/f", small=0)).body == b""
    assert perform(job(root, "/a.txt", small=0)).body is None


@pytest.mark.parametrize("name", ["name with blanks", "ü", "a%20b", "back\\slash", "new\nline", "...", "~", "-"])
def test_names_are_taken_as_they_are(root: Path, name: str) -> None:
    """Nothing is decoded or interpreted any more."""
    (root / name).write_bytes(b"found")
    assert content(perform(job(root, f"/{name}"))) == b"found"


def test_unchanged(root: Path) -> None:
    """A version that is known is not opened again; any other is."""
    known = identity(root / "a.txt")
    assert perform(job(root, "/a.txt", known=known)) == Result(Outcome.UNCHANGED, known)
    (root / "a.txt").write_bytes(b"changed")
    result = perform(job(root, "/a.txt", known=known))
    assert (result.outcome, result.body) == (Outcome.FILE, b"changed")


def test_unchanged_is_said_of_suffixes_too(root: Path) -> None:
    """A stored variant that came or went is news of a file that is the same."""
    (root / "a.txt.gz").write_bytes(b"packed")
    result = perform(job(root, "/a.txt", known=identity(root / "a.txt")))
    assert (result.outcome, result.suffixes) == (Outcome.UNCHANGED, (b".gz",))


def test_suffixes(root: Path) -> None:
    """Siblings that are regular files are named, in the order asked for."""
    (root / "a.txt.gz").write_bytes(b"packed")
    assert perform(job(root, "/a.txt")).suffixes == (b".gz",)
    (root / "a.txt.br").write_bytes(b"packed")
    assert perform(job(root, "/a.txt")).suffixes == (b".br", b".gz")
    (root / "a.txt.br").unlink()
    (root / "a.txt.br").mkdir()
    (root / "a.txt.gz").unlink()
    os.mkfifo(root / "a.txt.gz")
    assert perform(job(root, "/a.txt")).suffixes == ()


def test_a_directory(root: Path) -> None:
    """Without the closing slash it is said to be one; with it, an index name is looked for."""
    assert perform(job(root, "/dir")) == Result(Outcome.DIRECTORY)
    result = perform(job(root, "/dir/"))
    assert (result.outcome, result.body, result.name) == (Outcome.FILE, b"index", b"index.html")
    assert perform(job(root, "/empty/")).outcome is Outcome.MISSING


def test_index_names_in_their_order(root: Path) -> None:
    """The first that is a file; a directory named like one is none; suffixes are those of the index."""
    (root / "dir" / "index.txt").write_bytes(b"second")
    (root / "dir" / "index.html.gz").write_bytes(b"packed")
    result = perform(job(root, "/dir/"))
    assert (result.name, result.suffixes) == (b"index.html", (b".gz",))
    known = result.identity
    assert perform(job(root, "/dir/", known=known))[:1] == (Outcome.UNCHANGED,)
    (root / "dir" / "index.html").unlink()
    (root / "dir" / "index.html").mkdir()
    assert perform(job(root, "/dir/", known=known)).name == b"index.txt"


def test_the_root_itself(root: Path) -> None:
    """The path "/" is the root's index."""
    assert perform(job(root, "/")).outcome is Outcome.MISSING
    (root / "index.html").write_bytes(b"home")
    assert perform(job(root, "/")).body == b"home"


@pytest.mark.parametrize("path", ["/no", "/no/", "/no/no", "/a.txt/", "/a.txt/x", "/dir/no"])
@pytest.mark.usefixtures("kernel")
def test_missing(root: Path, path: str) -> None:
    """ENOENT and ENOTDIR alike."""
    assert perform(job(root, path)).outcome is Outcome.MISSING


@pytest.mark.parametrize("path", ["/" + "a" * 256, "/" + "a/" * 3000 + "b", "/dir/" + "b" * 5000])
def test_names_that_are_too_long(root: Path, path: str) -> None:
    """ENAMETOOLONG: no file can have that name."""
    assert perform(job(root, path)).outcome is Outcome.MISSING


@pytest.mark.parametrize("path", [b"/\0", b"/a.txt\0", b"/a.txt\0.html", b"/dir/\0/"])
def test_nul(root: Path, path: bytes) -> None:
    """A NUL would end the name for the kernel: it names nothing."""
    assert perform(job(root, path)).outcome is Outcome.MISSING


def test_a_root_that_is_gone(tmp_path: Path) -> None:
    """The site's directory may vanish while the server runs."""
    assert perform(job(tmp_path / "no", "/a")).outcome is Outcome.MISSING
    (tmp_path / "file").write_bytes(b"")
    assert perform(job(tmp_path / "file", "/a")).outcome is Outcome.MISSING


# What is not of the site


@pytest.mark.parametrize(
    "path",
    [
        "/../secret",
        "/dir/../../secret",
        "/../site-too/a",
        "/..",
        "/../",
        "/dir/../../../../../../etc/passwd",
        "//etc/passwd",
    ],
)
@pytest.mark.usefixtures("kernel")
def test_dotdot(root: Path, path: str) -> None:
    """The kernel confines what no one should have let through: openat2(2), RESOLVE_BENEATH."""
    assert perform(job(root, path)).outcome is Outcome.MISSING


@pytest.mark.usefixtures("kernel")
def test_dotdot_inside_the_root(root: Path) -> None:
    """A path that stays beneath the root leads where it leads."""
    assert perform(job(root, "/dir/../a.txt")).body == b"small"


@pytest.mark.parametrize(
    ("target", "body"),
    [
        pytest.param("a.txt", b"small", id="relative"),
        pytest.param("dir/../a.txt", b"small", id="relative-with-dotdot"),
        pytest.param("{root}/a.txt", b"small", id="absolute-into-the-root"),
        pytest.param("{root}/dir/index.html", b"index", id="absolute-deeper"),
        pytest.param("../site/a.txt", b"small", id="out-and-in-again"),
        pytest.param("../secret", None, id="relative-out"),
        pytest.param("{root}/../secret", None, id="absolute-out"),
        pytest.param("../site-too/a", None, id="sibling-with-the-root-as-prefix"),
        pytest.param("/etc/passwd", None, id="passwd"),
        pytest.param("/proc/self/environ", None, id="proc"),
        pytest.param("/proc/self/cwd/pyproject.toml", None, id="magic-link"),
        pytest.param("/dev/zero", None, id="device"),
        pytest.param("no", None, id="dangling"),
        pytest.param("/no/such/file", None, id="dangling-absolute"),
        pytest.param("link", None, id="loop-of-one"),
        pytest.param("fifo", None, id="FIFO"),
    ],
)
@pytest.mark.usefixtures("kernel")
def test_links(root: Path, target: str, body: bytes | None) -> None:
    """A link is followed if what it leads to lies beneath the root, however it says so."""
    os.mkfifo(root / "fifo")
    (root / "link").symlink_to(target.format(root=root))
    result = perform(job(root, "/link"))
    assert result.outcome is (Outcome.MISSING if body is None else Outcome.FILE)
    assert result.body == body


@pytest.mark.parametrize("path", ["/d/b", "/d/"])
@pytest.mark.usefixtures("kernel")
def test_links_to_directories(root: Path, path: str) -> None:
    """A directory outside is no way out."""
    (root / "d").symlink_to(root.parent / "other")
    (root.parent / "other" / "index.html").write_bytes(b"outside")
    assert perform(job(root, path)).outcome is Outcome.MISSING
    (root / "d").unlink()
    (root / "d").symlink_to("dir")
    assert perform(job(root, "/d/")).body == b"index"


@pytest.mark.usefixtures("kernel")
def test_link_loops(root: Path) -> None:
    """ELOOP."""
    (root / "one").symlink_to("two")
    (root / "two").symlink_to("one")
    (root / "three").symlink_to(root / "three")
    for path in ("/one", "/two/x", "/three"):
        assert perform(job(root, path)).outcome is Outcome.MISSING


@pytest.mark.usefixtures("kernel")
def test_allowed_roots(root: Path) -> None:
    """Links may lead into a directory that is allowed, itself reached by a link or not, and to no other."""
    other = root.parent / "other"
    (root / "link").symlink_to(other / "b")
    (root / "dirlink").symlink_to("../other")
    (root / "secret").symlink_to("../secret")
    by_link = root.parent / "by-link"
    by_link.symlink_to(other)
    for allowed in (other, by_link):
        assert perform(job(root, "/link", allowed)).body == b"allowed"
        assert perform(job(root, "/dirlink/b", allowed)).body == b"allowed"
        assert perform(job(root, "/dirlink", allowed)) == Result(Outcome.DIRECTORY)
        assert perform(job(root, "/secret", allowed)).outcome is Outcome.MISSING
    assert perform(job(root, "/../other/b", root.parent / "site-too")).outcome is Outcome.MISSING


@pytest.mark.usefixtures("kernel")
def test_a_root_that_is_a_link(root: Path) -> None:
    """As deployments with a "current" link have it."""
    current = root.parent / "current"
    current.symlink_to(root)
    (root / "link").symlink_to(root / "a.txt")
    for path in ("/a.txt", "/link"):
        assert perform(job(current, path)).body == b"small"


# What is no file


@pytest.mark.usefixtures("kernel")
def test_fifos_sockets_and_devices_are_not_opened(root: Path) -> None:
    """Opening a FIFO would wait for its writer, for ever: nothing but a regular file is opened for reading."""
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.fspath(root / "socket"))
        (root / "null").symlink_to("/dev/null")
        (root / "tty").symlink_to("/dev/tty")
        for path in ("/fifo", "/socket"):
            assert perform(job(root, path)).outcome is Outcome.MISSING
        for path in ("/null", "/tty"):
            assert perform(job(root, path, Path("/dev"))).outcome is Outcome.MISSING


def test_an_index_that_is_no_file_gives_way(root: Path) -> None:
    """A FIFO named index.html is passed over as if it were not there."""
    (root / "dir" / "index.html").unlink()
    os.mkfifo(root / "dir" / "index.html")
    (root / "dir" / "index.txt").write_bytes(b"second")
    assert perform(job(root, "/dir/")).body == b"second"


# What is refused

_UNPRIVILEGED = """
import os, sys
sys.path.insert(0, sys.argv[1])
from flashpy.job.kinds import Translate
from flashpy.job.perform import perform
if os.getuid() == 0:
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
for path in sys.argv[3:]:
    print(perform(Translate((os.fsencode(sys.argv[2]),), os.fsencode(path), (b"index.html",), (), 1000)).outcome.name)
"""


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that other users can reach, which pytest's own are not."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        yield directory


def test_permission_denied(open_directory: Path) -> None:
    """EACCES, of a file, of a directory on the way and of an index, for a process that is not root."""
    (open_directory / "open").write_bytes(b"open")
    (open_directory / "shut").write_bytes(b"shut")
    (open_directory / "dir").mkdir()
    (open_directory / "dir" / "file").write_bytes(b"shut")
    (open_directory / "with-index").mkdir()
    (open_directory / "with-index" / "index.html").write_bytes(b"shut")
    paths = ["/open", "/shut", "/dir/file", "/dir/no", "/with-index/", "/no"]
    for shut in ("shut", "dir", "with-index/index.html"):
        (open_directory / shut).chmod(0)
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-c", _UNPRIVILEGED, REPOSITORY, open_directory, *paths],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    finally:
        (open_directory / "dir").chmod(0o755)
    assert done.stderr == ""
    assert done.stdout.split() == ["FILE", "FORBIDDEN", "FORBIDDEN", "FORBIDDEN", "FORBIDDEN", "MISSING"]


# What changes meanwhile


def test_a_file_that_grows_while_it_is_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes are those of one version: two stats, before and after the reading, are equal, or no bytes come."""
    real, path = os.pread, root / "a.txt"
    growths = iter([b"er", b""])

    def pread(fd: int, size: int, offset: int) -> bytes:
        data = real(fd, size, offset)
        if more := next(growths, b""):
            with path.open("ab") as file:
                file.write(more)
        return data

    monkeypatch.setattr(os, "pread", pread)
    result = perform(job(root, "/a.txt"))
    assert result == Result(Outcome.FILE, identity(path), None, b"smaller")


def test_a_file_that_never_rests(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After some tries the descriptor is handed out instead, with the latest identity."""
    real, path = os.pread, root / "a.txt"

    def pread(fd: int, size: int, offset: int) -> bytes:
        data = real(fd, size, offset)
        with path.open("ab") as file:
            file.write(b"!")
        return data

    monkeypatch.setattr(os, "pread", pread)
    result = perform(job(root, "/a.txt"))
    assert result.body is None and result.file is not None
    assert result.identity == identity(path)


def test_a_file_that_another_thread_rewrites(root: Path) -> None:
    """Whatever is said of its size fits the bytes."""
    path, end = root / "a.txt", threading.Event()

    def rewrite() -> None:
        size = 0
        while not end.is_set():
            size = size % 500 + 1
            path.write_bytes(b"%d" % (size % 10) * size)

    writer = threading.Thread(target=rewrite)
    writer.start()
    try:
        for _ in range(300):
            result = perform(job(root, "/a.txt"))
            assert result.outcome is Outcome.FILE and result.identity is not None
            if result.body is not None:
                assert len(result.body) == result.identity.size
    finally:
        end.set()
        writer.join()


@pytest.mark.parametrize("seconds", [-(2**31), 0, 10**10])
def test_any_time_travels(root: Path, seconds: int) -> None:
    """File systems know times that do not fit 64 bits of nanoseconds; a helper must not die of them."""
    os.utime(root / "a.txt", (seconds, seconds))
    result = perform(job(root, "/a.txt"))
    assert result.body == b"small"
    arrived = decode_result(b"".join(encode_result(result)[0]), [])
    assert arrived == result
    assert perform(job(root, "/a.txt", known=arrived.identity)).outcome is Outcome.UNCHANGED


# Load


@pytest.mark.parametrize(
    ("offset", "length"), [(0, 300_000), (0, 1), (100_000, 50), (299_999, 10), (400_000, 10), (0, 0)]
)
def test_load(root: Path, offset: int, length: int) -> None:
    """A window is read to its end, or to the end of a file that has shrunk."""
    (root / "large").write_bytes(b"x" * 300_000)
    file = Descriptor(os.open(root / "large", os.O_RDONLY))
    assert perform(Load(file, offset, length)) == Result(Outcome.LOADED)
    assert os.lseek(file.fd, 0, os.SEEK_CUR) == 0


def test_load_of_what_cannot_be_read(root: Path) -> None:
    """An error becomes an outcome, with its number for the log."""
    result = perform(Load(Descriptor(os.open(root, os.O_RDONLY)), 0, 10))
    assert (result.outcome, result.error) == (Outcome.FAILED, 21)


@pytest.mark.usefixtures("kernel")
def test_no_descriptor_is_left_behind(root: Path) -> None:
    """Whatever the outcome: a helper lives for long."""
    os.mkfifo(root / "fifo")
    (root / "out").symlink_to("/etc/passwd")
    (root / "in").symlink_to(root / "a.txt")
    before = len(os.listdir("/proc/self/fd"))
    for path in ("/a.txt", "/large", "/no", "/dir", "/dir/", "/fifo", "/out", "/in", "/../x", "/\0", "/a.txt/"):
        perform(job(root, path))
    assert len(os.listdir("/proc/self/fd")) == before


def test_check(root: Path) -> None:
    """For each path whether it still leads to the known version: one byte, in the order asked."""
    index = identity(root / "dir" / "index.html")
    (root / "link").symlink_to("a.txt")
    asked = (
        (job(root, "/a.txt", known=identity(root / "a.txt")), True),
        (job(root, "/link", known=identity(root / "a.txt")), True),
        (job(root, "/dir/", known=index), True),
        (job(root, "/dir", known=index), False),
        (job(root, "/empty/", known=index), False),
        (job(root, "/none", known=index), False),
        (job(root, "/a.txt/", known=identity(root / "a.txt")), False),
        (job(root, "/large", known=identity(root / "a.txt")), False),
        (job(root, "/" + "x" * 300, known=index), False),
    )
    result = perform(Check(tuple(translation for translation, _ in asked)))
    assert result.outcome is Outcome.CHECKED
    assert result.body is not None
    assert [byte == KNOWN[0] for byte in result.body] == [expected for _, expected in asked]


def test_check_prefers_the_first_index_name(root: Path) -> None:
    """A name that comes before the known one and has appeared since is a change."""
    (root / "empty" / "index.txt").write_bytes(b"second")
    look = job(root, "/empty/", known=identity(root / "empty" / "index.txt"))
    assert perform(Check((look,))).body == KNOWN
    (root / "empty" / "index.html").write_bytes(b"first")
    assert perform(Check((look,))).body != KNOWN
