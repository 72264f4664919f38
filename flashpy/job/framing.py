"""How jobs and results are said on the pipe between the server and a helper.

The pipe is a Unix socket pair of type SOCK_SEQPACKET: a message is a job or a result, whole, and descriptors travel
beside it (SCM_RIGHTS). A message is: kind (1 byte), then fields. Texts are length-prefixed (4 bytes).
"""

import struct
from collections.abc import Iterable, Sequence

from flashpy.buffers import IN_MEMORY, Descriptor
from flashpy.job.kinds import Check, Encode, Identity, Job, List, Load, Outcome, Result, Sort, Translate, Verify, Walk

_KIND_TRANSLATE, _KIND_LOAD, _KIND_CHECK, _KIND_LIST, _KIND_WALK, _KIND_ENCODE, _KIND_VERIFY = range(1, 8)
_IDENTITY = struct.Struct("=QQqqq")
_LOAD = struct.Struct("=Bqq")
_CHECK = struct.Struct("=BI")
_TRANSLATE = struct.Struct("=BIBBBB?")
_ENCODE = struct.Struct("=BiB")
_VERIFY = struct.Struct("=B")
_LIST = struct.Struct("=BIIB??BH")
_WALK = struct.Struct("=BQQ?BH")
_RESULT = struct.Struct("=BiBBB")
_LENGTH = struct.Struct("=I")

HEAD_ROOM = 8192
"""A result message is at most this much longer than the body in it."""


class BadMessage(Exception):
    """A message that this module did not write."""


def encode_job(job: Job) -> tuple[bytes, list[int]]:
    """The message, and the descriptors that go with it."""
    if isinstance(job, Load):
        return _LOAD.pack(_KIND_LOAD, job.offset, job.length), [job.file.fd]
    if isinstance(job, Check):
        head = _CHECK.pack(_KIND_CHECK, len(job.translations))
        return head + _pack(_encode_translate(translation) for translation in job.translations), []
    if isinstance(job, List):
        return _encode_list(job), []
    if isinstance(job, Encode):
        return _encode_encode(job)
    if isinstance(job, Verify):
        return _VERIFY.pack(_KIND_VERIFY) + _pack(job), []
    if isinstance(job, Walk):
        return _encode_walk(job), []
    assert isinstance(job, Translate)
    return _encode_translate(job), []


def _encode_encode(job: Encode) -> tuple[bytes, list[int]]:
    is_open = isinstance(job.source, Descriptor)
    head = _ENCODE.pack(_KIND_ENCODE, job.level, is_open) + _IDENTITY.pack(*job.identity) + _pack((job.coding,))
    if isinstance(job.source, Descriptor):
        return head, [job.source.fd]
    return head + job.source, []


def _encode_translate(job: Translate) -> bytes:
    counts = (len(job.roots), len(job.index_names), len(job.suffixes))
    head = _TRANSLATE.pack(_KIND_TRANSLATE, job.small, *counts, job.known is not None, job.digest)
    known = _IDENTITY.pack(*job.known) if job.known else b""
    return head + known + _pack((*job.roots, *job.index_names, *job.suffixes, job.release, job.path))


def _encode_list(job: List) -> bytes:
    counts = (len(job.roots), len(job.hide))
    head = _LIST.pack(_KIND_LIST, job.page, job.length, job.sort, job.descending, job.dotfiles, *counts)
    return head + _pack((*job.roots, *job.hide, job.prefix, job.search, job.path))


def _encode_walk(job: Walk) -> bytes:
    counts = (len(job.roots), len(job.hide))
    head = _WALK.pack(_KIND_WALK, job.most_entries, job.most_bytes, job.dotfiles, *counts)
    return head + _pack((*job.roots, *job.hide, job.prefix, job.name, job.path))


def decode_job(message: bytes, fds: Sequence[int]) -> Job:
    """The job in a message; it owns the descriptors from here on."""
    try:
        if message[0] == _KIND_LOAD:
            _, offset, length = _LOAD.unpack(message)
            (fd,) = fds
            return Load(Descriptor(fd), offset, length)
        if message[0] == _KIND_CHECK:
            _, count = _CHECK.unpack_from(message)
            return Check(tuple(_decode_translate(text) for text in _unpack(message, _CHECK.size, count)))
        if message[0] == _KIND_LIST:
            return _decode_list(message)
        if message[0] == _KIND_ENCODE:
            return _decode_encode(message, fds)
        if message[0] == _KIND_VERIFY:
            return Verify(*_unpack(message, _VERIFY.size, 2))
        if message[0] == _KIND_WALK:
            return _decode_walk(message)
        return _decode_translate(message)
    except (struct.error, IndexError, ValueError) as error:
        raise BadMessage(f"no job: {message[:80]!r}") from error


