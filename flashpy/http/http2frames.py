"""Frames of HTTP/2 as they arrive (RFC 9113, sections 4 and 6): where one ends, and how many there may be of those that
bring nothing.

h2 reads what is in a frame. What it leaves to its user is judged here, before it sees one: sizes, so that nobody waits
for the rest of a frame that is too large; and budgets, so that no client keeps the loop busy with what costs it little.
"""

from enum import IntEnum
from typing import NamedTuple

from flashpy.now import Now

HEADER = 9
"""Bytes before a frame's payload (RFC 9113, 4.1)."""
LARGEST = 16_384
"""Bytes of a payload at most: SETTINGS_MAX_FRAME_SIZE is left at its first value (RFC 9113, 6.5.2)."""
RESETS = 256
"""Streams that a client may have reset beyond those that were answered to the end ("rapid reset", CVE-2023-44487): a
browser that leaves a page resets all that it was loading. Resets that it provokes count too (CVE-2025-8671)."""
IDLE_FRAMES = 1_000
"""Frames that bring no request nearer its answer, such as PING (CVE-2019-9512 and its like), which may come at once."""
IDLE_RATE = 50.0
"""How many of these may come each second in the long run."""
CREDIT = 4
"""How many more may come for each frame that is sent: a client that takes much opens many windows."""
CONTINUATIONS = 16
"""CONTINUATION frames of a field block at most (CVE-2024-27316); its bytes are bounded too."""

END_STREAM, ACK, END_HEADERS = 0x1, 0x1, 0x4


class Kind(IntEnum):
    """Types of frames (RFC 9113, 6; RFC 9218, 7.1)."""

    DATA = 0x0
    HEADERS = 0x1
    PRIORITY = 0x2
    RST_STREAM = 0x3
    SETTINGS = 0x4
    PUSH_PROMISE = 0x5
    PING = 0x6
    GOAWAY = 0x7
    WINDOW_UPDATE = 0x8
    CONTINUATION = 0x9
    PRIORITY_UPDATE = 0x10


class Code(IntEnum):
    """Error codes (RFC 9113, 7)."""

    NO_ERROR = 0x0
    PROTOCOL_ERROR = 0x1
    INTERNAL_ERROR = 0x2
    FRAME_SIZE_ERROR = 0x6
    REFUSED_STREAM = 0x7
    CANCEL = 0x8
    ENHANCE_YOUR_CALM = 0xB


_LENGTHS = {Kind.PRIORITY: 5, Kind.RST_STREAM: 4, Kind.PING: 8, Kind.WINDOW_UPDATE: 4}
"""Payloads of one size only (RFC 9113, 6)."""
_PLAIN = frozenset({Kind.DATA, Kind.HEADERS, Kind.CONTINUATION, Kind.RST_STREAM, Kind.GOAWAY})
"""Frames that are no idle ones."""


class ConnectionFault(Exception):
    """The connection must end with this error code (RFC 9113, 5.4.1)."""

    def __init__(self, code: int) -> None:
        self.code = code


class Frame(NamedTuple):
    """A whole frame: ``data`` is all its bytes."""

    kind: int
    flags: int
    stream: int
    data: bytes

    @property
    def payload(self) -> bytes:
        """What is behind its header."""
        return self.data[HEADER:]


