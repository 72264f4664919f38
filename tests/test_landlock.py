"""Landlock with real processes: what one may still do that has given up its rights, and what not."""

import errno
import mmap
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flashpy import landlock
from tests.children import NOBODY, in_child, needs_landlock, open_directory
from tests.running import PATIENCE

USERS = [pytest.param(0, id="as-we-are")]
if os.getuid() == 0:
    USERS.append(pytest.param(NOBODY, id="as-nobody"))


def needs_abi(number: int) -> pytest.MarkDecorator:
    """For what an older kernel does not confine."""
    return pytest.mark.skipif(landlock.abi() < number, reason=f"Landlock here is older than ABI {number}")


@pytest.fixture
def place() -> Iterator[Path]:
    """A root, and beside it what is not of it; everybody may write to all of it, as far as modes go."""
    with open_directory() as directory:
        for name in ("root", "root/dir", "beside"):
            (directory / name).mkdir()
            (directory / name).chmod(0o777)
            (directory / name / "file").write_bytes(b"content")
            (directory / name / "file").chmod(0o666)
        yield directory


@pytest.fixture(params=USERS)
def user(request: pytest.FixtureRequest) -> int:
    """Landlock holds for root too, and needs no privilege."""
    return int(request.param)


def trial(what: Callable[[], object]) -> str:
    """The name of the error that something ends in, or "done"."""
    try:
        what()
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return "done"


def confined(user: int, readable: list[Path], *trials: Callable[[], object]) -> list[str]:
    """How each goes in a process that may read just these; without that, each of them must go well."""

    def run() -> list[str]:
        assert [trial(what) for what in trials] == ["done"] * len(trials)
        assert landlock.restrict([os.fspath(path) for path in readable]) == landlock.abi()
        return [trial(what) for what in trials]

    return in_child(run, user)


@needs_landlock
def test_what_is_beneath_a_root_is_read(place: Path, user: int) -> None:
    """And nothing else; by whichever path."""
    root = place / "root"
    found = confined(
        user,
        [root],
        (root / "file").read_bytes,
        (root / "dir" / "file").read_bytes,
        lambda: os.listdir(root),
        (root / "dir" / ".." / "file").read_bytes,
        (place / "beside" / "file").read_bytes,
        (root / ".." / "beside" / "file").read_bytes,
        lambda: os.listdir(place / "beside"),
        lambda: os.listdir(place),
        Path("/etc/passwd").read_bytes,
    )
    assert found == ["done"] * 4 + ["EACCES"] * 5