def _decode_encode(message: bytes, fds: Sequence[int]) -> Encode:
    _, level, is_open = _ENCODE.unpack_from(message)
    position = _ENCODE.size
    identity = Identity._make(_IDENTITY.unpack_from(message, position))
    position += _IDENTITY.size
    (coding,) = _unpack(message, position, 1)
    if is_open:
        (fd,) = fds
        return Encode(Descriptor(fd), identity, coding, level)
    return Encode(message[position + _LENGTH.size + len(coding) :], identity, coding, level)


def _decode_translate(message: bytes) -> Translate:
    if message[0] != _KIND_TRANSLATE:
        raise ValueError("no translation")
    _, small, roots, index, suffixes, has_known, digest = _TRANSLATE.unpack_from(message)
    position, known = _TRANSLATE.size, None
    if has_known:
        known = Identity._make(_IDENTITY.unpack_from(message, position))
        position += _IDENTITY.size
    texts = _unpack(message, position, roots + index + suffixes + 2)
    first, second = roots + index, roots + index + suffixes
    names, index_names, siblings = texts[:roots], texts[roots:first], texts[first:second]
    return Translate(tuple(names), texts[-1], tuple(index_names), tuple(siblings), small, known, texts[-2], digest)


def _decode_list(message: bytes) -> List:
    _, page, length, sort, descending, dotfiles, roots, hide = _LIST.unpack_from(message)
    texts = _unpack(message, _LIST.size, roots + hide + 3)
    names, hidden, (prefix, search, path) = texts[:roots], texts[roots:-3], texts[-3:]
    return List(tuple(names), path, page, length, Sort(sort), descending, search, dotfiles, tuple(hidden), prefix)


def _decode_walk(message: bytes) -> Walk:
    _, entries, size, dotfiles, roots, hide = _WALK.unpack_from(message)
    texts = _unpack(message, _WALK.size, roots + hide + 3)
    names, hidden, (prefix, name, path) = texts[:roots], texts[roots:-3], texts[-3:]
    return Walk(tuple(names), path, name, entries, size, dotfiles, tuple(hidden), prefix)


def encode_result(result: Result) -> tuple[list[bytes], list[int]]:
    """The message in pieces (its body is not copied), and the descriptors that go with it."""
    head = _RESULT.pack(
        result.outcome,
        result.error,
        result.identity is not None,
        len(result.suffixes),
        result.body is not None,
    )
    identity = _IDENTITY.pack(*result.identity) if result.identity else b""
    texts = _pack((result.name, result.release, result.place, result.digest, *result.suffixes))
    return [head + identity + texts, result.body or b""], [result.file.fd] if result.file else []


def decode_result(message: bytes | memoryview, fds: Sequence[int]) -> Result:
    """The result in a message; it owns the descriptors from here on."""
    files = [Descriptor(fd) for fd in fds]
    try:
        outcome, error, has_identity, count, has_body = _RESULT.unpack_from(message)
        position, identity = _RESULT.size, None
        if has_identity:
            identity = Identity._make(_IDENTITY.unpack_from(message, position))
            position += _IDENTITY.size
        name, release, place, digest, *suffixes = texts = _unpack(message, position, 4 + count)
        position += sum(_LENGTH.size + len(text) for text in texts)
        body = bytes(message[position:]) if has_body else None
        file = files[0] if files else None
        if file and identity:
            file.device = IN_MEMORY if outcome == Outcome.ENCODED else identity.device
        kind = Outcome(outcome)
        return Result(kind, identity, file, body, tuple(suffixes), name, error, None, release, place, digest)
    except (struct.error, IndexError, ValueError) as problem:
        raise BadMessage(f"no result: {bytes(message[:80])!r}") from problem


def _pack(texts: Iterable[bytes]) -> bytes:
    return b"".join(_LENGTH.pack(len(text)) + text for text in texts)


def _unpack(message: bytes | memoryview, position: int, count: int) -> list[bytes]:
    texts: list[bytes] = []
    for _ in range(count):
        (length,) = _LENGTH.unpack_from(message, position)
        position += _LENGTH.size
        if position + length > len(message):
            raise ValueError("a text ends after its message")
        texts.append(bytes(message[position : position + length]))
        position += length
    return texts
