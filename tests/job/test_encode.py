"""Content codings made on the fly."""

import errno
import fcntl
import gzip
import os
import random
import re
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import brotli
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flashpy.buffers import Descriptor
from flashpy.job.encode import SMALL, encode, encoder
from flashpy.job.kinds import LEVELS, Encode, Identity, Outcome, Result
from flashpy.job.perform import perform
from flashpy.job.places import identity_of
from tests.running import PATIENCE, REPOSITORY

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

DECODERS: dict[bytes, Callable[[bytes], bytes]] = {
    b"br": brotli.decompress,
    b"zstd": zstd.decompress,
    b"gzip": gzip.decompress,
}
WORDS = [random.Random(seed).randbytes(4).hex() for seed in range(500)]


def text(size: int) -> bytes:
    """Something that can be compressed, and not too well."""
    chosen = random.Random(2).choices(WORDS, k=size // 9 + 1)
    return " ".join(chosen).encode()[:size]


def opened(path: Path, content: bytes) -> tuple[Descriptor, Identity]:
    """A file with this content."""
    path.write_bytes(content)
    file = Descriptor(os.open(path, os.O_RDONLY))
    return file, identity_of(os.fstat(file.fd))


def body_of(result: Result) -> bytes:
    """The coded form."""
    assert result.outcome is Outcome.ENCODED and result.identity is not None
    assert (result.body is None) is (result.file is not None)
    body = result.body if result.file is None else os.pread(result.file.fd, 2**30, 0)
    assert body is not None and len(body) == result.identity.size
    return body


def run(*arguments: str) -> str:
    """What a Python process prints."""
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=PATIENCE, check=True)
    return done.stdout


@pytest.mark.parametrize("size", [1024, SMALL, 2**20, 3 * 2**20 + 17])
@pytest.mark.parametrize("coding", LEVELS)
def test_the_coded_form_is_the_content_and_always_the_same(tmp_path: Path, coding: bytes, size: int) -> None:
    """Read from a file or at hand; the identity is the file's but for the size."""
    content = text(size)
    file, identity = opened(tmp_path / "file", content)
    job = Encode(file, identity, coding, LEVELS[coding])
    result = encode(job)
    body = body_of(result)
    assert DECODERS[coding](body) == content
    assert len(body) < size
    assert result.identity == identity._replace(size=len(body))
    assert body_of(encode(job)) == body
    assert body_of(encode(job._replace(source=content))) == body
    assert (result.body is not None) is (len(body) <= SMALL)


@given(st.binary(min_size=1, max_size=2_000).map(lambda some: some * 7), st.sampled_from(list(LEVELS)))
@settings(max_examples=50)
def test_whatever_the_content(content: bytes, coding: bytes) -> None:
    identity = Identity(1, 2, len(content), 3, 4)
    result = encode(Encode(content, identity, coding, 1))
    if result.outcome is not Outcome.GROWN:
        assert DECODERS[coding](body_of(result)) == content


@pytest.mark.parametrize("size", [0, 1, 1000, 3 * 2**20])
@pytest.mark.parametrize("coding", LEVELS)
def test_what_grows_is_not_coded(tmp_path: Path, coding: bytes, size: int) -> None:
    file, identity = opened(tmp_path / "file", random.Random(3).randbytes(size))
    assert encode(Encode(file, identity, coding, LEVELS[coding])).outcome is Outcome.GROWN


@pytest.mark.parametrize("coding", LEVELS)
def test_the_tag_names_encoder_level_and_version(coding: bytes) -> None:
    """In characters that an entity tag may have (RFC 9110, 8.8.3)."""
    tag = encode(Encode(text(5000), Identity(1, 2, 5000, 3, 4), coding, 3)).name
    assert re.fullmatch(rb"(br|zstd|gzip)3-[0-9A-Za-z.+]+", tag)
    assert tag.startswith(coding)
    assert tag == encoder(coding).tag(3) != encoder(coding).tag(4)


def test_gzip_says_no_time() -> None:
    """RFC 1952, 2.3: MTIME is 0, no name, no comment."""
    body = body_of(encode(Encode(text(5000), Identity(1, 2, 5000, 3, 4), b"gzip", 6)))
    assert body[:8] == b"\x1f\x8b\x08\0\0\0\0\0"


