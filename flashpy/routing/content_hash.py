"""Names with a hash of the content in them, as bundlers write: what has such a name never changes.

Who is told that keeps a file for a year, so what merely looks a little like a hash must not count: it takes a stem, a
separator, a token that is no word, number, date or version, and the suffix of something that bundlers write. A name
that is missed costs a revalidation; and a rule can say it of whole directories.
"""

import re

_ASSET = re.compile(
    rb"(?P<stem>.+?)(?:\.(?:min|chunk|bundle|module|async|legacy))*"
    rb"\.(?:js|mjs|cjs|css|wasm|woff2?|ttf|otf|eot|svg|png|jpe?g|gif|webp|avif|ico|mp4|webm|mp3|ogg)(?:\.map)?"
)
_HEX = re.compile(rb".*[^.~_-][.~_-](?P<token>[0-9a-f]{8,64})", re.DOTALL)  # webpack, Parcel, Rails, Next.js
_BASE32 = re.compile(rb".*[^.~_-][.-](?P<token>[A-Z2-7]{8})", re.DOTALL)  # esbuild, Angular
_BASE64 = re.compile(
    rb".*[^.~_-](?P<separator>[.-])(?P<token>[A-Za-z0-9_-]{8})", re.DOTALL
)  # Vite, Rollup, Astro, SvelteKit
_UUID = re.compile(rb".*[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.DOTALL)
_RUN = re.compile(rb"[A-Z]+|[a-z]+|[0-9]+|[_-]+")
_WORD = re.compile(rb"[_-]*[A-Za-z]?[a-z]*[0-9]*")
_OBJECT_ID = 24  # hexadecimal digits of an identifier of MongoDB; no bundler writes as many


def has_content_hash(name: bytes) -> bool:
    """Whether the last segment of a path has a content hash in it: app.3f9a1c2b.js, index-BfXk29Qa.css.

    Hexadecimal: 8 digits to 64, of which letters and figures change places twice at least. Base 32 (8 of A to Z and 2
    to 7): likewise. Base 64 (8 characters): no one or two words with numbers ("ComboBox", "Utf8Char", "v2-Beta3").
    Rollup's begin with B, C or D (they are numbers of 128 bits), so where one does, less is asked for.
    """
    asset = _ASSET.fullmatch(name)
    if not asset:
        return False
    stem = asset["stem"]
    for form in (_HEX, _BASE32):
        match = form.fullmatch(stem)
        if match:
            token = match["token"]
            return len(_RUN.findall(token)) > 2 and len(token) != _OBJECT_ID and not _UUID.fullmatch(stem)
    match = _BASE64.fullmatch(stem)
    return match is not None and _looks_random(match["token"], rollup=match["separator"] == b"-")


def _looks_random(token: bytes, rollup: bool) -> bool:
    """Whether a token of base 64 is no name that somebody might have chosen."""
    words = sum(1 for word in _WORD.findall(token) if word)
    runs = len(_RUN.findall(token))
    figure, joint = re.search(rb"[0-9]", token), re.search(rb"[_-]", token)
    if words < (4 if joint else 3):
        return False
    if rollup and token[0] in b"BCD":
        return runs > (3 if figure or joint else 4)
    return bool(figure) and runs > 4 and re.search(rb"[a-z]", token) is not None and not token[1:].islower()
