"""The tree that the suite serves, and what lies around it and must never be served."""

import os
import random
from pathlib import Path

from tests.conformance.client import PROBE_BODY

SECRET = b"this must never be served"
PATTERN = bytes(range(250)) * 4
"""The 1000 bytes of ``pattern.bin``: each of its ranges is known by what is in it."""
BIG = random.Random(9110).randbytes(3 * 2**20 + 7)
"""Large enough to leave by sendfile, in several turns, and through a full socket."""
PLAIN, CODED = b"plain " * 100, b"\x1f\x8bnot gzip" * 60
"""A file and its stored coding: of the same size and time, so that only the coding tells their tags apart."""
OLD = 978_307_200
OLD_DATE = b"Mon, 01 Jan 2001 00:00:00 GMT"

TYPES = {
    "page.html": b"text/html; charset=utf-8",
    "style.css": b"text/css; charset=utf-8",
    "script.js": b"text/javascript; charset=utf-8",
    "module.mjs": b"text/javascript; charset=utf-8",
    "notes.txt": b"text/plain; charset=utf-8",
    "table.csv": b"text/csv; charset=utf-8",
    "data.json": b"application/json",
    "feed.xml": b"application/xml",
    "drawing.svg": b"image/svg+xml",
    "picture.png": b"image/png",
    "PHOTO.JPG": b"image/jpeg",
    "photo.webp": b"image/webp",
    "icon.ico": b"image/x-icon",
    "song.mp3": b"audio/mpeg",
    "film.mp4": b"video/mp4",
    "font.woff2": b"font/woff2",
    "paper.pdf": b"application/pdf",
    "program.wasm": b"application/wasm",
    "release.tar.gz": b"application/gzip",
    "unknown.zzz": b"application/octet-stream",
    "no-suffix": b"application/octet-stream",
}
"""Names and the media types that they must have."""

AWKWARD = (
    "with space.txt",
    "grüße.txt",
    "日本.txt",
    "100%.txt",
    "%41.txt",
    "a+b.txt",
    "a&b=c;d,e.txt",
    "[x]{y}|z.txt",
    "question?.txt",
    "hash#.txt",
    "quo\"te's.txt",
    "back\\slash.txt",
    "colon:at@.txt",
    "dots...txt...",
)
"""Names that have to be percent-encoded, or that look as if. Each file holds its own name."""


def build(base: Path) -> Path:
    """Make the tree under ``base``, and give its root."""
    root = base / "site"
    for directory in ("sub", "sub/.git", "no-index", "dir name", "evil.example", "\\evil.example", "many"):
        (root / directory).mkdir(parents=True)
    files = {
        "index.html": b"<!DOCTYPE html><title>root</title>\n",
        "small.txt": PROBE_BODY,
        "empty.txt": b"",
        "pattern.bin": PATTERN,
        "big.bin": BIG,
        "old.txt": b"made in 2001\n",
        "future.txt": b"from a clock that is fast\n",
        "coded.txt": PLAIN,
        "coded.txt.gz": CODED,
        "sub/index.html": b"<!DOCTYPE html><title>sub</title>\n",
        "sub/.git/config": SECRET,
        "no-index/file.txt": b"beside no index\n",
        "dir name/index.html": b"<!DOCTYPE html><title>dir name</title>\n",
        "evil.example/index.html": b"<!DOCTYPE html><title>named like a host</title>\n",
        "\\evil.example/index.html": b"<!DOCTYPE html><title>backslash</title>\n",
        ".hidden": SECRET,
        ".htaccess": SECRET,
    }
    for name, data in files.items():
        (root / name).write_bytes(data)
    for name in TYPES:
        (root / name).write_bytes(b"of a type\n")
    for name in AWKWARD:
        (root / name).write_text(name)
    for number in range(100):
        (root / "many" / f"{number:02}.txt").write_text(f"number {number}\n")
    (root / ".well-known").mkdir()
    (root / ".well-known/security.txt").write_text("Contact: mailto:security@test.example\n")
    (root / ".well-known/.hidden").write_bytes(SECRET)
    for name in ("old.txt", "coded.txt", "coded.txt.gz"):
        os.utime(root / name, (OLD, OLD))
    os.utime(root / "future.txt", (4_000_000_000, 4_000_000_000))
    _surround(base, root)
    return root


def _surround(base: Path, root: Path) -> None:
    """What a server that confines badly would give away."""
    (base / "secret.txt").write_bytes(SECRET)
    (base / "site-private").mkdir()  # its path begins with that of the root
    (base / "site-private/secret.txt").write_bytes(SECRET)
    (root / "link-inside.txt").symlink_to("small.txt")
    (root / "link-absolute.txt").symlink_to(root / "small.txt")
    (root / "link-outside.txt").symlink_to("../secret.txt")
    (root / "link-neighbour").symlink_to("../site-private")
    (root / "link-etc").symlink_to("/etc")
    (root / "link-loop").symlink_to("link-loop")
    (root / "link-broken").symlink_to("nowhere")
    os.mkfifo(root / "fifo")
