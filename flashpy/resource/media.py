"""Media types by file name: a table of our own, never the operating system's, so that all machines answer alike."""

from collections.abc import Mapping
from types import MappingProxyType

_TEXT = b"; charset=utf-8"

_TYPES: dict[bytes, bytes] = {
    # text
    b"htm": b"text/html" + _TEXT,
    b"html": b"text/html" + _TEXT,
    b"css": b"text/css" + _TEXT,
    b"js": b"text/javascript" + _TEXT,  # RFC 9239
    b"mjs": b"text/javascript" + _TEXT,
    b"txt": b"text/plain" + _TEXT,
    b"text": b"text/plain" + _TEXT,
    b"log": b"text/plain" + _TEXT,
    b"conf": b"text/plain" + _TEXT,
    b"ini": b"text/plain" + _TEXT,
    b"rst": b"text/plain" + _TEXT,
    b"py": b"text/x-python" + _TEXT,
    b"sh": b"text/plain" + _TEXT,
    b"c": b"text/plain" + _TEXT,
    b"h": b"text/plain" + _TEXT,
    b"md": b"text/markdown" + _TEXT,
    b"csv": b"text/csv" + _TEXT,
    b"tsv": b"text/tab-separated-values" + _TEXT,
    b"ics": b"text/calendar" + _TEXT,
    b"vcf": b"text/vcard" + _TEXT,
    b"vtt": b"text/vtt" + _TEXT,
    b"xml": b"application/xml",  # its charset is in its declaration
    b"xsl": b"application/xml",
    b"xhtml": b"application/xhtml+xml",
    b"atom": b"application/atom+xml",
    b"rss": b"application/rss+xml",
    b"json": b"application/json",
    b"map": b"application/json",
    b"jsonld": b"application/ld+json",
    b"geojson": b"application/geo+json",
    b"webmanifest": b"application/manifest+json",
    b"toml": b"application/toml",
    b"yaml": b"application/yaml",
    b"yml": b"application/yaml",
    # images
    b"svg": b"image/svg+xml",
    b"png": b"image/png",
    b"apng": b"image/apng",
    b"jpg": b"image/jpeg",
    b"jpeg": b"image/jpeg",
    b"gif": b"image/gif",
    b"webp": b"image/webp",
    b"avif": b"image/avif",
    b"jxl": b"image/jxl",
    b"heic": b"image/heic",
    b"bmp": b"image/bmp",
    b"ico": b"image/x-icon",
    b"cur": b"image/x-icon",
    b"tif": b"image/tiff",
    b"tiff": b"image/tiff",
    b"xbm": b"image/x-xbitmap",
    # sound and film
    b"mp3": b"audio/mpeg",
    b"m4a": b"audio/mp4",
    b"aac": b"audio/aac",
    b"oga": b"audio/ogg",
    b"ogg": b"audio/ogg",
    b"opus": b"audio/ogg",
    b"flac": b"audio/flac",
    b"wav": b"audio/wav",
    b"weba": b"audio/webm",
    b"mid": b"audio/midi",
    b"mp4": b"video/mp4",
    b"m4v": b"video/mp4",
    b"webm": b"video/webm",
    b"ogv": b"video/ogg",
    b"mov": b"video/quicktime",
    b"avi": b"video/x-msvideo",
    b"mkv": b"video/x-matroska",
    b"mpg": b"video/mpeg",
    b"mpeg": b"video/mpeg",
    b"ts": b"video/mp2t",
    b"m3u8": b"application/vnd.apple.mpegurl",
    b"mpd": b"application/dash+xml",
    # fonts
    b"woff": b"font/woff",
    b"woff2": b"font/woff2",
    b"ttf": b"font/ttf",
    b"otf": b"font/otf",
    b"eot": b"application/vnd.ms-fontobject",
    # documents
    b"pdf": b"application/pdf",
    b"ps": b"application/postscript",
    b"eps": b"application/postscript",
    b"rtf": b"application/rtf",
    b"epub": b"application/epub+zip",
    b"doc": b"application/msword",
    b"xls": b"application/vnd.ms-excel",
    b"ppt": b"application/vnd.ms-powerpoint",
    b"docx": b"application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    b"xlsx": b"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    b"pptx": b"application/vnd.openxmlformats-officedocument.presentationml.presentation",
    b"odt": b"application/vnd.oasis.opendocument.text",
    b"ods": b"application/vnd.oasis.opendocument.spreadsheet",
    b"odp": b"application/vnd.oasis.opendocument.presentation",
    # archives and programs
    b"zip": b"application/zip",
    b"gz": b"application/gzip",
    b"tgz": b"application/gzip",
    b"bz2": b"application/x-bzip2",
    b"xz": b"application/x-xz",
    b"zst": b"application/zstd",
    b"br": b"application/x-brotli",
    b"7z": b"application/x-7z-compressed",
    b"rar": b"application/vnd.rar",
    b"tar": b"application/x-tar",
    b"jar": b"application/java-archive",
    b"whl": b"application/zip",
    b"deb": b"application/vnd.debian.binary-package",
    b"rpm": b"application/x-rpm",
    b"apk": b"application/vnd.android.package-archive",
    b"wasm": b"application/wasm",
    b"swf": b"application/x-shockwave-flash",
    b"torrent": b"application/x-bittorrent",
}

DEFAULT = b"application/octet-stream"


def media_type(path: bytes, own: Mapping[bytes, bytes] = MappingProxyType({})) -> bytes:
    """The media type for a path, by the suffix of its last segment (case does not matter). ``own`` are types by suffix
    (in lower case, without its dot) that come before ours."""
    name = path.rpartition(b"/")[2]
    stem, dot, suffix = name.rpartition(b".")
    if not (dot and stem):
        return DEFAULT
    suffix = suffix.lower()
    return own.get(suffix) or _TYPES.get(suffix, DEFAULT)
