"""A dead file system: a FUSE mount (fuse(4)) whose server never answers, as a network mount whose host is gone."""

import ctypes
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from flashpy.server import Background, background
from tests.running import Client, eventually

_libc = ctypes.CDLL(None, use_errno=True)
_MNT_FORCE, _MNT_DETACH = 1, 2


@pytest.fixture
def dead(tmp_path: Path) -> Iterator[Path]:
    """A directory in which every look-up waits until the test ends."""
    place = tmp_path / "elsewhere" / "dead"
    place.mkdir(parents=True)
    with mounted(place):
        yield place


@contextmanager
def mounted(place: Path) -> Iterator[None]:
    """Mount a dead file system while the block runs."""
    try:
        fd = os.open("/dev/fuse", os.O_RDWR)
    except OSError as error:
        pytest.skip(f"a dead mount takes /dev/fuse: {error}")
    options = f"fd={fd},rootmode=40000,user_id=0,group_id=0".encode()
    if _libc.mount(b"dead", os.fsencode(place), b"fuse", 0, options):
        os.close(fd)
        pytest.skip(f"a dead mount takes root: {os.strerror(ctypes.get_errno())}")
    try:
        yield
    finally:
        os.close(fd)  # which aborts everything that waits
        _libc.umount2(os.fsencode(place), _MNT_FORCE | _MNT_DETACH)


@pytest.fixture
def dead_inside(tmp_path: Path) -> Iterator[Path]:
    """The same beneath the root."""
    place = tmp_path / "root" / "dead"
    place.mkdir(parents=True)
    with mounted(place):
        yield place


def connect(stack: ExitStack, server: Background) -> Client:
    return stack.enter_context(Client(("127.0.0.1", int(server.url.rpartition(":")[2]))))


def assert_others_are_served(stack: ExitStack, server: Background, root: Path, name: str) -> None:
    """Each of these files is new to the server, so each takes a helper."""
    client = connect(stack, server)
    for number in range(20):
        (root / f"{name}{number}").write_text(name)
        assert client.get(f"/{name}{number}").body == name.encode()


def test_a_dead_mount_beneath_the_root_starves_nobody(dead_inside: Path) -> None:
    root = dead_inside.parent
    with ExitStack() as stack:
        helpers = {"min": 1, "max": 2, "total": 4, "timeout": 3.0}
        server = stack.enter_context(background(root, helpers=helpers, server={"timeout_graceful_shutdown": 0.0}))
        waiting = [connect(stack, server) for _ in range(10)]
        for number, client in enumerate(waiting):
            client.ask(f"/dead/{number}")
        assert_others_are_served(stack, server, root, "at-once")
        began = time.monotonic()
        answers = [client.answer() for client in waiting]
        assert {answer.status for answer in answers} == {503}
        assert all(answer.fields["retry-after"] for answer in answers)
        assert time.monotonic() - began > 1.0
        assert_others_are_served(stack, server, root, "afterwards")
        metrics = server.metrics()
        assert metrics["jobs_late"] == 10
        assert len(metrics["pool"]["pids"]) <= 4


def test_a_change_is_seen_though_a_dead_mount_keeps_all_helpers(dead_inside: Path) -> None:
    """The look at a known file waits for no one, and must not be forgotten for want of a helper."""
    root = dead_inside.parent
    (root / "known").write_text("old")
    with ExitStack() as stack:
        server = stack.enter_context(
            background(
                root,
                helpers={"min": 1, "max": 1, "total": 4},
                cache={"valid": 0.1},
                server={"timeout_graceful_shutdown": 0.0},
            )
        )
        client = connect(stack, server)
        assert client.get("/known").body == b"old"
        connect(stack, server).ask("/dead/x")
        eventually("the only helper is kept", lambda: server.metrics()["pool"]["idle"] == 0)
        (root / "new").write_text("new!")
        (root / "new").rename(root / "known")

        def seen() -> bool:
            time.sleep(0.06)  # often enough for it to be looked at beside, not before the answer
            return client.get("/known").body == b"new!"

        eventually("the change is seen", seen)


def test_a_link_to_a_dead_mount_starves_nobody_for_long(dead: Path, tmp_path: Path) -> None:
    """Nobody can know where it leads before it has been followed."""
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(dead)
    with ExitStack() as stack:
        helpers = {"min": 1, "max": 2, "timeout": 4.0}
        server = stack.enter_context(background(root, helpers=helpers, server={"timeout_graceful_shutdown": 0.0}))
        waiting = [connect(stack, server) for _ in range(10)]
        for number, client in enumerate(waiting):
            client.ask(f"/link/{number}")
        eventually("it has a queue of its own", lambda: "/link" in server.metrics()["pool"]["devices"])
        assert_others_are_served(stack, server, root, "others")
        assert {client.answer().status for client in waiting} == {503}
        assert_others_are_served(stack, server, root, "more")


def test_what_is_mounted_later_is_known_too(tmp_path: Path) -> None:
    place = tmp_path / "later"
    place.mkdir()
    with ExitStack() as stack:
        helpers = {"min": 1, "max": 1, "total": 2}
        server = stack.enter_context(background(tmp_path, helpers=helpers, server={"timeout_graceful_shutdown": 0.0}))
        assert_others_are_served(stack, server, tmp_path, "before")
        stack.enter_context(mounted(place))
        time.sleep(2.5)  # the table is looked at once a second
        connect(stack, server).ask("/later/x")
        assert_others_are_served(stack, server, tmp_path, "after")
        assert len(server.metrics()["pool"]["devices"]) == 2