class FrameReader:
    """Splits what one client sends into frames, and keeps its budgets."""

    __slots__ = (
        "_at",
        "_begun",
        "_block",
        "_block_frames",
        "_block_limit",
        "_buffer",
        "_idle",
        "_now",
        "_resets",
        "_since",
    )

    def __init__(self, now: Now, block_limit: int) -> None:
        self._now = now
        self._block_limit = block_limit
        self._buffer = b""
        self._at = 0  # where in the buffer the next frame begins
        self._begun = False  # the first frame has come
        self._block = 0  # bytes of the field block that is being received; 0 between two
        self._block_frames = 0
        self._resets = RESETS
        self._idle = float(IDLE_FRAMES)
        self._since = now.monotonic

    def add(self, data: bytes) -> None:
        """Take in bytes."""
        self._buffer = self._buffer[self._at :] + data
        self._at = 0

    def take_start(self, expected: bytes) -> bool:
        """Take what the bytes must begin with (RFC 9113, 3.4). False if not all of it is there yet.

        Raises:
            ConnectionFault: they begin with something else.
        """
        if not expected.startswith(self._buffer[: len(expected)]):
            raise ConnectionFault(Code.PROTOCOL_ERROR)
        if len(self._buffer) < len(expected):
            return False
        self._at = len(expected)
        return True

    @property
    def partial(self) -> bool:
        """A frame or a field block has begun to arrive, and is not complete."""
        return self._at < len(self._buffer) or self._block > 0

    @property
    def in_block(self) -> bool:
        """Between the frames of a field block: no other frame may come there (RFC 9113, 6.10)."""
        return self._block > 0

    @property
    def ready(self) -> bool:
        """A whole frame is there, or one that is at fault."""
        rest = len(self._buffer) - self._at
        if rest < HEADER:
            return False
        length = int.from_bytes(self._buffer[self._at : self._at + 3], "big")
        return length > LARGEST or rest >= HEADER + length

    def next(self) -> Frame | None:
        """The next frame, or None if it is not complete.

        Raises:
            ConnectionFault: it may not come, or not so often.
        """
        buffer, at = self._buffer, self._at
        if len(buffer) - at < HEADER:
            return None
        length = int.from_bytes(buffer[at : at + 3], "big")
        if length > LARGEST:
            raise ConnectionFault(Code.FRAME_SIZE_ERROR)  # RFC 9113, 4.2
        end = at + HEADER + length
        if len(buffer) < end:
            return None
        self._at = end
        stream = int.from_bytes(buffer[at + 5 : at + HEADER], "big") & 0x7FFF_FFFF
        frame = Frame(buffer[at + 3], buffer[at + 4], stream, buffer[at:end])
        self._judge(frame, length)
        return frame

    def _judge(self, frame: Frame, length: int) -> None:
        kind = frame.kind
        if not self._begun:
            if kind != Kind.SETTINGS or frame.flags & ACK:
                raise ConnectionFault(Code.PROTOCOL_ERROR)  # RFC 9113, 3.4
            self._begun = True
        if (size := _LENGTHS.get(kind)) is not None and length != size:  # type: ignore[call-overload]
            raise ConnectionFault(Code.FRAME_SIZE_ERROR)
        if kind == Kind.SETTINGS and (length % 6 or (frame.flags & ACK and length)):
            raise ConnectionFault(Code.FRAME_SIZE_ERROR)  # RFC 9113, 6.5
        if kind in (Kind.HEADERS, Kind.CONTINUATION):
            self._judge_block(frame, length)
        elif kind == Kind.RST_STREAM:
            self.reset()
        elif kind not in _PLAIN or (kind == Kind.DATA and length == 0 and not frame.flags & END_STREAM):
            self._spend()

    def _judge_block(self, frame: Frame, length: int) -> None:
        self._block += HEADER + length
        self._block_frames += 1
        if self._block > self._block_limit + HEADER * self._block_frames or self._block_frames > CONTINUATIONS + 1:
            raise ConnectionFault(Code.ENHANCE_YOUR_CALM)
        if frame.flags & END_HEADERS:
            self._block = self._block_frames = 0

    def reset(self) -> None:
        """A stream has been reset by the client, or through its fault.

        Raises:
            ConnectionFault: too many have been.
        """
        self._resets -= 1
        if self._resets < 0:
            raise ConnectionFault(Code.ENHANCE_YOUR_CALM)

    def answered(self) -> None:
        """A stream has been answered to the end."""
        self._resets = min(RESETS, self._resets + 1)

    def sent(self) -> None:
        """A frame has been sent that the client has asked for."""
        self._idle = min(IDLE_FRAMES, self._idle + CREDIT)

    def _spend(self) -> None:
        now = self._now.monotonic
        self._idle = min(IDLE_FRAMES, self._idle + IDLE_RATE * (now - self._since)) - 1
        self._since = now
        if self._idle < 0:
            raise ConnectionFault(Code.ENHANCE_YOUR_CALM)


def frame(kind: int, payload: bytes, stream: int = 0, flags: int = 0) -> bytes:
    """A frame's bytes."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def goaway(last: int, code: int) -> bytes:
    """GOAWAY: streams above ``last`` are not served (RFC 9113, 6.8)."""
    return frame(Kind.GOAWAY, last.to_bytes(4, "big") + code.to_bytes(4, "big"))
