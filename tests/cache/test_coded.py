"""The cache of coded forms."""

import os

from flashpy.buffers import IN_MEMORY, Descriptor, Slice
from flashpy.cache.coded import Coded, CodedKey, coded_cache, coded_of, key_of
from flashpy.cache.file import Content
from flashpy.cache.residency import Residency
from flashpy.job.kinds import Encode, Identity, Outcome, Result

FILE = Identity(1, 2, 100_000, 4, 5)


def in_memory(content: bytes) -> Descriptor:
    """A descriptor of memory."""
    file = Descriptor(os.memfd_create("test"), IN_MEMORY)
    os.write(file.fd, content)
    return file


def test_what_is_kept_of_a_result() -> None:
    """A small form's bytes, a large one's descriptor; that there is none is worth keeping too."""
    small = coded_of(Result(Outcome.ENCODED, FILE._replace(size=3), body=b"abc", name=b"br5-1"))
    assert small is not None
    assert small.content is not None and (small.content.data, small.encoder) == (b"abc", b"br5-1")
    large = coded_of(Result(Outcome.ENCODED, FILE._replace(size=5), in_memory(b"abcde"), name=b"br5-1"))
    assert large is not None and large.content is not None
    data = large.content.data
    assert isinstance(data, Slice) and (data.offset, data.length) == (0, 5)
    assert large.cost > 4096  # a whole page, however few bytes
    grown = coded_of(Result(Outcome.GROWN))
    assert grown is not None and grown.content is None


def test_of_others_nothing_is_kept() -> None:
    """They say nothing of the file."""
    for outcome in Outcome:
        if outcome not in (Outcome.ENCODED, Outcome.GROWN):
            assert coded_of(Result(outcome)) is None


def test_it_goes_by_version_coding_and_level() -> None:
    cache = coded_cache(10, 100_000)
    key = key_of(Encode(b"", FILE, b"br", 5))
    entry = Coded(Content(FILE, b"x"), b"br5-1")
    cache.put(key, entry)
    assert cache.get(key_of(Encode(in_memory(b"x"), FILE, b"br", 5))) is entry
    for other in (
        CodedKey(FILE._replace(ctime_ns=6), b"br", 5),
        CodedKey(FILE, b"gzip", 5),
        CodedKey(FILE, b"br", 6),
    ):
        assert cache.get(other) is None


def test_a_descriptor_is_closed_when_its_entry_has_gone_and_nobody_sends_of_it() -> None:
    cache = coded_cache(1, 100_000)
    file = in_memory(b"abc")
    fd = file.fd
    cache.put(CodedKey(FILE, b"br", 5), Coded(Content(FILE._replace(size=3), file), b"br5-1"))
    del file
    cache.put(CodedKey(FILE, b"gzip", 6), Coded(Content(FILE, b"x"), b"gzip6-1"))
    assert not os.path.exists(f"/proc/self/fd/{fd}") or "memfd:test" not in os.readlink(f"/proc/self/fd/{fd}")


def test_what_is_in_memory_is_resident() -> None:
    """No load comes before it: there is no disk behind it."""
    file = in_memory(b"abc")
    residency = Residency(1.0)
    assert residency.resident(file, 0, 3, 0.0)
    assert residency.means() == {}
