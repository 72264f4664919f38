"""The directory of coded forms, with real helpers: what they keep, what they find, and what they may."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import brotli
import pytest

from flashpy.event.cpupool import CpuPool
from flashpy.event.programs import LocalStarter
from flashpy.job.codedfiles import CodedFiles
from flashpy.job.encode import CodedForm, encoder
from flashpy.job.kinds import Encode, Identity, Outcome, Result, Verify
from flashpy.settings import CacheSection
from tests.children import needs_landlock
from tests.event.test_cpupool import CONTENT, HASH, done, pids, pool_of, program
from tests.event.test_helpers import until

SANDBOXES = [pytest.param([], id="free"), pytest.param(["/"], id="confined", marks=needs_landlock)]
SMALL = b"text" * 500


@pytest.fixture
def place(tmp_path: Path) -> Path:
    directory = tmp_path / "coded"
    directory.mkdir(mode=0o700)
    return directory


@asynccontextmanager
async def keeping(place: Path, sandbox: list[str], budget: int = 2**30, most: int = 1) -> AsyncIterator[CpuPool]:
    """A pool whose helpers keep what they make."""
    cache = CacheSection(coded_directory=str(place), coded_directory_bytes=budget)
    async with pool_of(most, starter=LocalStarter(sandbox, cache)) as pool:
        yield pool


def job(content: bytes, number: int = 0, coding: bytes = b"br") -> Encode:
    """Each number is another file, or another version of it."""
    return Encode(content, Identity(1, number, len(content), 3, 4), coding, 5)


def body_of(result: Result) -> bytes:
    assert result.outcome is Outcome.ENCODED
    body = result.body if result.file is None else os.pread(result.file.fd, 10**7, 0)
    assert body is not None and result.identity is not None and len(body) == result.identity.size
    return body


def entries(place: Path) -> set[str]:
    return {path.name for path in place.iterdir() if not path.name.startswith(".")}


async def kept(place: Path, count: int) -> None:
    """Wait until so much is kept: a helper answers first."""
    await until(lambda: len(entries(place)) == count)


def plant(place: Path, body: bytes) -> None:
    """Let the only entry be a good one, of something that no encoder makes: what finds it, has run none."""
    (name,) = entries(place)
    coded = CodedForm()
    coded.add(body)
    small, file = coded.finish()
    planted = Result(Outcome.ENCODED, Identity(0, 0, len(body), 0, 0), file, small)
    CodedFiles(os.fsencode(place), 2**30).keep(name, planted)


@pytest.mark.parametrize("sandbox", SANDBOXES)
@pytest.mark.parametrize("planted", [b"planted", os.urandom(60_000)], ids=["bytes", "descriptor"])
async def test_what_one_has_made_another_finds(place: Path, sandbox: list[str], planted: bytes) -> None:
    """By the content: whichever file has it. With the tag of the encoder that would have made it."""
    async with keeping(place, sandbox) as pool:
        made = await done(pool, job(CONTENT))
        assert brotli.decompress(body_of(made)) == CONTENT
        await kept(place, 1)
    plant(place, planted)
    async with keeping(place, sandbox) as pool:
        for number in (0, 1):
            found = await done(pool, job(CONTENT, number))
            assert body_of(found) == planted
            assert found.name == made.name == encoder(b"br").tag(5)
            assert found.identity == job(CONTENT, number).identity._replace(size=len(planted))
        other = await done(pool, job(CONTENT[1:]))
        assert brotli.decompress(body_of(other)) == CONTENT[1:]
        await kept(place, 2)
        assert (await done(pool, job(CONTENT, coding=b"gzip"))).name.startswith(b"gzip")
        await kept(place, 3)


async def test_what_is_kept_is_what_was_made(place: Path) -> None:
    """A helper that finds it gives the very same result."""
    async with keeping(place, []) as pool:
        for content in (SMALL, CONTENT):
            before = len(entries(place))
            made = await done(pool, job(content))
            await kept(place, before + 1)
            found = await done(pool, job(content))
            assert body_of(found) == body_of(made)
            assert (found.body is None, found.name, found.identity) == (made.body is None, made.name, made.identity)


@pytest.mark.parametrize("sandbox", SANDBOXES)
async def test_what_is_broken_is_made_again(place: Path, sandbox: list[str], caplog: pytest.LogCaptureFixture) -> None:
    async with keeping(place, sandbox) as pool:
        made = body_of(await done(pool, job(CONTENT)))
        await kept(place, 1)
        (path,) = place.iterdir()
        good = path.read_bytes()
        for bad in (good[:-1], b"", good[:100] + b"?" + good[101:]):
            path.write_bytes(bad)
            assert body_of(await done(pool, job(CONTENT))) == made
            await until(lambda: path.exists() and path.read_bytes() == good)
        assert caplog.text == ""


async def test_what_would_grow_is_not_kept(place: Path) -> None:
    async with keeping(place, []) as pool:
        assert (await done(pool, job(b"x"))).outcome is Outcome.GROWN
        assert (await done(pool, Verify(HASH, b"secret"))).outcome is Outcome.PASSED
        assert (await done(pool, job(SMALL))).outcome is Outcome.ENCODED
        await kept(place, 1)


@pytest.mark.parametrize("sandbox", SANDBOXES)
async def test_there_is_no_more_than_the_budget(place: Path, sandbox: list[str]) -> None:
    """And the last are there; old ones are removed by a helper that is confined, too."""
    contents = [b"%d " % number * 2000 for number in range(100)]
    async with keeping(place, sandbox, budget=32 * 4096) as pool:
        for number, content in enumerate(contents):
            await done(pool, job(content, number))
        await done(pool, Verify(HASH, b"a helper does one thing after the other"))
        assert 0 < len(entries(place)) <= 32
        before = entries(place)
        await done(pool, job(contents[-1]))
        await done(pool, Verify(HASH, b"after that"))
        assert entries(place) == before


@needs_landlock
async def test_a_confined_helper_opens_nothing_else(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And makes nothing but files there."""
    deeds = {
        b"read": "open('/etc/passwd')",
        b"list": f"os.listdir({str(place.parent)!r})",
        b"write": f"open({str(place.parent / 'new')!r}, 'w')",
        b"remove": f"os.unlink({str(place.parent / 'file')!r})",
        b"rename": f"os.rename({str(place / 'inside')!r}, {str(place.parent / 'outside')!r})",
        b"link": f"os.symlink('/etc/passwd', {str(place / 'link')!r})",
        b"mkdir": f"os.mkdir({str(place / 'dir')!r})",
        b"execute": "os.execv('/bin/true', ['true'])",
    }
    (place.parent / "file").touch()
    (place / "inside").touch()
    deed = f"job[1] in {deeds} and exec({deeds}[job[1]])"
    program(monkeypatch, place.parent, deed)
    async with keeping(place, ["/"]) as pool:
        await done(pool, job(SMALL))
        await kept(place, 2)
        for name in deeds:
            assert (await done(pool, Verify(HASH, name))).outcome is Outcome.FAILED, name
    assert (place.parent / "file").exists() and (place / "inside").exists()
    assert not (place.parent / "new").exists()


