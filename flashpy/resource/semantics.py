"""From a representation to an answer: conditions, HEAD and ranges (RFC 9110, sections 13 and 14)."""

import os

from flashpy.buffers import Aggregate
from flashpy.cache.file import Content
from flashpy.cache.header import Representation
from flashpy.http import ranges
from flashpy.http.conditional import Verdict, evaluate, range_applies
from flashpy.http.request import Request
from flashpy.http.response import FieldList, Head, Response
from flashpy.now import Now
from flashpy.resource.errors import ErrorPages


class Semantics:
    """Answers GET and HEAD with a representation that has been chosen."""

    __slots__ = ("_errors", "_now", "_ranges")

    def __init__(self, errors: ErrorPages, now: Now, max_ranges: int) -> None:
        self._errors = errors
        self._now = now
        self._ranges = max_ranges

    def answer(self, request: Request, representation: Representation, content: Content | None) -> Response | None:
        """The answer: 200, 206, 304, 412 or 416; None where it takes the content, and that is not at hand."""
        if request.plain and content is not None:
            return representation.whole or representation.answer_with(content)
        if request.unmodified is representation.not_modified:
            return representation.not_modified
        verdict = evaluate(request.fields, representation.validators, self._now.wall)
        if verdict is Verdict.NOT_MODIFIED:
            if b"if-none-match" in request.fields:  # then no date has a say, so it stays true
                request.unmodified = representation.not_modified
            return representation.not_modified
        if verdict is Verdict.FAILED:
            return self._errors.answer(request, 412)
        if request.method == b"HEAD":
            return representation.head_only
        if content is None:
            return None
        return self._content(request, representation, content)

    def _content(self, request: Request, representation: Representation, content: Content) -> Response:
        """200, 206 or 416 (RFC 9110, 14.2: Range counts only for GET, and after the conditions)."""
        whole = representation.whole or representation.answer_with(content)
        value = request.fields.get(b"range")
        if value is None or not range_applies(request.fields, representation.validators, self._now.wall):
            return whole
        size = representation.identity.size
        try:
            spans = ranges.select(value, size, self._ranges)
        except ranges.Unsatisfiable:
            return self._errors.answer(request, 416, ((b"Content-Range", b"bytes */%d" % size),))
        if spans is None:
            return whole
        media = representation.variant.media_type
        fields: FieldList
        if len(spans) == 1:
            body: Aggregate = (ranges.cut(content.data, spans[0]),)
            length = spans[0].length
            fields = ((b"Content-Type", media), (b"Content-Range", ranges.content_range(spans[0], size)))
        else:
            boundary = b"flashpy-%s" % os.urandom(12).hex().encode()
            body, length = ranges.multipart(content.data, spans, size, media, boundary)
            fields = ((b"Content-Type", b"multipart/byteranges; boundary=" + boundary),)
        head = Head(206, (*representation.fields, *fields, (b"Content-Length", b"%d" % length)))
        return Response(head, body)
