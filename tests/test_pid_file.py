"""The file that tells who serves."""

import os
import stat
from pathlib import Path

import pytest

from flashpy import pid_file
from flashpy.errors import StartError
from tests.running import Flashpy


def test_it_comes_and_goes(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    before = os.umask(0o077)
    try:
        pid_file.write(str(path))
    finally:
        os.umask(before)
    assert path.read_text() == f"{os.getpid()}\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert os.listdir(tmp_path) == ["pid"]
    pid_file.remove(str(path))
    assert not path.exists()
    pid_file.remove(str(path))


def test_one_of_before_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "pid").write_text("1\n")
    pid_file.write(str(tmp_path / "pid"))
    assert (tmp_path / "pid").read_text() == f"{os.getpid()}\n"


@pytest.mark.parametrize("content", [b"1\n", b"", b"\xff", b"x" * 1000])
def test_one_that_is_not_ours_stays(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "pid").write_bytes(content)
    pid_file.remove(str(tmp_path / "pid"))
    assert (tmp_path / "pid").read_bytes() == content


def test_where_it_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "link").symlink_to("/dev/null")
    os.mkfifo(tmp_path / "fifo")
    for name in ("directory", "link", "fifo"):
        with pytest.raises(StartError, match=f"^The PID file {tmp_path}/{name} is no regular file; name another"):
            pid_file.write(str(tmp_path / name))
    with pytest.raises(StartError, match="/none/pid cannot be written: No such file or directory"):
        pid_file.write(f"{tmp_path}/none/pid")
    assert sorted(os.listdir(tmp_path)) == ["directory", "fifo", "link"]


def test_a_server_writes_it_once_it_serves(tmp_path: Path) -> None:
    path = tmp_path / "f.toml"
    path.write_text('[server]\nbind = ["127.0.0.1:0"]\npid_file = "pid"\n')
    with Flashpy("-c", path) as server:
        assert server.urls
        assert (tmp_path / "pid").read_text() == f"{server.pid}\n"
        path.write_text(f'[server]\nbind = ["127.0.0.1:{server.port}"]\npid_file = "pid"\n')
        with Flashpy("-c", path) as second:  # the port is busy
            assert second.wait() == 1
        assert (tmp_path / "pid").read_text() == f"{server.pid}\n"
        assert server.end() == 0
    assert not (tmp_path / "pid").exists()


def test_a_server_that_cannot_write_it_does_not_start(tmp_path: Path) -> None:
    path = tmp_path / "f.toml"
    path.write_text('[server]\nbind = ["127.0.0.1:0"]\npid_file = "none/pid"\n')
    with Flashpy("-c", path) as server:
        assert server.wait() == 1
        assert (
            server.stderr
            == f"flashpy: The PID file {tmp_path}/none/pid cannot be written: No such file or directory.\n"
        )
