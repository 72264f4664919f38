"""Jobs and results on the pipe: what is written is read."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashpy.buffers import IN_MEMORY, Descriptor
from flashpy.job.framing import HEAD_ROOM, BadMessage, decode_job, decode_result, encode_job, encode_result
from flashpy.job.kinds import Check, Encode, Identity, List, Load, Outcome, Result, Sort, Translate, Verify, Walk

SIGNED = st.integers(-(2**63), 2**63 - 1)
UNSIGNED = st.integers(0, 2**64 - 1)
TEXTS = st.lists(st.binary(max_size=40), max_size=4).map(tuple)
IDENTITIES = st.builds(Identity, UNSIGNED, UNSIGNED, st.integers(0, 2**63 - 1), SIGNED, SIGNED)
TRANSLATES = st.builds(
    Translate,
    st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=4).map(tuple),
    st.binary(max_size=200),
    TEXTS,
    TEXTS,
    st.integers(0, 2**32 - 1),
    st.none() | IDENTITIES,
)
LISTS = st.builds(
    List,
    st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=4).map(tuple),
    st.binary(max_size=200),
    st.integers(1, 2**32 - 1),
    st.integers(1, 2**32 - 1),
    st.sampled_from(Sort),
    st.booleans(),
    st.binary(max_size=40),
    st.booleans(),
    TEXTS,
)
WALKS = st.builds(
    Walk,
    st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=4).map(tuple),
    st.binary(max_size=200),
    st.binary(max_size=40),
    UNSIGNED,
    UNSIGNED,
    st.booleans(),
    TEXTS,
)
RESULTS = st.builds(
    Result,
    st.sampled_from(Outcome),
    st.none() | IDENTITIES,
    st.none(),
    st.none() | st.binary(max_size=300),
    TEXTS,
    st.binary(max_size=40),
    st.integers(0, 200),
    st.none(),
    queued=st.just(0.0),
    took=st.just(0.0),
)


def null() -> int:
    """A descriptor to give away."""
    return os.open(os.devnull, os.O_RDONLY)


def written(result: Result) -> bytes:
    """The message of a result, in one piece."""
    return b"".join(encode_result(result)[0])


@given(TRANSLATES)
def test_translate_round_trip(job: Translate) -> None:
    """Any Translate comes out as it went in, and takes no descriptor along."""
    message, fds = encode_job(job)
    assert fds == []
    assert decode_job(message, []) == job


@given(st.lists(TRANSLATES, max_size=5).map(tuple))
def test_check_round_trip(translations: tuple[Translate, ...]) -> None:
    """However many translations are joined, each comes out as it went in."""
    message, fds = encode_job(Check(translations))
    assert fds == []
    assert decode_job(message, []) == Check(translations)


@given(LISTS | WALKS)
def test_list_and_walk_round_trip(job: List | Walk) -> None:
    """Any of them comes out as it went in, and takes no descriptor along."""
    message, fds = encode_job(job)
    assert fds == []
    assert decode_job(message, []) == job


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1))
def test_load_round_trip(offset: int, length: int) -> None:
    """A Load carries the descriptor, never the path."""
    job = Load(Descriptor(null()), offset, length)
    message, fds = encode_job(job)
    assert fds == [job.file.fd]
    arrived = decode_job(message, [os.dup(fds[0])])
    assert isinstance(arrived, Load)
    assert (arrived.offset, arrived.length) == (offset, length)
    assert os.fstat(arrived.file.fd) == os.fstat(job.file.fd)


@given(RESULTS)
def test_result_round_trip(result: Result) -> None:
    """Any result comes out as it went in, from bytes and from a view of them; an empty body is not none."""
    message = written(result)
    assert decode_result(message, []) == decode_result(memoryview(message), []) == result
    assert len(message) <= HEAD_ROOM + len(result.body or b"")


@given(IDENTITIES)
def test_a_result_with_a_descriptor(identity: Identity) -> None:
    """The descriptor arrives with its device, which decides how residency is tested."""
    file = Descriptor(null())
    pieces, fds = encode_result(Result(Outcome.FILE, identity, file))
    assert fds == [file.fd]
    arrived = decode_result(b"".join(pieces), [os.dup(fds[0])])
    assert arrived.file is not None and arrived.file.device == identity.device
    assert arrived._replace(file=None) == Result(Outcome.FILE, identity)


def test_a_body_is_not_copied() -> None:
    """It is a piece of its own."""
    body = b"x" * 1000
    assert encode_result(Result(Outcome.FILE, body=body))[0][1] is body


@given(TRANSLATES, st.data())
def test_a_cut_off_job_is_known_as_such(job: Translate, data: st.DataObject) -> None:
    """Every beginning of a message is a BadMessage, never another job."""
    message, _ = encode_job(job)
    length = data.draw(st.integers(0, len(message) - 1))
    with pytest.raises(BadMessage):
        decode_job(message[:length], [])


@given(RESULTS.filter(lambda result: not result.body), st.data())
def test_a_cut_off_result_is_known_as_such(result: Result, data: st.DataObject) -> None:
    """Every beginning of a message without a body is a BadMessage."""
    message = written(result)
    length = data.draw(st.integers(0, len(message) - 1))
    with pytest.raises(BadMessage):
        decode_result(message[:length], [])


@given(st.binary(max_size=100))
def test_garbage_raises_nothing_else(message: bytes) -> None:
    """Bytes that this module did not write are a BadMessage, or happen to be one of its messages."""
    for decode in (decode_job, decode_result):
        try:
            decode(message, [])
        except BadMessage:
            continue


def test_a_load_without_its_descriptor_is_bad() -> None:
    """The kernel drops descriptors when a table is full (unix(7), MSG_CTRUNC): the job cannot be done."""
    message, _ = encode_job(Load(Descriptor(null()), 0, 1))
    with pytest.raises(BadMessage):
        decode_job(message, [])


def test_an_unknown_outcome_is_bad_and_its_descriptor_closed() -> None:
    """What arrived with a message belongs to who decodes it, a bad one too."""
    fd = null()
    message = bytes([200]) + written(Result(Outcome.FILE))[1:]
    with pytest.raises(BadMessage):
        decode_result(message, [fd])
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


@given(st.binary(max_size=5_000), IDENTITIES, st.binary(max_size=20), st.integers(-(2**31), 2**31 - 1))
def test_encode_round_trip(source: bytes, identity: Identity, coding: bytes, level: int) -> None:
    """With the bytes of a file, or its descriptor beside the message."""
    job = Encode(source, identity, coding, level)
    message, fds = encode_job(job)
    assert (decode_job(message, []), fds) == (job, [])
    file = Descriptor(null())
    message, fds = encode_job(job._replace(source=file))
    assert fds == [file.fd]
    taken = decode_job(message, [null()])
    assert isinstance(taken, Encode) and isinstance(taken.source, Descriptor)
    assert taken[1:] == job[1:]
    with pytest.raises(BadMessage):
        decode_job(message, [])


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_verify_round_trip(hashed: bytes, password: bytes) -> None:
    """Any bytes: a password may have NULs and what is no UTF-8."""
    job = Verify(hashed, password)
    assert decode_job(encode_job(job)[0], []) == job


@given(IDENTITIES)
def test_a_coded_form_lies_on_no_disk(identity: Identity) -> None:
    """Its identity is the file's, its descriptor one of memory."""
    message = written(Result(Outcome.ENCODED, identity, name=b"br5-1"))
    result = decode_result(message, [null()])
    assert result.file is not None and result.file.device == IN_MEMORY
    assert (result.identity, result.name) == (identity, b"br5-1")


@given(st.binary(max_size=60))
def test_nonsense_is_a_bad_message(message: bytes) -> None:
    """Whatever its first byte says that it is."""
    for kind in (b"\x14", b"\x15"):
        try:
            job = decode_job(kind + message, [])
        except BadMessage:
            continue
        assert isinstance(job, Encode | Verify)