async def test_a_helper_that_dies_while_it_writes(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its answer has gone out before; what it has left is no entry, and another makes it."""
    dying = "\n".join(
        (
            "from flashpy.job import codedfiles",
            "        codedfiles.write_whole = lambda fd, data: (os.write(fd, data[:10]), os.kill(os.getpid(), 9))",
        )
    )
    program(monkeypatch, place.parent, dying)
    async with keeping(place, []) as pool:
        assert (await done(pool, job(SMALL))).outcome is Outcome.ENCODED
        await until(lambda: pool._metrics.helper_deaths == 1)
    (left,) = place.iterdir()
    assert left.name.startswith(".new-") and left.stat().st_size == 10
    monkeypatch.undo()
    async with keeping(place, []) as pool:
        assert brotli.decompress(body_of(await done(pool, job(SMALL)))) == SMALL
        await kept(place, 1)


@pytest.fixture
def small_disk(place: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    options = f"size=64k,mode=700,uid={os.geteuid()}"
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(place)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"a file system cannot be mounted here: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.parametrize("sandbox", SANDBOXES)
async def test_a_full_disk(small_disk: Path, sandbox: list[str], caplog: pytest.LogCaptureFixture) -> None:
    """It is said once; all is compressed as before, and what was kept is found."""
    async with keeping(small_disk, sandbox, most=2) as pool:
        assert (await done(pool, job(SMALL))).outcome is Outcome.ENCODED
        await kept(small_disk, 1)
        (small_disk / "ballast").write_bytes(bytes(56 * 1024))
        contents = [CONTENT[number:] for number in range(8)]
        results = await asyncio.gather(*(done(pool, job(content, 1)) for content in contents[:1]))
        results += await asyncio.gather(*(done(pool, job(each, number)) for number, each in enumerate(contents, 2)))
        assert {result.outcome for result in results} == {Outcome.ENCODED}
        await until(lambda: "is not kept in cache.coded_directory: No space left on device." in caplog.text)
        await done(pool, job(SMALL, 20))
        assert len(caplog.records) == 1
        assert len(entries(small_disk) - {"ballast"}) == 1
        assert not [path for path in small_disk.iterdir() if path.name.startswith(".")]
        assert pool._metrics.helper_deaths == 0


async def test_a_directory_that_has_gone(place: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Helpers that were there before and such that come later do without."""
    async with keeping(place, []) as pool:
        await done(pool, job(SMALL))
        await kept(place, 1)
        for path in place.iterdir():
            path.unlink()
        place.rmdir()
        for number in range(3):
            assert (await done(pool, job(CONTENT[number:]))).outcome is Outcome.ENCODED
        await until(lambda: "No such file or directory" in caplog.text)
        (helper,) = pids(pool)
        os.kill(helper, 9)
        await until(lambda: pids(pool) != [helper])
        for number in range(3):
            assert (await done(pool, job(CONTENT[number:]))).outcome is Outcome.ENCODED
        assert caplog.text.count("is not kept") == 1
