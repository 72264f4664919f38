"""The tree that the table speaks of: what every static server can serve, of known content and known age."""

import gzip
import os
import random
from pathlib import Path

from tests.conformance.cases.exchange import PROBE_BODY

SECRET = b"this must never be served"
DIGITS = b"".join(b"%03d " % number for number in range(250))
"""The 1000 octets of ``digits.bin``: each of its ranges is known by what is in it."""
LARGE = random.Random(9110).randbytes(1 << 20)
"""The 1 MiB of ``large.bin``."""
SCRIPT = b'console.log("conformance");\n' * 100
SCRIPT_BR = (
    b"\x1b\xef\n\xf8\x9d\x076.\xd4\xbb\x91\x1d\xe3\xb5B\xca\x0e\x9b\x16q9s\x13o"
    b"\x8d\x126V&\x0b\xa9\xe5\xb7\\\x81\x17mt\xf1`~\x8e\x02\x00\xde\x18\x00"
)
"""SCRIPT in brotli, as the reference encoder makes it at quality 11."""
SCRIPT_GZ = gzip.compress(SCRIPT, mtime=0)
PNG = (
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\0\0\0\0:~\x9bU"
    b"\0\0\0\nIDATx\xdac`\0\0\0\x02\0\x01\xe5'\xde\xfc\0\0\0\0IEND\xaeB`\x82"
)
"""One black pixel."""
INDEX, SUB_INDEX = b"<!DOCTYPE html><title>root</title>\n", b"<!DOCTYPE html><title>sub</title>\n"

OLD_DATE = b"Mon, 01 Jan 2001 00:00:00 GMT"
"""When all files were changed last, but ``future.txt``."""
_OLD, _FUTURE = 978_307_200, 4_000_000_000

AWKWARD = {
    "with space.txt": b"/with%20space.txt",
    "100%.txt": b"/100%25.txt",
    "%41.txt": b"/%2541.txt",
    "grüße.txt": b"/gr%C3%BC%C3%9Fe.txt",
    "a+b.txt": b"/a+b.txt",
    "a&b=c.txt": b"/a&b=c.txt",
    "hash#.txt": b"/hash%23.txt",
    "question?.txt": b"/question%3F.txt",
}
"""Names that have to be percent-encoded, or that look as if, and their targets. Each file holds its own name."""

FILES = {
    "index.html": INDEX,
    "probe.txt": PROBE_BODY,
    "page.html": b"<!DOCTYPE html><title>page</title>\n",
    "style.css": b"body { margin: 0 }\n",
    "script.js": SCRIPT,
    "script.js.br": SCRIPT_BR,
    "script.js.gz": SCRIPT_GZ,
    "picture.png": PNG,
    "README": b"text without a suffix\n",
    "empty.txt": b"",
    "digits.bin": DIGITS,
    "large.bin": LARGE,
    "old.txt": b"made in 2001\n",
    "future.txt": b"from a clock that is fast\n",
    "archive.gz": SCRIPT_GZ,
    "sub/index.html": SUB_INDEX,
    "bare/file.txt": b"beside no index\n",
}


def build(base: Path) -> Path:
    """Make the tree under ``base``, with a secret beside it, and give its root."""
    root = base / "site"
    for name, data in {**FILES, **{name: name.encode() for name in AWKWARD}}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        os.utime(path, (_OLD, _OLD))
    os.utime(root / "future.txt", (_FUTURE, _FUTURE))
    (base / "secret.txt").write_bytes(SECRET)
    return root
