"""Pieces of answers."""

import os
from pathlib import Path

import pytest

from flashpy.buffers import Descriptor, Slice, length_of


def test_a_descriptor_is_closed_with_its_last_reference(tmp_path: Path) -> None:
    """Whoever sends from it holds a reference, so no one can close it under a send."""
    (tmp_path / "file").write_bytes(b"0123456789")
    file = Descriptor(os.open(tmp_path / "file", os.O_RDONLY))
    fd, queue = file.fd, [Slice(file, 0, 10), Slice(file, 3, 4)]
    assert repr(file) == f"Descriptor({fd})"
    del file
    while queue:
        piece = queue.pop()
        assert os.pread(piece.file.fd, 1, 0) == b"0"
    del piece
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_length(tmp_path: Path) -> None:
    """The length of an aggregate is that of its bytes and slices."""
    (tmp_path / "file").write_bytes(b"0123456789")
    file = Descriptor(os.open(tmp_path / "file", os.O_RDONLY))
    assert length_of((b"abc", Slice(file, 3, 4), b"", b"d")) == 8
    assert length_of(()) == 0
