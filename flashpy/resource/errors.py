"""Error pages, each rendered once."""

import re

from flashpy.http.fields import prefers_html
from flashpy.http.request import Request
from flashpy.http.response import FieldList, Response, error

RETRY_SECONDS = b"1"
"""Retry-After of a 503: what is short now (descriptors, helpers) is usually there again soon."""

_BODY_MAY_FOLLOW = frozenset({400, 408, 413, 414, 417, 431, 505})
"""Faults of framing, after which the connection cannot be read any further."""
_UNKEPT = re.compile(rb"\bno-(?:store|cache)\b", re.IGNORECASE)
"""Directives by which an answer is not kept, or not used without asking again."""


class ErrorPages:
    """Makes error answers and keeps them, since there are few kinds.

    ``extra`` are fields of all answers that are not files, ``fields`` those of errors: of a Cache-Control, which nobody
    means for errors, there remains only what keeps these from being kept.
    """

    __slots__ = ("_kept", "extra", "fields")

    def __init__(self, extra: FieldList = ()) -> None:
        self.extra = extra
        self.fields = tuple(each for each in extra if each[0].lower() != b"cache-control" or _UNKEPT.search(each[1]))
        self._kept: dict[tuple[int, bool, bool, FieldList], Response] = {}

    def answer(self, request: Request, status: int, fields: FieldList = ()) -> Response:
        """The page for a status, in the form that the request prefers; without its body for HEAD."""
        accept = request.fields.get(b"accept")
        key = (status, prefers_html(accept), request.method != b"HEAD", fields)
        response = self._kept.get(key)
        if response is None:
            retry: FieldList = ((b"Retry-After", RETRY_SECONDS),) if status == 503 else ()
            response = error(
                status,
                accept,
                (*self.fields, *fields, *retry),
                with_body=key[2],
                close=status in _BODY_MAY_FOLLOW,
            )
            if len(self._kept) < 1000:
                self._kept[key] = response
        return response
