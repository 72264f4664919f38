"""Pages that answer for others: a site's own error pages, and the page of a single-page application."""

import re
from collections.abc import Mapping

from flashpy.http.fields import qualities
from flashpy.http.target import normalise, unquote_segments

_EXTENSION = re.compile(rb"\.(?=[0-9]*[A-Za-z])[A-Za-z0-9]{1,8}\Z")
_STATUS = re.compile(r"[45](?:[0-9][0-9]|xx)")


class ErrorPaths:
    """A site's own error pages: {"404": "/404.html", "5xx": "/50x.html"}, by status or by class of statuses.

    Raises:
        ValueError: a key is no status of an error, or a value is no path; in one sentence.
    """

    __slots__ = ("_paths",)

    def __init__(self, pages: Mapping[str, str]) -> None:
        self._paths: dict[str, bytes] = {}
        for status, text in pages.items():
            if not _STATUS.fullmatch(status):
                raise ValueError(f'{status!r} is no status of an error; write one such as "404" or "5xx"')
            self._paths[status] = page_path(text)

    def __len__(self) -> int:
        return len(self._paths)

    def path(self, status: int) -> bytes | None:
        """The path of the page for a status: the one for just this status, else for its class; decoded."""
        return self._paths.get(str(status)) or self._paths.get(f"{status // 100}xx")


def page_path(text: str) -> bytes:
    """The path of a page that a configuration names, decoded.

    Raises:
        ValueError: it is none; in one sentence.
    """
    raw = text.encode("utf-8", "surrogateescape")
    path = normalise(unquote_segments(raw))
    if not raw.startswith(b"/") or path is None or path.endswith((b"/", b"\0")):
        raise ValueError(f'{text!r} is no path of a page; write one such as "/404.html"')
    return path


def is_navigation(accept: bytes | None, path: bytes, method: bytes) -> bool:
    """Whether a request is a browser's for a page, which a single-page application can answer, and not for a file.

    It is one if Accept names text/html (``*/*`` alone is what scripts, images and programs ask with) and the last
    segment has no file extension. An extension is a dot and then 1 to 8 letters and figures, not figures alone: so
    "/v1.2/users" and "/release/1.2" are pages, "/app.3f9a1c2b.js" and "/user/jane.doe" are files (an application with
    such addresses takes a rewrite). What is under /.well-known/ is for programs (RFC 8615).
    """
    if method not in (b"GET", b"HEAD") or not accept or path.startswith(b"/.well-known/"):
        return False
    return not has_extension(path) and qualities(accept).get(b"text/html", 0.0) > 0


def has_extension(path: bytes) -> bool:
    """Whether the last segment of a path has a file extension (see is_navigation)."""
    return _EXTENSION.search(path.rpartition(b"/")[2]) is not None