@needs_landlock
def test_files_are_made_written_renamed_and_removed_where_they_may_be(place: Path, user: int) -> None:
    """And nothing else is made there, nor any file elsewhere."""
    root, beside = place / "root", place / "beside"

    def turn_over(directory: Path) -> None:
        for content in (b"one", b"two"):  # the second replaces the first
            fd = os.open(directory / "new", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
            os.write(fd, content)
            os.close(fd)
            os.rename(directory / "new", directory / "old")
            assert (directory / "old").read_bytes() == content
        os.unlink(directory / "old")

    def run() -> list[str]:
        landlock.restrict(writable=[os.fspath(root), os.fspath(beside / "file")])
        trials = (
            lambda: turn_over(root),
            lambda: turn_over(root / "dir"),
            lambda: os.listdir(root),
            lambda: os.close(os.open(beside / "file", os.O_RDWR)),
            lambda: turn_over(beside),
            lambda: os.unlink(beside / "file"),
            lambda: os.mkdir(root / "made"),
            lambda: os.symlink("file", root / "made"),
            lambda: os.mkfifo(root / "made"),
            lambda: os.rmdir(root / "dir"),
        )
        return [trial(what) for what in trials]

    assert in_child(run, user) == ["done"] * 4 + ["EACCES"] * 6


@needs_landlock
def test_without_roots_nothing_is_opened(place: Path, user: int) -> None:
    assert confined(user, [], (place / "root" / "file").read_bytes, lambda: os.listdir("/")) == ["EACCES", "EACCES"]


@needs_landlock
def test_a_root_may_be_a_file_or_a_link_or_not_be_there(place: Path, user: int) -> None:
    """A right to a file is for that file."""
    (place / "link").symlink_to("root/dir")
    file = place / "beside" / "file"
    readable = [file, place / "link", place / "no", file / "no"]
    assert confined(
        user, readable, file.read_bytes, (place / "root/dir/file").read_bytes, (place / "root/file").read_bytes
    ) == ["done", "done", "EACCES"]


@needs_landlock
@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENOMEM])
def test_a_right_that_is_wanted_is_not_forgotten(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is short now must not leave a process with fewer rights than it should have."""

    def no_open(*_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", no_open)
    with pytest.raises(OSError, match=os.strerror(number)):
        landlock.restrict(["/"])


@needs_landlock
def test_nothing_is_changed_or_made(place: Path, user: int) -> None:
    """Not beneath a root either."""
    root = place / "root"
    file = root / "file"
    counter = iter(range(100))

    def another() -> Path:
        return root / f"new{next(counter)}"

    trials = [
        lambda: os.close(os.open(file, os.O_WRONLY)),
        lambda: os.close(os.open(file, os.O_RDWR)),
        lambda: os.close(os.open(another(), os.O_CREAT | os.O_WRONLY)),
        lambda: another().mkdir(),
        lambda: another().symlink_to("file"),
        lambda: os.mkfifo(another()),
        lambda: another().hardlink_to(file),
    ]
    if landlock.abi() >= 3:
        trials.append(lambda: os.truncate(file, 7))
    assert confined(user, [root], *trials) == ["EACCES"] * len(trials)


@needs_landlock
def test_nothing_is_executed(user: int) -> None:
    """Though it may be read, with all that it needs."""

    def execute() -> None:
        child = os.fork()
        if child == 0:
            try:
                os.execv("/bin/true", ["true"])
            except OSError as error:
                os._exit(error.errno or 1)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status:
            raise OSError(status, os.strerror(status))

    assert confined(user, [Path("/")], execute) == ["EACCES"]


@needs_landlock
def test_looking_is_not_opening(place: Path, user: int) -> None:
    """stat(2), readlink(2), access(2) and O_PATH go on everywhere: pathname translation builds upon that."""
    link = place / "link"
    link.symlink_to("beside")
    assert (
        confined(
            user,
            [],
            (place / "beside" / "file").stat,
            lambda: os.readlink(link),
            lambda: os.path.realpath(link / "file", strict=True),
            lambda: os.close(os.open(place / "beside" / "file", os.O_PATH)),
            lambda: os.chdir(place / "beside"),
        )
        == ["done"] * 5
    )


@needs_landlock
def test_what_is_found_by_o_path_opens_if_it_is_beneath_a_root(place: Path, user: int) -> None:
    """Through /proc/self/fd, though /proc is no root."""

    def reopen(path: Path) -> None:
        found = os.open(path, os.O_PATH)
        os.close(os.open(f"/proc/self/fd/{found}", os.O_RDONLY))

    assert confined(
        user, [place / "root"], lambda: reopen(place / "root" / "file"), lambda: reopen(place / "beside" / "file")
    ) == ["done", "EACCES"]


@needs_landlock
def test_what_is_open_or_sent_stays_good(place: Path, user: int) -> None:
    """Read, mapped and sent by who could not open it."""
    path = place / "beside" / "file"
    ours, theirs = socket.socketpair()

    def use(fd: int) -> list[bytes]:
        with mmap.mmap(fd, 7, mmap.MAP_SHARED, mmap.PROT_READ) as mapping:
            mapped = bytes(mapping)
        one, other = socket.socketpair()
        with one, other:
            os.sendfile(one.fileno(), fd, 0, 7)
            return [os.pread(fd, 7, 0), mapped, other.recv(7)]

    def run() -> list[bytes]:
        inherited = os.open(path, os.O_RDONLY)
        assert landlock.restrict()
        assert trial(path.read_bytes) == "EACCES"
        _, fds, _, _ = socket.recv_fds(theirs, 1, 1)
        return use(inherited) + use(fds[0])

    with ours, theirs, path.open("rb") as file:
        socket.send_fds(ours, [b"x"], [file.fileno()])
        assert in_child(run, user) == [b"content"] * 6


@needs_abi(4)
def test_no_tcp(user: int) -> None:
    """Neither a listener of its own nor a connection out."""

    def bind() -> None:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def connect() -> None:
            with socket.socket() as sock:
                sock.connect(listener.getsockname())

        assert confined(user, [Path("/")], bind, connect) == ["EACCES", "EACCES"]


@needs_abi(4)
def test_a_listener_that_is_there_accepts(user: int) -> None:
    def serve() -> None:
        landlock.restrict()
        connection, _ = listener.accept()
        with connection:
            connection.sendall(connection.recv(7))

    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname(), timeout=PATIENCE) as client,
    ):
        client.sendall(b"content")
        in_child(serve, user)
        assert client.recv(7) == b"content"


@needs_abi(6)
def test_no_signal_leaves_the_domain(user: int) -> None:
    """Nor does anybody outside get a word by an abstract Unix socket."""
    with subprocess.Popen(["sleep", "60"], user=user, group=user) as victim, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(b"\0flashpy-test-%d" % os.getpid())
        listener.listen()

        def connect() -> None:
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(listener.getsockname())

        found = confined(user, [], lambda: os.kill(victim.pid, 0), connect, lambda: os.kill(os.getpid(), 0))
        victim.send_signal(signal.SIGKILL)
    assert found == ["EPERM", "EPERM", "done"]


@needs_landlock
def test_children_inherit_it_and_can_only_narrow_it(place: Path, user: int) -> None:
    root = place / "root"

    def run() -> list[str]:
        landlock.restrict([os.fspath(root / "dir")])
        return in_child(narrowed)

    def narrowed() -> list[str]:
        before = [trial((root / "file").read_bytes), trial((root / "dir" / "file").read_bytes)]
        landlock.restrict([os.fspath(root)])
        return [*before, trial((root / "file").read_bytes), trial((root / "dir" / "file").read_bytes)]

    assert in_child(run, user) == ["EACCES", "done", "EACCES", "done"]


@needs_landlock
def test_more_domains_than_the_kernel_takes_is_an_error() -> None:
    """E2BIG, rather than a process that believes itself confined."""

    def run() -> None:
        for _ in range(20):
            landlock.restrict()

    with pytest.raises(OSError) as caught:
        in_child(run)
    assert caught.value.errno == errno.E2BIG


def test_a_kernel_without_landlock(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ENOSYS: nothing is restricted, and it is said."""
    monkeypatch.setattr(landlock, "_SYS_CREATE_RULESET", 9999)
    assert landlock.abi() == 0
    assert landlock.restrict([os.fspath(place / "root")]) == 0
    assert (place / "beside" / "file").read_bytes() == b"content"
    assert "not there" in landlock.describe(0)


@needs_landlock
def test_other_errors_are_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    """EINVAL is a fault of ours, not a kernel without Landlock."""
    monkeypatch.setattr(landlock, "_CREATE_RULESET_VERSION", 1 << 31)
    with pytest.raises(OSError) as caught:
        landlock.abi()
    assert caught.value.errno == errno.EINVAL


@pytest.mark.parametrize("number", range(1, 10))
def test_each_version_says_what_it_confines(number: int) -> None:
    sentence = landlock.describe(number)
    assert sentence.startswith(f"Landlock (ABI {number}) confines files") and sentence.endswith(".")
    assert ("TCP" in sentence) == (number >= 4)
    assert ("signals" in sentence) == (number >= 6)


@needs_landlock
@pytest.mark.parametrize("number", range(1, 7))
def test_older_versions(place: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With no more rights than an older kernel knows, files are confined all the same."""
    if number > landlock.abi():
        pytest.skip(f"Landlock here is older than ABI {number}")
    monkeypatch.setattr(landlock, "abi", lambda: number)

    def run() -> list[str]:
        assert landlock.restrict([os.fspath(place / "root")]) == number
        return [trial((place / name / "file").read_bytes) for name in ("root", "beside")]

    assert in_child(run) == ["done", "EACCES"]