@pytest.mark.parametrize("coding", LEVELS)
def test_nobody_can_change_what_is_in_memory(coding: bytes) -> None:
    size = 2**20
    file = encode(Encode(text(size), Identity(1, 2, size, 3, 4), coding, 1)).file
    assert file is not None
    with pytest.raises(PermissionError):
        os.pwrite(file.fd, b"x", 0)
    with pytest.raises(PermissionError):
        os.ftruncate(file.fd, 1)
    assert fcntl.fcntl(file.fd, fcntl.F_GET_SEALS) & fcntl.F_SEAL_SEAL
    assert not os.get_inheritable(file.fd)


def test_a_file_that_is_not_the_version(tmp_path: Path) -> None:
    file, identity = opened(tmp_path / "file", text(5000))
    for other in (identity._replace(mtime_ns=1), identity._replace(size=4999), identity._replace(size=5001)):
        assert encode(Encode(file, other, b"gzip", 6)).outcome is Outcome.CHANGED


@pytest.mark.parametrize("deed", ["append", "truncate", "touch"])
def test_a_file_that_changes_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deed: str) -> None:
    """What was read before belongs to another version."""
    path = tmp_path / "file"
    file, identity = opened(path, text(2**20))
    read = os.pread
    calls: list[int] = []

    def reading(fd: int, length: int, position: int) -> bytes:
        if len(calls) == 2:
            if deed == "append":
                with path.open("ab") as again:
                    again.write(b"more")
            elif deed == "truncate":
                os.truncate(path, position + 10)
            else:
                os.utime(path, ns=(1, 1))
        calls.append(position)
        return read(fd, length, position)

    monkeypatch.setattr(os, "pread", reading)
    assert encode(Encode(file, identity, b"gzip", 6)).outcome is Outcome.CHANGED
    assert len(calls) >= 3


def test_memory_is_bounded(tmp_path: Path) -> None:
    """A large file takes no more memory than the encoder and a window, beside the coded form."""
    path = tmp_path / "large"
    with path.open("wb") as file:
        for _ in range(64):
            file.write(text(2**20))
    script = f"""
import os, resource
from flashpy.buffers import Descriptor
from flashpy.job.encode import encode, encoder
from flashpy.job.kinds import LEVELS, Encode
from flashpy.job.places import identity_of
file = Descriptor(os.open({str(path)!r}, os.O_RDONLY))
identity = identity_of(os.fstat(file.fd))
for coding in LEVELS:
    encoder(coding)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for coding in LEVELS:
    print(encode(Encode(file, identity, coding, 1)).outcome.name)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    *outcomes, kib = run("-c", script).split()
    assert outcomes == ["ENCODED"] * 3
    assert int(kib) < 32 * 1024


def test_without_the_libraries_gzip_is_left() -> None:
    """As with the standard library alone."""
    script = f"""
import sys
sys.path.append({str(REPOSITORY)!r})
from flashpy.job.kinds import LEVELS
from flashpy.job.kinds import Encode, Identity
from flashpy.job.perform import perform
for coding in LEVELS:
    result = perform(Encode(b"text" * 1000, Identity(1, 2, 4000, 3, 4), coding, 6))
    print(coding.decode(), result.outcome.name, result.error, result.name.decode())
"""
    done = run("-I", "-S", "-c", script)
    missing = f"FAILED {errno.ENOPKG}"
    if sys.version_info < (3, 14):
        assert f"zstd {missing}" in done
    assert f"br {missing}" in done
    assert f"gzip ENCODED 0 gzip6-{zlib.ZLIB_RUNTIME_VERSION}" in done


def test_out_of_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may go better soon."""

    def fail(name: str, flags: int) -> int:
        raise OSError(errno.EMFILE, "too many")

    monkeypatch.setattr(os, "memfd_create", fail)
    result = perform(Encode(text(2**20), Identity(1, 2, 2**20, 3, 4), b"gzip", 6))
    assert result.outcome is Outcome.NO_DESCRIPTORS
